package operator

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Inquirer is the user's request function. What it emits goes to where the operator's output goes.
type Inquirer interface {
	// Request has the function say what to ask about each group's record. The reply is valid until the next call.
	Request(groups *abi.GroupsWriter) (reply []byte, err error)
	// Response has the function emit what it makes of the records and their answers.
	Response(groups *abi.GroupsWriter) error
	// Retry is that of Guest.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// Sender makes requests, and has the answers until they are taken. It never blocks.
type Sender interface {
	// Send makes a request. Its answer carries the number; it comes before long behind the deadline.
	Send(number uint64, request []byte, deadline time.Time)
	// Pending says whether there are answers to take.
	Pending() bool
	// Take returns the answers that have come, each once, in their order.
	Take() []Reply
	// Forget gives up all requests that have no answer, and drops answers that were not taken.
	Forget()
}

// Reply is the answer to a request.
type Reply struct {
	Number uint64
	Answer abi.Answer
}

// RequestsConfig is what a request operator is made of.
type RequestsConfig struct {
	UID      string
	Requests abi.Requests // with every default filled in
	Failures bool         // the function is told of requests without an answer; otherwise they fail the job
	Placed   bool         // records are where their key groups are
	Groups   int          // key groups of the job
	From, To graph.KeyGroup
	Store    state.Store
	Calls    Inquirer
	Sender   Sender
	Now      func() time.Time
}

// Requests asks the outside about records: for each its function says what to ask, and makes results of the record and the
// answer. Records that have no result yet are its state; who goes on from a snapshot asks about them again.
type Requests struct {
	config  RequestsConfig
	retry   *retry
	all     inquiries
	fresh   []*inquiry          // for which the function has not said what to ask
	unsent  []*inquiry          // that wait for room, in their order
	resting []*inquiry          // that wait to be asked again
	sent    map[uint64]*inquiry // by number of the request
	number  uint64
	started int // asked about, and not out: at most the capacity
	size    int // bytes of all
	passed  int64
	figures RequestFigures
	groups  abi.GroupsWriter
	leaving []*inquiry
	answer  []byte
}

// RequestFigures is what a request operator has done since it began.
type RequestFigures struct {
	InFlight int64 // records that are asked about, or wait for it
	Requests int64 // that were made
	Retries  int64 // of those, that were made again
	Timeouts int64 // records that had no answer in time
}

// A request operator takes no more records while those that it has are above this.
const maxInquiryBytes = 16 << 20

// responseRecords is how many answers go to the function in a call.
const responseRecords = 1024

// requestsName is the name in the operator's own scope under which its records are stored.
const requestsName = "$requests"

// atOnce is a time that has come.
var atOnce = time.Time{}.Add(1)

// NewRequests makes the operator that c describes.
func NewRequests(c RequestsConfig) (*Requests, error) {
	r := &Requests{config: c, all: newInquiries(c.Requests.Order == graph.Ordered), sent: map[uint64]*inquiry{}, passed: abi.MinTime}
	var err error
	if r.retry, err = newRetry(c.Requests.Retry); err != nil {
		return nil, err
	}
	return r, r.restore()
}

// Waiting says whether there are records without a result.
func (r *Requests) Waiting() bool { return r.all.n > 0 }

// Congested says that it should take no more records for now.
func (r *Requests) Congested() bool {
	return len(r.unsent) > 0 || len(r.fresh) > 0 || r.size > maxInquiryBytes
}

// Passed is the watermark behind the operator.
func (r *Requests) Passed() int64 { return r.passed }

// Figures are what it has done.
func (r *Requests) Figures() RequestFigures {
	r.figures.InFlight = int64(r.all.n)
	return r.figures
}

// Process takes a batch, whose records are counted in from, the first of them with this number.
func (r *Requests) Process(b *abi.Batch, from string, first int64) error {
	slab := make([]inquiry, b.N)
	var keys []byte
	values := append([]byte(nil), b.Values...)
	if b.KeyOffs != nil {
		keys = append(keys, b.Keys...)
	}
	for i := range slab {
		q := &slab[i]
		q.value = values[b.ValueOffs[i]:b.ValueOffs[i+1]:b.ValueOffs[i+1]]
		if keys != nil {
			q.key = keys[b.KeyOffs[i]:b.KeyOffs[i+1]:b.KeyOffs[i+1]]
		}
		q.time, q.from, q.number = abi.NoTimestamp, from, first+int64(i)
		if b.Timestamps != nil {
			q.time = b.Timestamps[i]
		}
		r.add(q)
	}
	if err := r.describe(); err != nil {
		return err
	}
	r.start()
	return nil
}

func (r *Requests) add(q *inquiry) {
	r.all.push(q)
	r.fresh = append(r.fresh, q)
	r.size += q.bytes()
}

// Advance says that the watermark before the operator is now this. It passes when the results of all records before it are out.
func (r *Requests) Advance(watermark int64) {
	if r.all.mark(watermark) {
		r.passed = watermark
	}
}

// Wake is when Tick is to be called, the zero time for never.
func (r *Requests) Wake() (at time.Time) {
	if len(r.fresh) > 0 || r.config.Sender.Pending() || r.all.any() {
		return atOnce
	}
	for _, q := range r.resting {
		if at.IsZero() || q.again.Before(at) {
			at = q.again
		}
	}
	return at
}

// Tick takes answers, makes requests that are due, and has results go out. While it answers more, a watermark has passed or
// there is more to do.
func (r *Requests) Tick() (more bool, err error) {
	now := r.config.Now()
	for _, reply := range r.config.Sender.Take() {
		if q := r.sent[reply.Number]; q != nil {
			delete(r.sent, reply.Number)
			r.take(q, reply.Answer, now)
		}
	}
	r.rouse(now)
	if err := r.describe(); err != nil {
		return false, err
	}
	if err := r.respond(); err != nil {
		return false, err
	}
	r.start()
	if watermark, passed := r.all.pass(); passed {
		r.passed, more = watermark, true
	}
	return more || r.all.any(), nil
}

// take decides what becomes of an answer. A try that would begin behind the deadline is not made.
func (r *Requests) take(q *inquiry, a abi.Answer, now time.Time) {
	if delay, again := r.retry.again(q.tries, &a); again && now.Add(delay).Before(q.deadline) {
		q.again = now.Add(delay)
		r.resting = append(r.resting, q)
		return
	}
	if a.Outcome == abi.TimedOut {
		r.figures.Timeouts++
	}
	r.finish(q, a)
}

func (r *Requests) finish(q *inquiry, a abi.Answer) {
	q.answer = a
	r.size += len(a.Body)
	r.all.answered(q)
}

// rouse asks again about those that have waited for it.
func (r *Requests) rouse(now time.Time) {
	still := r.resting[:0]
	for _, q := range r.resting {
		switch {
		case q.gone:
		case q.again.After(now):
			still = append(still, q)
		default:
			r.figures.Retries++
			r.send(q)
		}
	}
	clear(r.resting[len(still):])
	r.resting = still
}

// start asks about those that wait, as far as there is room.
func (r *Requests) start() {
	n := 0
	for ; n < len(r.unsent) && r.started < r.config.Requests.Capacity; n++ {
		q := r.unsent[n]
		if q.gone {
			continue
		}
		q.started, q.deadline = true, r.config.Now().Add(q.timeout)
		r.started++
		r.send(q)
	}
	clear(r.unsent[:n])
	r.unsent = r.unsent[n:]
}

func (r *Requests) send(q *inquiry) {
	q.tries++
	r.number++
	r.figures.Requests++
	r.sent[r.number] = q
	r.config.Sender.Send(r.number, q.request, q.deadline)
}

// leave takes a record out whose result is out, or that is left out.
func (r *Requests) leave(q *inquiry) {
	if q.gone {
		return
	}
	if q.started {
		r.started--
	}
	r.size -= q.bytes()
	r.all.leave(q)
}

// Renew begins anew with all records, for another function: what the one before has asked, and its answers, do not count.
func (r *Requests) Renew() {
	r.config.Sender.Forget()
	clear(r.sent)
	clear(r.unsent)
	clear(r.resting)
	r.fresh, r.unsent, r.resting, r.all.done, r.started, r.size = r.fresh[:0], r.unsent[:0], r.resting[:0], nil, 0, 0
	r.all.each(func(q *inquiry) {
		q.request, q.answer, q.answered, q.started, q.tries = nil, abi.Answer{}, false, false, 0
		r.fresh = append(r.fresh, q)
		r.size += q.bytes()
	})
}

// Save stores the records, before a snapshot.
func (r *Requests) Save() error {
	b := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues)
	r.all.each(func(q *inquiry) { b.Append(abi.Record{Timestamp: q.time, Key: q.key, Value: q.value}) })
	stored := abi.AlignedBytes(b.Size())
	b.Encode(stored)
	return r.config.Store.SetOwn(r.config.UID, requestsName, stored)
}

