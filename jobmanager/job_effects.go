package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// Limits of calls to TaskManagers. A call to one that is lost ends at once.
const (
	deployTimeout = time.Minute // it may have to fetch and compile modules first
	deployTries   = 5
	deployPause   = 100 * time.Millisecond
	cancelTimeout = 2 * time.Second
	cancelTries   = 5
	cancelPause   = 200 * time.Millisecond
	commitTimeout = 30 * time.Second
	cleanTimeout  = 5 * time.Second
	cleanTries    = 3
)

var errNoTaskManager = &wire.Failure{Kind: wire.KindTaskManagerLost, Message: "no TaskManager is registered"}

// header is that of a message about the job's current attempt.
func (j *jobMaster) header() wire.Header {
	return wire.Header{Epoch: j.jm.epoch, Job: j.id, Attempt: j.fsm.attempt, Request: j.jm.nextRequest()}
}

// call calls a TaskManager with a limit of time that also ends when it is lost.
func call(tm *taskManager, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(tm.ctx, limit)
	defer cancel()
	err := f(ctx)
	if err != nil && tm.ctx.Err() != nil {
		return fmt.Errorf("TaskManager %s was lost meanwhile", tm.info.Name)
	}
	return err
}

// insist calls a TaskManager until it answers, a few times. What it refuses is not asked for again.
func insist(tm *taskManager, limit time.Duration, f func(context.Context) error) (err error) {
	for range cancelTries {
		var refused *wire.Failure
		if err = call(tm, limit, f); err == nil || errors.As(err, &refused) || !pause(tm.ctx, cancelPause) {
			break
		}
	}
	return err
}

// failureOf makes the error of a call a failure. It was refused, and so nothing was done, if the TaskManager said it.
func failureOf(step string, tm *taskManager, err error) (f *wire.Failure, refused bool) {
	if errors.As(err, &f) {
		return f, true
	}
	return &wire.Failure{Kind: wire.KindTaskManagerLost, Message: fmt.Sprintf("%s TaskManager %s: %s", step, tm.info.Name, err)}, false
}

func (j *jobMaster) deploy(a actDeploy) {
	header := j.header()
	done := evDeployed{attempt: header.Attempt, tm: a.tm}
	tm := j.jm.resources.holding(a.tm, j.id)
	if len(a.tasks) == 0 { // it has none of the job's slots, perhaps, only what is replayed
		tm = j.jm.resources.find(a.tm)
	}
	m := &wire.Deploy{
		Header: header, Graph: j.record.Graph, Tasks: j.withHints(j.withRestore(a.tasks)), Checkpoints: j.checkpointsOf(), Finished: j.finishedBefore(), Ran: j.record.ran(),
		Addresses: map[wire.TaskManagerID]string{}, Placement: map[string]wire.TaskManagerID{},
	}
	for task, t := range j.fsm.tasks {
		m.Placement[task.String()] = t.slot.TaskManager
		if on := j.jm.resources.find(t.slot.TaskManager); on != nil {
			m.Addresses[t.slot.TaskManager] = on.info.Address
		}
	}
	for _, r := range a.replays {
		if on := j.jm.resources.find(r.At); on != nil {
			r.Address = on.info.Address
		}
		m.Replays = append(m.Replays, r)
	}
	j.later(func(context.Context) event {
		if tm == nil {
			done.failure = &wire.Failure{Kind: wire.KindTaskManagerLost, Message: fmt.Sprintf("TaskManager %s is lost", a.tm)}
			done.refused = true
			return done
		}
		m.Session = tm.session
		done.failure, done.refused = j.insistOnDeploy(tm, m)
		return done
	})
}

// insistOnDeploy says it again until it is answered: nobody knows whether one without an answer was carried out, and a task
// that was never begun reports no end. A refusal behind such a one does not tell either.
func (j *jobMaster) insistOnDeploy(tm *taskManager, m *wire.Deploy) (f *wire.Failure, refused bool) {
	for try := range deployTries {
		err := call(tm, deployTimeout, func(ctx context.Context) error { return tm.client.Deploy(ctx, m) })
		if err == nil {
			return nil, false
		}
		if f, refused = failureOf("deploy to", tm, err); refused {
			return f, try == 0
		}
		if !pause(tm.ctx, deployPause) {
			break
		}
	}
	return f, false
}

