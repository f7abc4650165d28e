package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/test/harness"
)

// An input that has become another file of the same size while a job was down fails the job by name. Put back, as a copy and
// at another time, it is gone on with from what the job has left.
func TestAReplacedInputIsNoticed(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "1")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 7, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Glob(params["input"])
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input: %v", err)
	}
	put := func(change func([]byte) []byte) {
		t.Helper()
		for _, path := range inputs {
			data, err := os.ReadFile(path)
			if err == nil {
				err = errors.Join(os.WriteFile(path+".new", change(data), 0o666), os.Rename(path+".new", path))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	swap := func(from, to string) func([]byte) []byte {
		return func(p []byte) []byte { return bytes.ReplaceAll(p, []byte(from), []byte(to)) }
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	run := cluster.Start(module, paramArgs(params)...)
	(&attempts{cluster: cluster}).saves(t)
	again := cluster.Kill("taskmanager-1")
	put(swap("\n", "\x00")) // which no line has
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Process.Kill(); again.Wait() })
	harness.Until(t, time.Minute, "the job has ended", func() bool { return cluster.Job().State.Terminal() })
	run.Wait()
	failed := cluster.Job()
	if failed.State != api.JobFailed || failed.Failure.Kind != wire.KindInput || failed.Failure.Hint == "" || failed.Restarts != 1 ||
		!strings.Contains(failed.Failure.Message, "-0.txt is not the file that ") {
		t.Fatalf("job is %s after %d restarts: %+v", failed.State, failed.Restarts, failed.Failure)
	}
	put(swap("\x00", "\n"))
	pace.full()
	left := filepath.Join(cluster.Dir, "checkpoints", string(failed.ID))
	harness.Until(t, 10*time.Second, "a seal", func() bool {
		_, err := os.Stat(filepath.Join(left, "SEALED"))
		return err == nil
	})
	cluster.Run(module, append(paramArgs(params), "--from", left)...).OK(t)
	if err := workload.Ledger.Verify(dir, input, string(failed.ID), string(cluster.Job().ID)); err != nil {
		t.Error(err)
	}
}

// An input that is away for a moment holds the job up, which says what helps; when it is back, the job goes on, and every record
// counts once.
func TestAnInputMayBeAwayForAMoment(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "1")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 9, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Glob(params["input"])
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input: %v", err)
	}
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), paramArgs(params)...)
	harness.Until(t, time.Minute, "a checkpoint completes", func() bool {
		j := cluster.Job()
		return j != nil && j.Checkpoint != nil
	})
	again := cluster.Lose("taskmanager-1")
	for _, path := range inputs {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
	}
	again()
	harness.Until(t, time.Minute, "the job misses its input", func() bool {
		j := cluster.Job()
		return j != nil && j.Failure != nil && strings.Contains(j.Failure.Message, " is gone")
	})
	if j := cluster.Job(); j.State.Terminal() || j.Failure.Kind != wire.KindIO || !strings.Contains(j.Failure.Hint, "put it back") {
		t.Errorf("job is %s: %+v", j.State, j.Failure)
	}
	for _, path := range inputs {
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
	if r := run.Wait().OK(t); !strings.Contains(r.Stderr, " is gone\n  hint: put it back") {
		t.Errorf("run does not say what helps:\n%s", r.Stderr)
	}
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
}
