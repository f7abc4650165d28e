package wasmill

import (
	"iter"
	"strconv"
	"time"
)

// WindowJoined is two keyed streams whose records meet when they lie in the same window.
type WindowJoined[K, A, B any] struct {
	left      *KeyedStream[K, A]
	right     *KeyedStream[K, B]
	window    *TimeWindow // nil: Window was not called
	outer     string
	hint      JoinHint
	lateLeft  *Side[A]
	lateRight *Side[B]
}

// Join joins two streams by key in windows; Window says which. A window of both streams' records fires once the watermark has
// passed it, and again with late ones that it still takes.
func Join[K, A, B any](left *KeyedStream[K, A], right *KeyedStream[K, B]) *WindowJoined[K, A, B] {
	return &WindowJoined[K, A, B]{left: left, right: right}
}

// Window has records meet that lie in the same window: tumbling, sliding, or a session of the records of both streams.
func (j *WindowJoined[K, A, B]) Window(w TimeWindow) *WindowJoined[K, A, B] {
	to := *j
	to.window = &w
	return &to
}

// AllTime has all records of a key meet, whatever their times, once both streams have ended, which they must. What comes out has
// no event time, unless EmitAt says one.
func (j *WindowJoined[K, A, B]) AllTime() *WindowJoined[K, A, B] {
	return j.Window(TimeWindow{all: true})
}

// Cross puts out each record of one stream with each of another, once both have ended. All of it is made by one subtask. The
// operator keeps state: it needs a UID.
func Cross[A, B any](left *Stream[A], right *Stream[B], name string) *Stream[Pair[A, B]] {
	one, other := KeyBy(left, name+" left", func(A) string { return "" }), KeyBy(right, name+" right", func(B) string { return "" })
	return Join(one, other).AllTime().Pairs().Name(name)
}

// AllowedLateness has windows take records for so long behind their end; what meets then comes out anew, all of it.
func (j *WindowJoined[K, A, B]) AllowedLateness(d time.Duration) *WindowJoined[K, A, B] {
	to := *j
	if j.window == nil {
		j.left.env.Fail("join behind " + strconv.Quote(j.left.op.name) + ": allowed lateness before the window (expected: first Window)")
		return &to
	}
	w := *j.window
	w.lateness = d
	to.window = &w
	return &to
}

// LeftOuter has left records come out, too, that have no right one in their window.
func (j *WindowJoined[K, A, B]) LeftOuter() *WindowJoined[K, A, B] { return j.outerOf("left") }

// RightOuter is LeftOuter for the right stream.
func (j *WindowJoined[K, A, B]) RightOuter() *WindowJoined[K, A, B] { return j.outerOf("right") }

// FullOuter is both.
func (j *WindowJoined[K, A, B]) FullOuter() *WindowJoined[K, A, B] { return j.outerOf("full") }

func (j *WindowJoined[K, A, B]) outerOf(side string) *WindowJoined[K, A, B] {
	to := *j
	to.outer = side
	return &to
}

// JoinHint says how a join of all time is done in batch mode. First is the left stream, second the right one.
type JoinHint string

const (
	RepartitionSortMerge  JoinHint = "repartitionSortMerge"  // both streams are dealt out by key, and sorted: this is done without a hint
	RepartitionHashFirst  JoinHint = "repartitionHashFirst"  // both are dealt out by key; the left one, which is small, lies in a table, and the right one is looked up in it
	RepartitionHashSecond JoinHint = "repartitionHashSecond" // the other way round
	BroadcastHashFirst    JoinHint = "broadcastHashFirst"    // every subtask has all of the left stream, which is very small, in a table; the right one stays where it is
	BroadcastHashSecond   JoinHint = "broadcastHashSecond"   // the other way round
)

// Hint says how a join of all time is done in batch mode. What comes out is the same; in streaming mode it says nothing.
func (j *WindowJoined[K, A, B]) Hint(how JoinHint) *WindowJoined[K, A, B] {
	to := *j
	to.hint = how
	return &to
}

