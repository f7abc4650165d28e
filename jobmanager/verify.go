package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
)

// VerifyCheckpoints reads every byte that the retained checkpoints of a job name. It changes nothing: what is damaged may be
// put back from a copy before the job needs it.
func (jm *JobManager) VerifyCheckpoints(ctx context.Context, id graph.JobID) (*api.Verification, error) {
	j, r, err := jm.retaining(id, "verify the checkpoints")
	if err != nil {
		return nil, err
	}
	store, err := j.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	s := scrub{job: j, store: store, files: map[string]*checkpoint.Fault{}}
	v := &api.Verification{Job: j.id}
	whole := map[checkpoint.ID]bool{}
	for _, d := range slices.Backward(r.Checkpoints) {
		faults, err := s.checkpoint(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("verify checkpoint %d of job %s: %w", d.ID, j.id, err)
		}
		if j.collected(d.ID) {
			continue // it was let go of meanwhile, and its files with it
		}
		whole[d.ID] = len(faults) == 0 && (!d.Damaged || d.Lost != "") // a restart looks at that file again
		v.Checkpoints = append(v.Checkpoints, api.VerifiedCheckpoint{ID: d.ID, Faults: faults})
	}
	v.Files, v.Size = len(s.files), s.size
	c, _ := r.choose(r.Checkpoints, func(d decided) (bool, error) { return whole[d.ID], nil })
	v.Restart = api.Restart{Fails: c.stuck, Repeats: c.repeats && !c.stuck}
	if c.at >= 0 {
		v.Restart.From = r.Checkpoints[c.at].ID
	}
	return v, nil
}

// retaining finds a job that has checkpoints, as it is now. what is to be done with them stands in the error.
func (jm *JobManager) retaining(id graph.JobID, what string) (*jobMaster, jobRecord, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, jobRecord{}, err
	}
	j.mu.Lock()
	r := j.record
	j.mu.Unlock()
	switch {
	case r.State == api.JobFinished || r.State == api.JobCanceled:
		err = api.Errorf(api.KindConflict, "%s of job %s: it is %s, and they are deleted", what, j.id, r.State)
	case len(r.Checkpoints) == 0:
		err = api.Errorf(api.KindConflict, "%s of job %s: none is completed", what, j.id)
	}
	return j, r, err
}

// InspectCheckpoint reads a retained checkpoint of a job from end to end, the newest one if n is 0, and says what is in it,
// with so many entries of each state.
func (jm *JobManager) InspectCheckpoint(ctx context.Context, id graph.JobID, n checkpoint.ID, sample int) (*savepointfiles.Report, error) {
	j, r, err := jm.retaining(id, "look into the checkpoints")
	if err != nil {
		return nil, err
	}
	d := r.Checkpoints[len(r.Checkpoints)-1]
	if n != 0 {
		i := slices.IndexFunc(r.Checkpoints, func(d decided) bool { return d.ID == n })
		if i < 0 {
			return nil, api.Errorf(api.KindNotFound, "job %s: checkpoint %d is not retained", j.id, n).WithHint("`wasmill checkpoints %s` lists those that are", j.id)
		}
		d = r.Checkpoints[i]
	}
	report, err := j.inspect(ctx, d, sample)
	switch {
	case err == nil || ctx.Err() != nil:
		return report, err
	case j.collected(d.ID):
		return nil, api.Errorf(api.KindNotFound, "job %s: checkpoint %d was let go of meanwhile", j.id, d.ID)
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged):
		return nil, api.Errorf(api.KindConflict, "look into checkpoint %d of job %s: %s", d.ID, j.id, err).WithHint("`wasmill checkpoint verify %s` names all that is damaged, and what follows", j.id)
	}
	return nil, fmt.Errorf("look into checkpoint %d of job %s: %w", d.ID, j.id, err)
}

func (j *jobMaster) inspect(ctx context.Context, d decided, sample int) (*savepointfiles.Report, error) {
	m, err := j.readManifest(d)
	if err != nil {
		return nil, err
	}
	store, err := j.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return savepointfiles.InspectManifest(ctx, store, m, sample)
}

// collected says whether a checkpoint is no longer retained.
func (j *jobMaster) collected(id checkpoint.ID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !slices.ContainsFunc(j.record.Checkpoints, func(d decided) bool { return d.ID == id })
}

// scrub reads the files of checkpoints, each once.
type scrub struct {
	job   *jobMaster
	store blob.Store
	files map[string]*checkpoint.Fault // nil: it is whole
	size  int64
}

// checkpoint reads a manifest and all that it names.
func (s *scrub) checkpoint(ctx context.Context, d decided) ([]checkpoint.Fault, error) {
	faults := []checkpoint.Fault{}
	m, err := s.job.readManifest(d)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) {
		return append(faults, checkpoint.Fault{File: checkpoint.ManifestName(d.ID), Fault: err.Error()}), nil
	} else if err != nil {
		return nil, err
	}
	for _, f := range m.AllFiles() {
		fault, seen := s.files[f.Name]
		if !seen {
			if fault, err = savepointfiles.VerifyFile(ctx, s.store, &f); err != nil {
				return nil, err
			}
			s.files[f.Name] = fault
			s.size += f.Size
		}
		if fault != nil {
			faults = append(faults, *fault)
		}
	}
	return faults, nil
}
