package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// restore finds what an attempt on these slots goes on from: the newest decided checkpoint that is whole. It may go back
// behind a damaged one only when no output was committed since the older one, or the user allows output to be repeated.
func (j *jobMaster) restore(slots []schedule.Slot) event {
	j.noteDamage()
	plan, err := j.findRestore()
	if err != nil {
		return evUnrestorable{err}
	}
	j.mu.Lock()
	j.restored = plan
	j.mu.Unlock()
	e := evSlots{slots: slots}
	if plan != nil {
		e.finished = plan.Finished
		j.log.Info("restore", "checkpoint", plan.Checkpoint, "inFlight", plan.BytesInFlight())
	}
	return e
}

// noteDamage remembers that the checkpoint that the last attempt began from could not be read.
func (j *jobMaster) noteDamage() {
	if j.restored == nil || j.fsm.failure == nil || j.fsm.failure.Kind != wire.KindState {
		return
	}
	id := j.restored.Checkpoint
	j.storeOr(nil, func(r *jobRecord) {
		r.Checkpoints = slices.Clone(r.Checkpoints)
		for i := range r.Checkpoints {
			r.Checkpoints[i].Damaged = r.Checkpoints[i].Damaged || r.Checkpoints[i].ID == id
		}
	})
}

// findRestore returns nil without an error for a job that begins at the beginning.
func (j *jobMaster) findRestore() (*checkpoint.Plan, *wire.Failure) {
	all := j.record.Checkpoints
	if len(all) == 0 || !j.jm.takesCheckpoints() {
		return nil, nil
	}
	if failpoint.Planted(failpoint.RestoreOldest) {
		all = all[:1]
	}
	var damage error
	output := false // a newer checkpoint has committed some
	for i := len(all) - 1; i >= 0; i-- {
		d := all[i]
		if output && !j.record.Rewind {
			break
		}
		var err error
		var m *checkpoint.Manifest
		if d.Damaged {
			err = fmt.Errorf("a file of it: %w", checkpoint.ErrDamaged)
		} else {
			m, err = j.readManifest(d)
		}
		if err == nil {
			if lost := m.CheckInFlight(&j.record.Graph); lost != nil {
				return nil, &wire.Failure{Kind: wire.KindState, Message: fmt.Sprintf("restore checkpoint %d: %v", d.ID, lost), Hint: "run the job with the parallelism that it had"}
			}
		}
		switch {
		case err == nil:
			if output {
				j.storeOr(nil, func(r *jobRecord) { r.Broken = true })
			}
			return checkpoint.NewPlan(m, &j.record.Graph, j.exec), nil
		case !errors.Is(err, checkpoint.ErrDamaged) && !errors.Is(err, fs.ErrNotExist):
			return nil, &wire.Failure{Kind: wire.KindIO, Message: fmt.Sprintf("restore checkpoint %d: %v", d.ID, err)}
		}
		j.log.Error("checkpoint cannot be restored", "checkpoint", d.ID, "err", err)
		if damage == nil {
			damage = fmt.Errorf("restore checkpoint %d: %w", d.ID, err)
		}
		output = output || d.Output
	}
	if !j.record.Began && (!j.record.Output && all[0].ID == j.record.Checkpoints[0].ID || j.record.Rewind) {
		if j.record.Output {
			j.storeOr(nil, func(r *jobRecord) { r.Broken = true })
		}
		return nil, nil // from the beginning: nothing was committed, or it may be repeated
	}
	f := &wire.Failure{Kind: wire.KindState, Message: damage.Error()}
	if j.fsm.failure != nil && j.fsm.failure.Kind == wire.KindState {
		f.Message, f.File = j.fsm.failure.Message, j.fsm.failure.File
	}
	if j.record.Began && !output {
		f.Message += "; it is a copy of the savepoint that the job began with"
		f.Hint = "run the job from the savepoint again"
		return nil, f
	}
	f.Message += "; output was committed since what is left to go on from"
	f.Hint = "restore the file; or go on from an older savepoint and see some output twice (a job that is run with --allow-rewind does so by itself)"
	return nil, f
}

// readManifest reads the manifest of a decided checkpoint.
func (j *jobMaster) readManifest(d decided) (*checkpoint.Manifest, error) {
	ctx, cancel := context.WithTimeout(j.jm.ctx, commitTimeout)
	defer cancel()
	store, err := j.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	data, err := blob.Read(ctx, store, checkpoint.ManifestName(d.ID))
	if err != nil {
		return nil, err
	}
	sum := d.Sum
	if failpoint.Planted(failpoint.TrustDamaged) {
		sum = checkpoint.Sum(data)
	}
	return checkpoint.Decode(data, sum)
}
