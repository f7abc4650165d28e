package jobmanager

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// The life of a job, as a pure state machine: step takes an event and answers with the actions to carry out, in their
// order. It holds no clock, socket or store. The actions' outcomes come back as events.
//
//	adopting -> waiting -> deploying -> running -> finishing -> ending -> ended
//	               ^           |           |           |           ^
//	               |           +-----------+-----------+           |
//	               |                       v                       |
//	            delaying <------------ stopping --> cleaning ------+
//
// A job that goes on from a savepoint begins by making a copy of it its own, which waits for no slots.
// stopping waits until every task of the attempt has ended; then a job that is to be restarted waits for its time and for
// slots, and one that is cancelled or has failed has its pending output removed. So has one whose end is committed, when
// earlier attempts may have left some. What cannot be removed in time is owed: that is stored with the outcome.
type phase int

const (
	waiting   phase = iota // for slots
	adopting               // what the job goes on from is being copied
	deploying              // tasks are starting
	running                // every task runs or has finished
	finishing              // every task has finished: the end is decided and stored, then committed
	stopping               // the attempt's tasks are being ended
	cleaning               // what the attempts left behind is being removed
	delaying               // for the time of the next attempt
	ending                 // the outcome is being stored
	ended
)

func (p phase) String() string {
	return [...]string{"waiting", "adopting", "deploying", "running", "finishing", "stopping", "cleaning", "delaying", "ending", "ended"}[p]
}

// outcome is where a job that is being stopped goes.
type outcome int

const (
	undecided outcome = iota
	restart
	failed
	canceled
	finished
)

// Bounds of waiting. A cancelled job must be CANCELED within a second, also when a TaskManager does not answer.
const (
	stopLimit        = 10 * time.Second       // for the tasks of a failed attempt to end
	cancelStopLimit  = 500 * time.Millisecond // for the tasks of a cancelled job to end
	cleanLimit       = 5 * time.Second        // for pending output to be removed
	cancelCleanLimit = 300 * time.Millisecond
	storeRetry       = time.Second // after metadata could not be written
	commitRetry      = 200 * time.Millisecond
	commitRetryMax   = 10 * time.Second // a decision stands: commits are tried for ever
)

// subtask is what is known of one task of the current attempt.
type subtask struct {
	slot     schedule.Slot
	state    wire.TaskState          // empty: not reported yet
	gone     bool                    // it has ended, or cannot be running any more
	prepared []connector.Committable // and not committed with a checkpoint
	part     *checkpoint.Task        // of one that had finished before the attempt began
	holds    bool                    // it has finished, and its TaskManager has its last part until the attempt is over

	// In batch mode, where a task that has finished stays so in later attempts.
	attempt graph.Attempt // that it runs in, or has finished in
	process int           // that its TaskManager was then
	damaged bool          // what it has sent cannot be read
}

// jobFSM is the state machine. Nothing in it is shared; its owner serializes calls.
type jobFSM struct {
	exec         *graph.ExecutionGraph
	before       *graph.ExecutionGraph // what a failure goes back to, nil: exec has proved itself
	exchanged    bool                  // with before: only the modules are others, and only what they are to blame for goes back
	trying       bool                  // tasks run modules that nothing is decided for
	slotsTimeout time.Duration
	restart      Restart

	phase     phase
	outcome   outcome       // of stopping, cleaning, ending, ended
	attempt   graph.Attempt // the current one, or the last; inherited before the first
	inherited graph.Attempt // the last one of the job that this one goes on from
	tasks     map[graph.TaskID]*subtask
	failure   *wire.Failure // first cause of the last attempt that failed
	wentBack  bool          // that attempt was one of another graph or module, which the job has no more
	leaves    bool          // pending output of this attempt may stay when all is committed: some was given up
	owed      graph.Attempt // output of attempts before that one is still to be removed; 0: none is
	failures  []time.Time   // see Restart.next
	delay     time.Duration // before the next attempt
	stopped   bool          // the checkpoint that it ends with is stored: no attempt may begin
	decided   bool          // the decision is stored
	cancelled bool          // the user has cancelled it
	retryIn   time.Duration // before the commit after one that was refused
	timer     int           // number of the timer that runs; older ones say nothing
	actions   []action      // of the step in progress
	batches   bool          // the job is in batch mode
	batch     *batch        // then: of the current attempt

	stored map[graph.TaskID]bool // in batch mode: tasks whose results may be stored
}

// step takes one event. now is when it happened.
func (m *jobFSM) step(now time.Time, e event) []action {
	m.actions = nil
	if m.stale(e) {
		return nil
	}
	switch m.phase {
	case adopting:
		m.onAdopting(e)
	case waiting:
		m.onWaiting(now, e)
	case deploying, running:
		m.onActive(now, e)
	case finishing:
		m.onFinishing(now, e)
	case stopping:
		m.onStopping(e)
	case cleaning:
		m.onCleaning(e)
	case delaying:
		m.onDelaying(e)
	case ending:
		m.onEnding(e)
	}
	return m.actions
}

