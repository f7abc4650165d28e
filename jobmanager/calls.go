package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// What TaskManagers call. Every call may be repeated; what carries another epoch, or an attempt that is over, is refused
// as KindStale and changes nothing.

// maxSlots bounds what one TaskManager may claim to have.
const maxSlots = graph.MaxParallelism

// Register takes a TaskManager in. One that was known is taken to have stopped all that ran on it.
func (jm *JobManager) Register(_ context.Context, m *wire.Register) (*wire.Registered, error) {
	switch {
	case m.Version != wire.Version:
		return nil, refuse(wire.KindInput, "register TaskManager %s: it speaks version %d (expected %d)", m.Name, m.Version, wire.Version)
	case m.TaskManager == "":
		return nil, refuse(wire.KindInput, "register TaskManager %s: it has no id", m.Name)
	case m.Slots < 1 || m.Slots > maxSlots:
		return nil, refuse(wire.KindInput, "register TaskManager %s: slots: %d (expected 1 <= n <= %d)", m.Name, m.Slots, maxSlots)
	}
	client, err := jm.config.Dial(*m)
	if err != nil {
		return nil, fmt.Errorf("register TaskManager %s: %w", m.Name, err)
	}
	jm.registers.Lock()
	defer jm.registers.Unlock()
	jm.Lost(m.TaskManager, "it has registered again")
	jm.sessions++
	session := jm.sessions
	jm.resources.add(jm.ctx, *m, session, client, jm.config.Now())
	if jm.liveness == nil {
		jm.resources.open(m.TaskManager)
	}
	jm.config.Log.Info("TaskManager registered", "taskmanager", m.Name, "id", m.TaskManager, "slots", m.Slots, "address", m.Address)
	jm.tidySoon()
	return &wire.Registered{
		Epoch: jm.epoch, Heartbeat: jm.config.Heartbeat, Timeout: jm.config.HeartbeatTimeout, Liveness: jm.livenessAddress(),
		Session: session,
	}, nil
}

func (jm *JobManager) livenessAddress() string {
	switch {
	case jm.liveness == nil:
		return ""
	case jm.config.LivenessAdvertise != "":
		return jm.config.LivenessAdvertise
	}
	return jm.liveness.address()
}

// Lost says that a TaskManager and all that ran on it is gone. It may be said of one that is not known.
func (jm *JobManager) Lost(id wire.TaskManagerID, reason string) {
	name, jobs, known := jm.resources.remove(id)
	if !known {
		return
	}
	jm.config.Log.Warn("TaskManager lost", "taskmanager", name, "id", id, "reason", reason)
	if jm.liveness != nil {
		jm.liveness.drop(id)
	}
	for _, job := range jobs {
		if j := jm.jobOf(job); j != nil {
			j.send(jm.ctx, evLost{tm: id, name: name, reason: reason}, nil)
		}
	}
}

// Heartbeat notes that a TaskManager lives and what its tasks have done. It answers which of the jobs that the TaskManager
// keeps files of are over, or forgotten since.
func (jm *JobManager) Heartbeat(_ context.Context, m *wire.Heartbeat) (*wire.Noted, error) {
	if err := jm.checkEpoch(m.Epoch); err != nil {
		return nil, err
	}
	jm.resources.open(m.TaskManager) // one whose liveness connection cannot be made has its heartbeats
	if !jm.resources.beat(m.TaskManager, m.RSS, jm.config.Now()) {
		return nil, refuse(wire.KindStale, "TaskManager %s is not registered", m.TaskManager)
	}
	byJob := map[graph.JobID][]wire.TaskMetrics{}
	for _, t := range m.Tasks {
		byJob[t.Job] = append(byJob[t.Job], t)
	}
	for job, tasks := range byJob {
		if j := jm.jobOf(job); j != nil {
			j.measure(tasks...)
		}
	}
	noted := &wire.Noted{}
	for _, job := range slices.Sorted(maps.Keys(byJob)) {
		if j := jm.jobOf(job); j != nil {
			noted.Slowest = append(noted.Slowest, j.slowest()...)
			noted.Dealt = append(noted.Dealt, j.dealt(byJob[job])...)
		}
	}
	for _, job := range m.Kept {
		if jm.Over(job) {
			noted.Over = append(noted.Over, job)
		}
	}
	return noted, nil
}

