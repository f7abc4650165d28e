package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// The first lines, and those that differ, are the same in both modes, in one process and at parallelisms above the slots of a cluster.
func TestFirstAndDistinct(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	for i, w := range []*workload.Workload{workload.FirstOfKey, workload.FirstOfAll, workload.Distinct, workload.Unequal} {
		for _, mode := range []string{"streaming", "batch"} {
			t.Run(w.Name+" "+mode, func(t *testing.T) {
				inBothPlaces(t, cluster, w, mode, uint64(i))
			})
		}
	}
}

// inBothPlaces runs a workload in one process, and at a parallelism above the slots of a TaskManager on a cluster.
func inBothPlaces(t *testing.T, cluster *harness.Cluster, w *workload.Workload, mode string, seed uint64) {
	t.Helper()
	for parallelism, run := range map[int]func(args ...string) harness.Result{
		1: func(args ...string) harness.Result {
			return built.wasmill.Run(t, append([]string{"run", guestOf(t, w)}, args...)...)
		},
		3: func(args ...string) harness.Result { return cluster.Run(guestOf(t, w), args...) },
	} {
		dir := t.TempDir()
		params, input, err := w.Prepare(dir, seed+uint64(10*parallelism), 20_000)
		if err != nil {
			t.Fatal(err)
		}
		args := batchArgs(parallelism, params)
		args[1] = mode
		run(args...).OK(t)
		if err := w.Verify(dir, input); err != nil {
			t.Errorf("parallelism %d: %v", parallelism, err)
		}
	}
}

// What has been let by is state: a line is not let by again after a TaskManager was killed, at another parallelism, and behind a
// savepoint.
func TestDistinctGoesOn(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "3")
	w, dir := workload.Unequal, t.TempDir()
	params, input, err := w.Prepare(dir, 5, 300_000)
	if err != nil {
		t.Fatal(err)
	}
	args := batchArgs(2, params)
	args[1] = "streaming"
	run := cluster.Start(guestOf(t, w), args...)
	job := &attempts{cluster: cluster}
	id, saved := string(job.saves(t).ID), filepath.Join(dir, "saved")
	cluster.Restart("taskmanager-1")
	job.saves(t)
	built.wasmill.Run(t, "stop", id, "--to", saved, "--jobmanager", cluster.URL).OK(t)
	if r := run.Wait(); r.Code != 0 {
		t.Fatalf("the run that was stopped: %+v", r)
	}
	pace.full()
	args[3] = "3"
	cluster.Run(guestOf(t, w), append(args, "--from", saved)...).OK(t)
	if err := w.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// What cannot be meant is refused before the job runs.
func TestFirstOfNoneIsRefused(t *testing.T) {
	w, dir := workload.FirstOfAll, t.TempDir()
	params, _, err := w.Prepare(dir, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	params["n"] = "0"
	r := built.wasmill.Run(t, append([]string{"run", guestOf(t, w)}, batchArgs(1, params)...)...)
	if want := `first "some": 0 records (expected >= 1)`; r.Code == 0 || !strings.Contains(r.Stderr, want) {
		t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
	}
}
