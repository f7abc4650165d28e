package jobmanager

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/wire"
)

// How the state machine of a job ends an attempt, and what comes then: the next one, or the job's end.

// fail ends the attempt for its first cause, and decides whether there will be another.
func (m *jobFSM) fail(now time.Time, cause *wire.Failure) {
	if m.trying {
		m.goBack(cause)
		m.stop(restart)
		return
	}
	if m.reverts(cause) {
		m.revert(cause)
		m.stop(restart)
		return
	}
	m.failure = cause
	if !mayRestart(cause.Kind) {
		m.stop(failed)
		return
	}
	var again bool
	m.delay, again, m.failures = m.restart.next(m.failures, now)
	if again {
		m.stop(restart)
		return
	}
	gaveUp := *cause
	gaveUp.Message = fmt.Sprintf("%s (given up after %d restarts within an hour)", cause.Message, m.restart.PerHour)
	m.failure = &gaveUp
	m.stop(failed)
}

// mayRestart: an attempt that somebody else has ended was not at fault.
func mayRestart(k wire.Kind) bool {
	return k.Retryable() || k == wire.KindStale || k == wire.KindCanceled || k == wire.KindState
}

// stop ends the attempt everywhere.
func (m *jobFSM) stop(to outcome) {
	m.phase, m.outcome = stopping, to
	m.endTasks()
	if to == canceled {
		m.cancelled = true
		m.do(actStoreCancel{})
		m.startTimer(cancelStopLimit)
	} else {
		m.startTimer(stopLimit)
	}
	m.checkStopped()
}

// endTasks tells the TaskManagers that the attempt is over: what runs ends, and what is held for checkpoints goes.
func (m *jobFSM) endTasks() {
	if m.batches {
		m.endBatch()
		return
	}
	for _, tm := range m.taskManagers() {
		m.do(actCancelTasks{tm: tm})
	}
	for _, t := range m.tasks {
		t.holds = false
	}
}

// taskManagers are those on which a task may be running, or holds something.
func (m *jobFSM) taskManagers() []wire.TaskManagerID {
	on := map[wire.TaskManagerID]bool{}
	for _, t := range m.tasks {
		if !t.gone || t.holds {
			on[t.slot.TaskManager] = true
		}
	}
	return slices.Sorted(maps.Keys(on))
}

func (m *jobFSM) onStopping(e event) {
	switch e := e.(type) {
	case evTask:
		t := m.tasks[e.task]
		switch {
		case t == nil || t.slot.TaskManager != e.tm:
		case m.unreadable(t, e):
			m.betterCause(e.failure)
		case !t.gone && e.state != wire.TaskRunning:
			t.state, t.gone = e.state, true
			t.prepared = e.prepared
			if e.state == wire.TaskFinished {
				m.finishedBatch(e.task)
			}
			m.betterCause(e.failure)
		}
	case evLost:
		if m.endTasksOf(e.tm, true) {
			m.betterCause(lost(e))
		}
	case evDeployed:
		if e.failure != nil {
			m.endTasksOf(e.tm, e.refused)
		}
	case evCancel:
		if m.outcome == restart {
			m.stop(canceled)
			return
		}
	case evTimer:
		for _, t := range m.tasks {
			t.gone = true
		}
	}
	m.checkStopped()
}

// betterCause replaces a broken channel as the cause: when a task dies, its neighbour may be the first to tell.
func (m *jobFSM) betterCause(cause *wire.Failure) {
	if cause == nil || m.failure == nil || m.failure.Kind != wire.KindChannel || m.outcome == canceled {
		return
	}
	if cause.Kind == wire.KindChannel || cause.Kind == wire.KindStale || cause.Kind == wire.KindCanceled {
		return
	}
	switch {
	case m.wentBack:
		had := m.failure.Message
		m.goBack(cause)
		m.do(actExplain{had})
	case m.reverts(cause):
		m.revert(cause)
	default:
		m.failure = cause
		if !cause.Kind.Retryable() {
			m.outcome = failed
		}
	}
}

func (m *jobFSM) checkStopped() {
	if m.phase != stopping || !m.all(func(t *subtask) bool { return t.gone }) {
		return
	}
	if m.outcome == finished {
		for _, t := range m.tasks { // with the checkpoint; what became of it afterwards is of no account
			t.state = wire.TaskFinished
		}
		m.failure = nil
		m.finish(nil)
		return
	}
	m.do(actReleaseSlots{})
	if a, b := m.ends(m.failure); m.outcome == restart && a != b {
		m.do(actKeepApart{a, b})
	}
	switch {
	case m.outcome != restart:
		m.clean(m.outcome)
	case m.delay == 0:
		m.wait()
	default:
		m.phase = delaying
		m.startTimer(m.delay)
	}
}

