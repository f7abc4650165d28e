package wasmill

import "slices"

// Agg is an aggregate that the host computes over the records of a key: no record enters the guest. Where nothing counts, it is
// null, and a count is 0.
type Agg struct {
	name, kind, field string
	n                 int
	then              []Field
	filter            *Predicate
}

// CountAll counts records.
func CountAll() Agg { return Agg{name: "count", kind: "count"} }

// Count counts the records where the field is not null.
func (f Field) Count() Agg { return f.agg("count") }

// Sum adds up an i64, which wraps around, or f64.
func (f Field) Sum() Agg { return f.agg("sum") }

// Min is the smallest i64, f64 or time.
func (f Field) Min() Agg { return f.agg("min") }

// Max is the largest i64, f64 or time. NaN is larger than every number.
func (f Field) Max() Agg { return f.agg("max") }

// Avg is the average of an i64, cut off towards zero as in Flink, or of an f64.
func (f Field) Avg() Agg { return f.agg("avg") }

// CountDistinct counts the values that differ, exactly.
func (f Field) CountDistinct() Agg { return f.agg("countDistinct") }

// MinBy is the record whose field is smallest, the first of several.
func (f Field) MinBy() Agg { return f.agg("minBy") }

// MaxBy is the record whose field is largest, the first of several.
func (f Field) MaxBy() Agg { return f.agg("maxBy") }

// First is the record whose field is smallest, the first of several; of the empty field, the first to come.
func (f Field) First() Agg { return f.agg("first") }

// Last is the record whose field is largest, the last of several; of the empty field, the last to come.
func (f Field) Last() Agg { return f.agg("last") }

// Top is the n records whose field is largest, a result each, with its rank from 1 before it. It stands alone.
func (f Field) Top(n int) Agg {
	a := f.agg("top")
	a.n = n
	return a
}

// Bottom is the n records whose field is smallest, as Top.
func (f Field) Bottom(n int) Agg {
	a := f.agg("bottom")
	a.n = n
	return a
}

func (f Field) agg(kind string) Agg { return Agg{name: kind, kind: kind, field: string(f)} }

// As names its field in the result; without it, that is its kind.
func (a Agg) As(name string) Agg {
	a.name = name
	return a
}

// Then names fields, i64, f64, times, text or bytes, that decide among records whose field is equal: the smallest comes first, text by
// its bytes. It is for MinBy, MaxBy, First, Last, Top and Bottom.
func (a Agg) Then(fields ...Field) Agg {
	a.then = append(slices.Clip(a.then), fields...)
	return a
}

// Filter has only the records count for which a condition holds, as SQL's FILTER.
func (a Agg) Filter(p Predicate) Agg {
	a.filter = &p
	return a
}

func (a *Agg) write(w *jsonWriter) {
	w.text("name", a.name)
	w.text("kind", a.kind)
	w.textOr("field", a.field)
	w.numberOr("n", int64(a.n))
	if len(a.then) > 0 {
		w.array("then", func() {
			for _, f := range a.then {
				w.element(string(f))
			}
		})
	}
	if a.filter != nil {
		w.object("filter", func() { a.filter.write(w) })
	}
}

// Aggregates computes several aggregates of each key at once. The result is a row of the key, or of its fields if it is a row,
// and a field an aggregate: R has its codec. Over unbounded input there is one after each batch, else one at the end.
func Aggregates[R, K, V any](in *KeyedStream[K, V], list ...Agg) *Stream[R] {
	return aggregated(in, nil, codecOf[R](in.env, kindAggregates), list)
}

// AggregatesWindow computes several aggregates of each key and window at once. The result is that of Aggregates behind the start
// and the end of the window.
func AggregatesWindow[R, K, V any](in *WindowedStream[K, V], list ...Agg) *Stream[R] {
	return lateOf(in, aggregated(in.keyed, &in.window, codecOf[R](in.keyed.env, kindAggregates), list))
}

func aggregated[R, K, V any](in *KeyedStream[K, V], w *TimeWindow, out codec[R], list []Agg) *Stream[R] {
	for i := range list {
		if p := list[i].filter; p != nil && p.faults() != "" {
			in.env.Fail("aggregate " + list[i].name + ": " + p.faults())
		}
	}
	o := in.env.add(&operator{kind: kindAggregates, name: kindAggregates, inputs: []edge{{from: in.op}}, window: w, output: out.name, aggregates: list})
	return &Stream[R]{env: in.env, op: o, codec: out}
}

// of is one aggregate by itself.
func of[K, V any](in *KeyedStream[K, V], a Agg) *Stream[KeyValue[K, V]] {
	return aggregated(in, nil, keyValueCodec(in.key, in.value), []Agg{a})
}

func ofWindow[K, V any](in *WindowedStream[K, V], a Agg) *Stream[Windowed[K, V]] {
	k := in.keyed
	return lateOf(in, aggregated(k, &in.window, windowedCodec(k.key, k.value), []Agg{a}))
}

// Min is the smallest value of each key: int64 or float64.
func (s *KeyedStream[K, V]) Min() *Stream[KeyValue[K, V]] { return of(s, Field("").Min()) }

// Max is the largest value of each key: int64 or float64.
func (s *KeyedStream[K, V]) Max() *Stream[KeyValue[K, V]] { return of(s, Field("").Max()) }

// Avg is the average of the values of each key: int64, cut off towards zero, or float64.
func (s *KeyedStream[K, V]) Avg() *Stream[KeyValue[K, V]] { return of(s, Field("").Avg()) }

// MinBy is the value of each key whose field is smallest, the first of several. A field that may be null needs Aggregates.
func (s *KeyedStream[K, V]) MinBy(f Field) *Stream[KeyValue[K, V]] { return of(s, f.MinBy()) }

// MaxBy is the value of each key whose field is largest, the first of several. A field that may be null needs Aggregates.
func (s *KeyedStream[K, V]) MaxBy(f Field) *Stream[KeyValue[K, V]] { return of(s, f.MaxBy()) }

// Min is the smallest value of each key and window: int64 or float64.
func (s *WindowedStream[K, V]) Min() *Stream[Windowed[K, V]] { return ofWindow(s, Field("").Min()) }

// Max is the largest value of each key and window: int64 or float64.
func (s *WindowedStream[K, V]) Max() *Stream[Windowed[K, V]] { return ofWindow(s, Field("").Max()) }

// Avg is the average of the values of each key and window: int64, cut off towards zero, or float64.
func (s *WindowedStream[K, V]) Avg() *Stream[Windowed[K, V]] { return ofWindow(s, Field("").Avg()) }

// MinBy is the value of each key and window whose field is smallest, the first of several.
func (s *WindowedStream[K, V]) MinBy(f Field) *Stream[Windowed[K, V]] { return ofWindow(s, f.MinBy()) }

// MaxBy is the value of each key and window whose field is largest, the first of several.
func (s *WindowedStream[K, V]) MaxBy(f Field) *Stream[Windowed[K, V]] { return ofWindow(s, f.MaxBy()) }
