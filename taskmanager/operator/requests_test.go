package operator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ownStore keeps values of the operator's own scope, of one subtask.
type ownStore struct {
	state.Store
	restored []state.Owned
	saved    []byte
}

func (s *ownStore) Own(string, string) ([]state.Owned, error) { return s.restored, nil }
func (s *ownStore) SetOwn(_, _ string, value []byte) error {
	s.saved = bytes.Clone(value)
	return nil
}

// outside answers requests after a while of a clock that the test moves. What it answers is a function of the record and the
// try, so that everything can be told beforehand.
type outside struct {
	x       *askedWorld
	waiting []dueReply
	tries   map[string]int
	most    int // that waited at once
}

type dueReply struct {
	at    time.Time
	reply Reply
}

func (o *outside) Send(number uint64, request []byte, deadline time.Time) {
	o.tries[string(request)]++
	a, after := o.x.answer(string(request), o.tries[string(request)])
	at := o.x.now.Add(after)
	if at.After(deadline) {
		a, at = abi.Answer{Outcome: abi.TimedOut, Body: []byte("late")}, deadline
	}
	o.waiting = append(o.waiting, dueReply{at, Reply{Number: number, Answer: a}})
	o.most = max(o.most, len(o.waiting))
}

func (o *outside) Pending() bool {
	return slices.ContainsFunc(o.waiting, func(d dueReply) bool { return !d.at.After(o.x.now) })
}

func (o *outside) Take() (all []Reply) {
	slices.SortStableFunc(o.waiting, func(a, b dueReply) int { return a.at.Compare(b.at) })
	o.waiting = slices.DeleteFunc(o.waiting, func(d dueReply) bool {
		if d.at.After(o.x.now) {
			return false
		}
		all = append(all, d.reply)
		return true
	})
	return all
}

func (o *outside) Forget() { o.waiting = nil }

// askedSubtask is a subtask with what must come out of it.
type askedSubtask struct {
	op     *Requests
	sender *outside
	store  *ownStore
	x      *askedWorld
	given  []string // records in their order, those of the snapshot first
	out    map[string]bool
	marks  []askedMark
	next   int // in order: which of given comes out next
	trap   bool
}

type askedMark struct {
	watermark int64
	before    int // records given before it
}

// askedWorld is some subtasks of a request operator, a clock, and an input that is read again from a checkpoint on.
type askedWorld struct {
	t        *testing.T
	r        *rand.Rand
	now      time.Time
	config   RequestsConfig
	subtasks []*askedSubtask
	fail     string // the first thing that was wrong
	results  []string
}

const askedGroups = 16

func (x *askedWorld) wrong(format string, args ...any) {
	if x.fail == "" {
		x.fail = fmt.Sprintf(format, args...)
	}
}

// answer is what the outside says about a record at a try: 503 some times, then 200; some are broken, some are slow.
func (x *askedWorld) answer(record string, try int) (abi.Answer, time.Duration) {
	h := xxhash.Sum64String(record)
	after := time.Duration(xxhash.Sum64String(fmt.Sprint(record, try))%40) * time.Millisecond
	if h%5 == 0 && uint64(try) <= h/5%4 {
		return abi.Answer{Code: 503, Body: []byte("busy")}, after
	}
	if h%7 == 0 && uint64(try) <= h/7%4 {
		return abi.Answer{Outcome: abi.Broken, Body: []byte("broken")}, after
	}
	return abi.Answer{Code: 200, Body: []byte("of " + record)}, after
}

// final is the answer that a record must come out with, and after how many tries.
func (x *askedWorld) final(record string) (abi.Answer, int) {
	if unasked(record) {
		return abi.Answer{Outcome: abi.Unasked}, 0
	}
	retries := 0
	if again := x.config.Requests.Retry; again != nil {
		retries = again.Retries
	}
	for try := 1; ; try++ {
		a, _ := x.answer(record, try)
		if a.Code == 200 || try > retries {
			return a, try
		}
	}
}

