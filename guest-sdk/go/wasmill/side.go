package wasmill

import "strconv"

// SideOutput is a side output of an operator: a *Side of any type.
type SideOutput interface {
	codecName() string
	declare(o *operator, number int)     // it is output number of o
	connect(outputs []*output) (put any) // in an open handle
	use(put any)                         // by the call that runs
}

// Side is an output besides the main one: of a process function, or of a window for its late records.
type Side[T any] struct {
	env    *Env
	name   string
	codec  codec[T]
	op     *operator
	number int
	put    func(T)
}

// NewSide makes a side output of records of type T, to be given to one operator.
func NewSide[T any](job *Env, name string) *Side[T] {
	s := &Side[T]{env: job, name: name, codec: codecOf[T](job, name)}
	job.sides = append(job.sides, s.check)
	return s
}

// Emit puts out a record; in a process function that lists the side output among its Sides.
func (s *Side[T]) Emit(v T) { s.put(v) }

// Stream is what comes out of it, once an operator has it.
func (s *Side[T]) Stream() *Stream[T] {
	if s.op == nil {
		s.env.Fail("side output " + strconv.Quote(s.name) + ": Stream before it is an operator's (expected: first Process, then Stream)")
		return &Stream[T]{env: s.env, op: &operator{name: s.name}, codec: s.codec}
	}
	return &Stream[T]{env: s.env, op: s.op, side: s.number, codec: s.codec}
}

// check says what is wrong with it when the definition is complete.
func (s *Side[T]) check() {
	if s.op == nil {
		s.env.Fail("side output " + strconv.Quote(s.name) + " is of no operator")
	}
}

func (s *Side[T]) codecName() string { return s.codec.name }

func (s *Side[T]) declare(o *operator, number int) {
	if s.op != nil {
		s.env.Fail("side output " + strconv.Quote(s.name) + ": of two operators, " + strconv.Quote(s.op.name) + " and " + strconv.Quote(o.name))
		return
	}
	s.op, s.number = o, number
}

func (s *Side[T]) connect(outputs []*output) any {
	var takers []func(T)
	for _, o := range outputs {
		takers = append(takers, leaf(o, s.codec))
	}
	return func(v T) {
		for _, take := range takers {
			take(v)
		}
	}
}

func (s *Side[T]) use(put any) { s.put = put.(func(T)) }
