package jobmanager

import (
	"maps"
	"slices"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// The attempts of a job in batch mode, as the state machine of a job has them. A task is deployed when those whose output it
// takes have finished and a slot is free, so a job needs one slot, and has use for as many as its widest chain has tasks. What a
// task has sent lies with its TaskManager. After a failure the next attempt keeps the tasks that have finished, as far as what
// they have sent is still there and will be needed; the others run again.

// batch is what is known of the attempts of a job in batch mode.
type batch struct {
	slots     []schedule.Slot
	processes map[wire.TaskManagerID]int  // that there were when the attempt began: what a task has sent is with one of them, or lost
	used      map[wire.TaskManagerID]bool // that have been told of the attempt
}

// deployBatch begins an attempt.
func (m *jobFSM) deployBatch(slots []schedule.Slot, processes map[wire.TaskManagerID]int) {
	before := m.tasks
	m.phase = deploying
	m.stopTimer()
	m.attempt++
	m.batch = &batch{slots: slots, processes: processes, used: map[wire.TaskManagerID]bool{}}
	again := m.runAgain(before)
	m.do(actStoreAttempt{forget: m.forgotten(again)})
	m.tasks = map[graph.TaskID]*subtask{}
	for _, id := range m.exec.Tasks() {
		if again[id] {
			m.tasks[id] = &subtask{gone: true} // it is nowhere yet
			continue
		}
		m.tasks[id] = before[id]
	}
	m.nextTasks()
	m.checkFinished()
}

// runAgain are the tasks that the next attempt has to run: those that have not finished, those whose output is lost and needed, and
// those that took output which will be made again, because it may be dealt out to them in another way.
func (m *jobFSM) runAgain(before map[graph.TaskID]*subtask) map[graph.TaskID]bool {
	again := map[graph.TaskID]bool{}
	for _, id := range m.exec.Tasks() {
		if t := before[id]; t == nil || t.state != wire.TaskFinished {
			again[id] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, id := range m.exec.Tasks() {
			for _, from := range m.exec.Producers(id) {
				switch {
				case again[id] && !again[from] && m.lost(before[from]):
					again[from], grown = true, true
				case again[from] && !again[id]:
					again[id], grown = true, true
				}
			}
		}
	}
	return again
}

// forgotten are the tasks that run again whose results may be stored: another JobManager must not go on with one of them beside
// what this attempt makes of the others.
func (m *jobFSM) forgotten(again map[graph.TaskID]bool) (all []graph.TaskID) {
	for _, id := range m.exec.Tasks() {
		if again[id] && m.stored[id] {
			all = append(all, id)
		}
	}
	return all
}

// finishedBatch has the result of a task that has finished stored, so that another JobManager goes on with it.
func (m *jobFSM) finishedBatch(id graph.TaskID) {
	if !m.batches {
		return
	}
	if m.stored == nil {
		m.stored = map[graph.TaskID]bool{}
	}
	m.stored[id] = true // from now on it may be, whatever comes of it
	m.do(actStoreResult{id})
}

// lost says whether what a finished task has sent is not there any more.
func (m *jobFSM) lost(t *subtask) bool {
	if failpoint.Planted(failpoint.TrustLost) {
		return t.damaged
	}
	process, alive := m.batch.processes[t.slot.TaskManager]
	return t.damaged || !alive || process != t.process
}

// nextTasks deploys what can run now.
func (m *jobFSM) nextTasks() {
	free := m.freeSlots()
	deploys := map[wire.TaskManagerID]*actDeploy{}
	on := func(tm wire.TaskManagerID) *actDeploy {
		if deploys[tm] == nil {
			deploys[tm] = &actDeploy{tm: tm}
		}
		return deploys[tm]
	}
	for _, id := range m.exec.Tasks() {
		if len(free) == 0 {
			break
		}
		t := m.tasks[id]
		if t.state != "" || !t.gone || !m.fed(id) {
			continue
		}
		t.slot, t.gone, t.attempt = free[0], false, m.attempt
		t.process = m.batch.processes[t.slot.TaskManager]
		free = free[1:]
		d := on(t.slot.TaskManager)
		d.tasks = append(d.tasks, wire.TaskDeploy{Task: id, Slot: t.slot.Index})
		for _, r := range m.replays(id) {
			from := on(m.tasks[r.From].slot.TaskManager)
			from.replays = append(from.replays, r)
		}
	}
	for _, tm := range slices.Sorted(maps.Keys(deploys)) {
		m.batch.used[tm] = true
		m.do(*deploys[tm])
	}
}

// unreadable takes note that what a finished task has sent cannot be replayed, if that is what an event says: because it cannot be read,
// or because the channel broke.
func (m *jobFSM) unreadable(t *subtask, e evTask) bool {
	if !m.batches || !t.gone || t.state != wire.TaskFinished || e.state != wire.TaskFailed || e.failure == nil {
		return false
	}
	t.damaged = t.damaged || e.failure.Kind != wire.KindChannel
	return true
}

// freeSlots are those of the attempt in which no task is.
func (m *jobFSM) freeSlots() []schedule.Slot {
	taken := map[schedule.Slot]bool{}
	for _, t := range m.tasks {
		if !t.gone {
			taken[t.slot] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(m.batch.slots), func(s schedule.Slot) bool { return taken[s] })
}

// fed says whether all that a task takes is there.
func (m *jobFSM) fed(id graph.TaskID) bool {
	return !slices.ContainsFunc(m.exec.Producers(id), func(from graph.TaskID) bool { return m.tasks[from].state != wire.TaskFinished })
}

// replays are what has to be sent to a task that begins.
func (m *jobFSM) replays(to graph.TaskID) (all []wire.Replay) {
	for _, i := range m.exec.Chains[to.Chain].Inputs {
		e := m.exec.Edges[i]
		first, n := e.Partition.Senders(to.Subtask, m.exec.Chains[e.To].Parallelism, m.exec.Chains[e.From].Parallelism)
		for s := range n {
			from := graph.TaskID{Chain: e.From, Subtask: first + s}
			all = append(all, wire.Replay{Edge: i, From: from, Attempt: m.tasks[from].attempt, To: to, At: m.tasks[to].slot.TaskManager})
		}
	}
	return all
}

// endBatch tells the TaskManagers that the attempt is over: nobody takes outputs any more.
func (m *jobFSM) endBatch() {
	if m.batch == nil {
		return
	}
	for _, tm := range slices.Sorted(maps.Keys(m.batch.used)) {
		m.do(actCancelTasks{tm: tm})
	}
}

// keeps says whether an attempt goes on with what a task has done in one before.
func (m *jobFSM) keeps(id graph.TaskID) bool {
	t := m.tasks[id]
	return m.batches && t != nil && t.state == wire.TaskFinished
}

// kept is how many tasks those are.
func (m *jobFSM) kept() (n int) {
	for id := range m.tasks {
		if m.keeps(id) {
			n++
		}
	}
	return n
}
