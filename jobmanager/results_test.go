package jobmanager

import (
	"encoding/json"
	"log/slog"
	"maps"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// batchJob is the master of a job in batch mode: two subtasks of a source, two behind them.
func batchJob(t *testing.T, meta ha.Store) *jobMaster {
	t.Helper()
	g := graph.JobGraph{Name: "job", Batch: true, Modules: []graph.Module{{ID: "m"}}, Operators: []graph.Operator{
		{UID: "in", Kind: abi.OperatorSource, Parallelism: 2}, {UID: "copy", Kind: abi.OperatorMap, Parallelism: 2, Inputs: []graph.Input{{Partition: graph.Rebalance, Exchange: graph.Blocking}}},
	}}
	jm := &JobManager{config: Config{Meta: meta, Log: slog.New(slog.DiscardHandler)}, resources: newResourceManager(time.Now)}
	return newJobMaster(jm, jobRecord{Version: recordVersion, ID: "0123456789ab", Graph: g, Attempt: 3})
}

// What a task has left is there under another JobManager, until it is forgotten.
func TestResultsAreKept(t *testing.T) {
	meta, err := ha.OpenMemory(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer meta.Close()
	before := batchJob(t, meta)
	first, second := graph.TaskID{}, graph.TaskID{Subtask: 1}
	before.splits = map[int]*splitQueue{0: {read: map[int]graph.TaskID{0: second, 1: first, 2: second}}}
	before.metrics[first] = wire.TaskMetrics{RecordsIn: 7}
	before.fsm.tasks = map[graph.TaskID]*subtask{
		first: {slot: schedule.Slot{TaskManager: "a", Index: 1}, state: wire.TaskFinished, attempt: 2, process: 11},
		second: {slot: schedule.Slot{TaskManager: "b"}, state: wire.TaskFinished, attempt: 3, process: 12,
			prepared: []connector.Committable{{Operator: "out", Data: json.RawMessage(`"file"`)}}},
	}
	before.storeResult(first)
	before.storeResult(second)

	after := batchJob(t, meta)
	if with := after.goOn(); !maps.Equal(with, map[wire.TaskManagerID]bool{"a": true, "b": true}) {
		t.Errorf("TaskManagers %v have results (expected a and b)", with)
	}
	for id, want := range before.fsm.tasks {
		want.slot.Index, want.gone = 0, true
		if got := after.fsm.tasks[id]; !reflect.DeepEqual(got, want) {
			t.Errorf("task %s: %+v (expected %+v)", id, got, want)
		}
		if !after.fsm.keeps(id) || !after.fsm.stored[id] {
			t.Errorf("task %s: kept: %v, stored: %v", id, after.fsm.keeps(id), after.fsm.stored[id])
		}
	}
	if got := after.splits[0].read; !maps.Equal(got, before.splits[0].read) {
		t.Errorf("read: %v (expected %v)", got, before.splits[0].read)
	}
	if n := after.metrics[first].RecordsIn; n != 7 {
		t.Errorf("%d records (expected 7)", n)
	}

	if err := meta.Apply(after.forgetResults([]graph.TaskID{first})...); err != nil {
		t.Fatal(err)
	}
	if again := batchJob(t, meta); len(again.goOn()) != 1 || again.fsm.tasks[first] != nil || again.fsm.tasks[second] == nil {
		t.Errorf("%v (expected task %s alone)", again.fsm.tasks, second)
	}
	if err := meta.Apply(after.forgetResults(after.exec.Tasks())...); err != nil {
		t.Fatal(err)
	}
	if left := meta.List(resultKey); len(left) != 0 {
		t.Errorf("%v are left of the job", left)
	}
}

// A job that goes on waits for who has its results, and not for ever.
func TestResultsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResourceManager(time.Now)
		begun := time.Now()
		ids := map[wire.TaskManagerID]bool{"a": true, "b": true}
		go func() {
			for _, id := range []wire.TaskManagerID{"c", "a", "b"} {
				time.Sleep(time.Second)
				r.add(t.Context(), wire.Register{TaskManager: id, Slots: 1}, 1, nil, time.Now())
				r.open(id)
			}
		}()
		r.gather(t.Context(), ids, time.Minute)
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("it waited for %s (expected 3 s)", took)
		}
		ids["gone"] = true
		r.gather(t.Context(), ids, time.Minute)
		if took := time.Since(begun); took != 63*time.Second {
			t.Errorf("it waited for %s (expected 1m3s)", took)
		}
		r.gather(t.Context(), nil, time.Minute)
		if took := time.Since(begun); took != 63*time.Second {
			t.Errorf("it waited for nobody (%s)", took)
		}
	})
}

// What a task has told when it began, and what comes after its last word, does not count instead of that.
func TestFiguresThatComeLateAreNotTheLast(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 2)
		job := c.submit(2)
		tasks := a.running()
		a.mu.Lock()
		began := &wire.Report{
			Header: a.tasks[tasks[0]], TaskManager: a.id, Task: tasks[0], State: wire.TaskRunning,
			Metrics: wire.TaskMetrics{Attempt: 1, RecordsIn: 3, RecordsOut: 1, InputRead: 1},
		}
		a.mu.Unlock()
		a.report(tasks[0], wire.TaskFinished, nil)
		want := c.job(job.ID).Progress
		if want.SourceOut == 0 {
			t.Fatalf("progress %+v (expected that of a task)", want)
		}
		if err := c.jm.Report(t.Context(), began); err != nil {
			t.Fatal(err)
		}
		if got := c.job(job.ID).Progress; got != want {
			t.Errorf("progress %+v behind a report that came late (expected %+v)", got, want)
		}
	})
}
