package jobmanager

import (
	"context"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
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
		if ctx.Err() != nil || !j.removePending(m) || !jm.settle(j) {
			left = true
		}
	}
	return left
}

// tidySeals puts the seals that savepoints of an ended job lack.
func (jm *JobManager) tidySeals(ctx context.Context, j *jobMaster) bool {
	if !j.hasEnded() {
		return true
	}
	for _, s := range j.unsealed() {
		if err := j.sealSavepoint(ctx, &s); err != nil {
			j.log.Warn("seal savepoint", "path", s.Path, "checkpoint", s.Checkpoint, "err", err)
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

// settle stores that a job owes nothing any more, unless the job is forgotten meanwhile.
func (jm *JobManager) settle(j *jobMaster) bool {
	jm.past.Lock()
	defer jm.past.Unlock()
	if jm.jobOf(j.id) == nil {
		return true
	}
	if e := j.storeOr(nil, func(r *jobRecord) { r.Owed = 0 }); e != nil {
		j.log.Error("store that nothing is owed", "err", e.(evStoreFailed).failure.Message)
		return false
	}
	j.log.Info("removed pending output of an ended job")
	return true
}