// cancelTasks says it again until it is answered; the tasks then report their ends by themselves.
func (j *jobMaster) cancelTasks(id wire.TaskManagerID) {
	m := &wire.Cancel{Header: j.header()}
	tm := j.jm.resources.find(id)
	if tm == nil {
		return
	}
	j.later(func(ctx context.Context) event {
		for range cancelTries {
			err := call(tm, cancelTimeout, func(ctx context.Context) error { return tm.client.Cancel(ctx, m) })
			if err == nil || !pause(tm.ctx, cancelPause) {
				return nil
			}
			j.log.Warn("cancel tasks", "taskmanager", tm.info.Name, "err", err)
		}
		return nil
	})
}

// commit tells one TaskManager to make the output visible, another one at each time.
func (j *jobMaster) commit() {
	d := j.record.Decision
	m := j.commitOf(&j.record.Graph, d.Attempt, d.Checkpoint, d.Prepared)
	turn := j.commits
	j.commits++
	j.later(func(context.Context) event {
		tms := j.jm.resources.live()
		if len(tms) == 0 {
			return evCommitted{errNoTaskManager}
		}
		tm := tms[turn%len(tms)]
		err := j.commitDecided(tm)
		if err == nil {
			err = commitThrough(tm, m)
		}
		if err == nil {
			return evCommitted{}
		}
		failure, refused := failureOf("commit output through", tm, err)
		j.log.Warn("commit output", "taskmanager", tm.info.Name, "err", failure.Message)
		if !refused {
			failure.Kind = wire.KindIO
		}
		return evCommitted{j.withWayOut(failure)}
	})
}

// commitBytes is how much of what is prepared one message holds at most, beside what names one more: a checkpoint may have
// tens of thousands of files.
const commitBytes = 4 << 20

// commitThrough has one TaskManager make visible what is prepared.
func commitThrough(tm *taskManager, m wire.Commit) error {
	return inParts(m, func(part *wire.Commit, _ int) error {
		return call(tm, commitTimeout, func(ctx context.Context) error { return tm.client.Commit(ctx, part) })
	})
}

// inParts does something with the parts of a commit, at least one, until it fails. first is the place of a part's first.
func inParts(m wire.Commit, do func(part *wire.Commit, first int) error) error {
	for all, first := m.Prepared, 0; ; {
		n := 0
		for size := 0; n < len(all) && size < commitBytes; n++ {
			size += len(all[n].Operator) + len(all[n].Data)
		}
		part := m
		part.Prepared, all = all[:n], all[n:]
		if err := do(&part, first); err != nil || len(all) == 0 {
			return err
		}
		first += n
	}
}

// clean has what earlier attempts left behind removed. Nothing of it is visible, so no attempt waits for it; what is left
// when the job ends is removed later (see tidy).
func (j *jobMaster) clean(before graph.Attempt) {
	m := j.abort(before)
	j.later(func(context.Context) event {
		done, err := j.removePending(m)
		if err != nil {
			j.log.Warn("remove pending output", "err", err)
		}
		return evCleaned{before, done}
	})
}

func (j *jobMaster) abort(before graph.Attempt) *wire.Commit {
	m := &wire.Commit{Header: j.header(), Graph: j.record.Graph, Abort: true, Ran: j.record.ran()}
	m.Attempt = before
	for _, f := range j.record.Former {
		m.Former = append(m.Former, f.Sink)
	}
	return m
}

// removePending asks one TaskManager after the other, a few times. It answers whether one has done it, and why the last could not;
// without one there is nothing to say.
func (j *jobMaster) removePending(m *wire.Commit) (done bool, err error) {
	for try := range cleanTries {
		tms := j.jm.resources.live()
		if len(tms) == 0 {
			return false, err
		}
		tm := tms[try%len(tms)]
		err = nil
		if !failpoint.Planted(failpoint.AbortBeforeCommit) {
			err = j.commitDecided(tm) // what is decided is no attempt's any more
			j.showHindrance(err)
		}
		if err == nil {
			err = call(tm, cleanTimeout, func(ctx context.Context) error { return tm.client.Commit(ctx, m) })
		}
		if err == nil {
			return true, nil
		}
		err = fmt.Errorf("TaskManager %s: %w", tm.info.Name, err)
	}
	return false, err
}

// pause waits, and answers false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
