package jobmanager

import (
	"cmp"
	"context"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// tidyAgain is how long what could not be removed is left before it is tried again without a reason.
const tidyAgain = time.Minute

// tidySoon has what is owed by ended jobs removed: one has just ended so, or a TaskManager that can do it has come.
func (jm *JobManager) tidySoon() {
	select {
	case jm.untidy <- struct{}{}:
	default: // it will look anyway
	}
}

// tidyUp removes the pending output that ended jobs still owe, and seals their savepoints, until ctx ends. The debt is in the jobs' records, so
// another JobManager goes on with it.
func (jm *JobManager) tidyUp(ctx context.Context) {
	again := time.NewTimer(tidyAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-jm.untidy:
		case <-again.C:
		}
		if jm.tidy(ctx) {
			again.Reset(tidyAgain)
		}
	}
}

// tidy tries once for each job, and says whether anything is still owed.
func (jm *JobManager) tidy(ctx context.Context) (left bool) {
	for _, j := range jm.allJobs() {
		if !jm.tidySeals(ctx, j) {
			left = true
		}
		m := j.owes()
		if m == nil {
			continue
		}
		if ctx.Err() != nil {
			return true
		}
		done, err := j.removePending(m)
		if err != nil {
			j.tellOwed(err)
		}
		if !done || !jm.settle(j) {
			left = true
		}
	}
	return left
}

// failures counts tries of one thing that have failed.
type failures uint

// tell counts one more, and says whether it is worth a line: the first is, the second, the fourth, the eighth ..., for it may be so for
// good.
func (n *failures) tell() bool {
	*n++
	return bits.OnesCount(uint(*n)) == 1
}

// tellOwed logs why what an ended job owes is left for now, and what can be done.
func (j *jobMaster) tellOwed(err error) {
	if !j.owedTries.tell() {
		return
	}
	hint := "mend that; or let it be: nothing of it is visible"
	j.mu.Lock()
	if h := j.hindered; h != nil { // it owes the output of completed checkpoints, too
		hint = cmp.Or(h.Hint, "mend that: output of completed checkpoints becomes visible then")
	}
	j.mu.Unlock()
	j.log.Warn("output of an ended job is still pending, and tried again each minute", "tries", j.owedTries, "err", err, "hint", hint)
}

// tidySeals puts the seals that savepoints of an ended job lack.
func (jm *JobManager) tidySeals(ctx context.Context, j *jobMaster) bool {
	if !j.hasEnded() {
		return true
	}
	for _, s := range j.unsealed() {
		if err := j.sealSavepoint(ctx, &s); err != nil {
			if j.sealTries.tell() {
				j.log.Warn("a savepoint of an ended job has no seal, which is tried again each minute", "tries", j.sealTries, "path", s.Path,
					"checkpoint", s.Checkpoint, "err", err, "hint", "mend that; until then no job can go on from the savepoint")
			}
			return false
		}
		jm.past.Lock()
		stored := jm.jobOf(j.id) == nil || j.sealed([]checkpoint.ID{s.Checkpoint})
		jm.past.Unlock()
		if !stored {
			return false
		}
		j.changed()
	}
	return true
}

// owes is the message that settles what an ended job owes, or nil.
func (j *jobMaster) owes() *wire.Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fsm.phase != ended || j.record.Owed == 0 {
		return nil
	}
	return j.abort(j.record.Owed)
}

// formerSink is a sink that a job has no more, or not with these options. Attempts up to that one had it.
type formerSink struct {
	Sink    graph.Operator `json:"sink"`
	Attempt graph.Attempt  `json:"attempt"`
}

// left adds to former sinks those that a change of the graph removes after an attempt, and leaves out those that it brings
// back.
func left(former []formerSink, was, is *graph.JobGraph, attempt graph.Attempt) (all []formerSink) {
	has := func(o *graph.Operator) bool {
		return slices.ContainsFunc(is.Sinks(), func(i int) bool {
			c := is.Operators[i].Connector
			return c.Type == o.Connector.Type && maps.Equal(c.Config, o.Connector.Config)
		})
	}
	for _, f := range former {
		if !has(&f.Sink) {
			all = append(all, f)
		}
	}
	for _, i := range was.Sinks() {
		if o := was.Operators[i]; !has(&o) {
			all = append(all, formerSink{graph.Operator{Name: o.Name, UID: o.UID, Kind: o.Kind, Connector: o.Connector}, attempt})
		}
	}
	return all
}

// forgetFormer forgets the sinks whose pending output is removed: that of attempts before the given one.
func (j *jobMaster) forgetFormer(before graph.Attempt) {
	removed := func(f formerSink) bool { return f.Attempt < before }
	if !slices.ContainsFunc(j.record.Former, removed) {
		return
	}
	if e := j.storeOr(nil, func(r *jobRecord) { r.Former = slices.DeleteFunc(slices.Clone(r.Former), removed) }); e != nil {
		j.log.Warn("store that pending output of former sinks is removed", "err", e.(evStoreFailed).failure.Message)
	}
}

// settle stores that a job owes nothing any more, unless the job is forgotten meanwhile.
func (jm *JobManager) settle(j *jobMaster) bool {
	jm.past.Lock()
	defer jm.past.Unlock()
	if jm.jobOf(j.id) == nil {
		return true
	}
	if e := j.storeOr(nil, func(r *jobRecord) { r.Owed, r.Former = 0, nil }); e != nil {
		j.log.Error("store that nothing is owed", "err", e.(evStoreFailed).failure.Message)
		return false
	}
	j.log.Info("removed pending output of an ended job")
	return true
}
