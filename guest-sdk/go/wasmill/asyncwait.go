package wasmill

import (
	"encoding/binary"
	"strconv"
	"time"
)

// AsyncFunction asks the outside about records. The host makes the requests, many at once, while the job goes on; records that
// have no answer yet are in its checkpoints, and are asked about again by a job that goes on from one.
type AsyncFunction[T, R any] struct {
	// Request says what to ask about a record; nil: nothing, and Response is called without an answer.
	Request func(record T) *HTTPRequest
	// Response makes results of a record and the answer, whatever its status.
	Response func(record T, r *HTTPResponse, emit func(R))
	// Failed makes results of a record whose request came to nothing; without it such a one fails the job, which then goes on
	// from its last checkpoint, unless the request is not allowed.
	Failed func(record T, why *RequestError, emit func(R))
}

// RequestError is why a request has no answer.
type RequestError struct {
	TimedOut bool // there was none in time
	Refused  bool // the host does not make the request, or does not take its answer
	Why      string
}

func (e *RequestError) Error() string { return e.Why }

// Order says in which order results come out.
type Order string

const (
	Ordered   Order = "ordered"   // in the order of the records
	Unordered Order = "unordered" // as answers come; none overtakes a watermark
)

// AsyncOption says more about requests.
type AsyncOption func(*requests)

// requests is what the manifest says of a request operator.
type requests struct {
	hosts                  []string
	order                  Order
	capacity               int
	timeout                time.Duration
	retries                int
	delay, maxDelay        time.Duration
	growPercent            int
	on                     []string
	retrying, askedToRetry bool
}

// Hosts names those that may be asked, as HOST:PORT; the cluster must grant them. The port may be *, and a host begin with *.
func Hosts(hosts ...string) AsyncOption {
	return func(r *requests) { r.hosts = append(r.hosts, hosts...) }
}

// Capacity is how many records are asked about at once, 100 without it: those whose results are not out count.
func Capacity(n int) AsyncOption { return func(r *requests) { r.capacity = n } }

// Timeout is how long the answer about a record may take, with all tries; a minute without it.
func Timeout(d time.Duration) AsyncOption { return func(r *requests) { r.timeout = d } }

// FixedDelay makes a request again, up to so many times, each so long behind the answer before.
func FixedDelay(retries int, delay time.Duration) AsyncOption {
	return func(r *requests) { r.retrying, r.retries, r.delay, r.growPercent = true, retries, delay, 0 }
}

// ExponentialBackoff makes a request again, up to so many times; the delay grows from first by a factor up to most.
func ExponentialBackoff(retries int, first, most time.Duration, factor float64) AsyncOption {
	return func(r *requests) {
		r.retrying, r.retries, r.delay, r.maxDelay, r.growPercent = true, retries, first, most, int(factor*100+0.5)
	}
}

// RetryOn says which answers are asked for again: "broken" (none), a status as "429", a class as "5xx". Without it, these.
func RetryOn(answers ...string) AsyncOption {
	return func(r *requests) { r.on, r.askedToRetry = append(r.on, answers...), true }
}

// Records is a stream whose records have a T, with a key or without.
type Records[T any] interface {
	from() (*Env, []edge, codec[T])
}

func (s *Stream[T]) from() (*Env, []edge, codec[T]) { return s.env, s.edges(), s.codec }

func (s *KeyedStream[K, V]) from() (*Env, []edge, codec[V]) {
	return s.env, []edge{{from: s.op}}, s.value
}

