package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// restore finds what an attempt on these slots goes on from: the newest decided checkpoint that is whole. It may go back
// behind a damaged one only when no output was committed since the older one, or the user allows output to be repeated.
func (j *jobMaster) restore(slots []schedule.Slot) event {
	if j.record.Graph.Batch {
		return evSlots{slots: slots, processes: j.jm.resources.processes()}
	}
	plan, err := j.findRestore(j.noteDamage())
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
// it had lost, all that name it. It answers those that this attempt has shown to be so.
func (j *jobMaster) noteDamage() (found map[checkpoint.ID]bool) {
	f := j.fsm.failure
	if j.restored == nil || f == nil || f.Kind != wire.KindState {
		return nil
	}
	found = map[checkpoint.ID]bool{j.restored.Checkpoint: true}
	for _, d := range j.record.Checkpoints {
		if m, err := j.readManifest(d); f.File != "" && err == nil {
			_, names := fileOf(m, f.File)
			found[d.ID] = found[d.ID] || names
		}
	}
	j.note(func(d *decided) {
		if found[d.ID] {
			d.Damaged, d.Lost = true, f.File
		}
	})
	return found
}

// note changes what is remembered of the checkpoints.
func (j *jobMaster) note(change func(d *decided)) {
	j.storeOr(nil, func(r *jobRecord) {
		r.Checkpoints = slices.Clone(r.Checkpoints)
		for i := range r.Checkpoints {
			change(&r.Checkpoints[i])
		}
	})
}

func fileOf(m *checkpoint.Manifest, name string) (f checkpoint.File, names bool) {
	all := m.AllFiles()
	i := slices.IndexFunc(all, func(f checkpoint.File) bool { return f.Name == name })
	if i < 0 {
		return f, false
	}
	return all[i], true
}

// putBack says whether the file for which a checkpoint was damaged is what it was: somebody may have put it back. The
// manifest is the checkpoint's.
func (j *jobMaster) putBack(d decided, m *checkpoint.Manifest) (bool, error) {
	f, names := fileOf(m, d.Lost)
	if !names {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(j.jm.ctx, lookTimeout)
	defer cancel()
	store, err := j.openStore(ctx)
	if err != nil {
		return false, err
	}
	defer store.Close()
	fault, err := savepointfiles.VerifyFile(ctx, store, &f)
	if fault != nil || err != nil {
		return false, err
	}
	j.log.Info("a file that was damaged is whole again", "checkpoint", d.ID, "file", d.Lost)
	j.note(func(one *decided) {
		if one.Lost == d.Lost {
			one.Damaged, one.Lost = false, ""
		}
	})
	return true, nil
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

// lookTimeout is how long it may take to see whether a file that was damaged is whole again.
const lookTimeout = 5 * time.Minute

// findRestore returns nil without an error for a job that begins at the beginning. Checkpoints that were just found to be
// damaged are not looked at again.
func (j *jobMaster) findRestore(found map[checkpoint.ID]bool) (*checkpoint.Plan, *wire.Failure) {
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
		m, err = j.readManifest(d)
		if err == nil && d.Damaged {
			if ok = !found[d.ID]; ok {
				ok, err = j.putBack(d, m)
			}
			if !ok && err == nil {
				err = fmt.Errorf("a file that it names: %w", checkpoint.ErrDamaged)
			}
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
	f.Hint = fmt.Sprintf("put the file back and run the job --from %s; or run it from there with --allow-rewind: it goes on from the newest checkpoint that is whole, and some output is seen twice", j.storeURL())
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
