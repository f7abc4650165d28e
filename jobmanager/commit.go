package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// How output becomes visible: that of decided checkpoints, in their order, until the job's record says so.

// commit has the output of decided checkpoints committed, until nothing is left of it.
func (c *checkpoints) commit() {
	j := c.job
	if c.committing || len(j.uncommitted()) == 0 {
		return
	}
	c.committing = true
	turn := j.commits
	j.commits++
	j.later(func(ctx context.Context) event {
		for wait := commitRetry; ; wait = min(2*wait, commitRetryMax) {
			if tms := j.jm.resources.live(); len(tms) > 0 {
				before := j.uncommitted()
				err := j.commitDecided(tms[turn%len(tms)])
				turn++
				j.showHindrance(err)
				if err == nil && len(before) > 0 {
					return evOutput{before[len(before)-1].ID}
				}
				if err == nil {
					return evOutput{}
				}
				j.log.Warn("commit the output of checkpoints", "err", err)
			}
			if !j.pauseCommits(ctx, wait) || j.hasEnded() {
				return nil
			}
		}
	})
}

// pauseCommits waits before output is committed again, unless what has hindered it is left out meanwhile. It answers false when
// ctx has ended.
func (j *jobMaster) pauseCommits(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-j.recommit:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// showHindrance has people see why output does not become visible, nil: it does.
func (j *jobMaster) showHindrance(err error) {
	var now *wire.Failure
	if err != nil {
		now = &wire.Failure{Kind: wire.KindIO, Message: err.Error()}
		if f := (*wire.Failure)(nil); errors.As(err, &f) {
			now.Kind = f.Kind
		}
		now = j.withWayOut(now)
	}
	j.mu.Lock()
	was := j.hindered
	j.hindered = now
	j.mu.Unlock()
	if was == nil != (now == nil) || was != nil && was.Message != now.Message {
		j.changed()
	}
}

// uncommitted are the decided checkpoints whose output is not known to be committed.
func (j *jobMaster) uncommitted() (all []decided) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, d := range j.record.Checkpoints {
		if d.ID > j.record.Committed {
			all = append(all, d)
		}
	}
	return all
}

// commitDecided commits the output of decided checkpoints, in their order. It may do so again, or beside another call.
func (j *jobMaster) commitDecided(tm *taskManager) error {
	j.mu.Lock()
	g, attempt := j.record.Graph, j.fsm.attempt
	j.mu.Unlock()
	for _, d := range j.uncommitted() {
		if len(d.Prepared) == 0 || d.Attempt < attempt && failpoint.Planted(failpoint.NoRecommit) {
			continue
		}
		if err := commitThrough(tm, j.commitOf(&g, d.Attempt, uint64(d.ID), d.Prepared)); err != nil {
			return fmt.Errorf("commit checkpoint %d through TaskManager %s: %w", d.ID, tm.info.Name, err)
		}
	}
	return nil
}

// commitOf is the message that has what was prepared made visible.
func (j *jobMaster) commitOf(g *graph.JobGraph, attempt graph.Attempt, checkpoint uint64, prepared []connector.Committable) wire.Commit {
	header := wire.Header{Epoch: j.jm.epoch, Job: j.id, Attempt: attempt, Request: j.jm.nextRequest()}
	return wire.Commit{Header: header, Graph: *g, Checkpoint: checkpoint, Prepared: prepared}
}

// committed stores that output is committed.
func (c *checkpoints) committed(upTo checkpoint.ID) {
	c.committing = false
	j := c.job
	if upTo != 0 && !j.hasEnded() {
		if failed := j.storeOr(nil, func(r *jobRecord) { r.commit(upTo) }); failed != nil {
			j.log.Warn("store that output is committed", "err", failed.(evStoreFailed).failure.Message)
		}
	}
	c.commit()
}

// commit notes that the output of checkpoints is committed, as far as that one.
func (r *jobRecord) commit(upTo checkpoint.ID) {
	r.Committed = max(r.Committed, upTo)
	r.Checkpoints = slices.Clone(r.Checkpoints)
	for i := range r.Checkpoints {
		if r.Checkpoints[i].ID <= r.Committed {
			r.Checkpoints[i].Prepared = nil
		}
	}
}

// undecided leaves out of what a finished task has prepared what the last decided checkpoint holds: the task may not have
// heard of that one. Of those before it has: their number came with the barrier.
func (c *checkpoints) undecided(e event) event {
	t, ok := e.(evTask)
	if !ok || len(c.held) == 0 || len(t.prepared) == 0 {
		return e
	}
	var left []connector.Committable
	for _, p := range t.prepared {
		if !c.held[outputKey(p)] {
			left = append(left, p)
		}
	}
	t.prepared = left
	return t
}

func outputKey(p connector.Committable) string { return p.Operator + "\x00" + string(p.Data) }
