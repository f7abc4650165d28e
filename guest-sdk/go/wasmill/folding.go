package wasmill

import "time"

// ReducingState is one value of a key that is made of all that was added to it. It is kept and comes with the call as a
// ValueState does.
type ReducingState[T any] struct {
	value *ValueState[T]
	merge func(a, b T) T
}

// NewReducingState declares a value of each key that becomes merge(value, added) with each Add; the first one is the value.
// merge may depend on nothing but its arguments.
func NewReducingState[T any](job *Env, name string, merge func(a, b T) T) *ReducingState[T] {
	return &ReducingState[T]{NewValueState[T](job, name), merge}
}

// TTL makes the value vanish when nothing was added to it for so long.
func (s *ReducingState[T]) TTL(d time.Duration) *ReducingState[T] {
	s.value.TTL(d)
	return s
}

// EventTimeTTL is that of ValueState.
func (s *ReducingState[T]) EventTimeTTL(d time.Duration) *ReducingState[T] {
	s.value.EventTimeTTL(d)
	return s
}

// Migrate is that of ValueState.
func (s *ReducingState[T]) Migrate(version int, f func(from int, old []byte) (T, bool)) *ReducingState[T] {
	s.value.Migrate(version, f)
	return s
}

// Oldest is that of ValueState.
func (s *ReducingState[T]) Oldest(version int) *ReducingState[T] {
	s.value.Oldest(version)
	return s
}

// Add takes v into the value.
func (s *ReducingState[T]) Add(v T) {
	if old, ok := s.value.Get(); ok {
		v = s.merge(old, v)
	}
	s.value.Set(v)
}

// Get returns the value, false when nothing was added. A string or []byte in it is valid until something is.
func (s *ReducingState[T]) Get() (T, bool) { return s.value.Get() }

// Clear removes the value.
func (s *ReducingState[T]) Clear() { s.value.Clear() }

func (s *ReducingState[T]) spec() *stateSpec { return s.value.spec() }

func (s *ReducingState[T]) use(r *processRun, index int) { s.value.use(r, index) }

// merged makes one of the values of windows that have become one.
func (s *ReducingState[T]) merged() {
	for v := range s.value.Merged() {
		s.Add(v)
	}
}

// AggregatingState is one accumulator of a key, into which values of another type are taken, and of which the result is made
// when it is asked for. It is kept and comes with the call as a ValueState does.
type AggregatingState[T, A, R any] struct {
	accumulator *ValueState[A]
	create      func() A
	add         func(A, T) A
	result      func(A) R
}

// NewAggregatingState declares an accumulator of each key, begun by create. The functions may depend on nothing but their
// arguments.
func NewAggregatingState[T, A, R any](job *Env, name string, create func() A, add func(A, T) A, result func(A) R) *AggregatingState[T, A, R] {
	return &AggregatingState[T, A, R]{NewValueState[A](job, name), create, add, result}
}

// TTL makes the accumulator vanish when nothing was added to it for so long.
func (s *AggregatingState[T, A, R]) TTL(d time.Duration) *AggregatingState[T, A, R] {
	s.accumulator.TTL(d)
	return s
}

// EventTimeTTL is that of ValueState.
func (s *AggregatingState[T, A, R]) EventTimeTTL(d time.Duration) *AggregatingState[T, A, R] {
	s.accumulator.EventTimeTTL(d)
	return s
}

// Migrate is that of ValueState, for accumulators.
func (s *AggregatingState[T, A, R]) Migrate(version int, f func(from int, old []byte) (A, bool)) *AggregatingState[T, A, R] {
	s.accumulator.Migrate(version, f)
	return s
}

// Oldest is that of ValueState.
func (s *AggregatingState[T, A, R]) Oldest(version int) *AggregatingState[T, A, R] {
	s.accumulator.Oldest(version)
	return s
}

// Add takes v into the accumulator.
func (s *AggregatingState[T, A, R]) Add(v T) {
	a, ok := s.accumulator.Get()
	if !ok {
		a = s.create()
	}
	s.accumulator.Set(s.add(a, v))
}

// Get returns the result of what was added, false when nothing was.
func (s *AggregatingState[T, A, R]) Get() (r R, ok bool) {
	a, ok := s.accumulator.Get()
	if !ok {
		return r, false
	}
	return s.result(a), true
}

// Clear removes the accumulator.
func (s *AggregatingState[T, A, R]) Clear() { s.accumulator.Clear() }

func (s *AggregatingState[T, A, R]) spec() *stateSpec { return s.accumulator.spec() }

func (s *AggregatingState[T, A, R]) use(r *processRun, index int) { s.accumulator.use(r, index) }
