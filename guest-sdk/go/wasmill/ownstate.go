package wasmill

import "iter"

// OperatorListState is a list of the operator, not of a key: each subtask has a part of it, which only it sees. Every process
// function may use one, also one over a stream without key. It lies in memory, and is for what does not grow with the input.
type OperatorListState[T any] struct {
	bound
	values codec[T]
}

// NewOperatorListState declares a list of the operator. Another parallelism deals its elements out anew, as many to each subtask.
func NewOperatorListState[T any](job *Env, name string) *OperatorListState[T] {
	c := codecOf[T](job, name)
	return &OperatorListState[T]{bound{stateSpec: stateSpec{name: name, scope: scopeOperator, kind: "list", codec: c.name}}, c}
}

// NewUnionListState declares a list of the operator of which every subtask begins with all elements, whenever the job begins or
// goes on: also after a failure. What it does not need it removes.
func NewUnionListState[T any](job *Env, name string) *OperatorListState[T] {
	s := NewOperatorListState[T](job, name)
	s.kind = "union"
	return s
}

// Migrate says that elements are of a new schema version, and how one of an older version (0: none was given) becomes
// one; false drops it. What it makes may depend on nothing but its arguments.
func (s *OperatorListState[T]) Migrate(version int, f func(from int, old []byte) (T, bool)) *OperatorListState[T] {
	s.version, s.migrate = version, migrating(s.values, f)
	return s
}

// Oldest is the oldest version that Migrate's function takes: a job whose state may hold older ones is refused.
func (s *OperatorListState[T]) Oldest(version int) *OperatorListState[T] {
	s.oldest = version
	return s
}

// Add appends an element.
func (s *OperatorListState[T]) Add(v T) { s.addElement(s.values.append(s.room(), v)) }

// All are the elements in the order in which they were added. The list must not be changed meanwhile.
func (s *OperatorListState[T]) All() iter.Seq[T] { return elements(&s.bound, s.values) }

// Clear removes all elements.
func (s *OperatorListState[T]) Clear() { s.run.asker.add(s.request(stateDelete)) }
