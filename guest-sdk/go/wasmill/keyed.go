package wasmill

import (
	"strconv"
	"time"
)

// KeyedStream is a stream whose records have a key: all records of one key meet in one subtask.
type KeyedStream[K, V any] struct {
	env    *Env
	op     *operator
	key    codec[K]
	value  codec[V]
	window *TimeWindow // of records, nil: none
}

// KeyBy gives each record a key.
func KeyBy[T, K any](in *Stream[T], name string, f func(T) K) *KeyedStream[K, T] {
	key := codecOf[K](in.env, name)
	return keyed(in, keyFunction(name, f, in.codec, key), key, in.codec)
}

// KeyValueBy makes a key and a value of each record: for a sum, or a reduce, of something other than the record.
func KeyValueBy[T, K, V any](in *Stream[T], name string, f func(T) (K, V)) *KeyedStream[K, V] {
	key, value := codecOf[K](in.env, name), codecOf[V](in.env, name)
	return keyed(in, keyValueFunction(name, f, in.codec, key, value), key, value)
}

func keyed[T, K, V any](in *Stream[T], f *function, key codec[K], value codec[V]) *KeyedStream[K, V] {
	o := in.env.call(f, &operator{inputs: in.edges(), key: key.name})
	return &KeyedStream[K, V]{env: in.env, op: o, key: key, value: value}
}

// CountWindow cuts the records of each key into windows of so many, one behind the other. What is left of one when the input ends
// has no result.
func (s *KeyedStream[K, V]) CountWindow(size int) *KeyedStream[K, V] {
	return s.ofRecords(size, 0)
}

// SlidingCountWindow is windows of the newest size records of a key, one every slide records; the first ones have fewer.
func (s *KeyedStream[K, V]) SlidingCountWindow(size, slide int) *KeyedStream[K, V] {
	if slide < 1 {
		s.env.Fail("window of records behind " + strconv.Quote(s.op.name) + ": one every " + strconv.Itoa(slide) + " records (expected >= 1)")
	}
	return s.ofRecords(size, slide)
}

func (s *KeyedStream[K, V]) ofRecords(size, slide int) *KeyedStream[K, V] {
	s.unwindowed("window of key", s.op.name)
	if size < 1 {
		s.env.Fail("window of records behind " + strconv.Quote(s.op.name) + ": of " + strconv.Itoa(size) + " records (expected >= 1)")
	}
	cut := *s
	cut.window = &TimeWindow{count: size, countSlide: slide}
	return &cut
}

// unwindowed refuses an operator behind windows of records that has no use for them.
func (s *KeyedStream[K, V]) unwindowed(kind, name string) {
	if s.window != nil {
		s.env.Fail(kind + " " + strconv.Quote(name) + ": behind a window of records")
	}
}

// Window cuts the records of each key by time.
func (s *KeyedStream[K, V]) Window(w TimeWindow) *WindowedStream[K, V] {
	s.unwindowed("window of key", s.op.name)
	return &WindowedStream[K, V]{keyed: s, window: w}
}

// WindowedStream is a keyed stream cut into windows. A window's result is emitted once, when the watermark has passed its
// end, and again for late records that are allowed; its timestamp is the window's last millisecond.
type WindowedStream[K, V any] struct {
	keyed  *KeyedStream[K, V]
	window TimeWindow
	late   *Side[V]
	all    bool // of all records: in one subtask
}

// AllowedLateness has a window take late records for so long behind its end: each makes its result be emitted again.
func (s *WindowedStream[K, V]) AllowedLateness(d time.Duration) *WindowedStream[K, V] {
	w := *s
	w.window.lateness = d
	return &w
}

// Late makes the records that come after their window has fired go to a side output; without it they are counted and
// dropped.
func (s *WindowedStream[K, V]) Late(to *Side[V]) *WindowedStream[K, V] {
	w := *s
	w.late = to
	return &w
}

// lateOf lets the operator of a window have its side output.
func lateOf[K, V, R any](w *WindowedStream[K, V], out *Stream[R]) *Stream[R] {
	if w.late != nil {
		w.late.declare(out.op, 1)
	}
	if w.all {
		out.op.parallelism = 1
	}
	return out
}

// Count counts the records of each key. Over bounded input the result comes once, at the end.
func (s *KeyedStream[K, V]) Count() *Stream[KeyValue[K, int64]] {
	return counted(s, kindCount, s.window, keyValueCodec(s.key, i64))
}

// Count counts the records of each key and window.
func (s *WindowedStream[K, V]) Count() *Stream[Windowed[K, int64]] {
	return lateOf(s, counted(s.keyed, kindCount, &s.window, windowedCodec(s.keyed.key, i64)))
}

// Sum adds up the values of each key: int64 or float64.
func (s *KeyedStream[K, V]) Sum() *Stream[KeyValue[K, V]] {
	return counted(s, kindSum, s.window, keyValueCodec(s.key, s.value))
}

// Sum adds up the values of each key and window: int64 or float64.
func (s *WindowedStream[K, V]) Sum() *Stream[Windowed[K, V]] {
	return lateOf(s, counted(s.keyed, kindSum, &s.window, windowedCodec(s.keyed.key, s.keyed.value)))
}

// counted adds an operator that the host runs by itself over the keyed stream in.
func counted[K, V, R any](in *KeyedStream[K, V], kind string, w *TimeWindow, out codec[R]) *Stream[R] {
	if name := in.value.name; kind == kindSum && name != i64.name && name != f64.name {
		in.env.Fail("sum behind " + strconv.Quote(in.op.name) + ": values of codec " + name + " (expected i64 or f64)")
	}
	o := in.env.add(&operator{kind: kind, name: kind, inputs: []edge{{from: in.op}}, window: w, output: out.name})
	return &Stream[R]{env: in.env, op: o, codec: out}
}

