package jobmanager

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// How a checkpoint is decided: its manifest first, then the record that makes it one.

// writeManifest holds the parts against the store and stores the manifest; that of a savepoint and its files also where
// its user wants it.
func (c *checkpoints) writeManifest(id checkpoint.ID, ask ckRequest) {
	j := c.job
	m := &checkpoint.Manifest{
		Version: checkpoint.Version, Job: j.id, Checkpoint: id, Kind: ask.kind, Epoch: j.jm.epoch, Attempt: j.fsm.attempt,
		Time: c.begun, Graph: j.record.Graph,
	}
	var prepared []connector.Committable
	for _, task := range j.exec.Tasks() {
		part := c.parts[task]
		if part == nil {
			part = &checkpoint.Task{Task: task, Finished: true} // a task of a TaskManager that keeps nothing
		}
		one := *part
		t := j.fsm.tasks[task]
		if part.Finished {
			if !failpoint.Planted(failpoint.ForgetFinished) {
				prepared = append(prepared, t.prepared...)
			}
		} else {
			prepared = append(prepared, part.Prepared...)
		}
		one.Prepared = nil
		m.Tasks = append(m.Tasks, one)
	}
	begin := map[string]checkpoint.SourceSplits{}
	j.mu.Lock()
	for op, q := range j.splits {
		begin[j.record.Graph.Operators[op].UID] = q.begin
	}
	j.mu.Unlock()
	m.Sources, m.Skipped = checkpoint.MergeSources(begin, m.Tasks), checkpoint.AddSkipped(j.restored, m.Tasks)
	m.Counts = checkpoint.AddCounts(j.restored, m.Tasks)
	e := evManifest{skipped: m.Skipped, counts: m.Counts, attempt: j.fsm.attempt, stop: ask.stop, exchange: ask.exchange, decided: decided{ID: id, Attempt: j.fsm.attempt, Time: c.begun, Prepared: prepared, Output: len(prepared) > 0}}
	if failpoint.Planted(failpoint.CommitBeforeDecide) {
		if tms := j.jm.resources.live(); len(tms) > 0 {
			m := &wire.Commit{Header: j.header(), Graph: j.record.Graph, Checkpoint: uint64(id), Prepared: prepared}
			_ = call(tms[0], commitTimeout, func(ctx context.Context) error { return tms[0].client.Commit(ctx, m) })
		}
	}
	url := j.storeURL()
	ctx, stop := context.WithCancel(j.jm.ctx)
	c.stopStoring = stop
	j.writing.Add(1)
	j.later(func(context.Context) event {
		defer j.writing.Done()
		defer stop()
		if e.err = j.jm.storeManifest(ctx, url, m, &e.decided); e.err == nil && ask.kind == checkpoint.Savepoint {
			e.savepoint = &savepoint{Path: j.jm.savepointPath(j.id, id, ask.path), Checkpoint: id, Stopped: ask.stop}
			e.err = j.copySavepoint(ctx, m, e.savepoint)
		}
		return e
	})
}

// storeManifest looks at every file of a manifest before it stores it.
func (jm *JobManager) storeManifest(ctx context.Context, url string, m *checkpoint.Manifest, d *decided) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	store, err := jm.config.OpenStore(ctx, url)
	if err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	defer store.Close()
	if d.Size, err = lookAt(ctx, store, m.AllFiles()); err != nil {
		return err
	}
	for _, t := range m.Tasks {
		if !t.Finished { // what is left of those that had is of another checkpoint
			d.Unaligned = d.Unaligned || t.Unaligned
			d.InFlight += t.Figures.InFlight
		}
	}
	data, sum, err := m.Encode()
	if err != nil {
		return err
	}
	d.Sum, d.Versions = sum, checkpoint.Oldest(&m.Graph, m.Tasks)
	return store.Put(ctx, checkpoint.ManifestName(m.Checkpoint), bytes.NewReader(data), int64(len(data)))
}

// looksAtOnce is how many files of a manifest are looked at at once: each look may be a request.
const looksAtOnce = 16

