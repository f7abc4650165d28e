package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/test/harness"
)

// A ledger whose processes are killed one after the other, each some checkpoints after the one before: every record
// counts once, and nothing that was visible is taken back.
func TestStateSurvivesSIGKILL(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 1, 300_000)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--parallelism", "2"}, paramArgs(params)...)
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), args...)
	follow := follower{t: t, cluster: cluster}
	follow.completes(2)
	cluster.Restart("taskmanager-1")
	follow.completes(2)
	cluster.Restart("taskmanager-2")
	follow.completes(2)
	follow.goesOn()
	j := follow.job()
	if j.Attempt < 3 || j.Guarantee.Guarantee != connector.ExactlyOnce {
		t.Errorf("attempt %d, guarantee %v (expected >= 3, exactly-once)", j.Attempt, j.Guarantee)
	}
	if all, err := cluster.JobCheckpoints(context.Background(), j.ID); err != nil || len(all) == 0 || len(all) > 4 {
		t.Errorf("%d checkpoints are retained, %v (expected 1 to 4)", len(all), err)
	}
	cluster.Restart("jobmanager")
	pace.full()
	harness.Until(t, 2*time.Minute, "the job ends", func() bool {
		j := follow.job()
		return j != nil && j.State == api.JobFinished
	})
	run.Wait() // it has lost the JobManager
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// The only process of an embedded job is killed, and the same command goes on.
func TestEmbeddedJobGoesOnAfterSIGKILL(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 2, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), "--state-dir", filepath.Join(dir, "state")}
	for _, name := range []string{"input", "output"} {
		args = append(args, "--param", name+"="+params[name])
	}
	killed := built.wasmill.Start(t, args...)
	harness.Until(t, time.Minute, "output of a checkpoint is visible", func() bool {
		files, _ := filepath.Glob(filepath.Join(params["output"], "part-*"))
		return len(files) > 1
	})
	killed.Kill()
	if r := killed.Wait(); r.Code == 0 {
		t.Fatal("the job was over before it was killed: nothing was tested")
	}
	pace.full()
	built.wasmill.Run(t, args...).OK(t)
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
}
