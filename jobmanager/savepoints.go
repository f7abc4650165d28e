package jobmanager

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// A savepoint is a checkpoint whose manifest and files are copied to a place of the user's before it is decided. Then a
// seal is put beside them: without one it is no savepoint, since its output may never have been committed.

// ask begins what was asked for, or lets it wait for its turn.
func (c *checkpoints) ask(e evAsk) {
	if c.fsm == nil || c.job.phase() != running {
		e.answer <- answer{refused: c.job.notRunning()}
		return
	}
	c.requests++
	e.ask.number = c.requests
	c.asked[c.requests] = e.answer
	c.step(ckAsk{e.ask})
}

// mayTake says why no checkpoint can be taken of a job as it is, nil: one can.
func (jm *JobManager) mayTake(j *jobMaster) error {
	if err := refuseBatch(j.stored()); err != nil {
		return err
	}
	if !jm.takesCheckpoints() {
		return api.Errorf(api.KindConflict, "job %s takes no checkpoints", j.id)
	}
	if j.job().State != api.JobRunning {
		return j.notRunning()
	}
	return nil
}

// take asks the loop of a job for a checkpoint and waits for what becomes of it.
func (jm *JobManager) take(ctx context.Context, j *jobMaster, ask ckRequest) (checkpoint.ID, error) {
	if err := jm.mayTake(j); err != nil {
		return 0, err
	}
	answers := make(chan answer, 1)
	a, err := j.ask(ctx, evAsk{ask, answers}, answers)
	if err != nil {
		return 0, err
	}
	if a.refused != nil {
		return 0, a.refused
	}
	if a.cause != "" {
		return a.id, api.Errorf(api.KindConflict, "take a %s of job %s: %s", ask.kind, j.id, a.cause)
	}
	return a.id, nil
}

// notRunning refuses what a job must be RUNNING for.
func (j *jobMaster) notRunning() error {
	now := j.job()
	state := now.State
	err := api.Errorf(api.KindConflict, "job %s is %s (expected %s)", j.id, state, api.JobRunning)
	switch {
	case state == api.JobFinishing && now.Failure != nil:
		return api.Errorf(api.KindConflict, "%s: its output is committed again until it succeeds; the last time: %s", err.Detail, now.Failure.Message).WithHint("%s", now.Failure.Hint)
	case state.Terminal() || state == api.JobFinishing || state == api.JobCancelling || state == api.JobFailing:
		return err.WithHint("it ends, or has ended: run it again, from its last savepoint if it is to go on (`wasmill run --from`)")
	}
	return err.WithHint("ask again when it runs; `wasmill info %s` says what it waits for", j.id)
}

