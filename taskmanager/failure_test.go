package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// A connector's error says whether trying again may help, and so does the failure that it becomes; the hint comes along.
func TestWhatMayPassIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		err   error
		kind  wire.Kind
		again bool
		hint  string
	}{
		{&connector.Error{Op: "file source", Err: errors.New("input is gone"), Passes: true, Hint: "put it back"}, wire.KindIO, true, "put it back"},
		{&connector.Error{Op: "file source", Err: errors.New("path: empty"), Hint: "give one"}, wire.KindInput, false, "give one"},
		{errors.New("read error"), wire.KindIO, true, ""},
		{uncommitted("files", 7, connector.Gone(errors.New("no such file"))), wire.KindGone, false, ""},
		{uncommitted("files", 7, errors.New("no space left")), wire.KindIO, true, ""},
	} {
		var f *wire.Failure
		err := inOperator("files", wire.KindIO, fmt.Errorf("open split 1: %w", c.err))
		if !errors.As(err, &f) || f.Kind != c.kind || f.Kind.Retryable() != c.again || f.Hint != c.hint {
			t.Errorf("%v: %+v (expected kind %d, hint %q)", c.err, f, c.kind, c.hint)
		}
	}
}

// away is a sink whose place is not there.
type away struct{ connector.Sink }

func (away) Abort(context.Context, string, uint32) error {
	return fmt.Errorf("abort: %w", connector.Gone(errors.New("no such directory")))
}

// Where the place of a sink is not there, there is nothing to be removed, unless the job has run: then it may be put back.
func TestWhatIsAwayIsStillToBeRemoved(t *testing.T) {
	tm := &TaskManager{config: Config{Connectors: &connector.Registry{Sinks: map[string]func(map[string]string) (connector.Sink, error){
		"away": func(map[string]string) (connector.Sink, error) { return away{}, nil },
	}}}}
	for _, ran := range []bool{false, true} {
		m := &wire.Commit{Abort: true, Ran: ran, Former: []graph.Operator{{Name: "files", Connector: &abi.Connector{Type: "away"}}}}
		if err := tm.abort(t.Context(), m); ran != (err != nil) {
			t.Errorf("the job has run: %t; %v", ran, err)
		}
	}
}
