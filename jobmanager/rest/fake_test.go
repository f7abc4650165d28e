package rest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/readable"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// fakeJobManager has a list of jobs that tests change.
type fakeJobManager struct {
	mu       sync.Mutex
	jobs     []api.Job
	modules  []api.Module
	uploaded []byte
	changes  chan api.Job
	panics   bool
}

var moduleID = graph.ModuleID(strings.Repeat("ab", 32))

func fakeJob(n int) api.Job {
	running := time.Date(2026, 1, 31, 12, 0, 1, 0, time.UTC)
	return api.Job{
		Guarantee: api.Guarantee{Guarantee: connector.ExactlyOnce},
		ID:        graph.JobID(fmt.Sprintf("%012x", n)), Name: "wordcount", State: api.JobRunning, Attempt: 2, Restarts: 1, Parallelism: 2,
		Params: map[string]string{"input": "moby.txt"}, Module: moduleID, Directory: "/work", Request: "again", Created: running, Running: &running,
		Subtasks: api.Subtasks{Total: 4, Running: 4}, Progress: api.Progress{InputRead: 10, InputTotal: 100, SourceOut: 3},
		Failure: &wire.Failure{Kind: wire.KindIO, Message: "disk"}, Output: []api.Output{{Operator: "out", Path: "counts", Rows: 7}},
		Skipped: []api.Skipped{{Operator: "split", OnTrap: graph.OnTrapSkip, Count: 3}}, Ephemeral: true,
	}
}

func newFake() *fakeJobManager {
	return &fakeJobManager{
		jobs:    []api.Job{fakeJob(1), fakeJob(2), fakeJob(3)},
		modules: []api.Module{{ID: moduleID, Size: 3, Name: "wordcount", SDK: "go 0.1.0", ABI: 1, Params: []abi.Param{{Name: "input", Required: true}}, Uploaded: time.Now()}},
		changes: make(chan api.Job, 4),
	}
}

func (f *fakeJobManager) SubmitJob(_ context.Context, s *api.Submit) (*api.Job, error) {
	if s.Module != moduleID {
		return nil, fmt.Errorf("submit: %w", api.Errorf(api.KindInvalid, "module %s is not here", s.Module).WithHint("upload it first"))
	}
	j := fakeJob(9)
	j.Params = s.Params
	return &j, nil
}

func (f *fakeJobManager) ListJobs(context.Context) ([]api.Job, error) { return f.jobs, nil }

func (f *fakeJobManager) GetJob(_ context.Context, id graph.JobID) (*api.Job, error) {
	if f.panics {
		panic("fault")
	}
	for i := range f.jobs {
		if f.jobs[i].ID == id {
			return &f.jobs[i], nil
		}
	}
	return nil, api.Errorf(api.KindNotFound, "job %s: there is none", id)
}

func (f *fakeJobManager) CancelJob(ctx context.Context, id graph.JobID) (*api.Job, error) {
	j, err := f.GetJob(ctx, id)
	if err != nil {
		return nil, err
	}
	if j.State.Terminal() {
		return nil, api.Errorf(api.KindConflict, "job %s has ended: %s", id, j.State)
	}
	j.State = api.JobCancelling
	return j, nil
}

func (f *fakeJobManager) GiveUp(ctx context.Context, id graph.JobID, g *api.GiveUp) (*api.GaveUp, error) {
	j, err := f.GetJob(ctx, id)
	if err != nil {
		return nil, err
	}
	lost := []api.LostOutput{{Operator: "out", Checkpoint: 7, Name: "/counts/part-1-7-0-0", Rows: 3, Bytes: 12, Cause: fmt.Sprint("gone, dry run: ", g.DryRun)}}
	j.Guarantee = api.Guarantee{Guarantee: connector.AtMostOnce, Because: []string{"output was given up"}, Lost: lost}
	return &api.GaveUp{Job: j, Lost: lost, Hindered: []string{"something else has that name"}}, nil
}

func (f *fakeJobManager) JobCheckpoints(ctx context.Context, id graph.JobID) ([]api.Checkpoint, error) {
	if _, err := f.GetJob(ctx, id); err != nil {
		return nil, err
	}
	return []api.Checkpoint{{ID: 7, Attempt: 2, Size: 100}}, nil
}

func (f *fakeJobManager) VerifyCheckpoints(ctx context.Context, id graph.JobID) (*api.Verification, error) {
	j, err := f.GetJob(ctx, id)
	if err != nil {
		return nil, err
	}
	damaged := []checkpoint.Fault{{File: "files/1-0.0-1.snap", Fault: "there is no such file"}}
	return &api.Verification{Job: j.ID, Files: 1, Size: 100, Checkpoints: []api.VerifiedCheckpoint{{ID: 7, Faults: damaged}}, Restart: api.Restart{Fails: true}}, nil
}

