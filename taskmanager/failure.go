package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// refuse is the answer to a message that cannot be followed.
func refuse(kind wire.Kind, format string, args ...any) *wire.Failure {
	return &wire.Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// isStale says whether the other side refused a message because of its epoch or attempt.
func isStale(err error) bool {
	var f *wire.Failure
	return errors.As(err, &f) && f.Kind == wire.KindStale
}

// inOperator says what failed in an operator, with the kind that the error's own type gives it, or otherwise kind.
func inOperator(name string, kind wire.Kind, err error) error {
	var known *wire.Failure
	if errors.As(err, &known) {
		return err
	}
	if errors.As(stateFailure(err), &known) {
		known.Operator = name
		return known
	}
	f := &wire.Failure{Kind: kind, Operator: name, Message: fmt.Sprintf("operator %q: %v", name, err)}
	var bad *connector.Error
	var input *operator.InputError
	var reply *operator.ReplyError
	switch {
	case errors.Is(err, context.Canceled):
		f.Kind = wire.KindCanceled
	case errors.As(err, &bad):
		f.Hint = bad.Hint
		if !bad.Passes {
			f.Kind = wire.KindInput
		}
	case errors.As(err, &input):
		f.Kind, f.Hint = wire.KindInput, input.Hint
	case errors.As(err, &reply):
		f.Kind = wire.KindGuest
	}
	return f
}

// stateFailure is the failure of a task whose state cannot be read or held, nil when err is none of these.
func stateFailure(err error) error {
	var file *state.FileError
	var full *spill.FullError
	var keys *state.KeysError
	switch {
	case errors.As(err, &file) && errors.Is(err, snapshot.ErrDamaged): // it was found when it was read
		return &wire.Failure{Kind: wire.KindState, Message: err.Error(), File: file.File}
	case errors.As(err, &file):
		return &wire.Failure{Kind: wire.KindIO, Message: err.Error()}
	case errors.As(err, &full), errors.As(err, &keys): // going on would need the room again
		return &wire.Failure{Kind: wire.KindInput, Message: err.Error()}
	}
	return err
}

// requestFailure is that of a request operator: a request that came to nothing may do better the next time, unless it is refused.
func requestFailure(name string, err error) error {
	var r *operator.RequestError
	if !errors.As(err, &r) {
		return inOperator(name, wire.KindInternal, err)
	}
	f := &wire.Failure{Kind: wire.KindIO, Operator: name, Record: r.Record, Message: fmt.Sprintf("operator %q: %v: %s", name, r, excerpt(r.Data))}
	f.Hint = "give the function what to do about requests without an answer, or more retries or time"
	if r.Outcome == abi.Refused {
		f.Kind, f.Hint = wire.KindInput, "the operator may ask the hosts that it names and capabilities.http.allow grants; see docs/requests.md"
	}
	return f
}

// failureOf makes any error of a task a failure that can cross the wire.
func failureOf(err error) *wire.Failure {
	var f *wire.Failure
	switch err = stateFailure(err); {
	case errors.As(err, &f):
		return f
	case errors.Is(err, exchange.ErrStale):
		return &wire.Failure{Kind: wire.KindStale, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &wire.Failure{Kind: wire.KindCanceled, Message: err.Error()}
	}
	return &wire.Failure{Kind: wire.KindInternal, Message: err.Error()}
}

// guestFailure is a guest's end, after it was tried again. Record is empty when no record is to blame.
func guestFailure(operator string, e *host.Error, record string, data []byte) *wire.Failure {
	f := &wire.Failure{Kind: guestKind(e.Kind), Operator: operator, Record: record, Stack: strings.TrimRight(e.Trace, "\n")}
	if e.GuestTrace != "" {
		f.Stack = strings.TrimRight(e.GuestTrace, "\n")
	}
	if e.Output != "" { // where many languages write why they end
		f.Stack = strings.TrimRight(strings.TrimRight(e.Output, "\n")+"\n"+f.Stack, "\n")
	}
	var s strings.Builder
	fmt.Fprintf(&s, "operator %q: ", operator)
	if e.Kind == host.KindFailed {
		s.WriteString("failed: ")
	} else {
		s.WriteString(e.Kind.String())
		if e.Function != "" {
			s.WriteString(" in " + e.Function)
		}
		s.WriteString(": ")
	}
	s.WriteString(e.Message)
	if record != "" {
		fmt.Fprintf(&s, ": %s: %s", record, excerpt(data))
	}
	f.Message = s.String()
	return f
}

// guestKind is what a guest's end means to the job.
func guestKind(k host.Kind) wire.Kind {
	switch k {
	case host.KindTimeLimit, host.KindStackLimit, host.KindMemoryLimit, host.KindOutputLimit:
		return wire.KindGuestLimit
	case host.KindCanceled:
		return wire.KindCanceled
	case host.KindManifest:
		return wire.KindModule
	case host.KindPanic:
		return wire.KindInternal
	}
	return wire.KindGuest
}

// excerptBytes is how much of a record is shown.
const excerptBytes = 64

// excerpt shows the beginning of a record, quoted and escaped.
func excerpt(data []byte) string {
	if len(data) <= excerptBytes {
		return strconv.QuoteToASCII(string(data))
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.QuoteToASCII(string(data[:excerptBytes])), len(data))
}

// grouped writes a number as people read it: 1,000,000.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
