package wasmill

import (
	"iter"
	"strconv"
	"time"
)

// State is a state of a key: a *ValueState, *ReducingState, *AggregatingState, *ListState or *MapState; or an *OperatorListState.
// It is listed among the States of a process function, and used only there: it then is that of the key at hand.
type State interface {
	spec() *stateSpec
	use(r *processRun, index int)
}

// stateSpec is what the manifest says of a state.
type stateSpec struct {
	name, kind, codec, key string
	scope                  string // empty: keyed
	ttl                    time.Duration
	event                  bool // ttl is of event time
	version, oldest        int  // oldest: that migrate takes
	migrate                func(from int, key, value []byte) (newKey, newValue []byte, keep bool)
}

// bound is a state in the call that runs.
type bound struct {
	stateSpec
	run   *processRun
	index int
}

func (b *bound) spec() *stateSpec { return &b.stateSpec }

func (b *bound) use(r *processRun, index int) { b.run, b.index = r, index }

// group is the group at hand, as requests name it.
func (b *bound) request(op uint32) request {
	if b.run == nil {
		panic("state " + strconv.Quote(b.name) + " is not among the States of the function that uses it")
	}
	group := b.run.groups.index
	if b.scope != "" {
		group = none
	}
	return request{op: op, group: group, state: uint16(b.index)}
}

// Scopes of a state that is no key's.
const (
	scopeOperator  = "operator"
	scopeBroadcast = "broadcast"
)

// room is where the bytes of what is written are made.
func (b *bound) room() []byte {
	if b.run == nil {
		b.request(0) // panics
	}
	return b.run.asker.scratch[:0]
}

// addElement appends an element whose bytes were made in room to a list.
func (b *bound) addElement(value []byte) {
	q := b.request(stateAppend)
	b.run.asker.scratch, q.value = value, value
	b.run.asker.add(q)
}

// elements are those of a list, in their order.
func elements[T any](b *bound, values codec[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		b.run.asker.each(b.request(stateScan), func(_ int64, _, value []byte) bool { return yield(values.decode(value)) })
	}
}

// migrating is the migration of a state whose elements have no key.
func migrating[T any](values codec[T], f func(from int, old []byte) (T, bool)) func(from int, key, value []byte) (newKey, newValue []byte, keep bool) {
	return func(from int, _, value []byte) ([]byte, []byte, bool) {
		v, keep := f(from, value)
		return nil, values.append(nil, v), keep
	}
}

// ValueState is one value of a key.
type ValueState[T any] struct {
	bound
	values codec[T]
}

// NewValueState declares a value of each key.
func NewValueState[T any](job *Env, name string) *ValueState[T] {
	c := codecOf[T](job, name)
	return &ValueState[T]{bound{stateSpec: stateSpec{name: name, kind: "value", codec: c.name}}, c}
}

// TTL makes the value vanish when it was not set for so long.
func (s *ValueState[T]) TTL(d time.Duration) *ValueState[T] {
	s.ttl, s.event = d, false
	return s
}

// EventTimeTTL makes the value vanish when the watermark is so long past the event time of the record or timer that set it: the
// latest one of its key that was handed over with it. Of what has no event time it is the watermark. Process functions alone
// have such states.
func (s *ValueState[T]) EventTimeTTL(d time.Duration) *ValueState[T] {
	s.ttl, s.event = d, true
	return s
}

// Migrate says that values are of a new schema version, and how one of an older version (0: none was given) becomes
// one; false drops it. What it makes may depend on nothing but its arguments.
func (s *ValueState[T]) Migrate(version int, f func(from int, old []byte) (T, bool)) *ValueState[T] {
	s.version, s.migrate = version, migrating(s.values, f)
	return s
}

// Oldest is the oldest version that Migrate's function takes: a job whose state may hold older ones is refused.
func (s *ValueState[T]) Oldest(version int) *ValueState[T] {
	s.oldest = version
	return s
}

// valueCell is the value of the group at hand.
type valueCell struct {
	known  bool // bytes and set say what it is
	set    bool
	action uint16 // that the reply has to do: none, put or clear
	bytes  []byte
	spare  []byte // for the next ones: what is set may lie in those that are there
}

// Get returns the value, false when there is none. A string or []byte in it is valid until the value is set.
func (s *ValueState[T]) Get() (v T, ok bool) {
	c := s.cell()
	if !c.set {
		return v, false
	}
	return s.values.decode(c.bytes), true
}

// GetOr returns the value, or another when there is none.
func (s *ValueState[T]) GetOr(other T) T {
	if v, ok := s.Get(); ok {
		return v
	}
	return other
}

// Set sets the value.
func (s *ValueState[T]) Set(v T) {
	c := s.run.cellOf(s.index)
	c.bytes, c.spare = s.values.append(c.spare[:0], v), c.bytes
	c.known, c.set, c.action = true, true, actionPut
}

// Clear removes the value.
func (s *ValueState[T]) Clear() {
	c := s.run.cellOf(s.index)
	c.known, c.set, c.action, c.bytes = true, false, actionClear, c.bytes[:0]
}

func (r *processRun) cellOf(index int) *valueCell {
	if r == nil {
		panic("a state is used that is not among the States of the function")
	}
	return &r.cells[index]
}

// cell makes the value of the group known: it came with the call, or it is asked for.
func (s *ValueState[T]) cell() *valueCell {
	c := s.run.cellOf(s.index)
	if c.known {
		return c
	}
	c.known, c.set, c.bytes = true, false, c.bytes[:0]
	g := &s.run.groups
	switch l := g.state(s.index); {
	case l.n > 0:
		c.set, c.bytes = true, append(c.bytes, g.value(&l, 0)...)
	case l.total > 0:
		s.run.asker.each(s.request(stateGet), func(_ int64, _, value []byte) bool {
			c.set, c.bytes = true, append(c.bytes[:0], value...)
			return true
		})
	}
	return c
}

