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

// runThroughKill runs a workload on a cluster at that pace, kills one of its two TaskManagers when a checkpoint is there, and holds
// the output against the input.
func runThroughKill(t *testing.T, cluster *harness.Cluster, pace *pace, w *workload.Workload, seed uint64, records, parallelism int) {
	t.Helper()
	dir := t.TempDir()
	params, input, err := w.Prepare(dir, seed, records)
	if err != nil {
		t.Fatal(err)
	}
	pace.slow()
	before := cluster.Job()
	run := cluster.Start(guestOf(t, w), append(paramArgs(params), "--parallelism", fmt.Sprint(parallelism))...)
	(&attempts{cluster: cluster, behind: before}).saves(t)
	cluster.Restart(fmt.Sprint("taskmanager-", 1+seed%2))
	pace.full()
	run.Wait().OK(t)
	if err := w.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// attempts follows the newest job from one attempt to the next.
type attempts struct {
	cluster *harness.Cluster
	behind  *api.Job // it is another one than this; nil: the first
	seen    int      // the last attempt with a checkpoint that was waited for
}

// saves waits until another attempt than those before has a checkpoint.
func (a *attempts) saves(t *testing.T) (j *api.Job) {
	t.Helper()
	harness.Until(t, time.Minute, "a checkpoint of another attempt", func() bool {
		j = a.cluster.Job()
		if j == nil || a.behind != nil && j.ID == a.behind.ID {
			return false
		}
		return j.State.Terminal() || j.Checkpoint != nil && int(j.Checkpoint.Attempt) > a.seen
	})
	if j.State.Terminal() {
		t.Fatalf("the job has ended too early: %+v", j)
	}
	a.seen = int(j.Checkpoint.Attempt)
	return j
}

// follower waits for a job's checkpoints.
type follower struct {
	t       *testing.T
	cluster *harness.Cluster
	behind  *api.Job // the job is another one than this; nil: the first
	last    api.Checkpoint
}

// job is the job, which must not have failed.
func (f *follower) job() *api.Job {
	f.t.Helper()
	j := f.cluster.Job()
	if j != nil && f.behind != nil && j.ID == f.behind.ID {
		return nil
	}
	if j != nil && j.State.Terminal() && j.State != api.JobFinished {
		f.t.Fatalf("job is %s: %v", j.State, j.Failure)
	}
	return j
}

// completes waits until n more checkpoints are completed.
func (f *follower) completes(n int) {
	f.t.Helper()
	for range n {
		harness.Until(f.t, time.Minute, "a checkpoint completes", func() bool {
			j := f.job()
			if j == nil || j.State == api.JobFinished {
				return j != nil
			}
			if j.Checkpoint == nil || j.Checkpoint.ID <= f.last.ID {
				return false
			}
			f.last = *j.Checkpoint
			return true
		})
	}
}

// goesOn fails the test if the job is over: what comes would test nothing.
func (f *follower) goesOn() {
	f.t.Helper()
	if j := f.job(); j == nil || j.State == api.JobFinished {
		f.t.Fatal("the job was over too soon: nothing was tested")
	}
}
