package jobmanager

import (
	"context"
	"fmt"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
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
			if !pause(ctx, wait) || j.hasEnded() {
				return nil
			}
		}
	})
}

// showHindrance has people see why output does not become visible, nil: it does.
func (j *jobMaster) showHindrance(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	j.mu.Lock()
	was := j.hindered
	j.hindered = text
	j.mu.Unlock()
	if was != text {
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
		m := wire.Commit{
			Header: wire.Header{Epoch: j.jm.epoch, Job: j.id, Attempt: d.Attempt, Request: j.jm.nextRequest()}, Graph: g,
			Checkpoint: uint64(d.ID), Prepared: d.Prepared,
		}
		if err := commitThrough(tm, m); err != nil {
			return fmt.Errorf("commit checkpoint %d through TaskManager %s: %w", d.ID, tm.info.Name, err)
		}
	}
	return nil
}

// committed stores that output is committed.
func (c *checkpoints) committed(upTo checkpoint.ID) {
	c.committing = false
	j := c.job
	if upTo != 0 && !j.hasEnded() {
		if failed := j.storeOr(nil, func(r *jobRecord) {
			r.Committed = max(r.Committed, upTo)
			r.Checkpoints = append([]decided(nil), r.Checkpoints...)
			for i := range r.Checkpoints {
				if r.Checkpoints[i].ID <= r.Committed {
					r.Checkpoints[i].Prepared = nil
				}
			}
		}); failed != nil {
			j.log.Warn("store that output is committed", "err", failed.(evStoreFailed).failure.Message)
		}
	}
	c.commit()
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
