package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// A job is rescaled up, its module is exchanged, and it is rescaled down while a TaskManager is killed; every record
// counts once, and keeps its order.
func TestRescaleAndUpgrade(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 4, 300_000)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	args := paramArgs(params)
	cmd := func(args ...string) harness.Result {
		return built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...)
	}
	run := cluster.Start(module, args...)
	job := string((&attempts{cluster: cluster}).saves(t).ID)
	alive := func(what string) {
		t.Helper()
		if j := cluster.Job(); j.State.Terminal() {
			t.Fatalf("the job was %s before the %s: nothing was tested", j.State, what)
		}
	}
	for _, c := range []struct{ given, want string }{
		{"400", "key groups"}, {"5", "not enough slots"}, {"nobody=2", "there is no operator"}, {"1", "has these parallelisms"},
	} {
		if r := cmd("rescale", job, "--parallelism", c.given); r.Code != 1 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("rescale to %s: %+v (expected %q)", c.given, r, c.want)
		}
	}
	if r := cmd("rescale", job, "--parallelism", "3"); r.Code != 0 || !strings.Contains(r.Stdout, "rescaled after") {
		t.Fatalf("rescale: %+v", r)
	}
	alive("upgrade")
	next := another(t, module)
	other := filepath.Join(harness.Root(t), "test/guests/hashchain.wasm")
	if r := cmd("upgrade", job, other, "--dry-run"); r.Code != 1 || !strings.Contains(r.Stderr, "uid") {
		t.Errorf("upgrade to another job: %+v", r)
	}
	if r := cmd("upgrade", job, next, "--dry-run"); r.Code != 0 || !strings.Contains(r.Stdout, "module") {
		t.Errorf("upgrade --dry-run: %+v", r)
	}
	if r := cmd("upgrade", job, next); r.Code != 0 || !strings.Contains(r.Stdout, "upgraded in place after") {
		t.Fatalf("upgrade: %+v", r)
	}
	alive("rescale of one operator")
	plan, err := cluster.JobPlan(context.Background(), cluster.Job().ID)
	if err != nil {
		t.Fatal(err)
	}
	var keyed string
	for _, o := range plan.Graph.Operators {
		if o.Kind == "process" {
			keyed = o.Name
		}
	}
	cluster.Restart("taskmanager-1")
	if r := cmd("rescale", job, "--parallelism", keyed+"=1"); r.Code != 0 && !strings.Contains(r.Stderr, "expected RUNNING") && !strings.Contains(r.Stderr, "attempt has ended") {
		t.Fatalf("rescale %s: %+v", keyed, r)
	}
	pace.full()
	harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
	if j := cluster.Job(); j.State != api.JobFinished || string(j.Module) == "" || j.Parallelism != 3 {
		t.Errorf("job: %+v", j)
	}
	run.Wait()
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// another is a module with the functions of one: a custom section is appended.
func another(t *testing.T, module string) string {
	t.Helper()
	wasm, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "next.wasm")
	if err := os.WriteFile(next, append(wasm, 0, 5, 4, 'n', 'e', 'x', 't'), 0o666); err != nil {
		t.Fatal(err)
	}
	return next
}

// A sink that is given a parallelism of its own leaves the chain of the operator before it, and joins it again: what its tasks
// go on from is not taken for that operator's state, which has changed since.
func TestAnOperatorLeavesItsChainAndComesBack(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 5, 300_000)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--parallelism", "2"}, paramArgs(params)...)
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), args...)
	follow := follower{t: t, cluster: cluster}
	follow.completes(2)
	for _, given := range []string{"files=1", "files=2"} {
		built.wasmill.Run(t, "rescale", string(cluster.Job().ID), "--parallelism", given, "--jobmanager", cluster.URL).OK(t)
		follow.completes(2)
	}
	follow.goesOn()
	pace.full()
	harness.Until(t, 2*time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
	if j := cluster.Job(); j.State != api.JobFinished || j.Restarts != 2 {
		t.Errorf("job is %s after %d restarts: %v (expected FINISHED after 2 rescalings)", j.State, j.Restarts, j.Failure)
	}
	run.Wait()
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
}