// AsyncWait asks the outside about each record, and puts out what f makes of the answers, with the record's event time and key.
// The operator keeps state: it needs a UID.
func AsyncWait[T, R any](in Records[T], name string, f AsyncFunction[T, R], order Order, options ...AsyncOption) *Stream[R] {
	env, edges, values := in.from()
	out := codecOf[R](env, name)
	with := &requests{order: order}
	for _, o := range options {
		o(with)
	}
	if f.Request == nil || f.Response == nil {
		env.Fail("request " + strconv.Quote(name) + ": no Request or no Response (expected both functions)")
	}
	if with.askedToRetry && !with.retrying {
		env.Fail("request " + strconv.Quote(name) + ": RetryOn without FixedDelay or ExponentialBackoff")
	}
	fn := &function{name: name, kind: kindRequest, input: values.name, output: out.name, failures: f.Failed != nil}
	fn.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := &asyncRun[T, R]{chain: b.chain, scope: b.scope, in: values, f: f, next: next}
		return r.call, nil
	}
	o := env.call(fn, &operator{inputs: edges, requests: with})
	return &Stream[R]{env: env, op: o, codec: out}
}

// asyncRun is an AsyncFunction in an open handle.
type asyncRun[T, R any] struct {
	chain  *chain
	scope  scope
	in     codec[T]
	f      AsyncFunction[T, R]
	next   func(R)
	groups groupReader
	reply  replyWriter
}

func (r *asyncRun[T, R]) call(verb uint32, _ callHeader, p []byte) error {
	if verb != verbRequest && verb != verbResponse {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a request function"}
	}
	r.reply.out = r.reply.out[:0]
	for r.groups.begin(p); r.groups.next(); {
		g := &r.groups
		r.chain.record = g.index
		g.records.whole()
		r.scope.key.bytes = g.key()
		for i := range g.records.n {
			record := r.in.decode(g.value(&g.records, i))
			if verb == verbRequest {
				r.ask(record, i)
				continue
			}
			r.scope.time.now = g.timestamp(&g.records, i)
			r.answer(record, g.value(&g.answers, i))
		}
	}
	if len(r.reply.out) > 0 {
		hostReply(r.reply.out)
	}
	r.chain.end()
	return nil
}

func (r *asyncRun[T, R]) ask(record T, i uint32) {
	q := r.f.Request(record)
	if q == nil {
		return
	}
	entry := r.reply.open(r.groups.index, 1)
	at := len(r.reply.out)
	r.reply.action(actionRequest, 0, nil)
	value := len(r.reply.out)
	r.reply.out = q.append(r.reply.out)
	binary.LittleEndian.PutUint32(r.reply.out[value:], i)
	r.reply.closeAction(at)
	r.reply.close(entry)
}

// Outcomes of a request.
const (
	outcomeAnswered = 0
	outcomeTimedOut = 1
	outcomeRefused  = 2
	outcomeUnasked  = 4
)

func (r *asyncRun[T, R]) answer(record T, p []byte) {
	le := binary.LittleEndian
	outcome, code, body := le.Uint32(p), le.Uint32(p[4:]), p[answerBytes:]
	switch outcome {
	case outcomeUnasked:
		r.f.Response(record, nil, r.next)
	case outcomeAnswered:
		response := readHTTPResponse(code, body)
		r.f.Response(record, &response, r.next)
	default:
		r.f.Failed(record, &RequestError{TimedOut: outcome == outcomeTimedOut, Refused: outcome == outcomeRefused, Why: string(body)}, r.next)
	}
}

func (r *requests) write(w *jsonWriter) {
	w.text("client", clientHTTP)
	w.array("hosts", func() {
		for _, h := range r.hosts {
			w.element(h)
		}
	})
	w.text("order", string(r.order))
	w.numberOr("capacity", int64(r.capacity))
	w.numberOr("timeoutMs", w.millis("Timeout", r.timeout))
	if !r.retrying {
		return
	}
	w.object("retry", func() {
		w.number("retries", int64(r.retries))
		w.numberOr("delayMs", w.millis("the delay of retries", r.delay))
		w.numberOr("maxDelayMs", w.millis("the largest delay of retries", r.maxDelay))
		w.numberOr("growPercent", int64(r.growPercent))
		if len(r.on) > 0 {
			w.array("on", func() {
				for _, on := range r.on {
					w.element(on)
				}
			})
		}
	})
}
