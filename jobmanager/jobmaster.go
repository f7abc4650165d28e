package jobmanager

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// mailboxSize is how many events of a job may wait to be taken. Senders wait; the loop never waits for a sender.
const mailboxSize = 64

// jobMaster carries one job through its life. Its loop (run) owns the state machine: it feeds events to it and carries out
// the actions. What takes long is done by effects that send an event when they are done.
type jobMaster struct {
	jm        *JobManager
	id        graph.JobID
	created   time.Time
	exec      *graph.ExecutionGraph
	log       *slog.Logger
	guarantee api.Guarantee
	mailbox   chan mail
	done      chan struct{}  // closed when the loop has ended
	recommit  chan struct{}  // of capacity 1: commit now what could not be before, some of it is left out
	writing   sync.WaitGroup // manifests, and deletions of garbage; the loop begins them, and none when the job has ended

	// Owned by the loop.
	timer       *time.Timer
	timerNumber int
	checkpoints *checkpoints
	request     *slotRequest // that is not granted yet
	commits     int          // tried so far, to choose another TaskManager each time
	owedTries   failures     // to remove what the ended job owes; of tidy alone
	sealTries   failures     // to seal its savepoints; the same

	mu       sync.Mutex
	record   jobRecord // guarded by mu, like the rest; written by the loop, and when that has ended by tidying
	fsm      jobFSM
	sources  map[string]connector.Splits // by uid, of every source of the graph and of the one before
	splits   map[int]*splitQueue         // by operator, of the current attempt
	restored *checkpoint.Plan            // that the current attempt goes on from, nil: from the beginning
	metrics  map[graph.TaskID]wire.TaskMetrics
	foreign  bool                   // the tasks of the last attempt are of another graph than the job's, which the next one will have
	givenUp  *api.GivenUp           // nil: the last checkpoint of the attempt was completed
	hindered *wire.Failure          // why the output of completed checkpoints could not be committed, nil: nothing is known
	watchers map[chan struct{}]bool // of capacity 1: look again
	adoption adoption

	changedBy string // what has raised the record's generation last, for people
}

// mail is an event and who wants to know that it was taken.
type mail struct {
	e     event
	taken chan struct{} // may be nil
}

func newJobMaster(jm *JobManager, r jobRecord) *jobMaster {
	r.giveUp(r.Attempt, "the JobManager ended before it was decided")
	exec := graph.Expand(&r.Graph)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	j := &jobMaster{
		jm: jm, id: r.ID, created: r.Created, exec: exec, record: r, timer: timer,
		log:     jm.config.Log.With("job", r.ID, "name", r.Graph.Name),
		mailbox: make(chan mail, mailboxSize),
		done:    make(chan struct{}), recommit: make(chan struct{}, 1),
		fsm: jobFSM{
			exec: exec, slotsTimeout: jm.config.SlotsTimeout, restart: jm.config.Restart,
			batches: r.Graph.Batch, attempt: r.Attempt, inherited: r.Before, decided: r.Decision != nil, cancelled: r.Cancelled, stopped: r.Stopped,
			leaves: len(r.Lost) > 0,
		},
		metrics:  map[graph.TaskID]wire.TaskMetrics{},
		watchers: map[chan struct{}]bool{},
	}
	if r.Origin != nil && !r.Origin.Copied {
		j.fsm.phase = adopting
	}
	if r.Previous != nil {
		j.fsm.before = graph.Expand(r.Previous)
		j.fsm.exchanged = len(graph.NotExchangeable(r.Previous, &r.Graph)) == 0
	}
	j.checkpoints = newCheckpoints(j)
	j.guarantee = jm.guaranteeOf(&r.Graph)
	return j
}

// endedJob is the master of a job that ended before: it has no loop, and is only looked at.
func endedJob(jm *JobManager, r jobRecord) *jobMaster {
	j := newJobMaster(jm, r)
	j.fsm.phase, j.fsm.failure = ended, r.Failure
	j.fsm.outcome = map[api.JobState]outcome{api.JobFinished: finished, api.JobCanceled: canceled, api.JobFailed: failed}[r.State]
	close(j.done)
	return j
}

// run is the job's loop. It ends when the job has ended or ctx has.
func (j *jobMaster) run(ctx context.Context, first event) {
	defer close(j.done)
	defer j.timer.Stop()
	defer j.checkpoints.close()
	if first != nil {
		j.take(first)
	}
	j.checkpoints.seal()
	for !j.hasEnded() {
		select {
		case <-ctx.Done():
			return
		case m := <-j.mailbox:
			j.take(m.e)
			if m.taken != nil {
				close(m.taken)
			}
		case slots := <-j.granted():
			j.request = nil
			j.take(j.restore(slots))
		case <-j.checkpoints.timer.C:
			j.checkpoints.step(ckTimer{j.checkpoints.timerNumber})
		case <-j.timer.C:
			_, _, free := j.jm.resources.count()
			j.take(evTimer{number: j.timerNumber, freeSlots: free})
		}
	}
	j.checkpoints.withdrawAll(ctx)
	if j.owes() != nil || len(j.unsealed()) > 0 {
		j.jm.tidySoon()
	}
}