// lookAt sees whether files are there, in the size that they should have, and returns how much that is.
func lookAt(ctx context.Context, store blob.Store, files []checkpoint.File) (size int64, err error) {
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(looksAtOnce)
	for _, f := range files {
		size += f.Size
		looks.Go(func() error {
			o, err := store.Open(ctx, f.Name)
			if err != nil {
				return fmt.Errorf("look at %s: %w", f.Name, err)
			}
			defer o.Close()
			if o.Size() != f.Size {
				return fmt.Errorf("look at %s: %d bytes (expected %d)", f.Name, o.Size(), f.Size)
			}
			return nil
		})
	}
	return size, looks.Wait()
}

// versionsOf is what each of the checkpoints says of older elements.
func versionsOf(all []decided) (older []checkpoint.Versions) {
	for i := range all {
		older = append(older, all[i].Versions)
	}
	return older
}

// decide stores the decision.
func (c *checkpoints) decide(e evManifest) {
	j := c.job
	if c.fsm == nil || e.attempt != c.fsm.attempt || c.fsm.phase != ckDeciding || c.fsm.id != e.decided.ID {
		c.withdraw(e) // the attempt is over: nobody decides for it
		return
	}
	if e.err != nil {
		c.step(ckRefused{e.err.Error()})
		return
	}
	e.decided.Duration = j.jm.config.Now().Sub(e.decided.Time)
	keep := j.jm.config.Checkpoints.Retained
	next := c.modules(e.exchange)
	if failed := j.storeOr(nil, func(r *jobRecord) {
		all := append(append([]decided(nil), r.Checkpoints...), e.decided)
		for len(all) > keep && all[0].ID <= r.Committed {
			all = all[1:]
		}
		r.Checkpoints, r.Stopped, r.Skipped, r.Counts = all, e.stop, e.skipped, e.counts
		r.prove()
		if next != nil && !failpoint.Planted(failpoint.ForgetExchange) {
			before := r.Graph
			r.begin(j.change(api.ChangeUpgrade, &before, next))
			r.Graph, r.Previous, r.PreviousParallelism = *next, &before, r.Parallelism
			r.Generation++
		}
		r.Graph = checkpoint.Raise(r.Graph, versionsOf(all))
		if e.savepoint != nil {
			e.savepoint.Sum, e.savepoint.Time, e.savepoint.Size = e.decided.Sum, e.decided.Time, e.decided.Size
			r.Savepoints = append(slices.Clone(r.Savepoints), *e.savepoint)
		}
		if e.decided.Output {
			r.Output = true
			r.Written = addOutput(r.Written, outputOf(&r.Graph, e.decided.Prepared, func(int) int64 { return 0 }))
		}
	}); failed != nil {
		c.step(ckRefused{failed.(evStoreFailed).failure.Message})
		return
	}
	failpoint.Hit(failpoint.DecisionLogged)
	j.proven()
	if next != nil {
		c.exchanging.decided = e.decided.ID
		if all := j.record.Changes; len(all) > 0 { // a planted bug leaves it out
			j.noteChange(whatChanged(all[0]))
		}
		j.take(evExchanged{})
	}
	c.held = map[string]bool{}
	for _, p := range e.decided.Prepared {
		c.held[outputKey(p)] = true
	}
	for _, t := range j.fsm.tasks { // what is the checkpoint's now is not the end's
		t.prepared = slices.DeleteFunc(t.prepared, func(p connector.Committable) bool { return c.held[outputKey(p)] })
	}
	j.showGivenUp(nil)
	j.log.Info("checkpoint completed", "checkpoint", e.decided.ID, "duration", e.decided.Duration, "bytes", e.decided.Size, "output", len(e.decided.Prepared),
		"unaligned", e.decided.Unaligned, "inFlight", e.decided.InFlight)
	c.commit()
	c.seal()
	c.step(ckStored{e.decided.ID})
	if e.stop {
		j.take(evStopped{})
		return
	}
	c.conclude(&wire.Conclude{Header: j.header(), Completed: e.decided.ID})
	c.collect()
}
