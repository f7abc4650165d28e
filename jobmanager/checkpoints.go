package jobmanager

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// checkpoints carries out what a job's ckFSM asks for. The job's loop owns it.
//
// A checkpoint is decided by the job's record: a manifest that no record names is garbage. Output that was prepared for it
// is committed from then on, one checkpoint after the other, until the record says so.
type checkpoints struct {
	job         *jobMaster
	timer       *time.Timer
	timerNumber int
	fsm         *ckFSM // of the current attempt, nil before the first and without checkpoints
	parts       map[graph.TaskID]*checkpoint.Task
	last        map[graph.TaskID]*checkpoint.Task // of tasks that have finished behind their part of the checkpoint in flight: the next has them
	begun       time.Time
	committing  bool
	held        map[string]bool       // what the last decided checkpoint of the attempt has prepared
	asked       map[int]chan<- answer // who waits for the checkpoint of a request
	requests    int
	sealing     bool
	exchanging  *exchange // of modules, nil: none is under way
	exchanges   uint32    // so far
	numbered    uint64    // checkpoints of this JobManager, for a planted bug
}

// What the loop of a job is told about checkpoints; the job's own state machine never sees it.
type (
	evAcknowledged struct{ m *wire.Acknowledge }
	evUntriggered  struct { // tasks could not be told
		id    checkpoint.ID
		cause string
	}
	evManifest struct { // it is stored, or not
		attempt   graph.Attempt
		stop      bool
		exchange  uint32
		decided   decided
		savepoint *savepoint // nil: it is none
		skipped   map[string]int64
		err       error
	}
	evOutput struct { // the output of checkpoints was committed, as far as that one
		upTo checkpoint.ID
	}
)

// answer says what became of a checkpoint that was asked for.
type answer struct {
	id    checkpoint.ID
	cause string // empty: it is decided
}

// evSealed says that savepoints have their seals.
type evSealed struct{ done []checkpoint.ID }

// evAsk asks for a checkpoint; answer has room.
type evAsk struct {
	ask    ckRequest // without a number
	answer chan<- answer
}

func (evAsk) event()          {}
func (evSealed) event()       {}
func (evAcknowledged) event() {}
func (evUntriggered) event()  {}
func (evManifest) event()     {}
func (evOutput) event()       {}

func newCheckpoints(j *jobMaster) *checkpoints {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &checkpoints{job: j, timer: t, asked: map[int]chan<- answer{}}
}

func (c *checkpoints) close() { c.timer.Stop() }

// on says whether jobs take checkpoints at all.
func (jm *JobManager) takesCheckpoints() bool { return jm.config.OpenStore != nil }

// storeURL is the root of the job's checkpoints.
func (j *jobMaster) storeURL() string { return blob.Join(j.jm.config.Checkpoints.URL, string(j.id)) }

// checkpointsOf is what the tasks of the current attempt are told.
func (j *jobMaster) checkpointsOf() *wire.Checkpoints {
	if !j.jm.takesCheckpoints() {
		return nil
	}
	w := &wire.Checkpoints{Store: j.storeURL(), AlignTimeout: j.jm.config.Checkpoints.AlignmentTimeout}
	if j.restored != nil {
		w.Restored = j.restored.Checkpoint
	}
	return w
}

// withRestore adds to tasks what they go on from.
func (j *jobMaster) withRestore(tasks []wire.TaskDeploy) []wire.TaskDeploy {
	if j.restored == nil {
		return tasks
	}
	out := make([]wire.TaskDeploy, len(tasks))
	for i, t := range tasks {
		r := &wire.TaskRestore{Files: j.restored.Files[t.Task], InFlight: j.restored.InFlight[t.Task]}
		if head := j.head(t.Task.Chain); len(head.Inputs) == 0 {
			r.Watermark = j.restored.Sources[head.UID].Watermark
		}
		t.Restore = r
		out[i] = t
	}
	return out
}

func (j *jobMaster) finishedBefore() (all []graph.TaskID) {
	if j.restored == nil {
		return nil
	}
	for _, id := range j.exec.Tasks() {
		if j.restored.Finished[id] != nil {
			all = append(all, id)
		}
	}
	return all
}

// phase is that of the job's state machine.
func (j *jobMaster) phase() phase {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fsm.phase
}

// take handles an event that is about checkpoints alone.
func (c *checkpoints) take(e event) bool {
	switch e := e.(type) {
	case evAsk:
		c.ask(e)
	case evGraph:
		c.job.changeGraph(e)
	case evExchange:
		c.exchange(e)
	case evPrepared:
		if x := c.exchanging; x != nil && x.number == e.number {
			c.stepExchange(e.prep)
		}
	case evSealed:
		c.sealing = false
		c.job.sealed(e.done)
		c.seal()
	case evAcknowledged:
		c.acknowledged(e.m)
	case evUntriggered:
		c.step(ckDecline{c.job.fsm.attempt, e.id, e.cause})
	case evManifest:
		c.decide(e)
	case evOutput:
		c.committed(e.upTo)
	default:
		return false
	}
	return true
}