// stale says whether an event is about what is over: a timer that was replaced, an earlier attempt.
func (m *jobFSM) stale(e event) bool {
	switch e := e.(type) {
	case evTimer:
		return e.number != m.timer
	case evDeployed:
		return e.attempt != m.attempt
	case evTask:
		return e.attempt != m.attempt
	}
	return false
}

func (m *jobFSM) do(a ...action) { m.actions = append(m.actions, a...) }

func (m *jobFSM) startTimer(after time.Duration) {
	m.timer++
	m.do(actTimer{number: m.timer, after: after})
}

func (m *jobFSM) stopTimer() { m.timer++ }

func (m *jobFSM) onAdopting(e event) {
	switch e := e.(type) {
	case evStart:
		if m.cancelled {
			m.clean(canceled)
			return
		}
		m.do(actAdopt{})
	case evCopied:
		m.do(actStoreAdopted{e.first})
	case evAdopted:
		m.wait()
	case evStoreFailed:
		m.startTimer(storeRetry)
	case evTimer:
		m.do(actAdopt{}) // it finds everything there
	case evUnrestorable:
		m.failure = e.failure
		m.clean(failed)
	case evFailed:
		m.failure = e.failure
		m.clean(failed)
	case evCancel:
		m.cancelWaiting()
	}
}

func (m *jobFSM) onWaiting(now time.Time, e event) {
	switch e := e.(type) {
	case evStart:
		switch {
		case m.decided:
			m.phase = finishing
			m.do(actCommit{})
		case m.cancelled:
			m.clean(canceled)
		case m.stopped:
			m.finish(nil)
		default:
			m.wait()
		}
	case evSlots:
		if m.batches {
			m.deployBatch(e.slots, e.processes)
			break
		}
		m.deploy(e.slots, e.finished)
	case evUnrestorable:
		m.do(actReleaseSlots{})
		if m.reverts(e.failure) {
			m.revert(e.failure)
			m.wait()
			return
		}
		if e.failure.Kind == wire.KindState { // trying again does not help
			m.failure = e.failure
			m.clean(failed)
			return
		}
		m.fail(now, e.failure)
	case evTimer:
		cause := m.slotsFailure(e.freeSlots)
		if m.reverts(cause) {
			m.do(actReleaseSlots{})
			m.revert(cause)
			m.wait()
			return
		}
		m.failure = cause
		m.clean(failed)
	case evFailed:
		m.failure = e.failure
		m.clean(failed)
	case evCancel:
		m.cancelWaiting()
	}
}

// wait asks for slots, for a limited time.
func (m *jobFSM) wait() {
	m.phase = waiting
	if m.batches {
		m.do(actRequestSlots{wanted: m.exec.SlotsAtOnce(), least: 1})
	} else {
		m.do(actRequestSlots{wanted: m.exec.SlotsNeeded()})
	}
	m.startTimer(m.slotsTimeout)
}

// slotsFailure names wanted and free; if an attempt had failed before, that is what the user must read first.
func (m *jobFSM) slotsFailure(free int) *wire.Failure {
	text := fmt.Sprintf("not enough slots: wanted %d, free %d after %s", m.exec.SlotsNeeded(), free, m.slotsTimeout)
	if m.failure != nil {
		text = fmt.Sprintf("%s; then %s", m.failure.Message, text)
	}
	return &wire.Failure{Kind: wire.KindSlots, Message: text, Hint: "start more TaskManagers, give them more slots, or lower the parallelism"}
}

// deploy begins an attempt. Its number is stored before anything of it exists outside, so that no other attempt can ever
// have it.
func (m *jobFSM) deploy(slots []schedule.Slot, finished map[graph.TaskID]*checkpoint.Task) {
	m.phase, m.wentBack, m.trying = deploying, false, false
	m.stopTimer()
	m.attempt++
	m.tasks = map[graph.TaskID]*subtask{}
	m.do(actStoreAttempt{})
	if m.attempt > 1 {
		m.do(actClean{before: m.attempt})
	}
	placed := schedule.Assign(m.exec, slots)
	byTM := map[wire.TaskManagerID][]wire.TaskDeploy{}
	for _, task := range m.exec.Tasks() {
		slot := placed[task]
		if part := finished[task]; part != nil {
			m.tasks[task] = &subtask{slot: slot, state: wire.TaskFinished, gone: true, part: part}
			continue
		}
		m.tasks[task] = &subtask{slot: slot}
		byTM[slot.TaskManager] = append(byTM[slot.TaskManager], wire.TaskDeploy{Task: task, Slot: slot.Index})
	}
	for _, tm := range slices.Sorted(maps.Keys(byTM)) {
		m.do(actDeploy{tm: tm, tasks: byTM[tm]})
	}
	m.checkFinished()
}