// Schema says that accumulators, the values of a reduce or those of an aggregate, are of a schema version above 0, and how one of
// an older version (0: none was given) becomes one; false has the key begin anew. What Migrate makes may depend on nothing but
// its arguments. Oldest is the oldest version that it takes: a job that may have older ones is refused.
type Schema[A any] struct {
	Version int
	Migrate func(from int, old []byte) (A, bool)
	Oldest  int
}

// state is the schema as the manifest has it, nil: there is none.
func (s Schema[A]) state(accumulator codec[A]) *stateSpec {
	if s.Version == 0 {
		return nil
	}
	spec := &stateSpec{name: "accumulator", kind: "value", codec: accumulator.name, version: s.Version, oldest: s.Oldest}
	if s.Migrate != nil {
		spec.migrate = func(from int, _, value []byte) ([]byte, []byte, bool) {
			v, keep := s.Migrate(from, value)
			return nil, accumulator.append(nil, v), keep
		}
	}
	return spec
}

// schemaOf is the one that was given, if any.
func schemaOf[A any](given []Schema[A]) (s Schema[A]) {
	if len(given) > 0 {
		s = given[0]
	}
	return s
}

// Reduce combines the values of each key, two at a time. f must be associative. A schema gives what is kept a version.
func (s *KeyedStream[K, V]) Reduce(name string, f func(a, b V) V, schema ...Schema[V]) *Stream[KeyValue[K, V]] {
	spec := keyedSpec[V]{name, kindReduce, s.value, schemaOf(schema)}
	return grouped(s, s.window, reduction(f), asKeyValue[K, V], spec, keyValueCodec(s.key, s.value))
}

// Reduce combines the values of each key and window, two at a time. f must be associative. A schema gives what is kept a version.
func (s *WindowedStream[K, V]) Reduce(name string, f func(a, b V) V, schema ...Schema[V]) *Stream[Windowed[K, V]] {
	k := s.keyed
	spec := keyedSpec[V]{name, kindReduce, k.value, schemaOf(schema)}
	return lateOf(s, grouped(k, &s.window, reduction(f), asWindowed[K, V], spec, windowedCodec(k.key, k.value)))
}

// ReduceTo is Reduce with a result function, which makes the record to emit of a key and its combined value.
func ReduceTo[K, V, R any](in *KeyedStream[K, V], name string, f func(a, b V) V, result func(key K, value V) R, schema ...Schema[V]) *Stream[R] {
	out := codecOf[R](in.env, name)
	finish := func(_ Window, k K, v V) R { return result(k, v) }
	return grouped(in, in.window, reduction(f), finish, keyedSpec[V]{name, kindReduce, in.value, schemaOf(schema)}, out)
}

// ReduceWindowTo is a windowed Reduce with a result function.
func ReduceWindowTo[K, V, R any](in *WindowedStream[K, V], name string, f func(a, b V) V, result func(w Window, key K, value V) R, schema ...Schema[V]) *Stream[R] {
	k := in.keyed
	spec := keyedSpec[V]{name, kindReduce, k.value, schemaOf(schema)}
	return lateOf(in, grouped(k, &in.window, reduction(f), result, spec, codecOf[R](k.env, name)))
}

// Aggregator folds the values V of a key into an accumulator A and makes a result R of it. Merge makes one accumulator of two, the
// first of which is of the earlier values; without it values are not folded before they are sent to the subtask of their key, and
// sliding windows and sessions have no result.
type Aggregator[V, A, R any] struct {
	Create func() A
	Add    func(A, V) A
	Merge  func(A, A) A
	Result func(A) R
	Schema Schema[A] // of A; empty: its version is 0
}

// Aggregate folds the values of each key.
func Aggregate[K, V, A, R any](in *KeyedStream[K, V], name string, a Aggregator[V, A, R]) *Stream[KeyValue[K, R]] {
	spec := keyedSpec[A]{name, kindAggregate, codecOf[A](in.env, name), a.Schema}
	finish := func(_ Window, k K, acc A) KeyValue[K, R] { return KeyValue[K, R]{k, a.Result(acc)} }
	return grouped(in, in.window, a.folding(), finish, spec, keyValueCodec(in.key, codecOf[R](in.env, name)))
}

// AggregateWindow folds the values of each key and window.
func AggregateWindow[K, V, A, R any](in *WindowedStream[K, V], name string, a Aggregator[V, A, R]) *Stream[Windowed[K, R]] {
	k := in.keyed
	spec := keyedSpec[A]{name, kindAggregate, codecOf[A](k.env, name), a.Schema}
	finish := func(w Window, key K, acc A) Windowed[K, R] { return Windowed[K, R]{w, key, a.Result(acc)} }
	return lateOf(in, grouped(k, &in.window, a.folding(), finish, spec, windowedCodec(k.key, codecOf[R](k.env, name))))
}

// keyedSpec is what a keyed function is called and what its accumulator is.
type keyedSpec[A any] struct {
	name, kind  string
	accumulator codec[A]
	schema      Schema[A]
}

// grouped adds an operator that runs a keyed function over in.
func grouped[K, V, A, R any](in *KeyedStream[K, V], w *TimeWindow, fold folding[V, A], finish func(Window, K, A) R, spec keyedSpec[A], out codec[R]) *Stream[R] {
	f := keyedFunction(spec, fold, finish, in.key, in.value, out)
	o := in.env.call(f, &operator{inputs: []edge{{from: in.op}}, window: w})
	return &Stream[R]{env: in.env, op: o, codec: out}
}