// follow tells the checkpoints what has become of the job.
func (c *checkpoints) follow(was phase, e event) {
	j := c.job
	now := j.phase()
	switch {
	case !j.jm.takesCheckpoints():
		return
	case now == deploying && was != deploying:
		c.begin()
	case (now == deploying || now == running) && c.fsm != nil:
		if t, ok := e.(evTask); ok && t.state == wire.TaskFinished {
			if c.fsm.hasPartOf(t.task) {
				c.last[t.task] = t.part
			} else {
				c.parts[t.task] = t.part
			}
			c.step(ckFinished{t.task})
			if c.fsm.phase == ckCollecting && c.fsm.ask.overtakes() {
				c.trigger(c.fsm.id, c.fsm.ask) // again, also at who waits for nobody now
			}
		}
	case c.fsm != nil && (was == deploying || was == running):
		c.stepExchange(exEnded{c.job.whyOver()})
		c.step(ckOver{"the attempt is over"})
	}
	if now == running && was == deploying {
		c.step(ckStart{})
	}
}

// begin makes ready for the checkpoints of a new attempt.
func (c *checkpoints) begin() {
	s := &c.job.jm.config.Checkpoints
	c.fsm = &ckFSM{
		attempt: c.job.fsm.attempt, interval: s.Interval, minPause: s.MinPause, timeout: s.Timeout, tolerated: s.Tolerated,
		running: map[graph.TaskID]bool{}, called: c.job.called,
	}
	c.parts, c.last = map[graph.TaskID]*checkpoint.Task{}, map[graph.TaskID]*checkpoint.Task{}
	c.held = nil
	c.job.showGivenUp(nil)
	for id, t := range c.job.fsm.tasks {
		if t.part != nil {
			c.parts[id] = t.part
			continue
		}
		c.fsm.running[id] = true
	}
	c.commit()
}

// showGivenUp has people see what became of the attempt's last checkpoint.
func (j *jobMaster) showGivenUp(g *api.GivenUp) {
	j.mu.Lock()
	j.givenUp = g
	j.mu.Unlock()
	j.changed()
}

// called names a task with what it does, and where.
func (j *jobMaster) called(id graph.TaskID) string {
	on := "a TaskManager that is lost"
	if tm := j.jm.resources.find(j.fsm.tasks[id].slot.TaskManager); tm != nil {
		on = tm.info.Name
	}
	return fmt.Sprintf("task %s (%s) on %s", id, j.exec.ChainName(&j.record.Graph, id.Chain), on)
}

// step feeds an event to the state machine and carries out what it asks for.
func (c *checkpoints) step(e ckEvent) {
	for events := []ckEvent{e}; len(events) > 0 && c.fsm != nil; events = events[1:] {
		for _, a := range c.fsm.step(events[0]) {
			if more := c.act(a); more != nil {
				events = append(events, more)
			}
		}
	}
}

func (c *checkpoints) act(a ckAction) ckEvent {
	j := c.job
	switch a := a.(type) {
	case ckDoTimer:
		c.timerNumber = a.number
		c.timer.Reset(a.after)
	case ckDoNumber:
		n, err := j.jm.config.Meta.Next(checkpointKey + string(j.id))
		if err != nil {
			return ckRefused{fmt.Sprintf("take a checkpoint id: %s", err)}
		}
		if failpoint.Planted(failpoint.ReuseID) {
			c.numbered++
			n = c.numbered
		}
		failpoint.Hit(failpoint.TriggerLogged)
		return ckNumbered{checkpoint.ID(n)}
	case ckDoTrigger:
		c.begun = j.jm.config.Now()
		maps.Copy(c.parts, c.last)
		clear(c.last)
		j.log.Debug("checkpoint begins", "checkpoint", a.id)
		if a.ask.exchange != 0 {
			c.stepExchange(exTriggered{})
		}
		c.trigger(a.id, a.ask)
	case ckDoDecide:
		c.writeManifest(a.id, a.ask)
	case ckDoAbort:
		j.log.Warn("checkpoint given up", "checkpoint", a.id, "cause", a.cause)
		j.showGivenUp(&api.GivenUp{Checkpoint: a.id, Cause: a.cause})
		c.conclude(&wire.Conclude{Header: j.header(), Aborted: a.id})
	case ckDoAnswer:
		if x := c.exchanging; x != nil && x.request == a.request {
			c.stepExchange(exConcluded{a.cause})
		} else if to := c.asked[a.request]; to != nil {
			to <- answer{a.id, a.cause}
			delete(c.asked, a.request)
		}
	case ckDoFail:
		j.take(evCheckpoints{&wire.Failure{Kind: wire.KindIO, Message: a.cause}})
	}
	return nil
}

