package host

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/module"
)

// trapError makes one *Error of whatever way a call into the guest died. wazero puts the reason and the stack into the
// error's text:
//
//	wasm error: unreachable
//	wasm stack trace:
//		.crash(i32)
//		.wasmill_process(i32,i32,i32) i32
func (i *Instance) trapError(err error) *Error {
	text, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n\t")
	stack, goStack, _ := strings.Cut(stack, "\n\nGo runtime stack trace:\n")
	e := &Error{Record: abi.None}
	if ended := new(Error); errors.As(err, &ended) {
		*e = *ended
	} else {
		e.Kind, e.Message = trapOf(text)
	}
	e.Trace, e.Function = i.readTrace(stack)
	if goStack != "" {
		e.Trace += "\n" + goStack
	}
	e.Output = string(i.call.stderr)
	if e.Kind == KindTrap || e.Kind == KindExit {
		i.explain(e)
	}
	return e
}

// explain adds to e what the guest said or suffered before it died by itself.
func (i *Instance) explain(e *Error) {
	if f := i.call.failure; f != nil {
		e.Message, e.Record, e.GuestTrace = f.Message, f.Record, f.Trace
	} else if line := firstLine(e.Output); line != "" {
		e.Message += ": " + line
	}
	if i.linear.refused {
		e.Kind = KindMemoryLimit
		e.Message = fmt.Sprintf("memory may not grow beyond %d bytes; %s", len(i.linear.reserved), e.Message)
	}
}

// trapOf tells kind and message from the text of an error that did not come from our own host functions.
func trapOf(text string) (Kind, string) {
	if _, trap, ok := strings.Cut(text, "wasm error: "); ok {
		return KindTrap, trap
	}
	if text == "stack overflow" {
		return KindStackLimit, text
	}
	if panicked, ok := strings.CutSuffix(text, " (recovered by wazero)"); ok {
		return KindPanic, panicked
	}
	return KindTrap, text
}

// signature is what wazero puts behind a function's name.
var signature = regexp.MustCompile(`\([a-z0-9,]*\)( [a-z0-9]+| \([a-z0-9,]+\))?$`)

// readTrace strips wazero's stack trace to function names, and finds the innermost function of the guest.
func (i *Instance) readTrace(stack string) (trace, function string) {
	if stack == "" {
		return "", ""
	}
	lines := strings.Split(stack, "\n\t")
	names := lines[:0]
	for _, line := range lines {
		name := signature.ReplaceAllString(line, "")
		if host := isHostFrame(name); !host {
			name = i.guestFunction(name)
			if function == "" {
				function = name
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, "\n"), function
}

func isHostFrame(name string) bool {
	from, _, _ := strings.Cut(name, ".")
	return from == abi.ImportModule || from == module.WASIModule || from == module.MeterModule
}

// guestFunction returns the name of a guest's function as its author knows it: without the module's name, and when it
// has none its index in the module before the meter added an import.
func (i *Instance) guestFunction(name string) string {
	name = strings.TrimPrefix(name, i.module.compiled.Name())
	name = strings.TrimPrefix(name, ".")
	if digits, ok := strings.CutPrefix(name, "$"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= i.module.imports {
			return "$" + strconv.Itoa(n-1)
		}
	}
	return name
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