func unasked(record string) bool { return xxhash.Sum64String(record)%11 == 0 }

// Request asks about each record by its value, and traps once in a while: then all is asked again.
func (s *askedSubtask) Request(groups *abi.GroupsWriter) (reply []byte, err error) {
	if s.trap = !s.trap && s.x.r.IntN(8) == 0; s.trap {
		return nil, errTrapped
	}
	for i, g := range readAsked(groups.Bytes()) {
		if unasked(g.value) {
			continue
		}
		q := abi.Request{Target: []byte(abi.ClientHTTP), Body: []byte(g.value)}
		reply = appendAction(reply, uint32(i), abi.ActionRequest, q.Append(nil))
	}
	return reply, nil
}

var errTrapped = errors.New("trapped")

func (s *askedSubtask) Response(groups *abi.GroupsWriter) error {
	if s.trap = !s.trap && s.x.r.IntN(8) == 0; s.trap {
		return errTrapped
	}
	for _, g := range readAsked(groups.Bytes()) {
		a, err := abi.ParseAnswer(g.answer)
		if err != nil {
			return err
		}
		want, tries := s.x.final(g.value)
		if a.Outcome != want.Outcome || a.Code != want.Code || string(a.Body) != string(want.Body) {
			s.x.wrong("%s came out with %+v (expected %+v after %d tries)", g.value, a, want, tries)
		}
		if s.out[g.value] {
			s.x.wrong("%s came out twice", g.value)
		}
		if key := strings.Split(g.value, "/")[0]; key != g.key {
			s.x.wrong("%s came out with key %q", g.value, g.key)
		}
		s.out[g.value] = true
		s.x.results = append(s.x.results, g.value)
		s.check(g.value)
	}
	return nil
}

// check sees that a result came out where it may.
func (s *askedSubtask) check(value string) {
	at := slices.Index(s.given, value)
	if s.op.all.ordered {
		if at != s.next {
			s.x.wrong("%s came out in place %d (expected %d)", value, at, s.next)
		}
		s.next++
	}
	for _, m := range s.marks {
		if at >= m.before && m.watermark > s.op.Passed() {
			s.x.wrong("%s came out before the watermark %d, which came before it", value, m.watermark)
		}
	}
}

// passed sees that no watermark has passed before the results of records that came before it.
func (s *askedSubtask) passed() {
	for _, m := range s.marks {
		if m.watermark > s.op.Passed() {
			continue
		}
		for _, v := range s.given[:m.before] {
			if !s.out[v] {
				s.x.wrong("the watermark %d has passed, and %s is not out, which came before it", m.watermark, v)
			}
		}
	}
}