// whyOver is why the attempt is over, and what whoever has asked something of it can do.
func (m *jobFSM) whyOver() (why, then string) {
	const anew = "run it again, from its last savepoint if it is to go on (`wasmill run --from`)"
	switch now := m.state(); {
	case m.stopped:
		return "it was stopped with a savepoint", "run it from that (`wasmill run --from`)"
	case m.phase == finishing:
		return "its input has ended", "it finishes, with all of its output, and nothing is left to go on with; for a savepoint of it run it again, and ask sooner"
	case now == api.JobCancelling || now == api.JobCanceled:
		return "it was cancelled", anew
	case m.failure == nil:
		return "it was changed", "ask again when the job runs"
	case now == api.JobFailing || now == api.JobFailed:
		return m.failure.Message, anew
	}
	return m.failure.Message, "ask again when the job runs"
}

// ends are the TaskManagers at the ends of the channel whose end a failure is; the same if it is about none.
func (m *jobFSM) ends(f *wire.Failure) (a, b wire.TaskManagerID) {
	if f == nil || f.Channel == nil {
		return "", ""
	}
	from, to := m.tasks[f.Channel.From], m.tasks[f.Channel.To]
	if from == nil || to == nil {
		return "", ""
	}
	return from.slot.TaskManager, to.slot.TaskManager
}

// cancelWaiting ends a job that no attempt is under way of.
func (m *jobFSM) cancelWaiting() {
	m.cancelled = true
	m.do(actStoreCancel{})
	m.clean(canceled)
}

// clean removes pending output before the job is said to have ended, if any attempt can have left some.
func (m *jobFSM) clean(to outcome) {
	if m.phase == waiting {
		m.do(actReleaseSlots{})
	}
	m.phase, m.outcome, m.owed = cleaning, to, m.attempt+1
	if to == finished {
		m.failure = nil
		if !m.leaves {
			m.owed = m.attempt
		}
	}
	if m.owed <= 1 {
		m.owed = 0
		m.end()
		return
	}
	limit := cleanLimit
	if to == canceled {
		limit = cancelCleanLimit
	}
	m.startTimer(limit)
	m.do(actClean{before: m.owed})
}

func (m *jobFSM) onCleaning(e event) {
	switch e := e.(type) {
	case evCleaned:
		if e.before != m.owed {
			return
		}
		if e.done {
			m.owed = 0
		}
		m.end()
	case evTimer:
		m.end()
	}
}

func (m *jobFSM) onDelaying(e event) {
	switch e.(type) {
	case evTimer:
		m.wait()
	case evCancel:
		m.cancelWaiting()
	}
}

func (m *jobFSM) onFinishing(now time.Time, e event) {
	switch e := e.(type) {
	case evDecided:
		m.decided, m.failure = true, nil // from now on it is why the end is not committed yet
		m.do(actCommit{})
	case evStoreFailed: // nothing was decided and nothing committed
		switch {
		case m.stopped && !m.decided: // there is no attempt to go on with
			m.startTimer(storeRetry)
		case !m.decided:
			m.fail(now, e.failure)
		}
	case evTimer:
		if !m.decided {
			m.do(actDecide{})
			break
		}
		m.do(actCommit{})
	case evCommitted:
		m.onCommitted(e.failure)
	case evLeftOut:
		if m.decided { // or it is committed when it is
			m.retryIn = 0
			m.startTimer(0)
		}
	}
}

// onCommitted tries again after any failure, also one that will not pass by itself: the decision is stored, output may be
// visible in part, and only its commit makes it whole. People see the failure as the job's cause and can mend it.
func (m *jobFSM) onCommitted(failure *wire.Failure) {
	if failure == nil {
		m.clean(finished)
		return
	}
	m.failure = failure
	if failure.Kind == wire.KindTaskManagerLost { // nobody has tried: the next one that registers is asked at once
		m.startTimer(commitRetry)
		return
	}
	m.retryIn = min(max(2*m.retryIn, commitRetry), commitRetryMax)
	m.startTimer(m.retryIn)
}

// end stores the outcome; the job has ended when that is done.
func (m *jobFSM) end() {
	m.phase = ending
	m.stopTimer()
	if m.outcome == finished || m.outcome == canceled {
		m.failure = nil
	}
	m.do(actEnd{owed: m.owed})
}

func (m *jobFSM) onEnding(e event) {
	switch e.(type) {
	case evEnded:
		m.phase = ended
	case evStoreFailed:
		m.startTimer(storeRetry)
	case evTimer:
		m.do(actEnd{owed: m.owed})
	}
}
