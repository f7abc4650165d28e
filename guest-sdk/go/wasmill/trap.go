package wasmill

// TrapPolicy says what happens to a record, timer or group that a function fails on, again when it is tried anew.
type TrapPolicy string

const (
	FailJob TrapPolicy = "fail" // the job fails (default)
	Skip    TrapPolicy = "skip" // it is left out, counted and logged
)

// OnTrap sets the operator's policy.
func (s *Stream[T]) OnTrap(p TrapPolicy) *Stream[T] {
	s.op.onTrap = string(p)
	return s
}
