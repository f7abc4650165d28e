package host

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// Kind says in which way a call ended other than well. The list only grows: kinds cross the wire.
type Kind uint32

const (
	KindFailed      Kind = 1  // the guest called fail and answered so; its instance is as good as before
	KindTrap        Kind = 2  // the guest trapped: unreachable, out of bounds, division by zero ...
	KindExit        Kind = 3  // the guest called proc_exit
	KindPanic       Kind = 4  // a host function panicked: a fault of Wasmill, not of the guest
	KindBadPointer  Kind = 5  // the guest handed over bytes that lie outside its memory or do not parse
	KindTimeLimit   Kind = 6  // the call took longer than its limit
	KindStackLimit  Kind = 7  // the guest recursed too deep
	KindMemoryLimit Kind = 8  // the guest died of not getting more memory
	KindCanceled    Kind = 9  // Instance.Cancel ended it
	KindOutputLimit Kind = 10 // the guest emitted more than one call may
	KindRefused     Kind = 11 // the guest answered that it does not know the handle, function or verb, or cannot read the input
	KindUnsupported Kind = 12 // the guest called a host function that this version does not provide
	KindManifest    Kind = 13 // the guest's manifest cannot be read, or is another than was promised
	KindMigration   Kind = 14 // an element of state could not be brought to the version declared
)

var kindNames = [...]string{
	KindFailed: "failed", KindTrap: "trap", KindExit: "exit", KindPanic: "panic", KindBadPointer: "bad pointer",
	KindTimeLimit: "time limit", KindStackLimit: "stack limit", KindMemoryLimit: "memory limit", KindCanceled: "canceled",
	KindOutputLimit: "output limit", KindRefused: "refused", KindUnsupported: "unsupported", KindManifest: "manifest", KindMigration: "migration",
}

// String returns the kind's name, as users read it.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Poisoned reports whether the instance must be discarded after an error of this kind: all but KindFailed.
func (k Kind) Poisoned() bool { return k != KindFailed }

// Error is how every call into a guest ends that does not end well.
type Error struct {
	Kind       Kind
	Step       string     // what the guest was asked to do: "process", "open handle 3", "describe" ...
	Message    string     // one line
	Function   string     // the innermost guest function by its name, when known
	Record     uint32     // index in the call's batch, or of its group; abi.None when unknown
	Trace      string     // Wasm stack trace, innermost first, a function a line; empty when the guest had returned
	GuestTrace string     // the guest language's own trace, as handed to fail
	Status     abi.Status // what the guest answered, StatusOK when it did not come to answer
	Hint       string     // what to do about it, where there is a fix
	Output     string     // what the guest wrote to stderr during the call, up to 2 KiB
}

// Error says step, kind and cause in one line.
func (e *Error) Error() string {
	var s strings.Builder
	if e.Step != "" {
		s.WriteString(e.Step)
		s.WriteString(": ")
	}
	if e.Record != abi.None {
		fmt.Fprintf(&s, "record %d: ", e.Record)
	}
	if e.Kind != KindFailed {
		s.WriteString(e.Kind.String())
		if e.Function != "" {
			s.WriteString(" in ")
			s.WriteString(e.Function)
		}
		s.WriteString(": ")
	}
	s.WriteString(e.Message)
	return s.String()
}

// errorf is how host functions end a call: the result is panicked with, and comes back from the call.
func errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Record: abi.None}
}