// ask tells the loop of a job and waits for its answer.
func (j *jobMaster) ask(ctx context.Context, e event, answers <-chan answer) (answer, error) {
	if !j.send(ctx, e, nil) {
		if err := ctx.Err(); err != nil {
			return answer{}, err
		}
		return answer{}, cmp.Or(j.jm.refuseClosed(), error(api.Errorf(api.KindConflict, "job %s has ended", j.id)))
	}
	select {
	case a := <-answers:
		return a, nil
	case <-j.done:
		select {
		case a := <-answers:
			return a, nil
		default:
			return answer{}, cmp.Or(j.jm.refuseClosed(), error(api.Errorf(api.KindConflict, "job %s has ended", j.id)))
		}
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// TakeCheckpoint takes a checkpoint now, and answers when it is completed. It waits for one that is in flight.
func (jm *JobManager) TakeCheckpoint(ctx context.Context, id graph.JobID) (*api.Checkpoint, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	taken, err := jm.take(ctx, j, ckRequest{kind: checkpoint.Periodic})
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.record.Checkpoints {
		if j.record.Checkpoints[i].ID == taken {
			c := j.record.checkpoint(i)
			return &c, nil
		}
	}
	return nil, api.Errorf(api.KindConflict, "checkpoint %d of job %s was completed, and is not retained any more", taken, j.id)
}

// TakeSavepoint makes a savepoint, and answers when it is complete. With Stop the job ends with it.
func (jm *JobManager) TakeSavepoint(ctx context.Context, id graph.JobID, s *api.TakeSavepoint) (*api.Savepoint, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Drain && !s.Stop:
		return nil, api.Errorf(api.KindInvalid, "drain: without stop (a job that goes on cannot be at the end of time)")
	case s.Path == "" && jm.config.Checkpoints.Savepoints == "":
		return nil, api.Errorf(api.KindInvalid, "path: empty").WithHint("say where the savepoint is to be made, or set savepoint.dir")
	}
	if s.Path != "" {
		if err := absolute("path", s.Path); err != nil {
			return nil, err
		}
	}
	if err := jm.mayTake(j); err != nil {
		return nil, err
	}
	if s.Path != "" {
		if err := jm.vacant(ctx, s.Path); err != nil {
			return nil, err
		}
	}
	taken, err := jm.take(ctx, j, ckRequest{kind: checkpoint.Savepoint, path: s.Path, stop: s.Stop, drain: s.Drain})
	if err != nil {
		return nil, jm.withRemains(ctx, err, jm.savepointPath(j.id, taken, s.Path))
	}
	changed := make(chan struct{}, 1)
	j.watchFor(changed)
	defer j.watchNoMore(changed)
	for {
		if made := j.savepoint(taken); made != nil && made.Sealed {
			return made, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("seal savepoint %d of job %s: %w", taken, j.id, ctx.Err())
		}
	}
}

// savepointPath is where a savepoint is made: where its user wants it, or else below savepoint.dir.
func (jm *JobManager) savepointPath(job graph.JobID, id checkpoint.ID, path string) string {
	return cmp.Or(path, blob.Join(jm.config.Checkpoints.Savepoints, string(job)+"-"+fmt.Sprint(id)))
}

// withRemains adds to why a savepoint was not completed how to remove what is there of it.
func (jm *JobManager) withRemains(ctx context.Context, err error, path string) error {
	var e *api.Error
	if !errors.As(err, &e) || e.Hint != "" || jm.vacant(ctx, path) == nil {
		return err
	}
	return e.WithHint("delete what is there of it: wasmill savepoint dispose %s --incomplete", path)
}

// vacant sees whether a savepoint can be made at a place, before the job is asked for one. It makes nothing itself: the job may
// refuse.
func (jm *JobManager) vacant(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if jm.config.StoreThere != nil {
		switch err := jm.config.StoreThere(path); {
		case errors.Is(err, fs.ErrNotExist):
			if err := jm.config.StoreFits(path); err != nil {
				return placeError("path: "+path, err)
			}
			return nil
		case err != nil:
			return placeError("path: "+path, err)
		}
	}
	store, err := jm.config.OpenStore(ctx, path)
	if err != nil {
		return placeError("path", err)
	}
	defer store.Close()
	taken := ""
	if err := store.List(ctx, "", func(i blob.Info) bool {
		taken = i.Name
		return false
	}); err != nil {
		return placeError("path", err)
	}
	if taken != "" {
		return api.Errorf(api.KindConflict, "path: %s is not empty: there is %s", path, taken).WithHint("give each savepoint a directory of its own")
	}
	return nil
}

// absolute refuses a place that would depend on the JobManager's working directory.
func absolute(field, place string) error {
	if strings.Contains(place, "://") || filepath.IsAbs(place) {
		return nil
	}
	return api.Errorf(api.KindInvalid, "%s: %s is relative (expected an absolute path on the JobManager's machine, or a URL)", field, place).
		WithHint("over REST give the path from the root on; `wasmill` makes it of one that is typed")
}

// placeError is the answer to who has named a place for a savepoint that cannot be used.
func placeError(field string, err error) error {
	if errors.Is(err, blob.ErrUnavailable) {
		return api.Errorf(api.KindUnavailable, "%s: %s", field, err)
	}
	return api.Errorf(api.KindInvalid, "%s: %s", field, err)
}

func (j *jobMaster) savepoint(id checkpoint.ID) *api.Savepoint {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.record.Savepoints {
		if s.Checkpoint == id {
			made := s.show(j.id)
			return &made
		}
	}
	return nil
}

func (s *savepoint) show(id graph.JobID) api.Savepoint {
	return api.Savepoint{Path: s.Path, Job: id, Checkpoint: s.Checkpoint, Time: s.Time, Size: s.Size, Stopped: s.Stopped, Sealed: s.Sealed}
}

// JobSavepoints lists the savepoints that a job has made, the newest first. The user may have deleted them since.
func (jm *JobManager) JobSavepoints(_ context.Context, id graph.JobID) ([]api.Savepoint, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []api.Savepoint
	for i := range j.record.Savepoints {
		all = append(all, j.record.Savepoints[len(j.record.Savepoints)-1-i].show(j.id))
	}
	return all, nil
}

// copySavepoint copies a checkpoint's files and its manifest, or leaves nothing.
func (j *jobMaster) copySavepoint(ctx context.Context, m *checkpoint.Manifest, s *savepoint) (err error) {
	from, err := j.openStore(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := j.jm.config.OpenStore(ctx, s.Path)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Path, err)
	}
	defer to.Close()
	var copied []string
	defer func() {
		if err != nil {
			removeCopy(context.WithoutCancel(ctx), to, copied) // what stays is no savepoint: it has no seal
		}
	}()
	for _, f := range m.AllFiles() {
		err := copyObject(ctx, to, from, f.Name, f.Name)
		if !errors.Is(err, blob.ErrExists) { // that is another savepoint's
			copied = append(copied, f.Name)
		}
		if err != nil {
			return fmt.Errorf("copy to savepoint %s: %w", s.Path, err)
		}
	}
	data, _, err := m.Encode()
	if err != nil {
		return err
	}
	if err := to.Put(ctx, checkpoint.SavepointManifest, bytes.NewReader(data), int64(len(data))); err != nil {
		return fmt.Errorf("write the manifest of savepoint %s: %w", s.Path, err)
	}
	failpoint.Hit(failpoint.Savepoint)
	return nil
}

