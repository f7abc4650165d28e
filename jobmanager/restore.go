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

// noteDamage remembers that checkpoints cannot be read: the one that the last attempt began from, and, if it was a file that
// it had lost, all that name it.
func (j *jobMaster) noteDamage() {
	f := j.fsm.failure
	if j.restored == nil || f == nil || f.Kind != wire.KindState {
		return
	}
	damaged := map[checkpoint.ID]bool{j.restored.Checkpoint: true}
	for _, d := range j.record.Checkpoints {
		if m, err := j.readManifest(d); f.File != "" && err == nil {
			damaged[d.ID] = damaged[d.ID] || slices.ContainsFunc(m.AllFiles(), func(one checkpoint.File) bool { return one.Name == f.File })
		}
	}
	j.storeOr(nil, func(r *jobRecord) {
		r.Checkpoints = slices.Clone(r.Checkpoints)
		for i := range r.Checkpoints {
			r.Checkpoints[i].Damaged = r.Checkpoints[i].Damaged || damaged[r.Checkpoints[i].ID]
		}
	})
}

// choice is what a job goes on from.
type choice struct {
	at      int  // of the checkpoints; -1: none of them
	repeats bool // output that was committed since is seen again
	stuck   bool // with at -1: not from the beginning either
}

// choose finds the newest of the checkpoints that is whole. It goes behind a damaged one only if no output was committed
// since the older one, or if output may be repeated. An error of whole ends the search at the checkpoint that it is about.
func (r *jobRecord) choose(all []decided, whole func(d decided) (bool, error)) (c choice, err error) {
	for i := len(all) - 1; i >= 0 && (!c.repeats || r.Rewind); i-- {
		ok, err := whole(all[i])
		if ok || err != nil {
			c.at = i
			return c, err
		}
		c.repeats = c.repeats || all[i].Output
	}
	c.at = -1
	if !r.began() && (!r.Output && all[0].ID == r.Checkpoints[0].ID || r.Rewind) {
		c.repeats = r.Output
		return c, nil // from the beginning: nothing was committed, or it may be repeated
	}
	c.stuck = true
	return c, nil
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
	var m *checkpoint.Manifest
	c, err := j.record.choose(all, func(d decided) (ok bool, err error) {
		if d.Damaged {
			err = fmt.Errorf("a file that it names: %w", checkpoint.ErrDamaged)
		} else {
			m, err = j.readManifest(d)
		}
		if err == nil || !errors.Is(err, checkpoint.ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
		j.log.Error("checkpoint cannot be restored", "checkpoint", d.ID, "err", err)
		if damage == nil {
			damage = fmt.Errorf("restore checkpoint %d: %s: %w", d.ID, checkpoint.ManifestName(d.ID), err)
		}
		return false, nil
	})
	switch {
	case err != nil:
		return nil, &wire.Failure{Kind: wire.KindIO, Message: fmt.Sprintf("restore checkpoint %d: %v", all[c.at].ID, err)}
	case c.stuck:
		return nil, j.stuckBehind(damage, c.repeats)
	}
	if c.at >= 0 {
		if lost := m.CheckInFlight(&j.record.Graph); lost != nil {
			return nil, &wire.Failure{Kind: wire.KindState, Message: fmt.Sprintf("restore checkpoint %d: %v", m.Checkpoint, lost), Hint: "run the job with the parallelism that it had"}
		}
	}
	if c.repeats {
		j.storeOr(nil, func(r *jobRecord) { r.Broken = true })
	}
	if c.at < 0 {
		return nil, nil
	}
	return checkpoint.NewPlan(m, &j.record.Graph, j.exec), nil
}

// stuckBehind is the failure of a job that may not go back behind what is damaged.
func (j *jobMaster) stuckBehind(damage error, output bool) *wire.Failure {
	f := &wire.Failure{Kind: wire.KindState, Message: damage.Error()}
	if j.fsm.failure != nil && j.fsm.failure.Kind == wire.KindState {
		f.Message, f.File = j.fsm.failure.Message, j.fsm.failure.File
	}
	if j.record.began() && !output {
		f.Message += "; it is a copy of the savepoint that the job began with"
		f.Hint = "run the job from the savepoint again"
		return f
	}
	f.Message += "; output was committed since what is left to go on from"
	f.Hint = "restore the file; or go on from an older savepoint and see some output twice (a job that is run with --allow-rewind does so by itself)"
	return f
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
