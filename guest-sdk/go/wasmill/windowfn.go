package wasmill

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"time"
)

// WindowFunction is the user's code over what a window has when it fires. What a call does (emits, state) takes effect together,
// or not at all. States are those of a key, in all its windows; WindowStates, values only, those of a key in one window: they end
// with it.
type WindowFunction[K, V, R any] struct {
	States       []State
	WindowStates []State
	Sides        []SideOutput                                     // those that it emits to
	Process      func(c *WindowContext[K, R], values iter.Seq[V]) // values in the order in which they came
}

// FoldedFunction is a WindowFunction over what the values of a window amount to: they are folded when they come, and not kept.
type FoldedFunction[K, V, R any] struct {
	States       []State
	WindowStates []State
	Sides        []SideOutput
	Process      func(c *WindowContext[K, R], value V)
}

// ProcessWindow runs f over all values of each key and window. The operator keeps state: it needs a UID.
func ProcessWindow[K, V, R any](in *WindowedStream[K, V], name string, f WindowFunction[K, V, R]) *Stream[R] {
	k := in.keyed
	each := func(c *WindowContext[K, R]) {
		f.Process(c, func(yield func(V) bool) {
			c.run.elements(listInput, &c.run.groups.records, func(at int64, value []byte) bool {
				c.recordTime = at
				return yield(k.value.decode(value))
			})
		})
	}
	w := &windowing[K, R]{name: name, states: f.States, scoped: f.WindowStates, sides: f.Sides, each: each}
	return windowed(in, w, codecOf[R](k.env, name), "", nil, nil)
}

// SortWindow puts out the values of each key and window in the order of what of answers; those for which that is equal in the order in which
// they came. They must fit in the guest's memory. It is a ProcessWindow.
func SortWindow[K, V any, O cmp.Ordered](in *WindowedStream[K, V], name string, of func(V) O, order Direction) *Stream[V] {
	return ProcessWindow(in, name, WindowFunction[K, V, V]{Process: func(c *WindowContext[K, V], values iter.Seq[V]) {
		sorted := slices.SortedStableFunc(values, func(a, b V) int {
			if order == Descending {
				a, b = b, a
			}
			return cmp.Compare(of(a), of(b))
		})
		for _, v := range sorted {
			c.Emit(v)
		}
	}})
}

// AggregateWindowWith folds the values of each key and window, and runs f over the result. A schema of the aggregator is that of
// what is kept.
func AggregateWindowWith[K, V, A, M, R any](in *WindowedStream[K, V], name string, a Aggregator[V, A, M], f FoldedFunction[K, M, R]) *Stream[R] {
	return folded(in, name, a.folding(), codecOf[A](in.keyed.env, name), a.Schema, a.Result, f)
}

// ReduceWindowWith combines the values of each key and window, two at a time, and runs f over what they amount to.
func ReduceWindowWith[K, V, R any](in *WindowedStream[K, V], name string, reduce func(a, b V) V, f FoldedFunction[K, V, R]) *Stream[R] {
	return folded(in, name, reduction(reduce), in.keyed.value, Schema[V]{}, func(v V) V { return v }, f)
}

func folded[K, V, A, M, R any](in *WindowedStream[K, V], name string, fold folding[V, A], accumulator codec[A], schema Schema[A], result func(A) M, f FoldedFunction[K, M, R]) *Stream[R] {
	each := func(c *WindowContext[K, R]) {
		g := &c.run.groups
		f.Process(c, result(accumulator.decode(g.value(&g.accums, 0))))
	}
	w := &windowing[K, R]{name: name, states: f.States, scoped: f.WindowStates, sides: f.Sides, each: each}
	values := in.keyed.value
	folds := func(c *chain) groupRunner {
		k := &keyedRun[V, A]{chain: c, fold: fold, in: values, accumulator: accumulator}
		k.verbs = map[uint32]func() (A, bool){verbAccumulate: k.accumulate, verbMerge: k.merge}
		if fold.create != nil {
			k.verbs[verbCreate] = func() (A, bool) { return fold.create(), true }
		}
		return k.run
	}
	return windowed(in, w, codecOf[R](in.keyed.env, name), accumulator.name, schema.state(accumulator), folds)
}

// windowing is a window function, and what the manifest says of it.
type windowing[K, R any] struct {
	name           string
	states, scoped []State
	sides          []SideOutput
	each           func(c *WindowContext[K, R])
}

// windowed adds an operator that runs a window function.
func windowed[K, V, R any](in *WindowedStream[K, V], w *windowing[K, R], out codec[R], accumulator string, schema *stateSpec, folds func(*chain) groupRunner) *Stream[R] {
	k := in.keyed
	p := &processing{name: w.name, key: k.key.name, inputs: []string{k.value.name}, states: w.states, scoped: w.scoped, sides: w.sides}
	f := &function{name: w.name, kind: kindWindow, input: k.value.name, key: k.key.name, accumulator: accumulator, output: out.name, processing: p, schema: schema}
	f.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := newProcessRun(b, p)
		c := &WindowContext[K, R]{run: r, codec: k.key, next: next}
		fold := groupRunner(nil)
		if folds != nil {
			fold = folds(b.chain)
		}
		return func(verb uint32, h callHeader, in []byte) error {
			if verb != verbWindow && fold != nil {
				return fold(verb, h, in)
			}
			if verb != verbWindow {
				return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a window function"}
			}
			r.groupsOf(h, in, func() {
				if r.groups.header.flags&groupHasWindow != 0 {
					r.scope.time.now = r.groups.header.window.End - 1
				}
				c.recordTime = noTimestamp
				w.each(c)
			})
			return nil
		}, nil
	}
	o := k.env.call(f, &operator{inputs: []edge{{from: k.op}}, window: &in.window})
	for i, s := range w.sides {
		s.declare(o, i+1)
	}
	out2 := &Stream[R]{env: k.env, op: o, codec: out}
	if in.late != nil {
		in.late.declare(o, len(w.sides)+1)
	}
	if in.all {
		o.parallelism = 1
	}
	return out2
}

// Timing says why a window has a result.
type Timing int

const (
	OnTime Timing = iota // its time has come
	Early                // before that
	Late                 // a record that came behind its end
)

// WindowContext is what a window function has at hand: the key, the window, the times, and where its records go. It is valid
// during the call.
type WindowContext[K, R any] struct {
	run        *processRun
	codec      codec[K]
	next       func(R)
	recordTime int64
}

// Key is the key at hand.
func (c *WindowContext[K, R]) Key() K { return c.codec.decode(c.run.groups.key()) }

// Window is the window at hand, an empty one if it has no end.
func (c *WindowContext[K, R]) Window() Window { return c.run.groups.header.window }

// Timing says why the window has this result.
func (c *WindowContext[K, R]) Timing() Timing {
	switch flags := c.run.groups.header.flags; {
	case flags&groupEarly != 0:
		return Early
	case flags&groupLate != 0:
		return Late
	}
	return OnTime
}

// Timestamp is the event time of the value at hand of those of the window, NoTimestamp if it has none.
func (c *WindowContext[K, R]) Timestamp() int64 { return c.recordTime }

// Watermark is the event time that has been reached.
func (c *WindowContext[K, R]) Watermark() int64 { return c.run.header.watermark }

// Now is the processing time of the call.
func (c *WindowContext[K, R]) Now() time.Time { return time.UnixMilli(c.run.header.processing) }

// Emit puts out a record. Its timestamp is the window's last millisecond; it has none if the window has no end.
func (c *WindowContext[K, R]) Emit(v R) { c.next(v) }