// restore takes in what this subtask goes on with of the records that were stored.
func (r *Requests) restore() error {
	all, err := r.config.Store.Own(r.config.UID, requestsName)
	if err != nil || failpoint.Planted(failpoint.ForgetRequests) {
		return err
	}
	number := int64(0)
	for i := range all {
		stored := abi.AlignedBytes(len(all[i].Value))
		copy(stored, all[i].Value)
		var b abi.Batch
		if err := b.Parse(stored); err != nil {
			return fmt.Errorf("restore the records in flight: %w", err)
		}
		for k := range b.N {
			if g := r.place(&all[i], &b, k); g >= r.config.From && g < r.config.To {
				number++
				r.add(&inquiry{key: b.Key(k), value: b.Value(k), time: b.Timestamps[k], from: "the records in flight", number: number})
			}
		}
	}
	return nil
}

// place is the key group that a stored record goes with: its own, or, where records are not placed by key, one of those of
// the subtask that had it, so that they are dealt out evenly and stay in order.
func (r *Requests) place(o *state.Owned, b *abi.Batch, k int) graph.KeyGroup {
	if r.config.Placed {
		if g := graph.KeyGroupOf(xxhash.Sum64(b.Key(k)), r.config.Groups); g >= o.From && g < o.To {
			return g
		}
	}
	return o.From + graph.KeyGroup(k*int(o.To-o.From)/b.N)
}
