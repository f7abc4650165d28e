package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
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

// While output of a completed checkpoint cannot be committed, the job says why.
func TestWhyOutputIsNotCommittedIsSeen(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 1)
		job := c.submit(1)
		answer := c.upgrade(job.ID, map[string]string{"window": "7"}) // with a checkpoint
		a.set(func() { a.refuse = errors.New("part-1: the name is taken") })
		a.acknowledge(1, connector.Committable{Operator: "out", Data: []byte(`{}`)})
		c.answered(answer, "")
		now := c.expect(job.ID, api.JobRunning, "")
		if !strings.Contains(now.Uncommitted, "part-1: the name is taken") || now.Checkpoint == nil || now.Checkpoint.Committed {
			t.Errorf("uncommitted %q, checkpoint %+v", now.Uncommitted, now.Checkpoint)
		}
		a.set(func() { a.refuse = nil })
		c.after(commitRetryMax)
		if now := c.job(job.ID); now.Uncommitted != "" || !now.Checkpoint.Committed {
			t.Errorf("uncommitted %q, checkpoint %+v (expected that it is)", now.Uncommitted, now.Checkpoint)
		}
	})
}

// heldMeta is metadata whose writes wait while a test holds them.
type heldMeta struct {
	ha.Store
	held atomic.Pointer[chan struct{}]
}

func (m *heldMeta) Apply(ops ...ha.Op) error {
	if h := m.held.Load(); h != nil {
		<-*h
	}
	return m.Store.Apply(ops...)
}

// A checkpoint whose decision is being stored is none yet: nobody sees it, and none of its output is committed.
func TestADecisionHasNoEffectBeforeItIsStored(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		meta := &heldMeta{Store: c.meta}
		c.meta = meta
		c.withCheckpoints(t)
		a := c.add("a", 1)
		job := c.submit(1)
		answer := c.upgrade(job.ID, map[string]string{"window": "7"}) // with a checkpoint
		release := make(chan struct{})
		meta.held.Store(&release)
		a.acknowledge(1, connector.Committable{Operator: "out", Data: []byte(`{}`)})
		if now := c.job(job.ID); now.Checkpoint != nil || now.Params["window"] != "" {
			t.Errorf("checkpoint %+v and parameters %v are seen before they are stored", now.Checkpoint, now.Params)
		}
		if all := c.jm.jobOf(job.ID).uncommitted(); len(all) > 0 {
			t.Errorf("output of %+v would be committed before it is decided", all)
		}
		meta.held.Store(nil)
		close(release)
		c.answered(answer, "")
		if now := c.job(job.ID); now.Checkpoint == nil || now.Params["window"] != "7" {
			t.Errorf("checkpoint %+v, parameters %v (expected both of the upgrade)", now.Checkpoint, now.Params)
		}
	})
}
