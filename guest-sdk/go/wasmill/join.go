package wasmill

import (
	"strconv"
	"time"
)

// IntervalJoined is two keyed streams whose records meet when the event time of the right one lies between two bounds around
// that of the left one.
type IntervalJoined[K, A, B any] struct {
	left      *KeyedStream[K, A]
	right     *KeyedStream[K, B]
	interval  *interval // nil: Between was not called
	lateLeft  *Side[A]
	lateRight *Side[B]
}

// IntervalJoin joins two streams by key and event time; Between says how near the times are to be. Both streams' records are
// kept until the watermark has passed all that they could meet.
func IntervalJoin[K, A, B any](left *KeyedStream[K, A], right *KeyedStream[K, B]) *IntervalJoined[K, A, B] {
	return &IntervalJoined[K, A, B]{left: left, right: right}
}

// Between sets the bounds: left + lower <= right <= left + upper. Either may be negative.
func (j *IntervalJoined[K, A, B]) Between(lower, upper time.Duration) *IntervalJoined[K, A, B] {
	to := *j
	to.interval = &interval{lower: lower, upper: upper}
	return &to
}

// LowerBoundExclusive has records meet for left + lower < right.
func (j *IntervalJoined[K, A, B]) LowerBoundExclusive() *IntervalJoined[K, A, B] {
	return j.exclusive(func(i *interval) { i.lowerExclusive = true })
}

// UpperBoundExclusive has records meet for right < left + upper.
func (j *IntervalJoined[K, A, B]) UpperBoundExclusive() *IntervalJoined[K, A, B] {
	return j.exclusive(func(i *interval) { i.upperExclusive = true })
}

func (j *IntervalJoined[K, A, B]) exclusive(set func(*interval)) *IntervalJoined[K, A, B] {
	to := *j
	if j.interval == nil {
		j.left.env.Fail("interval join behind " + strconv.Quote(j.left.op.name) + ": an exclusive bound before the bounds (expected: first Between)")
		return &to
	}
	i := *j.interval
	set(&i)
	to.interval = &i
	return &to
}

// LateLeft makes records of the left stream that come behind the watermark go to a side output; without it they are counted
// and dropped.
func (j *IntervalJoined[K, A, B]) LateLeft(to *Side[A]) *IntervalJoined[K, A, B] {
	with := *j
	with.lateLeft = to
	return &with
}

// LateRight is LateLeft for the right stream.
func (j *IntervalJoined[K, A, B]) LateRight(to *Side[B]) *IntervalJoined[K, A, B] {
	with := *j
	with.lateRight = to
	return &with
}

// Pair is two records that have met.
type Pair[A, B any] struct {
	Left  A
	Right B
}

// Pairs puts out what meets. The host makes the pairs by itself; their event time is the later one. The operator keeps state: it
// needs a UID.
func (j *IntervalJoined[K, A, B]) Pairs() *Stream[Pair[A, B]] {
	out := pairCodec(j.left.value, j.right.value)
	o := j.check("join").add(&operator{kind: kindJoin, name: kindJoin, inputs: j.edges(), interval: j.interval, output: out.name})
	lateOfJoin(o, 0, j.lateLeft, j.lateRight)
	return &Stream[Pair[A, B]]{env: j.left.env, op: o, codec: out}
}

// ProcessJoined runs f for each two records that meet; what it emits has the later of their event times, unless EmitAt says
// another. It may emit to the side outputs that are given. The operator keeps state: it needs a UID.
func ProcessJoined[K, A, B, R any](j *IntervalJoined[K, A, B], name string, f func(c *JoinContext[K, R], left A, right B), sides ...SideOutput) *Stream[R] {
	e, out := j.check(name), codecOf[R](j.left.env, name)
	p := &processing{name: name, key: j.left.key.name, inputs: []string{j.left.value.name, j.right.value.name}, sides: sides}
	fn := &function{name: name, kind: kindJoin, key: p.key, output: out.name, processing: p}
	fn.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := &joinRun[A, B]{chain: b.chain, scope: b.scope, left: j.left.value, right: j.right.value, sides: sides}
		for k, s := range sides {
			r.outlets = append(r.outlets, s.connect(b.sides[uint32(k+1)]))
		}
		c := &JoinContext[K, R]{run: &r.times, scope: b.scope, codec: j.left.key, next: next}
		r.pair = func(left A, right B) { f(c, left, right) }
		return r.call, nil
	}
	o := e.call(fn, &operator{inputs: j.edges(), interval: j.interval})
	for k, s := range sides {
		s.declare(o, k+1)
	}
	lateOfJoin(o, len(sides), j.lateLeft, j.lateRight)
	return &Stream[R]{env: e, op: o, codec: out}
}

