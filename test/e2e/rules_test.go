package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// A broadcast state counts rules in every subtask while a TaskManager is killed and the job is rescaled, stopped, and gone on with at
// another parallelism: each rule counts once in each copy. The savepoint shows the state once.
func TestBroadcastState(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "3")
	module, dir := filepath.Join(harness.Root(t), "test/guests/rules.wasm"), t.TempDir()
	params, input, err := workload.Rules.Prepare(dir, 7, 400_000)
	if err != nil {
		t.Fatal(err)
	}
	args := paramArgs(params)
	run := cluster.Start(module, append(args, "--parallelism", "2")...)
	job := &attempts{cluster: cluster}
	id, saved := string(job.saves(t).ID), filepath.Join(dir, "saved")
	cluster.Restart("taskmanager-1")
	job.saves(t)
	built.wasmill.Run(t, "rescale", id, "--parallelism", "3", "--jobmanager", cluster.URL).OK(t)
	job.saves(t)
	built.wasmill.Run(t, "stop", id, "--to", saved, "--jobmanager", cluster.URL).OK(t)
	if r := run.Wait(); r.Code != 0 {
		t.Fatalf("the run that was stopped: %+v", r)
	}
	pace.full()
	show := built.wasmill.Run(t, "savepoint", "show", saved, "--sample", "1")
	for _, part := range []string{"rules", "broadcast", `"k0" = "`} {
		if show.Code != 0 || !strings.Contains(show.Stdout, part) {
			t.Errorf("savepoint show has no %q: %+v", part, show)
		}
	}
	cluster.Run(module, append(args, "--parallelism", "1", "--from", saved)...).OK(t)
	if err := workload.Rules.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// A function that changes a broadcast state for a record that is not broadcast fails by what it did.
func TestBroadcastStateIsReadOnlyOnTheOtherSide(t *testing.T) {
	dir := t.TempDir()
	params, _, err := workload.Rules.Prepare(dir, 7, 100)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", filepath.Join(harness.Root(t), "test/guests/rules.wasm"), "--param", "spoil=yes"}, paramArgs(params)...)
	r := built.wasmill.Run(t, args...)
	if want := `state "rules", which can only be read here (expected for a record of input 1`; r.Code == 0 || !strings.Contains(r.Stderr, want) {
		t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
	}
}

// A broadcast record is applied to all keys of a state, of each kind: what it sweeps out adds up, at one and at two subtasks.
func TestBroadcastRecordsAreAppliedToAllKeys(t *testing.T) {
	for w, parallelism := range map[*workload.Workload]int{workload.Sweep: 1, workload.SweptLists: 2, workload.SweptMaps: 2} {
		dir := t.TempDir()
		params, input, err := w.Prepare(dir, uint64(parallelism), 30_000)
		if err != nil {
			t.Fatal(err)
		}
		args := batchArgs(parallelism, params)
		args[1] = "streaming"
		built.wasmill.Run(t, append([]string{"run", guestOf(t, w)}, args...)...).OK(t)
		if err := w.Verify(dir, input); err != nil {
			t.Errorf("%s, parallelism %d: %v", w.Name, parallelism, err)
		}
		lines, err := workload.Read(filepath.Join(dir, "output"), false)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range lines {
			n += len(f.Lines)
		}
		if n <= 3000 {
			t.Errorf("%s, parallelism %d: %d lines (expected more than the 3,000 keys: none was swept out but at the end)", w.Name, parallelism, n)
		}
	}
}