func (f *fakeJobManager) InspectCheckpoint(ctx context.Context, id graph.JobID, n checkpoint.ID, sample int) (*savepoint.Report, error) {
	j, err := f.GetJob(ctx, id)
	if err != nil {
		return nil, err
	}
	state := savepoint.State{Name: "seen", Key: abi.CodecUTF8, Value: "row(n: i64)", Entries: 9, Groups: 2, Versions: map[uint16]int64{1: 9}}
	for range sample {
		state.Sample = append(state.Sample, savepoint.Entry{Group: 5, Start: readable.Time(1000), End: readable.Time(2000), Key: []byte(`"k"`), Value: []byte(`{"n": 1}`), Expires: readable.Time(3000)})
	}
	return &savepoint.Report{Job: j.ID, Name: j.Name, Checkpoint: max(n, 7), KeyGroups: 128, Files: 1, Size: 100, Operators: []savepoint.Operator{
		{UID: "source", Name: "source", Kind: abi.OperatorSource, Parallelism: 1, Splits: &savepoint.Splits{Total: 2, Open: 1}},
		{UID: "p", Name: "p", Kind: abi.OperatorProcess, Parallelism: 1, States: []savepoint.State{state}},
	}}, nil
}

func (f *fakeJobManager) JobPlan(ctx context.Context, id graph.JobID) (*api.Plan, error) {
	if _, err := f.GetJob(ctx, id); err != nil {
		return nil, err
	}
	return &api.Plan{
		Guarantee: api.Guarantee{Guarantee: connector.AtLeastOnce, Because: []string{"the sink"}},
		Graph:     graph.JobGraph{Name: "wordcount", Parallelism: 1, MaxParallelism: 128, Operators: []graph.Operator{{Name: "files", Kind: abi.OperatorSource}}},
		Execution: graph.ExecutionGraph{Chains: []graph.Chain{{Operators: []int{0}, Parallelism: 1}}, Regions: [][]int{{0}}},
		Tasks:     []api.Task{{Name: "files", State: "RUNNING", Metrics: wire.TaskMetrics{RecordsIn: 7}}},
	}, nil
}

func (f *fakeJobManager) JobLogs(_ context.Context, _ graph.JobID, _ time.Time, max int) ([]wire.LogLine, error) {
	return []wire.LogLine{{Time: time.Now(), Level: "INFO", Operator: "split", Attempt: 1, Text: fmt.Sprint("max ", max)}}, nil
}

func (f *fakeJobManager) WatchJob(ctx context.Context, id graph.JobID) (<-chan api.Job, error) {
	_, err := f.GetJob(ctx, id)
	return f.changes, err
}

func (f *fakeJobManager) UploadModule(_ context.Context, r io.Reader) (*api.Module, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("upload module: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded = b
	return &f.modules[0], nil
}

func (f *fakeJobManager) GetModule(_ context.Context, id graph.ModuleID) (*api.Module, error) {
	if id != moduleID {
		return nil, api.Errorf(api.KindNotFound, "module %s: there is none", id)
	}
	return &f.modules[0], nil
}

func (f *fakeJobManager) ListModules(context.Context) ([]api.Module, error) { return f.modules, nil }

func (f *fakeJobManager) ListTaskManagers(context.Context) ([]api.TaskManager, error) {
	return []api.TaskManager{{ID: "tm-1", Name: "taskmanager-1", PID: 7, Slots: 2, FreeSlots: 1, RSS: 1 << 20}}, nil
}

func (f *fakeJobManager) ClusterOverview(context.Context) (*api.Overview, error) {
	return &api.Overview{Version: "1", Epoch: 3, TaskManagers: 1, Slots: 2, FreeSlots: 1, Jobs: map[api.JobState]int{api.JobRunning: 3}}, nil
}

func (f *fakeJobManager) TakeCheckpoint(ctx context.Context, id graph.JobID) (*api.Checkpoint, error) {
	if _, err := f.GetJob(ctx, id); err != nil {
		return nil, err
	}
	return &api.Checkpoint{ID: 8}, nil
}

func (f *fakeJobManager) RescaleJob(ctx context.Context, id graph.JobID, s *api.Rescale) (*api.Job, error) {
	j, err := f.GetJob(ctx, id)
	if err == nil {
		j.Parallelism = *s.Parallelism + s.Operators["counts"]
	}
	return j, err
}

func (f *fakeJobManager) UpgradeJob(ctx context.Context, id graph.JobID, u *api.Upgrade) (*api.Upgraded, error) {
	j, err := f.GetJob(ctx, id)
	if err != nil {
		return nil, err
	}
	return &api.Upgraded{Job: j, Module: u.Module, Changes: []string{fmt.Sprint(u.Params, u.DryRun)}, Way: api.UpgradeInPlace, Checkpoint: 7}, nil
}

func (f *fakeJobManager) TakeSavepoint(ctx context.Context, id graph.JobID, s *api.TakeSavepoint) (*api.Savepoint, error) {
	if _, err := f.GetJob(ctx, id); err != nil {
		return nil, err
	}
	return &api.Savepoint{Path: s.Path, Job: id, Checkpoint: 9, Stopped: s.Stop, Sealed: true}, nil
}

func (f *fakeJobManager) JobSavepoints(ctx context.Context, id graph.JobID) ([]api.Savepoint, error) {
	if _, err := f.GetJob(ctx, id); err != nil {
		return nil, err
	}
	return []api.Savepoint{{Path: "/backup", Job: id, Checkpoint: 9, Sealed: true}}, nil
}