// Merged are, in a trigger's function of that name, the values that the windows had which have become one.
func (s *ValueState[T]) Merged() iter.Seq[T] {
	return func(yield func(T) bool) {
		g := &s.run.groups
		l := g.state(s.index)
		for i := range l.n {
			if !yield(s.values.decode(g.value(&l, i))) {
				return
			}
		}
	}
}

// ListState is a list of a key.
type ListState[T any] struct {
	bound
	values codec[T]
}

// NewListState declares a list of each key.
func NewListState[T any](job *Env, name string) *ListState[T] {
	c := codecOf[T](job, name)
	return &ListState[T]{bound{stateSpec: stateSpec{name: name, kind: "list", codec: c.name}}, c}
}

// TTL makes elements vanish so long after they were added.
func (s *ListState[T]) TTL(d time.Duration) *ListState[T] {
	s.ttl, s.event = d, false
	return s
}

// EventTimeTTL is that of ValueState, for elements.
func (s *ListState[T]) EventTimeTTL(d time.Duration) *ListState[T] {
	s.ttl, s.event = d, true
	return s
}

// Migrate says that elements are of a new schema version, and how one of an older version (0: none was given) becomes
// one; false drops it. What it makes may depend on nothing but its arguments.
func (s *ListState[T]) Migrate(version int, f func(from int, old []byte) (T, bool)) *ListState[T] {
	s.version, s.migrate = version, migrating(s.values, f)
	return s
}

// Oldest is the oldest version that Migrate's function takes: a job whose state may hold older ones is refused.
func (s *ListState[T]) Oldest(version int) *ListState[T] {
	s.oldest = version
	return s
}

// Add appends an element.
func (s *ListState[T]) Add(v T) { s.addElement(s.values.append(s.room(), v)) }

// All are the elements in the order in which they were added. The list must not be changed meanwhile.
func (s *ListState[T]) All() iter.Seq[T] { return elements(&s.bound, s.values) }

// Clear removes all elements.
func (s *ListState[T]) Clear() { s.run.asker.add(s.request(stateDelete)) }

// MapState is a map of a key. Its own keys may not be empty, as the string "" is: a function that uses one fails.
type MapState[K, V any] struct {
	bound
	keys   codec[K]
	values codec[V]
}

// NewMapState declares a map of each key.
func NewMapState[K, V any](job *Env, name string) *MapState[K, V] {
	k, v := codecOf[K](job, name), codecOf[V](job, name)
	return &MapState[K, V]{bound{stateSpec: stateSpec{name: name, kind: "map", codec: v.name, key: k.name}}, k, v}
}

// TTL makes entries vanish so long after they were put.
func (s *MapState[K, V]) TTL(d time.Duration) *MapState[K, V] {
	s.ttl, s.event = d, false
	return s
}

// EventTimeTTL is that of ValueState, for entries.
func (s *MapState[K, V]) EventTimeTTL(d time.Duration) *MapState[K, V] {
	s.ttl, s.event = d, true
	return s
}

// Migrate says that values are of a new schema version, and how one of an older version (0: none was given) becomes
// one; false drops it. What it makes may depend on nothing but its arguments.
func (s *MapState[K, V]) Migrate(version int, f func(from int, old []byte) (V, bool)) *MapState[K, V] {
	s.version = version
	s.migrate = func(from int, key, value []byte) ([]byte, []byte, bool) {
		v, keep := f(from, value)
		return key, s.values.append(nil, v), keep
	}
	return s
}

// Oldest is the oldest version that Migrate's function takes: a job whose state may hold older ones is refused.
func (s *MapState[K, V]) Oldest(version int) *MapState[K, V] {
	s.oldest = version
	return s
}

// Get returns the value of k, false when there is none. It is valid until the next use of a list or map state.
func (s *MapState[K, V]) Get(k K) (v V, ok bool) {
	q := s.keyed(stateGet, k)
	s.run.asker.each(q, func(_ int64, _, value []byte) bool {
		v, ok = s.values.decode(value), true
		return true
	})
	return v, ok
}

// Put sets the value of k.
func (s *MapState[K, V]) Put(k K, v V) {
	q := s.keyed(statePut, k)
	key := len(q.key)
	s.run.asker.scratch = s.values.append(s.run.asker.scratch, v)
	q.key, q.value = s.run.asker.scratch[:key], s.run.asker.scratch[key:]
	s.run.asker.add(q)
}

// Delete removes the value of k.
func (s *MapState[K, V]) Delete(k K) {
	s.run.asker.add(s.keyed(stateDelete, k))
}

func (s *MapState[K, V]) keyed(op uint32, k K) request {
	q := s.request(op)
	s.run.asker.scratch = s.keys.appendKey(s.run.asker.scratch[:0], k)
	q.key = s.run.asker.scratch
	if len(q.key) == 0 { // to the host it means all of them
		panic("an empty key of a map state")
	}
	return q
}

// All are the entries in the order of their keys' bytes. The map must not be changed meanwhile.
func (s *MapState[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		s.run.asker.each(s.request(stateScan), func(_ int64, key, value []byte) bool {
			return yield(s.keys.decode(key), s.values.decode(value))
		})
	}
}

// Clear removes all entries.
func (s *MapState[K, V]) Clear() { s.run.asker.add(s.request(stateDelete)) }
