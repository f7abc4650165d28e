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
	"github.com/wasmill/wasmill/internal/graph"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
)

// VerifyCheckpoints reads every byte that the retained checkpoints of a job name. It changes nothing: what is damaged may be
// put back from a copy before the job needs it.
func (jm *JobManager) VerifyCheckpoints(ctx context.Context, id graph.JobID) (*api.Verification, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	r := j.record
	j.mu.Unlock()
	switch {
	case r.State == api.JobFinished || r.State == api.JobCanceled:
		return nil, api.Errorf(api.KindConflict, "verify the checkpoints of job %s: it is %s, and they are deleted", j.id, r.State)
	case len(r.Checkpoints) == 0:
		return nil, api.Errorf(api.KindConflict, "verify the checkpoints of job %s: none is completed", j.id)
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
