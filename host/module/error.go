package module

import "fmt"

// Error is why a module is refused. Place says where ("code section, byte 0x1f3", "import env.foo"), Problem what is
// wrong there, Hint what to do about it where that is known.
type Error struct {
	Place, Problem, Hint string
}

// Error is the refusal in one line, without the hint.
func (e *Error) Error() string { return e.Place + ": " + e.Problem }

func refuse(place, format string, args ...any) *Error {
	return &Error{Place: place, Problem: fmt.Sprintf(format, args...)}
}

func (e *Error) hint(hint string) *Error {
	e.Hint = hint
	return e
}

const hintProposal = "build for WebAssembly 2.0 without later proposals (tail calls, threads, exceptions, garbage collection, several memories)"
