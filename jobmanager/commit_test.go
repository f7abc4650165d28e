package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
)

// committer is a TaskManager that commits, and fails at one call.
type committer struct {
	TaskManager
	calls  [][]connector.Committable
	failAt int
}

func (c *committer) Commit(_ context.Context, m *wire.Commit) error {
	c.calls = append(c.calls, m.Prepared)
	if len(c.calls) == c.failAt {
		return errors.New("no more")
	}
	return nil
}

// However much is prepared, it is committed in messages of a bounded size, each file once and in their order.
func TestOutputIsCommittedInParts(t *testing.T) {
	var all []connector.Committable
	for i := range 1000 {
		all = append(all, connector.Committable{Operator: "files", Data: fmt.Appendf(nil, `"%d%s"`, i, strings.Repeat("x", 20_000))})
	}
	for _, n := range []int{0, 1, 200, 1000} {
		tm := &committer{}
		if err := commitThrough(&taskManager{client: tm, ctx: t.Context()}, wire.Commit{Prepared: all[:n]}); err != nil {
			t.Fatal(err)
		}
		i := 0
		for _, part := range tm.calls {
			size := 0
			for _, p := range part {
				if string(p.Data) != string(all[i].Data) {
					t.Fatalf("%d files: another at place %d", n, i)
				}
				size += len(p.Data)
				i++
			}
			if size > commitBytes+25_000 {
				t.Errorf("%d files: a message of %d bytes (expected <= %d and one more)", n, size, commitBytes)
			}
		}
		if i != n || len(tm.calls) == 0 || n == 1000 && len(tm.calls) != 5 {
			t.Errorf("%d files: %d in %d messages", n, i, len(tm.calls))
		}
	}
	tm := &committer{failAt: 2}
	if err := commitThrough(&taskManager{client: tm, ctx: t.Context()}, wire.Commit{Prepared: all}); err == nil || len(tm.calls) != 2 {
		t.Errorf("%v after %d messages (expected an error after 2)", err, len(tm.calls))
	}
}