func (j *jobMaster) granted() <-chan []schedule.Slot {
	if j.request == nil {
		return nil
	}
	return j.request.granted
}

// take feeds one event to the state machine, and then those that its actions answer at once.
func (j *jobMaster) take(e event) {
	if l, ok := e.(evLost); ok && j.jm.resources.holding(l.tm, j.id) != nil {
		return // it was an earlier registration of a TaskManager that has slots of this job again
	}
	if c, ok := e.(evCleaned); ok && c.done {
		j.forgetFormer(c.before)
	}
	if a, ok := e.(evAllowRewind); ok {
		j.allowRewind(a.allow)
		return
	}
	for events := []event{e}; len(events) > 0; events = events[1:] {
		if j.checkpoints.take(events[0]) {
			continue
		}
		was := j.phase()
		events[0] = j.checkpoints.undecided(events[0])
		events = append(events, j.carryOut(j.step(events[0]))...)
		j.checkpoints.follow(was, events[0])
	}
	j.changed()
}

// allowRewind has the next restore know what the user allows now.
func (j *jobMaster) allowRewind(allow bool) {
	if e := j.storeOr(nil, func(r *jobRecord) { r.Rewind = allow }); e != nil {
		j.log.Error("store whether output may be repeated", "allowed", allow, "err", e.(evStoreFailed).failure.Message)
	}
}

func (j *jobMaster) step(e event) []action {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, attempt := j.fsm.state(), j.fsm.attempt
	actions := j.fsm.step(j.jm.config.Now(), e)
	if j.fsm.attempt != attempt {
		j.beginAttempt()
	}
	if now := j.fsm.state(); now != before {
		j.logState(now)
	}
	return actions
}

// beginAttempt forgets what the attempt before has done. The caller holds mu.
func (j *jobMaster) beginAttempt() {
	before := j.splits
	j.foreign = false
	maps.DeleteFunc(j.metrics, func(id graph.TaskID, _ wire.TaskMetrics) bool { return !j.fsm.keeps(id) })
	if n := j.fsm.kept(); n > 0 {
		j.log.Info("the attempt goes on with tasks that have finished", "attempt", j.fsm.attempt, "tasks", n, "of", len(j.fsm.tasks))
	}
	j.splits = map[int]*splitQueue{}
	for _, op := range j.record.Graph.Sources() {
		uid := j.record.Graph.Operators[op].UID
		s, stored := j.sources[uid]
		if !stored {
			continue // its tasks are refused: reading nothing would be a loss
		}
		j.splits[op] = newSplitQueue(s, j.splitReaders(op))
		if j.record.Graph.Batch && before[op] != nil {
			j.splits[op].keep(before[op], j.fsm.keeps)
		}
		if j.restored == nil {
			continue
		}
		if at, known := j.restored.Sources[uid]; known { // else it is newer than the checkpoint
			j.splits[op].restore(at)
		}
	}
}

func (j *jobMaster) logState(s api.JobState) {
	if s == api.JobRunning && j.record.Running == nil {
		now := j.jm.config.Now()
		j.record.Running = &now
	}
	log := j.log.With("state", s, "attempt", j.fsm.attempt)
	if f := j.fsm.failure; f != nil && (s == api.JobRestarting || s == api.JobFailing || s == api.JobFailed) {
		log = log.With("cause", f.Message)
	}
	log.Info("job")
}

// carryOut carries out actions in their order and returns the events that are known at once. After one that could not be
// stored the rest is dropped: an effect must not run ahead of its decision.
func (j *jobMaster) carryOut(actions []action) []event {
	var events []event
	for _, a := range actions {
		e := j.act(a)
		if e != nil {
			events = append(events, e)
		}
		if _, failed := e.(evStoreFailed); failed {
			break
		}
	}
	return events
}

func (j *jobMaster) act(a action) event {
	switch a := a.(type) {
	case actAdopt:
		j.adopt()
	case actStoreAdopted:
		return j.storeOr(evAdopted{}, func(r *jobRecord) {
			o := *r.Origin
			o.Copied = true
			r.Origin, r.Checkpoints, r.Committed = &o, []decided{a.first}, a.first.ID
		})
	case actRequestSlots:
		j.request = j.jm.resources.request(j.id, a.wanted, a.least)
	case actKeepApart:
		j.jm.resources.keepApart(a.a, a.b)
	case actReleaseSlots:
		j.request = nil
		j.jm.resources.release(j.id)
	case actTimer:
		j.timerNumber = a.number
		j.timer.Reset(a.after)
	case actStoreAttempt:
		return j.storeOr(nil, func(r *jobRecord) { r.Attempt = j.fsm.attempt }, j.forgetResults(a.forget)...)
	case actStoreResult:
		j.storeResult(a.task)
	case actStoreCancel:
		if e := j.storeOr(nil, func(r *jobRecord) { r.Cancelled = true }); e != nil {
			j.log.Error("store cancellation", "err", e.(evStoreFailed).failure.Message)
		}
	case actRevert:
		j.revertGraph()
	case actExplain:
		j.explain(a.had)
	case actDecide:
		return j.decide(a.prepared)
	case actEnd:
		return j.end(a.owed)
	case actDeploy:
		j.deploy(a)
	case actCancelTasks:
		j.cancelTasks(a.tm)
	case actCommit:
		j.commit()
	case actClean:
		j.clean(a.before)
	}
	return nil
}