// base is the last decided checkpoint.
func (j *jobMaster) base() checkpoint.ID {
	if n := len(j.record.Checkpoints); n > 0 {
		return j.record.Checkpoints[n-1].ID
	}
	return 0
}

// trigger tells the tasks that nobody brings the barrier.
func (c *checkpoints) trigger(id checkpoint.ID, ask ckRequest) {
	j := c.job
	byTM := map[wire.TaskManagerID][]graph.TaskID{}
	for task, t := range j.fsm.tasks {
		if t.gone {
			continue
		}
		source := len(j.exec.Chains[task.Chain].Inputs) == 0
		if source || ask.overtakes() && j.waitsForNobody(task) {
			byTM[t.slot.TaskManager] = append(byTM[t.slot.TaskManager], task)
		}
	}
	for tmID, tasks := range byTM {
		m := &wire.Trigger{Header: j.header(), Checkpoint: id, Base: j.base(), Tasks: tasks, Stop: ask.stop, Drain: ask.drain, Exchange: ask.exchange}
		if how := &j.jm.config.Checkpoints; ask.overtakes() {
			m.Unaligned, m.MayOvertake = how.Unaligned, !how.Unaligned && how.AlignmentTimeout > 0
		}
		tm := j.jm.resources.holding(tmID, j.id)
		j.later(func(context.Context) event {
			if tm == nil {
				return nil // it is lost, and the attempt with it
			}
			err := insist(tm, cancelTimeout, func(ctx context.Context) error { return tm.client.Trigger(ctx, m) })
			if err == nil {
				return nil
			}
			return evUntriggered{id, fmt.Sprintf("trigger it on TaskManager %s: %s", tm.info.Name, err)}
		})
	}
}

// waitsForNobody says whether all that send to a task have finished: what they have sent may be far from processed.
func (j *jobMaster) waitsForNobody(task graph.TaskID) bool {
	for _, i := range j.exec.Chains[task.Chain].Inputs {
		e := j.exec.Edges[i]
		for sender := range j.exec.Chains[e.From].Parallelism {
			if e.Partition == graph.Forward && sender != task.Subtask {
				continue
			}
			if t := j.fsm.tasks[graph.TaskID{Chain: e.From, Subtask: sender}]; t == nil || t.state != wire.TaskFinished {
				return false
			}
		}
	}
	return true
}

// conclude tells every TaskManager of the attempt, once: what is lost on the way comes with the next barrier.
func (c *checkpoints) conclude(m *wire.Conclude) {
	j := c.job
	told := map[wire.TaskManagerID]bool{}
	for _, t := range j.fsm.tasks {
		if id := t.slot.TaskManager; !told[id] {
			told[id] = true
			if tm := j.jm.resources.holding(id, j.id); tm != nil {
				j.later(func(context.Context) event {
					_ = call(tm, cancelTimeout, func(ctx context.Context) error { return tm.client.Conclude(ctx, m) })
					return nil
				})
			}
		}
	}
}