// LateLeft makes left records go to a side output that come too late for all of their windows; without it they are counted and
// dropped.
func (j *WindowJoined[K, A, B]) LateLeft(to *Side[A]) *WindowJoined[K, A, B] {
	with := *j
	with.lateLeft = to
	return &with
}

// LateRight is LateLeft for the right stream.
func (j *WindowJoined[K, A, B]) LateRight(to *Side[B]) *WindowJoined[K, A, B] {
	with := *j
	with.lateRight = to
	return &with
}

// OuterPair is two records that have met, or one that met none: the other is nil.
type OuterPair[A, B any] struct {
	Left  *A
	Right *B
}

// Pairs puts out each two records that meet. The host makes the pairs by itself; their event time is the last of the window.
// The operator keeps state: it needs a UID.
func (j *WindowJoined[K, A, B]) Pairs() *Stream[Pair[A, B]] {
	if j.outer != "" {
		j.left.env.Fail("join behind " + strconv.Quote(j.left.op.name) + ": pairs of an outer join (expected OuterPairs: one of the two may be missing)")
	}
	out := pairCodec(j.left.value, j.right.value)
	return &Stream[Pair[A, B]]{env: j.left.env, op: j.native(out.name), codec: out}
}

// OuterPairs is Pairs of an outer join.
func (j *WindowJoined[K, A, B]) OuterPairs() *Stream[OuterPair[A, B]] {
	out := outerPairCodec(j.left.value, j.right.value, j.outer)
	return &Stream[OuterPair[A, B]]{env: j.left.env, op: j.native(out.name), codec: out}
}

func (j *WindowJoined[K, A, B]) native(output string) *operator {
	o := j.check("join").add(&operator{kind: kindJoin, name: kindJoin, inputs: j.edges(), window: j.window, outer: j.outer, hint: j.hint, output: output})
	lateOfJoin(o, 0, j.lateLeft, j.lateRight)
	return o
}

// ProcessWindowJoined runs f for each two records that meet; of an outer join, one of them may be nil. They are valid during the
// call. What it emits has the
// last event time of the window, unless EmitAt says another. It may emit to the side outputs that are given. The operator keeps
// state: it needs a UID.
func ProcessWindowJoined[K, A, B, R any](j *WindowJoined[K, A, B], name string, f func(c *WindowJoinContext[K, R], left *A, right *B), sides ...SideOutput) *Stream[R] {
	var at struct { // what f is given, at the same place each time
		left  A
		right B
	}
	return windowJoined(j, kindJoin, name, sides, func(c *WindowJoinContext[K, R], r *windowJoinRun) {
		g := &r.groups
		g.records.whole()
		g.right.whole()
		for i := range max(g.records.n, 1) {
			for k := range max(g.right.n, 1) {
				var left *A
				var right *B
				if g.records.n > 0 {
					left, at.left = &at.left, j.left.value.decode(g.value(&g.records, i))
				}
				if g.right.n > 0 {
					right, at.right = &at.right, j.right.value.decode(g.value(&g.right, k))
				}
				f(c, left, right)
			}
		}
	})
}

// CoGroup runs f once for each key and window with all records that either stream has there, in the order of their times; a
// list may be empty, and may be walked several times. What f emits has the last event time of the window, unless EmitAt says
// another. It may emit to the side outputs that are given. The operator keeps state: it needs a UID.
func CoGroup[K, A, B, R any](j *WindowJoined[K, A, B], name string, f func(c *WindowJoinContext[K, R], left iter.Seq[A], right iter.Seq[B]), sides ...SideOutput) *Stream[R] {
	if j.outer != "" {
		j.left.env.Fail("co-group " + strconv.Quote(name) + ": an outer one (expected none: f is called with what either stream has)")
	}
	return windowJoined(j, kindCoGroup, name, sides, func(c *WindowJoinContext[K, R], r *windowJoinRun) {
		f(c, listed(r, listInput, j.left.value), listed(r, listInput1, j.right.value))
	})
}