// removeCopy removes what was copied of a savepoint, and the place that was made for it, unless another one is there.
func removeCopy(ctx context.Context, to blob.Store, copied []string) {
	if to.Delete(ctx, copied...) != nil {
		return
	}
	if left, err := namesIn(ctx, to); err == nil && len(left) == 0 {
		_ = blob.Sweep(ctx, to)
	}
}

func copyObject(ctx context.Context, to, from blob.Store, name, as string) error {
	o, err := from.Open(ctx, name)
	if err != nil {
		return err
	}
	defer o.Close()
	return to.Put(ctx, as, io.NewSectionReader(o, 0, o.Size()), o.Size())
}

// seal puts the seals that savepoints still lack, until all are there. It is the last thing that a savepoint needs, and
// nothing but its place can hinder it.
func (c *checkpoints) seal() {
	j := c.job
	if c.sealing || len(j.unsealed()) == 0 {
		return
	}
	c.sealing = true
	j.later(func(ctx context.Context) event {
		var tries failures
		for wait := commitRetry; ; wait = min(2*wait, commitRetryMax) {
			var done []checkpoint.ID
			told := tries.tell() // if it fails
			for _, s := range j.unsealed() {
				if err := j.sealSavepoint(ctx, &s); err != nil {
					if told {
						j.log.Warn("seal savepoint", "tries", tries, "path", s.Path, "checkpoint", s.Checkpoint, "err", err)
					}
					continue
				}
				done = append(done, s.Checkpoint)
			}
			if len(done) > 0 {
				return evSealed{done}
			}
			if !pause(ctx, wait) || j.hasEnded() { // then it is tidied up
				return nil
			}
		}
	})
}

// sealed stores that savepoints have their seals.
func (j *jobMaster) sealed(done []checkpoint.ID) bool {
	if e := j.storeOr(nil, func(r *jobRecord) {
		r.Savepoints = slices.Clone(r.Savepoints)
		for i := range r.Savepoints {
			s := &r.Savepoints[i]
			s.Sealed = s.Sealed || slices.Contains(done, s.Checkpoint)
		}
	}); e != nil {
		j.log.Warn("store that savepoints are sealed", "err", e.(evStoreFailed).failure.Message)
		return false
	}
	return true
}

func (j *jobMaster) unsealed() (all []savepoint) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.record.Savepoints {
		if !s.Sealed {
			all = append(all, s)
		}
	}
	return all
}

func (j *jobMaster) sealSavepoint(ctx context.Context, s *savepoint) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	store, err := j.jm.config.OpenStore(ctx, s.Path)
	if err != nil {
		return err
	}
	defer store.Close()
	return putSeal(ctx, store, &checkpoint.Seal{Job: j.id, Checkpoint: s.Checkpoint, Sum: s.Sum})
}

func putSeal(ctx context.Context, store blob.Store, s *checkpoint.Seal) error {
	data := s.Encode()
	err := store.Put(ctx, checkpoint.SealName, bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, blob.ErrExists) { // by a JobManager that could not tell any more
		return nil
	}
	return err
}

// sealLast makes a savepoint of what a job that has failed leaves, where it lies: its last checkpoint, and those before it in
// case the last one is damaged. Which of them are damaged is not asked: files can be put back. The output is committed by
// now, or will be.
func (j *jobMaster) sealLast(ctx context.Context) error {
	r := j.stored()
	if len(r.Checkpoints) == 0 {
		return nil
	}
	last := r.Checkpoints[len(r.Checkpoints)-1]
	seal := &checkpoint.Seal{Job: j.id, Checkpoint: last.ID, Sum: last.Sum}
	for _, d := range r.Checkpoints {
		seal.Retained = append(seal.Retained, checkpoint.Sealed{Checkpoint: d.ID, Sum: d.Sum, Output: d.Output})
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	store, err := j.openStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := putSeal(ctx, store, seal); err != nil {
		return err
	}
	j.log.Info("the job can be gone on from its last checkpoint", "checkpoint", last.ID, "from", j.storeURL())
	return nil
}