func (j *IntervalJoined[K, A, B]) edges() []edge { return edgesOf([]*operator{j.left.op, j.right.op}) }

// lateOfJoin lets a join with some side outputs have those for late records; nil: nobody takes them.
func lateOfJoin[A, B any](o *operator, sides int, left *Side[A], right *Side[B]) {
	if left != nil {
		left.declare(o, sides+1)
	}
	if right != nil {
		right.declare(o, sides+2)
	}
}

// check says what is wrong with the join.
func (j *IntervalJoined[K, A, B]) check(name string) *Env {
	e := j.left.env
	if j.left.key.name != j.right.key.name {
		e.Fail("join " + strconv.Quote(name) + ": keys of codec " + j.left.key.name + " and " + j.right.key.name + " (expected the same)")
	}
	if j.interval == nil {
		e.Fail("join " + strconv.Quote(name) + ": no bounds (expected Between: without, every record would be kept for ever)")
	}
	return e
}

// JoinContext is what a join function has at hand. It is valid during the call.
type JoinContext[K, R any] struct {
	run   *meetTimes
	scope scope
	codec codec[K]
	next  func(R)
}

// Key is the key that both records have.
func (c *JoinContext[K, R]) Key() K { return c.codec.decode(c.scope.key.bytes) }

// LeftTimestamp is the event time of the left record.
func (c *JoinContext[K, R]) LeftTimestamp() int64 { return c.run.left }

// RightTimestamp is the event time of the right record.
func (c *JoinContext[K, R]) RightTimestamp() int64 { return c.run.right }

// Timestamp is the later one.
func (c *JoinContext[K, R]) Timestamp() int64 { return max(c.run.left, c.run.right) }

// Emit puts out a record.
func (c *JoinContext[K, R]) Emit(v R) { c.EmitAt(c.Timestamp(), v) }

// EmitAt puts out a record with an event time of its own.
func (c *JoinContext[K, R]) EmitAt(milliseconds int64, v R) {
	c.scope.time.now = milliseconds
	c.next(v)
	c.scope.time.now = c.Timestamp()
}

// meetTimes are the event times of the two records at hand.
type meetTimes struct{ left, right int64 }

// joinRun is a join function in an open handle.
type joinRun[A, B any] struct {
	times   meetTimes
	chain   *chain
	scope   scope
	left    codec[A]
	right   codec[B]
	pair    func(A, B)
	sides   []SideOutput
	outlets []any // by side: what SideOutput.use takes
	groups  groupReader
}

func (r *joinRun[A, B]) call(verb uint32, _ callHeader, p []byte) error {
	if verb != verbJoin {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a join function"}
	}
	for i, s := range r.sides {
		s.use(r.outlets[i])
	}
	for r.groups.begin(p); r.groups.next(); {
		r.chain.record = r.groups.index
		r.groups.records.whole()
		r.groups.right.whole()
		r.scope.key.bytes = r.groups.key()
		r.all()
	}
	r.chain.end()
	return nil
}

// all runs the pairs of the group.
func (r *joinRun[A, B]) all() {
	g := &r.groups
	for i := range g.records.n {
		left, at := r.left.decode(g.value(&g.records, i)), g.timestamp(&g.records, i)
		for k := range g.right.n {
			r.times = meetTimes{at, g.timestamp(&g.right, k)}
			r.scope.time.now = max(at, r.times.right)
			r.pair(left, r.right.decode(g.value(&g.right, k)))
		}
	}
}

// interval is the bounds of a join.
type interval struct {
	lower, upper                   time.Duration
	lowerExclusive, upperExclusive bool
}

func (i *interval) write(w *jsonWriter) {
	w.number("lowerMs", w.millis("Between", i.lower))
	w.number("upperMs", w.millis("Between", i.upper))
	w.flagOr("lowerExclusive", i.lowerExclusive)
	w.flagOr("upperExclusive", i.upperExclusive)
}