// Over says whether no task will ever run of a job: it has ended, or is forgotten.
func (jm *JobManager) Over(id graph.JobID) bool {
	j := jm.jobOf(id)
	return j == nil || j.hasEnded()
}

// Report takes in that a task has changed its state. When it has answered, what follows from it is stored.
func (jm *JobManager) Report(ctx context.Context, m *wire.Report) error {
	j, err := jm.current(m.Header)
	if err != nil {
		return err
	}
	if m.Metrics.Attempt != 0 {
		metrics := m.Metrics
		metrics.Job, metrics.Attempt, metrics.Task = m.Job, m.Attempt, m.Task
		j.measure(metrics)
	}
	return j.tell(ctx, evTask{
		attempt: m.Attempt, tm: m.TaskManager, task: m.Task, state: m.State, failure: j.withEnds(m.Failure), prepared: m.Prepared, holds: m.Holds,
	})
}

// withEnds names, in the failure of a channel, the TaskManagers that it was between.
func (j *jobMaster) withEnds(f *wire.Failure) *wire.Failure {
	j.mu.Lock()
	a, b := j.fsm.ends(f)
	j.mu.Unlock()
	from, to := j.jm.resources.find(a), j.jm.resources.find(b)
	if a == b || from == nil || to == nil {
		return f
	}
	named := *f
	named.Message = fmt.Sprintf("%s (from TaskManager %s to %s)", f.Message, from.info.Name, to.info.Name)
	return &named
}

// NextSplit gives out work of a source.
func (jm *JobManager) NextSplit(_ context.Context, m *wire.NextSplit) (*wire.SplitAssignment, error) {
	j, err := jm.current(m.Header)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	q := j.splits[m.Operator]
	switch {
	case m.Attempt != j.fsm.attempt && !failpoint.Planted(failpoint.NoFencing):
		return nil, staleAttempt(m.Header, j.fsm.attempt)
	case q == nil:
		return nil, refuse(wire.KindInternal, "next split: operator %d of job %s: it is no source, or what it reads is not stored", m.Operator, m.Job)
	}
	return q.assign(splitRequest{m.Task, m.Request}), nil
}

// Module opens the metered bytes of a module.
func (jm *JobManager) Module(_ context.Context, metered graph.ModuleID) (io.ReadCloser, error) {
	r, err := jm.config.Blobs.Open(metered)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(wire.KindModule, "module %s is not here", metered)
	}
	return r, err
}

// current finds the job that a message is about, if the message is of this epoch and of the job's current attempt.
func (jm *JobManager) current(h wire.Header) (*jobMaster, error) {
	if err := jm.checkEpoch(h.Epoch); err != nil && !failpoint.Planted(failpoint.NoFencing) {
		return nil, err
	}
	j := jm.jobOf(h.Job)
	if j == nil {
		return nil, refuse(wire.KindStale, "job %s is not known", h.Job)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.fsm.phase == ended:
		return nil, refuse(wire.KindStale, "job %s has ended", h.Job)
	case h.Attempt != j.fsm.attempt && !failpoint.Planted(failpoint.NoFencing):
		return nil, staleAttempt(h, j.fsm.attempt)
	}
	return j, nil
}

func staleAttempt(h wire.Header, now graph.Attempt) error {
	return refuse(wire.KindStale, "attempt %d of job %s is over (now %d)", h.Attempt, h.Job, now)
}

func (jm *JobManager) checkEpoch(e graph.Epoch) error {
	if e != jm.epoch {
		return refuse(wire.KindStale, "epoch %d is over (now %d)", e, jm.epoch)
	}
	return nil
}

func refuse(kind wire.Kind, format string, args ...any) *wire.Failure {
	return &wire.Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Acknowledge takes note of a task's part of a checkpoint.
func (jm *JobManager) Acknowledge(ctx context.Context, m *wire.Acknowledge) error {
	j, err := jm.current(m.Header)
	if err != nil {
		return err
	}
	if m.Part != nil && m.Part.Task != m.Task {
		return refuse(wire.KindInternal, "acknowledge checkpoint %d: the part of task %s from task %s", m.Checkpoint, m.Part.Task, m.Task)
	}
	return j.tell(ctx, evAcknowledged{m})
}
