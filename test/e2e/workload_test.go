package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

func guestOf(t *testing.T, w *workload.Workload) string {
	return filepath.Join(harness.Root(t), "test/guests", w.Guest+".wasm")
}

// paramArgs are parameters as they are typed.
func paramArgs(params map[string]string) (args []string) {
	for name, value := range params {
		args = append(args, "--param", name+"="+value)
	}
	return args
}

// runThroughKill runs a workload on a cluster, kills one of its two TaskManagers when a checkpoint is there, and holds the output
// against the input.
func runThroughKill(t *testing.T, cluster *harness.Cluster, w *workload.Workload, seed uint64, records, parallelism int) {
	t.Helper()
	dir := t.TempDir()
	params, input, err := w.Prepare(dir, seed, records)
	if err != nil {
		t.Fatal(err)
	}
	run := cluster.Start(guestOf(t, w), append(paramArgs(params), "--parallelism", fmt.Sprint(parallelism))...)
	awaitCheckpoint(t, cluster)
	cluster.Restart(fmt.Sprint("taskmanager-", 1+seed%2))
	run.Wait().OK(t)
	if err := w.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// awaitCheckpoint waits until the job has a checkpoint, or has ended.
func awaitCheckpoint(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	harness.Until(t, time.Minute, "a checkpoint completes", func() bool {
		j := cluster.Job()
		return j != nil && (j.Checkpoint != nil || j.State == api.JobFinished)
	})
}

// attempts follows a job from one attempt to the next.
type attempts struct {
	cluster *harness.Cluster
	seen    int // the last attempt with a checkpoint that was waited for
}

// saves waits until another attempt than those before has a checkpoint.
func (a *attempts) saves(t *testing.T) *api.Job {
	t.Helper()
	harness.Until(t, time.Minute, "a checkpoint of another attempt", func() bool {
		j := a.cluster.Job()
		return j != nil && (j.State.Terminal() || j.Checkpoint != nil && int(j.Checkpoint.Attempt) > a.seen)
	})
	j := a.cluster.Job()
	if j.State.Terminal() {
		t.Fatalf("the job has ended too early: %+v", j)
	}
	a.seen = int(j.Checkpoint.Attempt)
	return j
}
