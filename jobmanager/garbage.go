package jobmanager

import (
	"context"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// collect deletes what no retained checkpoint names: the rest of attempts that are over, files that were folded, manifests
// that are not retained. It reads the manifests anew, and deletes nothing when one cannot be read.
func (c *checkpoints) collect() {
	j := c.job
	retained := append([]decided(nil), j.record.Checkpoints...)
	attempt := j.fsm.attempt
	j.writing.Add(1)
	j.later(func(ctx context.Context) event {
		defer j.writing.Done()
		if err := j.deleteGarbage(ctx, retained, attempt); err != nil {
			j.log.Warn("delete what old checkpoints have left", "err", err)
		}
		return nil
	})
}

func (j *jobMaster) deleteGarbage(ctx context.Context, retained []decided, attempt graph.Attempt) error {
	var manifests []*checkpoint.Manifest
	for _, d := range retained {
		m, err := j.readManifest(d)
		if err != nil {
			return err
		}
		manifests = append(manifests, m)
	}
	store, err := j.openStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	names, err := namesIn(ctx, store)
	if err != nil {
		return err
	}
	garbage := checkpoint.Garbage(names, manifests, attempt)
	if failpoint.Planted(failpoint.DeleteNamed) && len(manifests) > 0 {
		for _, t := range manifests[len(manifests)-1].Tasks {
			for _, f := range t.Files {
				garbage = append(garbage, f.Name)
			}
		}
	}
	if len(garbage) == 0 {
		return nil
	}
	failpoint.Hit(failpoint.RetentionGC)
	return store.Delete(ctx, garbage...)
}

// settle deletes the checkpoints of a job that has ended, or seals those of one that has FAILED, however long that takes. The
// debt is in its record, so another JobManager goes on with it.
func (j *jobMaster) settle() {
	what, pay := "delete the checkpoints of a job that has ended", j.dropCheckpoints
	if j.stored().State == api.JobFailed {
		what, pay = "make a savepoint of the last checkpoint", j.sealLast
	}
	j.later(func(ctx context.Context) event {
		j.adoption.stop()
		for wait := commitRetry; ; wait = min(2*wait, commitRetryMax) {
			err := pay(ctx)
			if err == nil {
				j.settled()
				return nil
			}
			j.log.Warn(what, "err", err)
			if !pause(ctx, wait) {
				return nil
			}
		}
	})
}

// settled stores that nothing is left to be done with the checkpoints, unless the job is forgotten meanwhile.
func (j *jobMaster) settled() {
	j.jm.past.Lock()
	defer j.jm.past.Unlock()
	if j.jm.jobOf(j.id) == nil {
		return
	}
	if e := j.storeOr(nil, func(r *jobRecord) { r.Stored = false }); e != nil { // the next JobManager does it again
		j.log.Warn("store that checkpoints are deleted or sealed", "err", e.(evStoreFailed).failure.Message)
	}
	j.changed()
}

// Settled waits until nothing is left to be done with the checkpoints of a job that has ended: they are deleted, or sealed.
func (jm *JobManager) Settled(ctx context.Context, id graph.JobID) error {
	j, err := jm.findJob(id)
	if err != nil {
		return err
	}
	again := make(chan struct{}, 1)
	j.mu.Lock()
	j.watchers[again] = true
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.watchers, again)
	}()
	for {
		if j.hasEnded() && !j.stored().Stored {
			return nil
		}
		select {
		case <-again:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dropCheckpoints deletes all that the job has saved, and what killed processes were saving: it has ended, and nothing will
// go on from it. A manifest that is being written when the job ends is waited for, or it would stay; so is who looks for garbage.
func (j *jobMaster) dropCheckpoints(ctx context.Context) error {
	j.writing.Wait()
	store, err := j.openStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	names, err := namesIn(ctx, store)
	if err != nil {
		return err
	}
	if err := store.Delete(ctx, names...); err != nil {
		return err
	}
	return blob.Sweep(ctx, store)
}

// namesIn lists everything in a store.
func namesIn(ctx context.Context, store blob.Store) (names []string, err error) {
	err = store.List(ctx, "", func(i blob.Info) bool {
		names = append(names, i.Name)
		return true
	})
	return names, err
}
