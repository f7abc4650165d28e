package jobmanager

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// result is what a task in batch mode has left that has finished. What it has sent lies with its TaskManager, which keeps that also
// when the JobManager is another one.
type result struct {
	Task        graph.TaskID            `json:"task"`
	TaskManager wire.TaskManagerID      `json:"taskManager"`
	Process     int                     `json:"process"`
	Attempt     graph.Attempt           `json:"attempt"` // in which it has finished
	Prepared    []connector.Committable `json:"prepared,omitempty"`
	Splits      map[int][]int           `json:"splits,omitempty"` // that it has read, by the operator of the source
	Metrics     wire.TaskMetrics        `json:"metrics"`
}

// gatherLimit is how long a job that goes on under another JobManager waits for the TaskManagers that have results of its tasks.
// They notice at once that the one before is gone, and ask for the new one each second.
const gatherLimit = 5 * time.Second

func (j *jobMaster) resultKey(id graph.TaskID) string {
	return fmt.Sprintf("%s%s/%s", resultKey, j.id, id)
}

// storeResult stores what a task has left. If that fails the job goes on: another JobManager has the task run again.
func (j *jobMaster) storeResult(id graph.TaskID) {
	j.mu.Lock()
	t := j.fsm.tasks[id]
	r := result{
		Task: id, TaskManager: t.slot.TaskManager, Process: t.process, Attempt: t.attempt, Prepared: t.prepared, Metrics: j.metrics[id],
		Splits: map[int][]int{},
	}
	for op, q := range j.splits {
		for split, task := range q.read {
			if task == id {
				r.Splits[op] = append(r.Splits[op], split)
			}
		}
	}
	j.mu.Unlock()
	if err := j.jm.config.Meta.Apply(ha.Put(j.resultKey(id), encode(r))); err != nil {
		j.log.Warn("store what a task has left", "task", id, "err", err)
	}
}

// forgetResults are the operations that do so.
func (j *jobMaster) forgetResults(tasks []graph.TaskID) (ops []ha.Op) {
	if !j.record.Graph.Batch {
		return nil
	}
	for _, id := range tasks {
		ops = append(ops, ha.Delete(j.resultKey(id)))
	}
	return ops
}

// goOn has a job that another JobManager has left go on with what its tasks have left, and answers which TaskManagers have that.
func (j *jobMaster) goOn() map[wire.TaskManagerID]bool {
	with := map[wire.TaskManagerID]bool{}
	if !j.record.Graph.Batch {
		return with
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fsm.tasks, j.fsm.stored = map[graph.TaskID]*subtask{}, map[graph.TaskID]bool{}
	j.splits = map[int]*splitQueue{}
	for _, e := range j.jm.config.Meta.List(resultKey + string(j.id) + "/") {
		var r result
		if err := json.Unmarshal(e.Value, &r); err != nil {
			j.log.Error("read metadata", "key", e.Key, "err", err) // the task runs again
			continue
		}
		with[r.TaskManager] = true
		j.fsm.stored[r.Task] = true
		j.fsm.tasks[r.Task] = &subtask{
			slot: schedule.Slot{TaskManager: r.TaskManager}, state: wire.TaskFinished, gone: true, prepared: r.Prepared, attempt: r.Attempt, process: r.Process,
		}
		j.metrics[r.Task] = r.Metrics
		for op, splits := range r.Splits {
			if j.splits[op] == nil {
				j.splits[op] = &splitQueue{read: map[int]graph.TaskID{}}
			}
			for _, i := range splits {
				j.splits[op].read[i] = r.Task
			}
		}
	}
	if len(j.fsm.tasks) > 0 {
		j.log.Info("tasks have finished under the JobManager before", "tasks", len(j.fsm.tasks), "of", len(j.exec.Tasks()))
	}
	return with
}