// listed walks a list of the group at hand, also what did not come with the call.
func listed[T any](r *windowJoinRun, tag uint16, values codec[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		g := &r.groups
		l := &g.records
		if tag == listInput1 {
			l = &g.right
		}
		for i := range l.n {
			if !yield(values.decode(g.value(l, i))) {
				return
			}
		}
		if l.total > l.n {
			rest := request{op: stateRecords, group: g.index, state: tag, cursor: uint64(l.n)}
			r.asker.each(rest, func(_ int64, _, value []byte) bool {
				return yield(values.decode(r.keeper.keep(value)))
			})
		}
	}
}

// windowJoined adds the operator of a function that is called for a group.
func windowJoined[K, A, B, R any](j *WindowJoined[K, A, B], kind, name string, sides []SideOutput, each func(*WindowJoinContext[K, R], *windowJoinRun)) *Stream[R] {
	e, out := j.check(name), codecOf[R](j.left.env, name)
	p := &processing{name: name, key: j.left.key.name, inputs: []string{j.left.value.name, j.right.value.name}, sides: sides}
	fn := &function{name: name, kind: kind, key: p.key, output: out.name, processing: p}
	fn.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := &windowJoinRun{chain: b.chain, scope: b.scope, sides: sides}
		for k, s := range sides {
			r.outlets = append(r.outlets, s.connect(b.sides[uint32(k+1)]))
		}
		c := &WindowJoinContext[K, R]{run: r, codec: j.left.key, next: next}
		r.each = func() { each(c, r) }
		return r.call, nil
	}
	o := e.call(fn, &operator{inputs: j.edges(), window: j.window, outer: j.outer, hint: j.hint})
	o.kind = kindJoin
	for k, s := range sides {
		s.declare(o, k+1)
	}
	lateOfJoin(o, len(sides), j.lateLeft, j.lateRight)
	return &Stream[R]{env: e, op: o, codec: out}
}

func (j *WindowJoined[K, A, B]) edges() []edge { return edgesOf([]*operator{j.left.op, j.right.op}) }

// check says what is wrong with the join.
func (j *WindowJoined[K, A, B]) check(name string) *Env {
	e := j.left.env
	if j.left.key.name != j.right.key.name {
		e.Fail("join " + strconv.Quote(name) + ": keys of codec " + j.left.key.name + " and " + j.right.key.name + " (expected the same)")
	}
	if j.window == nil {
		e.Fail("join " + strconv.Quote(name) + ": no window (expected Window, or AllTime over input that ends: without, every record would be kept for ever)")
	}
	return e
}

// WindowJoinContext is what the function of a join in windows has at hand. It is valid during the call.
type WindowJoinContext[K, R any] struct {
	run   *windowJoinRun
	codec codec[K]
	next  func(R)
}

// Key is the key that the records have.
func (c *WindowJoinContext[K, R]) Key() K { return c.codec.decode(c.run.groups.key()) }

// Window is the window that they lie in.
func (c *WindowJoinContext[K, R]) Window() Window { return c.run.groups.header.window }

// Watermark is the event time that has been reached.
func (c *WindowJoinContext[K, R]) Watermark() int64 { return c.run.header.watermark }

// Emit puts out a record.
func (c *WindowJoinContext[K, R]) Emit(v R) { c.next(v) }

// EmitAt puts out a record with an event time of its own.
func (c *WindowJoinContext[K, R]) EmitAt(milliseconds int64, v R) {
	at := c.run.scope.time.now
	c.run.scope.time.now = milliseconds
	c.next(v)
	c.run.scope.time.now = at
}

// windowJoinRun is the function of a join in windows in an open handle.
type windowJoinRun struct {
	chain   *chain
	scope   scope
	sides   []SideOutput
	outlets []any // by side: what SideOutput.use takes
	each    func()
	header  callHeader
	groups  groupReader
	asker   asker
	keeper  keeper // of records that did not come with the call
}

func (r *windowJoinRun) call(verb uint32, h callHeader, p []byte) error {
	if verb != verbJoin {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a join function"}
	}
	r.header = h
	r.asker.begin()
	for i, s := range r.sides {
		s.use(r.outlets[i])
	}
	for r.groups.begin(p); r.groups.next(); {
		r.chain.record = r.groups.index
		r.scope.enter(&r.groups)
		r.each()
	}
	r.chain.end()
	return nil
}