func (c *checkpoints) acknowledged(m *wire.Acknowledge) {
	if c.fsm == nil || m.Attempt != c.fsm.attempt && !failpoint.Planted(failpoint.NoFencing) {
		return
	}
	if m.Declined != nil {
		c.step(ckDecline{m.Attempt, m.Checkpoint, fmt.Sprintf("task %s: %s", m.Task, m.Declined.Message)})
		return
	}
	if c.fsm.phase != ckCollecting || c.fsm.id != m.Checkpoint || !c.fsm.running[m.Task] {
		return
	}
	c.parts[m.Task] = m.Part
	failpoint.Hit(failpoint.Acked)
	c.step(ckAck{m.Attempt, m.Checkpoint, m.Task})
}

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
	e := evManifest{skipped: m.Skipped, attempt: j.fsm.attempt, stop: ask.stop, exchange: ask.exchange, decided: decided{ID: id, Attempt: j.fsm.attempt, Time: c.begun, Prepared: prepared, Output: len(prepared) > 0}}
	if failpoint.Planted(failpoint.CommitBeforeDecide) {
		if tms := j.jm.resources.live(); len(tms) > 0 {
			m := &wire.Commit{Header: j.header(), Graph: j.record.Graph, Checkpoint: uint64(id), Prepared: prepared}
			_ = call(tms[0], commitTimeout, func(ctx context.Context) error { return tms[0].client.Commit(ctx, m) })
		}
	}
	url := j.storeURL()
	j.writing.Add(1)
	j.later(func(ctx context.Context) event {
		defer j.writing.Done()
		if e.err = j.jm.storeManifest(ctx, url, m, &e.decided); e.err == nil && ask.kind == checkpoint.Savepoint {
			e.savepoint = &savepoint{Path: cmp.Or(ask.path, blob.Join(j.jm.config.Checkpoints.Savepoints, string(j.id)+"-"+fmt.Sprint(id))), Checkpoint: id, Stopped: ask.stop}
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
	d.Sum = sum
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

// decide stores the decision.
func (c *checkpoints) decide(e evManifest) {
	j := c.job
	if c.fsm == nil || e.attempt != c.fsm.attempt || c.fsm.phase != ckDeciding || c.fsm.id != e.decided.ID {
		return // the attempt is over: nobody decides for it
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
		r.Checkpoints, r.Stopped, r.Previous, r.Skipped = all, e.stop, nil, e.skipped
		if next != nil && !failpoint.Planted(failpoint.ForgetExchange) {
			before := r.Graph
			r.Graph, r.Previous = *next, &before
		}
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

// commit has the output of decided checkpoints committed, until nothing is left of it.
func (c *checkpoints) commit() {
	j := c.job
	if c.committing || len(j.uncommitted()) == 0 {
		return
	}
	c.committing = true
	turn := j.commits
	j.commits++
	j.later(func(ctx context.Context) event {
		for wait := commitRetry; ; wait = min(2*wait, commitRetryMax) {
			if tms := j.jm.resources.live(); len(tms) > 0 {
				before := j.uncommitted()
				err := j.commitDecided(tms[turn%len(tms)])
				turn++
				if err == nil && len(before) > 0 {
					return evOutput{before[len(before)-1].ID}
				}
				if err == nil {
					return evOutput{}
				}
				j.log.Warn("commit the output of checkpoints", "err", err)
			}
			if !pause(ctx, wait) || j.hasEnded() {
				return nil
			}
		}
	})
}

// uncommitted are the decided checkpoints whose output is not known to be committed.
func (j *jobMaster) uncommitted() (all []decided) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, d := range j.record.Checkpoints {
		if d.ID > j.record.Committed {
			all = append(all, d)
		}
	}
	return all
}

// commitDecided commits the output of decided checkpoints, in their order. It may do so again, or beside another call.
func (j *jobMaster) commitDecided(tm *taskManager) error {
	j.mu.Lock()
	g, attempt := j.record.Graph, j.fsm.attempt
	j.mu.Unlock()
	for _, d := range j.uncommitted() {
		if len(d.Prepared) == 0 || d.Attempt < attempt && failpoint.Planted(failpoint.NoRecommit) {
			continue
		}
		m := wire.Commit{
			Header: wire.Header{Epoch: j.jm.epoch, Job: j.id, Attempt: d.Attempt, Request: j.jm.nextRequest()}, Graph: g,
			Checkpoint: uint64(d.ID), Prepared: d.Prepared,
		}
		if err := commitThrough(tm, m); err != nil {
			return fmt.Errorf("commit checkpoint %d through TaskManager %s: %w", d.ID, tm.info.Name, err)
		}
	}
	return nil
}

// committed stores that output is committed.
func (c *checkpoints) committed(upTo checkpoint.ID) {
	c.committing = false
	j := c.job
	if upTo != 0 && !j.hasEnded() {
		if failed := j.storeOr(nil, func(r *jobRecord) {
			r.Committed = max(r.Committed, upTo)
			r.Checkpoints = append([]decided(nil), r.Checkpoints...)
			for i := range r.Checkpoints {
				if r.Checkpoints[i].ID <= r.Committed {
					r.Checkpoints[i].Prepared = nil
				}
			}
		}); failed != nil {
			j.log.Warn("store that output is committed", "err", failed.(evStoreFailed).failure.Message)
		}
	}
	c.commit()
}

// undecided leaves out of what a finished task has prepared what the last decided checkpoint holds: the task may not have
// heard of that one. Of those before it has: their number came with the barrier.
func (c *checkpoints) undecided(e event) event {
	t, ok := e.(evTask)
	if !ok || len(c.held) == 0 || len(t.prepared) == 0 {
		return e
	}
	var left []connector.Committable
	for _, p := range t.prepared {
		if !c.held[outputKey(p)] {
			left = append(left, p)
		}
	}
	t.prepared = left
	return t
}

func outputKey(p connector.Committable) string { return p.Operator + "\x00" + string(p.Data) }

// openStore opens the job's checkpoints.
func (j *jobMaster) openStore(ctx context.Context) (blob.Store, error) {
	return j.jm.config.OpenStore(ctx, j.storeURL())
}
