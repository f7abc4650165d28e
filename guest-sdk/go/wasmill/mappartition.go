package wasmill

import (
	"iter"
	"strconv"
)

// MapPartition runs f once in each subtask, over all records that it has, whose input must end: f walks them, and puts out what it
// likes meanwhile and behind them. A subtask without records has f called, too. What f keeps lies in the guest's memory; the records
// need not fit there, and come once: f walks them one time. In streaming mode the host keeps them until the input has ended: the operator needs a UID. f may emit to the
// side outputs that are given.
func MapPartition[V, R any](in *Stream[V], name string, f func(c *StreamContext[R], records iter.Seq[V]), sides ...SideOutput) *Stream[R] {
	p := &processing{name: name, inputs: []string{in.codec.name}, sides: sides}
	out := codecOf[R](in.env, name)
	fn := &function{name: name, kind: kindMapPartition, input: in.codec.name, output: out.name, processing: p}
	fn.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := newProcessRun(b, p)
		c := &StreamContext[R]{r, next}
		w := &wholeRun[V]{processRun: r, values: in.codec, walk: func(records iter.Seq[V]) { f(c, records) }}
		return w.call, nil
	}
	o := in.env.call(fn, &operator{inputs: in.edges()})
	for k, s := range sides {
		s.declare(o, k+1)
	}
	return &Stream[R]{env: in.env, op: o, codec: out}
}

// ReducePartition makes one of all records that a subtask has, two at a time; a subtask without records has none. It is a
// MapPartition.
func ReducePartition[V any](in *Stream[V], name string, f func(a, b V) V) *Stream[V] {
	return MapPartition(in, name, func(c *StreamContext[V], records iter.Seq[V]) {
		var all V
		some := false
		for v := range records {
			if some {
				v = f(all, v)
			}
			all, some = v, true
		}
		if some {
			c.EmitAt(noTimestamp, all)
		}
	})
}

// AggregatePartition folds all records that a subtask has, and puts out the result. It is a MapPartition.
func AggregatePartition[V, A, R any](in *Stream[V], name string, a Aggregator[V, A, R]) *Stream[R] {
	return MapPartition(in, name, func(c *StreamContext[R], records iter.Seq[V]) {
		all := a.Create()
		for v := range records {
			all = a.Add(all, v)
		}
		c.EmitAt(noTimestamp, a.Result(all))
	})
}

// wholeRun is a function over all records of a subtask, in an open handle. The function runs as a coroutine: it stands still in the
// middle of its records while the host has not called with the next ones.
type wholeRun[V any] struct {
	*processRun
	values codec[V]
	walk   func(iter.Seq[V])
	resume func() (struct{}, bool) // has the function take what is at hand; nil: it has returned, or not begun
	ended  bool                    // nothing comes behind what is at hand
	memory []byte                  // of the records at hand: the function may keep them
}

func (w *wholeRun[V]) call(verb uint32, h callHeader, p []byte) error {
	if verb != verbBegin && verb != verbProcess && verb != verbEnd {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a function over all records of a subtask"}
	}
	w.groupsOf(h, p, func() {
		switch verb {
		case verbBegin:
			w.ended = false
			w.resume, _ = iter.Pull(w.run)
		case verbEnd:
			w.ended = true
		default:
			w.keep()
		}
		if _, more := w.resume(); !more {
			w.resume = func() (struct{}, bool) { return struct{}{}, false }
		}
	})
	return nil
}

// keep copies the records of the call out of the host's bytes.
func (w *wholeRun[V]) keep() {
	l, size := &w.groups.records, 0
	l.whole()
	for i := range l.n {
		size += len(w.groups.value(l, i))
	}
	w.memory = make([]byte, 0, size)
	for i := range l.n {
		w.memory = append(w.memory, w.groups.value(l, i)...)
	}
}

// run is the function, which yields when it has taken all that is at hand.
func (w *wholeRun[V]) run(yield func(struct{}) bool) {
	walked := false
	w.walk(func(each func(V) bool) {
		if walked {
			panic("MapPartition: the records of a subtask are walked a second time, and come once: keep what is needed of them in the first walk")
		}
		walked = true
		for yield(struct{}{}) && !w.ended {
			l, rest := &w.groups.records, w.memory
			for i := range l.n {
				n := len(w.groups.value(l, i))
				w.scope.time.now = w.groups.timestamp(l, i)
				v := w.values.decode(rest[:n:n])
				if rest = rest[n:]; !each(v) {
					return
				}
			}
			w.scope.time.now = noTimestamp
		}
	})
}
