package jobmanager

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
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
	begun       time.Time
	committing  bool
	held        map[string]bool       // what the last decided checkpoint of the attempt has prepared
	asked       map[int]chan<- answer // who waits for the checkpoint of a request
	stopStoring context.CancelFunc    // ends the storing of what an attempt decides on
	withdrawn   map[checkpoint.ID]withdrawal
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
		counts    checkpoint.Counts
		err       error
	}
	evWithdrawn struct{ id checkpoint.ID } // nothing is left of a savepoint whose attempt has ended
	evOutput    struct {                   // the output of checkpoints was committed, as far as that one
		upTo checkpoint.ID
	}
)

// answer says what became of a checkpoint that was asked for.
type answer struct {
	id      checkpoint.ID
	cause   string // empty: it is decided
	refused error  // instead of a cause: why it was not begun
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
func (evWithdrawn) event()    {}
func (evOutput) event()       {}

func newCheckpoints(j *jobMaster) *checkpoints {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &checkpoints{job: j, timer: t, asked: map[int]chan<- answer{}, withdrawn: map[checkpoint.ID]withdrawal{}}
}

func (c *checkpoints) close() { c.timer.Stop() }

// on says whether jobs take checkpoints at all.
func (jm *JobManager) takesCheckpoints() bool { return jm.config.OpenStore != nil }

// storeURL is the root of the job's checkpoints.
func (j *jobMaster) storeURL() string { return blob.Join(j.jm.config.Checkpoints.URL, string(j.id)) }

// checkpointsOf is what the tasks of the current attempt are told.
func (j *jobMaster) checkpointsOf() *wire.Checkpoints {
	if !j.takesCheckpoints() {
		return nil
	}
	w := &wire.Checkpoints{Store: j.storeURL(), AlignTimeout: j.jm.config.Checkpoints.patience()}
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
		r := &wire.TaskRestore{Files: j.restored.Files[t.Task], InFlight: j.restored.InFlight[t.Task], Promised: j.restored.Promised}
		if head := j.head(t.Task.Chain); len(head.Inputs) == 0 {
			r.Watermark = abi.MinTime // of a source that is newer than the checkpoint
			if at, known := j.restored.Sources[head.UID]; known {
				r.Watermark = at.Watermark
			}
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
	case evParallelism:
		c.job.changeParallelism(e)
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
	case evWithdrawn:
		c.answerWithdrawn(e.id)
	case evOutput:
		c.committed(e.upTo)
	case evGiveUp:
		lost, err := c.job.giveUp(e.gone)
		e.answer <- leftOut{lost, err}
		if len(lost) > 0 {
			c.job.take(evLeftOut{})
		}
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
	case !j.takesCheckpoints():
		return
	case now == deploying && was != deploying:
		c.begin()
	case (now == deploying || now == running) && c.fsm != nil:
		if t, ok := e.(evTask); ok && t.state == wire.TaskFinished {
			if !t.holds { // it keeps nothing
				delete(c.parts, t.task)
				c.step(ckFinished{t.task})
			}
			if c.fsm.phase == ckCollecting {
				c.trigger(c.fsm.id, c.fsm.ask) // again, also at who waits for nobody now, and for the last part
			}
		}
	case c.fsm != nil && (was == deploying || was == running):
		why, then := c.job.whyOver()
		c.stepExchange(exEnded{why})
		c.step(ckOver{fmt.Sprintf("the job's attempt has ended before (%s): %s", why, then)})
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
		running: map[graph.TaskID]bool{}, called: c.job.called, unsettled: c.job.record.Previous != nil,
	}
	c.parts = map[graph.TaskID]*checkpoint.Task{}
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
		for _, a := range c.fsm.step(c.job.jm.config.Now(), events[0]) {
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
			to <- answer{id: a.id, cause: a.cause}
			delete(c.asked, a.request)
		}
	case ckDoWithdraw:
		c.stopStoring()
		if to := c.asked[a.request]; to != nil {
			c.withdrawn[a.id] = withdrawal{to, a.cause}
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
		if t.gone && !c.owes(task) {
			continue
		}
		if t.gone || j.waitsForNobody(task) {
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

// owes says whether a task has finished whose last part no checkpoint has asked for yet.
func (c *checkpoints) owes(task graph.TaskID) bool {
	part := c.parts[task]
	return c.job.fsm.tasks[task].holds && (part == nil || !part.Finished)
}

// waitsForNobody says whether all that send to a task have finished, or it is a source: what they have sent, and what its end makes due,
// may be far from processed.
func (j *jobMaster) waitsForNobody(task graph.TaskID) bool {
	for _, i := range j.exec.Chains[task.Chain].Inputs {
		e := j.exec.Edges[i]
		first, n := e.Partition.Senders(task.Subtask, j.exec.Chains[e.To].Parallelism, j.exec.Chains[e.From].Parallelism)
		for sender := first; sender < first+n; sender++ {
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
	if m.Part.Finished { // it counts for all checkpoints from now on
		c.step(ckFinished{m.Task})
	}
}

// openStore opens the job's checkpoints.
func (j *jobMaster) openStore(ctx context.Context) (blob.Store, error) {
	return j.jm.config.OpenStore(ctx, j.storeURL())
}