func (s *askedSubtask) Retry(err error, n int, call func(lo, hi int) error, _ func(int) Unit) error {
	if !errors.Is(err, errTrapped) {
		return err
	}
	for lo := range n { // one by one
		if err := call(lo, lo+1); errors.Is(err, errTrapped) {
			err = call(lo, lo+1)
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// askedGroup is a group of one record.
type askedGroup struct {
	key, value string
	answer     []byte
}

func readAsked(p []byte) []askedGroup {
	le := binary.LittleEndian
	n, at := le.Uint32(p[4:]), le.Uint32(p)
	all := make([]askedGroup, n)
	for i := range all {
		g := p[at:]
		at += le.Uint32(g)
		key, lists := le.Uint32(g[32:]), le.Uint32(g[36:])
		all[i].key = string(g[40 : 40+key])
		l := g[40+(key+7)&^7:]
		for range lists {
			offs := uint32(24)
			if le.Uint32(l[16:])&abi.ListHasTimestamps != 0 {
				offs += 8
			}
			value := l[offs+8 : offs+8+le.Uint32(l[offs+4:])]
			if le.Uint16(l[4:]) == uint16(abi.ListAnswers) {
				all[i].answer = value
			} else {
				all[i].value = string(value)
			}
			l = l[le.Uint32(l):]
		}
	}
	return all
}

func appendAction(dst []byte, group uint32, op abi.ActionOp, value []byte) []byte {
	le := binary.LittleEndian
	padded := (len(value) + 7) &^ 7
	dst = le.AppendUint32(dst, uint32(32+padded))
	dst = le.AppendUint32(dst, group)
	dst = le.AppendUint64(dst, 1)
	dst = le.AppendUint32(dst, uint32(16+padded))
	dst = le.AppendUint32(dst, uint32(op))
	dst = le.AppendUint64(dst, uint64(len(value)))
	return append(append(dst, value...), make([]byte, padded-len(value))...)
}

// begin makes n subtasks that go on from what others have stored.
func (x *askedWorld) begin(n int, stored []state.Owned) {
	x.subtasks = nil
	for i := range n {
		s := &askedSubtask{x: x, out: map[string]bool{}, sender: &outside{x: x, tries: map[string]int{}}, store: &ownStore{}}
		c := x.config
		c.From, c.To = graph.KeyGroupsOf(i, n, askedGroups)
		for _, o := range stored {
			if o.From < c.To && c.From < o.To {
				s.store.restored = append(s.store.restored, o)
			}
		}
		c.Store, c.Calls, c.Sender, c.Now = s.store, s, s.sender, func() time.Time { return x.now }
		var err error
		if s.op, err = NewRequests(c); err != nil {
			x.t.Fatal(err)
		}
		s.op.all.each(func(q *inquiry) { s.given = append(s.given, string(q.value)) })
		x.subtasks = append(x.subtasks, s)
	}
}

func (x *askedWorld) save() (stored []state.Owned) {
	for i, s := range x.subtasks {
		if err := s.op.Save(); err != nil {
			x.t.Fatal(err)
		}
		from, to := graph.KeyGroupsOf(i, len(x.subtasks), askedGroups)
		stored = append(stored, state.Owned{From: from, To: to, Value: s.store.saved})
	}
	return stored
}

func (x *askedWorld) give(records []string) {
	parts := make([][]string, len(x.subtasks))
	for _, v := range records {
		to := x.r.IntN(len(parts))
		if key := strings.Split(v, "/")[0]; x.config.Placed {
			to = graph.SubtaskOf(graph.KeyGroupOf(xxhash.Sum64String(key), askedGroups), len(parts), askedGroups)
		}
		parts[to] = append(parts[to], v)
	}
	for i, s := range x.subtasks {
		if len(parts[i]) == 0 {
			continue
		}
		b := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps)
		for _, v := range parts[i] {
			b.Append(abi.Record{Key: []byte(strings.Split(v, "/")[0]), Value: []byte(v), Timestamp: int64(len(v))})
		}
		s.given = append(s.given, parts[i]...)
		var view abi.Batch
		b.View(&view)
		if err := s.op.Process(&view, "input", 1); err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x *askedWorld) tick() {
	for _, s := range x.subtasks {
		for more := true; more; {
			var err error
			if more, err = s.op.Tick(); err != nil {
				x.t.Fatal(err)
			}
			s.passed()
		}
		if s.sender.most > x.config.Requests.Capacity {
			x.wrong("%d requests at once (capacity %d)", s.sender.most, x.config.Requests.Capacity)
		}
	}
}

// Every record comes out once, with its last answer and its key, no matter how often what has no result is begun anew, by how
// many subtasks; in order where that is asked for; and none overtakes a watermark, or is overtaken by one.
func TestRequestsAreWhatTheyAreDefinedAs(t *testing.T) {
	for seed := range uint64(600) {
		if fail := askOnce(t, seed); fail != "" {
			t.Fatalf("seed %d: %s", seed, fail)
		}
	}
}

func askOnce(t *testing.T, seed uint64) string {
	x := &askedWorld{t: t, r: rand.New(rand.NewPCG(seed, 5)), now: time.UnixMilli(1_000_000)}
	x.config = RequestsConfig{UID: "ask", Failures: true, Placed: x.r.IntN(2) == 0, Groups: askedGroups}
	x.config.Requests = abi.Requests{Client: abi.ClientHTTP, Order: graph.Unordered, Capacity: 1 + x.r.IntN(6), TimeoutMs: 1 << 40}
	if x.r.IntN(2) == 0 {
		x.config.Requests.Order = graph.Ordered
	}
	if x.r.IntN(3) > 0 {
		x.config.Requests.Retry = &abi.Retry{Retries: 1 + x.r.IntN(3), DelayMs: x.r.Int64N(30), GrowPercent: 100 * (1 + x.r.IntN(2)), On: []string{"broken", "5xx"}}
	}
	n := 20 + x.r.IntN(60)
	input := make([]string, n)
	for i := range input {
		input[i] = fmt.Sprintf("k%d/%d", x.r.IntN(9), i)
	}
	x.begin(1+x.r.IntN(3), nil)
	at, watermark := 0, int64(0)
	type snapshot struct {
		stored  []state.Owned
		at      int
		results int
	}
	var kept snapshot
	for step := 0; x.fail == "" && step < 100_000; step++ {
		if at == n && !slices.ContainsFunc(x.subtasks, func(s *askedSubtask) bool { return s.op.Waiting() }) {
			return x.complete(input)
		}
		switch x.r.IntN(12) {
		case 0, 1, 2:
			if congested := slices.ContainsFunc(x.subtasks, func(s *askedSubtask) bool { return s.op.Congested() }); congested || at == n {
				break
			}
			k := min(1+x.r.IntN(8), n-at)
			x.give(input[at : at+k])
			at += k
		case 3:
			watermark += 1 + x.r.Int64N(10)
			for _, s := range x.subtasks {
				s.marks = append(s.marks, askedMark{watermark, len(s.given)})
				s.op.Advance(watermark)
				s.passed()
			}
		case 4:
			kept = snapshot{x.save(), at, len(x.results)}
		case 5:
			if x.r.IntN(4) > 0 {
				break
			}
			parallelism := len(x.subtasks)
			if x.r.IntN(2) == 0 {
				parallelism = 1 + x.r.IntN(3)
			}
			x.begin(parallelism, kept.stored)
			at, x.results = kept.at, x.results[:kept.results]
		case 6:
			if x.r.IntN(4) == 0 {
				for _, s := range x.subtasks {
					s.op.Renew()
					clear(s.sender.tries)
				}
			}
		default:
			x.now = x.now.Add(time.Duration(x.r.IntN(30)) * time.Millisecond)
			x.tick()
		}
	}
	if x.fail == "" {
		x.fail = "it does not end"
	}
	return x.fail
}

func (x *askedWorld) complete(input []string) string {
	got, want := slices.Clone(x.results), slices.Clone(input)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("%d results of %d records: %q", len(got), len(want), got)
	}
	for _, s := range x.subtasks {
		if n := len(s.marks); n > 0 && s.op.Passed() != s.marks[n-1].watermark {
			return fmt.Sprintf("all is out, and the watermark is %d (expected %d)", s.op.Passed(), s.marks[n-1].watermark)
		}
		if f := s.op.Figures(); f.InFlight != 0 || s.op.size != 0 || s.op.started != 0 || len(s.op.sent) != 0 {
			return fmt.Sprintf("all is out, and there are left %+v, %d bytes, %d started, %d sent", f, s.op.size, s.op.started, len(s.op.sent))
		}
	}
	return x.fail
}

func TestDelaysOfRetries(t *testing.T) {
	busy, broken := abi.Answer{Code: 503}, abi.Answer{Outcome: abi.Broken}
	for _, tt := range []struct {
		say   *abi.Retry
		a     abi.Answer
		tries int
		delay time.Duration
		again bool
	}{
		{nil, busy, 1, 0, false},
		{&abi.Retry{Retries: 2, DelayMs: 100, GrowPercent: 100, On: []string{"5xx"}}, busy, 1, 100 * time.Millisecond, true},
		{&abi.Retry{Retries: 2, DelayMs: 100, GrowPercent: 100, On: []string{"5xx"}}, busy, 2, 100 * time.Millisecond, true},
		{&abi.Retry{Retries: 2, DelayMs: 100, GrowPercent: 100, On: []string{"5xx"}}, busy, 3, 0, false},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 200, On: []string{"503"}}, busy, 4, 800 * time.Millisecond, true},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 150, MaxDelayMs: 200, On: []string{"503"}}, busy, 2, 150 * time.Millisecond, true},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 150, MaxDelayMs: 200, On: []string{"503"}}, busy, 3, 200 * time.Millisecond, true},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 100, On: []string{"502", "broken"}}, busy, 1, 0, false},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 100, On: []string{"502", "broken"}}, broken, 1, 100 * time.Millisecond, true},
		{&abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 100, On: []string{"5xx"}}, broken, 1, 0, false},
		{&abi.Retry{Retries: 9, DelayMs: 0, GrowPercent: 100, On: []string{"2xx"}}, abi.Answer{Code: 202}, 1, 0, true},
		{&abi.Retry{Retries: 9, On: []string{"broken", "5xx"}}, abi.Answer{Outcome: abi.TimedOut}, 1, 0, false},
		{&abi.Retry{Retries: 9, On: []string{"broken", "5xx"}}, abi.Answer{Outcome: abi.Refused}, 1, 0, false},
		{&abi.Retry{Retries: 100, DelayMs: 1 << 40, GrowPercent: 10_000, On: []string{"503"}}, busy, 99, (1 << 53) / 100, true},
	} {
		r, err := newRetry(tt.say)
		if err != nil {
			t.Fatal(err)
		}
		if delay, again := r.again(tt.tries, &tt.a); delay != tt.delay || again != tt.again {
			t.Errorf("%+v, try %d of %+v: %s, %v (expected %s, %v)", tt.say, tt.tries, tt.a, delay, again, tt.delay, tt.again)
		}
	}
}

