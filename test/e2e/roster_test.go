package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/test/harness"
)

// Lists of an operator without key hold back lines while the job has its TaskManager killed, is rescaled, stopped, and gone on with
// at another parallelism: each line comes out once. The savepoint shows what they hold.
func TestListsOfAnOperator(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "3")
	module := filepath.Join(harness.Root(t), "test/guests/roster.wasm")
	const lines = 100_000
	dir := t.TempDir()
	out, saved := filepath.Join(dir, "out"), filepath.Join(dir, "saved")
	args := []string{"--param", fmt.Sprint("count=", lines), "--param", "rate=1000000", "--param", "most=200", "--param", "output=" + out}
	cmd := func(args ...string) harness.Result {
		return built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...)
	}
	run := cluster.Start(module, append(args, "--parallelism", "2")...)
	job := &attempts{cluster: cluster}
	id := string(job.saves(t).ID)
	cluster.Restart("taskmanager-1")
	job.saves(t)
	cmd("rescale", id, "--parallelism", "3").OK(t)
	job.saves(t)
	cmd("stop", id, "--to", saved).OK(t)
	if r := run.Wait(); r.Code != 0 {
		t.Fatalf("the run that was stopped: %+v", r)
	}
	pace.full()
	show := built.wasmill.Run(t, "savepoint", "show", saved, "--sample", "1")
	for _, part := range []string{"held", "shared", "ended", "of the operator", "subtask "} {
		if show.Code != 0 || !strings.Contains(show.Stdout, part) {
			t.Errorf("savepoint show has no %q: %+v", part, show)
		}
	}
	cluster.Run(module, append(args, "--parallelism", "1", "--from", saved)...).OK(t)
	got := strings.Fields(harness.Output(t, out))
	var want []string
	for n := range lines {
		want = append(want, fmt.Sprint(n))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines came out of %d, or others", len(got), len(want))
	}
}
