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

// A ledger is stopped with a savepoint half way, the savepoint is moved, and another job goes on from it with another
// parallelism: over both, every record counts once.
func TestStopWithASavepointAndGoOn(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 3, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	args := paramArgs(params)
	cmd := func(args ...string) harness.Result {
		return built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...)
	}
	run := cluster.Start(module, append(args, "--parallelism", "2")...)
	job := string((&attempts{cluster: cluster}).saves(t).ID)

	if r := cmd("checkpoint", job); r.Code != 0 || !strings.Contains(r.Stdout, "completed in") {
		t.Fatalf("checkpoint: %+v", r)
	}
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "mine"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(full, "mine", "thing"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if r := cmd("stop", job, "--to", full); r.Code != 1 || !strings.Contains(r.Stderr, "is not empty") {
		t.Fatalf("stop to a place that is taken: %+v", r)
	}
	kept := filepath.Join(dir, "kept")
	if r := cmd("savepoint", "take", job, "--to", kept); r.Code != 0 || strings.TrimSpace(r.Stdout) != kept {
		t.Fatalf("savepoint take: %+v", r)
	}
	last := filepath.Join(dir, "last")
	if r := cmd("stop", job, "--to", last); r.Code != 0 || strings.TrimSpace(r.Stdout) != last {
		t.Fatalf("stop: %+v", r)
	}
	if r := run.Wait(); r.Code != 0 {
		t.Fatalf("the run that was stopped: %+v", r)
	}
	stopped, err := cluster.GetJob(context.Background(), cluster.Job().ID)
	if err != nil || stopped.State != api.JobFinished {
		t.Fatalf("job after stop: %+v, %v", stopped, err)
	}
	if stopped.Progress.InputRead >= stopped.Progress.InputTotal {
		t.Fatal("the job was over before it was stopped: nothing was tested")
	}
	if r := cmd("savepoint", "list", job); r.Code != 0 || strings.Count(r.Stdout, "complete") != 2 || !strings.Contains(r.Stdout, kept) {
		t.Errorf("savepoint list: %+v", r)
	}
	if r := cmd("savepoint", "take", job, "--to", filepath.Join(dir, "more")); r.Code != 1 || !strings.Contains(r.Stderr, "FINISHED") {
		t.Errorf("savepoint of a job that has ended: %+v", r)
	}

	pace.full()
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(last, moved); err != nil {
		t.Fatal(err)
	}
	show := built.wasmill.Run(t, "savepoint", "show", moved, "--sample", "1")
	if show.Code != 0 || !strings.Contains(show.Stdout, "key groups") || !strings.Contains(show.Stdout, "group ") {
		t.Errorf("savepoint show: %+v", show)
	}
	damage(t, kept)
	if r := built.wasmill.Run(t, "savepoint", "show", kept); r.Code != 1 || !strings.Contains(r.Stderr, ".snap") || !strings.Contains(r.Stderr, "damaged") {
		t.Errorf("show a damaged savepoint: %+v", r)
	}
	if r := cluster.Run(module, append(args, "--from", kept)...); r.Code != 1 || !strings.Contains(r.Stderr, "damaged") {
		t.Errorf("go on from a damaged savepoint: %+v", r)
	}
	other := filepath.Join(harness.Root(t), "test/guests/wordcount-c.wasm")
	if r := cluster.Run(other, "--param", "input="+params["input"], "--param", "output="+filepath.Join(dir, "words"), "--from", moved); r.Code != 1 || !strings.Contains(r.Stderr, "uid") {
		t.Errorf("go on with another job: %+v", r)
	}
	cluster.Run(module, append(args, "--parallelism", "3", "--from", moved)...).OK(t)
	if err := workload.Ledger.Verify(dir, input, job, string(cluster.Job().ID)); err != nil {
		t.Error(err)
	}
	if r := built.wasmill.Run(t, "savepoint", "dispose", moved); r.Code != 0 {
		t.Errorf("savepoint dispose: %+v", r)
	}
	if r := built.wasmill.Run(t, "savepoint", "dispose", dir); r.Code != 1 || !strings.Contains(r.Stderr, "no savepoint") {
		t.Errorf("dispose of what is no savepoint: %+v", r)
	}
}

// damage changes a byte in the middle of the first snapshot file.
func damage(t *testing.T, path string) {
	files, _ := filepath.Glob(filepath.Join(path, "files", "*.snap"))
	if len(files) == 0 {
		t.Fatalf("%s has no files", path)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// What a job that has failed leaves is a savepoint, too.
func TestGoOnFromWhatAFailedJobLeft(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_RESTART_PER_HOUR", "1")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 5, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	args := paramArgs(params)
	run := cluster.Start(module, args...)
	for attempt := 1; ; attempt++ {
		harness.Until(t, time.Minute, "a checkpoint of the attempt", func() bool {
			j := cluster.Job()
			return j != nil && (j.State.Terminal() || j.Checkpoint != nil && int(j.Checkpoint.Attempt) == attempt)
		})
		if cluster.Job().State.Terminal() {
			break
		}
		cluster.Restart("taskmanager-1")
	}
	run.Wait()
	failed := cluster.Job()
	if failed.State != api.JobFailed {
		t.Fatalf("job is %s: nothing was tested", failed.State)
	}
	pace.full()
	left := filepath.Join(cluster.Dir, "checkpoints", string(failed.ID))
	harness.Until(t, 10*time.Second, "a seal", func() bool {
		_, err := os.Stat(filepath.Join(left, "SEALED"))
		return err == nil
	})
	cluster.Run(module, append(args, "--parallelism", "2", "--from", left)...).OK(t)
	if err := workload.Ledger.Verify(dir, input, string(failed.ID), string(cluster.Job().ID)); err != nil {
		t.Error(err)
	}
}