func (m *jobFSM) onActive(now time.Time, e event) {
	switch e := e.(type) {
	case evDeployed:
		if e.failure != nil {
			m.endTasksOf(e.tm, e.refused)
			m.fail(now, e.failure)
		}
	case evTask:
		m.onTask(now, e)
	case evLost:
		if m.endTasksOf(e.tm, true) {
			m.fail(now, lost(e))
		}
	case evCancel:
		m.stop(canceled)
	case evCheckpoints:
		m.fail(now, e.failure)
	case evRedeploy:
		m.exec, m.before, m.exchanged, m.delay, m.failure = e.exec, m.exec, false, 0, nil
		m.stop(restart)
	case evTrying:
		m.trying = true
	case evExchanged:
		m.trying, m.before, m.exchanged, m.failure = false, m.exec, true, nil
	case evStopped:
		m.stopped = true
		m.stop(finished)
	case evStoreFailed: // the attempt could not be stored, so none of it was deployed
		for _, t := range m.tasks {
			t.gone = true
		}
		m.fail(now, e.failure)
	}
}

func lost(e evLost) *wire.Failure {
	return &wire.Failure{Kind: wire.KindTaskManagerLost, Message: fmt.Sprintf("TaskManager %s is lost: %s", e.name, e.reason)}
}

func (m *jobFSM) onTask(now time.Time, e evTask) {
	t := m.tasks[e.task]
	if t == nil || t.slot.TaskManager != e.tm {
		return
	}
	if m.unreadable(t, e) {
		m.fail(now, e.failure)
		return
	}
	if t.gone {
		return
	}
	t.state = e.state
	switch e.state {
	case wire.TaskRunning:
		m.checkRunning()
	case wire.TaskFinished:
		t.gone, t.prepared, t.holds = true, e.prepared, e.holds
		if m.batches {
			m.finishedBatch(e.task)
			m.nextTasks()
		}
		m.checkRunning()
		m.checkFinished()
	case wire.TaskFailed:
		t.gone = true
		m.fail(now, cmp.Or(e.failure, &wire.Failure{Kind: wire.KindInternal, Message: fmt.Sprintf("task %s failed without a cause", e.task)}))
	case wire.TaskCanceled:
		t.gone = true
		m.fail(now, &wire.Failure{Kind: wire.KindInternal, Message: fmt.Sprintf("task %s was cancelled by its TaskManager %s", e.task, e.tm)})
	}
}

func (m *jobFSM) checkRunning() {
	if m.phase == deploying && m.all(func(t *subtask) bool {
		return t.state == wire.TaskRunning || t.state == wire.TaskFinished || m.batches && t.gone
	}) {
		m.phase = running
	}
}

func (m *jobFSM) checkFinished() {
	if !m.all(func(t *subtask) bool { return t.state == wire.TaskFinished }) {
		return
	}
	var prepared []connector.Committable
	for _, task := range m.exec.Tasks() {
		prepared = append(prepared, m.tasks[task].prepared...)
	}
	m.finish(prepared)
}

// finish decides the end of the job.
func (m *jobFSM) finish(prepared []connector.Committable) {
	m.phase = finishing
	m.endTasks()
	m.do(actReleaseSlots{}, actDecide{prepared: prepared})
}

func (m *jobFSM) all(is func(*subtask) bool) bool {
	for _, t := range m.tasks {
		if !is(t) {
			return false
		}
	}
	return true
}

// endTasksOf notes that nothing runs on a TaskManager any more, if that is certain, and says whether anything did.
func (m *jobFSM) endTasksOf(tm wire.TaskManagerID, certain bool) bool {
	any := false
	for _, t := range m.tasks {
		if t.slot.TaskManager == tm {
			any = true
			t.gone = t.gone || certain
		}
	}
	return any
}

// state is how people see the phase.
func (m *jobFSM) state() api.JobState {
	switch m.phase {
	case adopting:
		return api.JobCreated
	case waiting:
		if m.attempt == m.inherited {
			return api.JobCreated
		}
		return api.JobRestarting
	case deploying:
		return api.JobDeploying
	case running:
		return api.JobRunning
	case finishing:
		if !m.decided && !m.stopped { // a client that reads FINISHING may rely on it
			return api.JobRunning
		}
		return api.JobFinishing
	case delaying:
		return api.JobRestarting
	case ended:
		return map[outcome]api.JobState{failed: api.JobFailed, canceled: api.JobCanceled, finished: api.JobFinished}[m.outcome]
	}
	return map[outcome]api.JobState{restart: api.JobRestarting, failed: api.JobFailing, canceled: api.JobCancelling, finished: api.JobFinishing}[m.outcome]
}