// calm never traps, answers requests as a script says, and notes what comes out.
type calm struct {
	answers map[string][]abi.Answer // by record, try by try; none: it hangs
	now     *time.Time
	sent    []string
	ready   []Reply
	out     []string
	trap    string // a record that it traps on
}

func (c *calm) Request(groups *abi.GroupsWriter) (reply []byte, err error) {
	for i, g := range readAsked(groups.Bytes()) {
		if g.value == c.trap {
			return nil, errTrapped
		}
		q := abi.Request{Target: []byte(abi.ClientHTTP), Body: []byte(g.value)}
		reply = appendAction(reply, uint32(i), abi.ActionRequest, q.Append(nil))
	}
	return reply, nil
}

func (c *calm) Response(groups *abi.GroupsWriter) error {
	for _, g := range readAsked(groups.Bytes()) {
		a, _ := abi.ParseAnswer(g.answer)
		c.out = append(c.out, fmt.Sprintf("%s: %s %d", g.value, a.Outcome, a.Code))
	}
	return nil
}

// Retry leaves out the record that is trapped on.
func (c *calm) Retry(err error, n int, call func(lo, hi int) error, describe func(int) Unit) error {
	if !errors.Is(err, errTrapped) {
		return err
	}
	for i := range n {
		if u := describe(i); string(u.Data) == c.trap {
			if err := u.Skip(); err != nil {
				return err
			}
		} else if err := call(i, i+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *calm) Send(number uint64, request []byte, deadline time.Time) {
	c.sent = append(c.sent, string(request))
	left := c.answers[string(request)]
	if len(left) == 0 {
		return
	}
	c.answers[string(request)] = left[1:]
	c.ready = append(c.ready, Reply{Number: number, Answer: left[0]})
}

func (c *calm) Pending() bool { return len(c.ready) > 0 }
func (c *calm) Take() []Reply {
	taken := c.ready
	c.ready = nil
	return taken
}
func (c *calm) Forget() { c.ready = nil }

// newCalm makes an operator over a script, and gives it records.
func newCalm(t *testing.T, c *calm, say abi.Requests, failures bool, records ...string) *Requests {
	t.Helper()
	now := time.UnixMilli(1000)
	c.now = &now
	say.Client = abi.ClientHTTP
	r, err := NewRequests(RequestsConfig{UID: "ask", Requests: say, Failures: failures, Groups: askedGroups, To: askedGroups,
		Store: &ownStore{}, Calls: c, Sender: c, Now: func() time.Time { return *c.now }})
	if err != nil {
		t.Fatal(err)
	}
	b := abi.NewBuilder(abi.ColumnValues)
	for _, v := range records {
		b.Append(abi.Record{Value: []byte(v)})
	}
	var view abi.Batch
	b.View(&view)
	if err := r.Process(&view, "lines", 1); err != nil {
		t.Fatal(err)
	}
	return r
}

func ticked(t *testing.T, r *Requests) error {
	t.Helper()
	for {
		if more, err := r.Tick(); !more || err != nil {
			return err
		}
	}
}

func TestATryThatWouldComeTooLateIsNotMade(t *testing.T) {
	c := &calm{answers: map[string][]abi.Answer{"a": {{Code: 503}, {Code: 503}, {Code: 200}}}}
	r := newCalm(t, c, abi.Requests{Order: graph.Ordered, Capacity: 1, TimeoutMs: 150, Retry: &abi.Retry{Retries: 9, DelayMs: 100, GrowPercent: 100, On: []string{"5xx"}}}, true, "a")
	for _, wait := range []time.Duration{0, 99 * time.Millisecond, time.Millisecond, time.Hour} {
		*c.now = c.now.Add(wait)
		if err := ticked(t, r); err != nil {
			t.Fatal(err)
		}
		if wait == 0 && !r.Wake().Equal(time.UnixMilli(1100)) {
			t.Errorf("wakes at %s (expected 1100)", r.Wake())
		}
	}
	if !slices.Equal(c.out, []string{"a: answered 503"}) || len(c.sent) != 2 || r.Figures() != (RequestFigures{Requests: 2, Retries: 1}) {
		t.Errorf("%q after %d tries, %+v", c.out, len(c.sent), r.Figures())
	}
}

// A request without an answer fails the job, and not before the results of the records before it are out; unless the function
// is told.
func TestRequestsWithoutAnswer(t *testing.T) {
	for _, tt := range []struct {
		answer abi.Answer
		out    string
	}{
		{abi.Answer{Outcome: abi.TimedOut, Body: []byte("no answer in time")}, "b: timed out 0"},
		{abi.Answer{Outcome: abi.Refused, Body: []byte("it is not granted")}, "b: refused 0"},
		{abi.Answer{Outcome: abi.Broken, Body: []byte("connection reset")}, "b: broken 0"},
	} {
		script := func() *calm {
			return &calm{answers: map[string][]abi.Answer{"a": {{Code: 200}}, "b": {tt.answer}, "c": {{Code: 200}}}}
		}
		say := abi.Requests{Order: graph.Ordered, Capacity: 3, TimeoutMs: 1000}
		c := script()
		err := ticked(t, newCalm(t, c, say, false, "a", "b", "c"))
		var failed *RequestError
		if !errors.As(err, &failed) || failed.Outcome != tt.answer.Outcome || err.Error() != "request for record 2 of lines: "+string(tt.answer.Body) {
			t.Errorf("%s: %v", tt.answer.Outcome, err)
		}
		if !slices.Equal(c.out, []string{"a: answered 200"}) {
			t.Errorf("%s: %q came out before", tt.answer.Outcome, c.out)
		}
		c = script()
		r := newCalm(t, c, say, true, "a", "b", "c")
		if err := ticked(t, r); err != nil || !slices.Equal(c.out, []string{"a: answered 200", tt.out, "c: answered 200"}) {
			t.Errorf("%s, told: %q, %v", tt.answer.Outcome, c.out, err)
		}
		if timeouts := r.Figures().Timeouts; timeouts != map[bool]int64{true: 1}[tt.answer.Outcome == abi.TimedOut] {
			t.Errorf("%s: %d timeouts", tt.answer.Outcome, timeouts)
		}
	}
}

func TestARecordThatIsTrappedOnIsLeftOut(t *testing.T) {
	c := &calm{trap: "b", answers: map[string][]abi.Answer{"a": {{Code: 200}}, "b": {{Code: 200}}, "c": {{Code: 200}}}}
	r := newCalm(t, c, abi.Requests{Order: graph.Ordered, Capacity: 3, TimeoutMs: 1000}, false, "a", "b", "c")
	r.Advance(7)
	if err := ticked(t, r); err != nil || !slices.Equal(c.out, []string{"a: answered 200", "c: answered 200"}) || r.Waiting() || r.Passed() != 7 {
		t.Errorf("%q, %v, waiting %v, watermark %d", c.out, err, r.Waiting(), r.Passed())
	}
}

func TestWatermarksPassBetweenResults(t *testing.T) {
	c := &calm{answers: map[string][]abi.Answer{"b": {{Code: 200}}}} // a hangs
	r := newCalm(t, c, abi.Requests{Order: graph.Unordered, Capacity: 9, TimeoutMs: 1000}, false, "a", "b")
	r.Advance(5)
	r.Advance(6)
	if err := ticked(t, r); err != nil || !slices.Equal(c.out, []string{"b: answered 200"}) || r.Passed() != abi.MinTime {
		t.Errorf("%q, %v, watermark %d", c.out, err, r.Passed())
	}
	c.ready = []Reply{{Number: 1, Answer: abi.Answer{Code: 201}}}
	if err := ticked(t, r); err != nil || r.Passed() != 6 || !slices.Equal(c.out, []string{"b: answered 200", "a: answered 201"}) {
		t.Errorf("%q, %v, watermark %d (expected 6)", c.out, err, r.Passed())
	}
	if r.Advance(9); r.Passed() != 9 {
		t.Errorf("watermark %d of an operator that waits for nothing (expected 9)", r.Passed())
	}
}

func TestRepliesOfRequestFunctionsThatAreNone(t *testing.T) {
	asks := func(q abi.Request) []byte { return q.Append(nil) }
	good := asks(abi.Request{Target: []byte("http")})
	for want, reply := range map[string][]byte{
		"answered for group 7 of 1":     appendAction(nil, 7, abi.ActionRequest, good),
		"(expected one request)":        appendAction(nil, 0, abi.ActionPut, good),
		"asks the client \"smtp\"":      appendAction(nil, 0, abi.ActionRequest, asks(abi.Request{Target: []byte("smtp")})),
		"asked for record 3 of group 0": appendAction(nil, 0, abi.ActionRequest, asks(abi.Request{Record: 3, Target: []byte("http")})),
		"request: parts of 4 bytes":     appendAction(nil, 0, abi.ActionRequest, append(good[:len(good):len(good)], 1)),
		"answered for group 0 of 1":     append(appendAction(nil, 0, abi.ActionRequest, good), appendAction(nil, 0, abi.ActionRequest, good)...),
	} {
		r, err := NewRequests(RequestsConfig{Requests: abi.Requests{Client: "http", Order: graph.Ordered, Capacity: 1}, Store: &ownStore{}, Calls: lying(reply), Sender: &calm{}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		b := abi.NewBuilder(abi.ColumnValues)
		b.Append(abi.Record{Value: []byte("a")})
		var view abi.Batch
		b.View(&view)
		var bad *ReplyError
		if err := r.Process(&view, "lines", 1); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v (expected %s)", err, want)
		}
	}
}

// lying answers requests with what it is.
type lying []byte

func (l lying) Request(*abi.GroupsWriter) ([]byte, error)                            { return l, nil }
func (lying) Response(*abi.GroupsWriter) error                                       { return nil }
func (lying) Retry(err error, _ int, _ func(int, int) error, _ func(int) Unit) error { return err }