// storeOr stores the job's record with a change, and what else goes with it or not at all: the event is then done, or
// evStoreFailed with the record unchanged. Nobody sees the change before it is stored: a decision that is not must have no effect.
func (j *jobMaster) storeOr(done event, change func(*jobRecord), with ...ha.Op) event {
	return j.storeAnd(done, change, func() {}, with...)
}

// storeAnd is storeOr with what is to be seen together with the change: then is called with mu held.
func (j *jobMaster) storeAnd(done event, change func(*jobRecord), then func(), with ...ha.Op) event {
	j.mu.Lock()
	after := j.record
	change(&after)
	j.mu.Unlock()
	if err := j.jm.storeJob(&after, with...); err != nil {
		return evStoreFailed{&wire.Failure{Kind: wire.KindInternal, Message: fmt.Sprintf("store job: %s", err)}}
	}
	j.mu.Lock()
	j.record = after
	then()
	j.mu.Unlock()
	return done
}

// decide takes a number from the job's checkpoint counter and stores the end of the job under it. It decides for modules that
// tasks were going on with, too: some of the output is theirs.
func (j *jobMaster) decide(prepared []connector.Committable) event {
	n, err := j.jm.config.Meta.Next(checkpointKey + string(j.id))
	if err != nil {
		return evStoreFailed{&wire.Failure{Kind: wire.KindInternal, Message: fmt.Sprintf("take a checkpoint id: %s", err)}}
	}
	next := j.checkpoints.tried()
	e := j.storeOr(evDecided{n}, func(r *jobRecord) {
		if next != nil {
			r.begin(j.change(api.ChangeUpgrade, &r.Graph, next))
			r.Graph = *next
			r.Generation++
		}
		r.Skipped = j.skipped()
		r.Progress = new(j.progress())
		r.prove()
		r.Decision = &decision{Checkpoint: n, Attempt: j.fsm.attempt, Prepared: prepared, Output: addOutput(r.Written, outputOf(&r.Graph, prepared, j.taken))}
	})
	if _, stored := e.(evDecided); stored && next != nil {
		j.checkpoints.exchanging.decided = checkpoint.ID(n)
		j.checkpoints.stepExchange(exConcluded{})
	}
	return e
}

// end stores the outcome.
func (j *jobMaster) end(owed graph.Attempt) event {
	e := j.storeOr(evEnded{}, func(r *jobRecord) {
		r.Stored = j.jm.takesCheckpoints()
		now := j.jm.config.Now()
		r.Skipped = j.skipped()
		if n := len(r.Checkpoints); n > 0 && j.fsm.outcome == finished { // with the end
			r.commit(r.Checkpoints[n-1].ID)
		}
		r.Ended, r.Failure, r.Owed, r.Progress = &now, j.fsm.failure, owed, new(j.progress())
		r.State = map[outcome]api.JobState{finished: api.JobFinished, canceled: api.JobCanceled, failed: api.JobFailed}[j.fsm.outcome]
	}, j.forgetResults(j.exec.Tasks())...)
	if _, ok := e.(evEnded); ok {
		j.jm.forgetOldJobs(j.id)
		if j.jm.takesCheckpoints() {
			j.settle()
		}
	}
	return e
}

// send hands an event to the loop and, if taken is not nil, has it closed when the event was taken. It answers false when
// there is no loop any more.
func (j *jobMaster) send(ctx context.Context, e event, taken chan struct{}) bool {
	select {
	case <-j.done:
		return false
	default:
	}
	select {
	case j.mailbox <- mail{e, taken}:
		return true
	case <-j.done:
	case <-ctx.Done():
	}
	return false
}

// tell hands an event to the loop and waits until it was taken, and so what it decides is stored.
func (j *jobMaster) tell(ctx context.Context, e event) error {
	taken := make(chan struct{})
	if j.send(ctx, e, taken) {
		select {
		case <-taken:
			return nil
		case <-j.done:
			select {
			case <-taken: // it was the last one
				return nil
			default:
			}
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errNotTaken
}

// errNotTaken is returned by tell when the loop has ended: with its job, or with the JobManager.
var errNotTaken = refuse(wire.KindStale, "the job has ended, or its JobManager")

// later does something that may take long, and sends the event that it answers.
func (j *jobMaster) later(effect func(ctx context.Context) event) {
	j.jm.wg.Go(func() {
		if e := effect(j.jm.ctx); e != nil {
			j.send(j.jm.ctx, e, nil)
		}
	})
}

func (j *jobMaster) hasEnded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fsm.phase == ended
}

// changed wakes those who watch the job.
func (j *jobMaster) changed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for w := range maps.Keys(j.watchers) {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}
