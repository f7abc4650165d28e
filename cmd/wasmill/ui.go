package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/module"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/wire"
)

// What is printed where:
//
//   - The answer of a command goes to stdout: a table or a line, or with --output json the types of the REST interface.
//     Nothing else does, so that it can be piped.
//   - Everything else goes to stderr: progress, notices, errors. A progress bar only when stderr is a terminal.
//   - An error is one line that says what failed and where, then the cause: "error: ...". A line "  hint: ..." follows
//     only where there is a fix. Never a Go stack trace; a guest's stack names its functions.

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1   // the job or the request failed
	exitUsage       = 2   // the command line is wrong
	exitInterrupted = 130 // Ctrl-C
)

// errInterrupted ends a command that a signal has ended. What there was to say has been said.
var errInterrupted = errors.New("interrupted")

// usageError is a fault in the command line.
type usageError struct{ problem, hint string }

func (e *usageError) Error() string { return e.problem }

func usagef(format string, args ...any) *usageError {
	return &usageError{problem: fmt.Sprintf(format, args...)}
}

// hinted gives an error a hint.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// report prints err and returns the exit status that goes with it.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errInterrupted) || (ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		return exitInterrupted
	}
	fmt.Fprintf(a.err, "error: %s\n", oneParagraph(err.Error()))
	for _, line := range details(err) {
		fmt.Fprintf(a.err, "  %s\n", line)
	}
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(a.err, "  hint: %s\n", oneParagraph(hint))
	}
	a.answerFailure(err)
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// hintOf finds the outermost hint in err, wherever it was made.
func hintOf(err error) string {
	var h *hinted
	var usage *usageError
	var refused *api.Error
	var network *transport.Error
	var conn *connector.Error
	var failed *jobFailed
	var failure *wire.Failure
	var unreachable *api.UnreachableError
	var inspected *module.Error
	var guest *host.Error
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &failed):
		return failed.failure.Hint
	case errors.As(err, &failure):
		return failure.Hint
	case errors.As(err, &refused):
		return refused.Hint
	case errors.As(err, &inspected):
		return inspected.Hint
	case errors.As(err, &guest):
		return guest.Hint
	case errors.As(err, &network):
		return network.Hint
	case errors.As(err, &conn):
		return conn.Hint
	case errors.As(err, &unreachable):
		return "start a cluster with `wasmill cluster start --dir DIR`, or name a running one with --jobmanager URL"
	}
	return ""
}

// details are further lines about a job that failed: where it was, and the guest's own stack.
func details(err error) []string {
	var failed *jobFailed
	if !errors.As(err, &failed) {
		return nil
	}
	return failureLines(&failed.failure)
}

// failureLines says what the message does not say yet.
func failureLines(f *wire.Failure) []string {
	var lines []string
	if f.Operator != "" && !strings.Contains(f.Message, f.Operator) {
		lines = append(lines, fmt.Sprintf("in operator %q, subtask %d", f.Operator, f.Subtask))
	}
	if f.Record != "" && !strings.Contains(f.Message, f.Record) {
		lines = append(lines, "at "+printable(f.Record))
	}
	if stack := strings.TrimSpace(f.Stack); stack != "" {
		for _, line := range stackLines(stack) {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

// note prints a line that is not the answer.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// answer prints the command's answer: v as JSON, or what text writes.
func (a *app) answer(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.out)
		return nil
	}
	a.answered = true
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows whose cells are separated by tabs, aligned.
func table(w io.Writer, rows ...string) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, row)
	}
	t.Flush()
}

// isTerminal says whether w is a terminal that a progress bar can be drawn on.
func isTerminal(w io.Writer) bool {
	if a, ok := w.(*answerWriter); ok {
		w = a.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
