package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// slowed is a cluster with a ledger whose accounts are booked far slower than its files are read.
type slowed struct {
	*harness.Cluster
	t     *testing.T
	dir   string
	input workload.Input
	args  []string // parameters
	run   *harness.Process
	job   *api.Job
}

func startSlowed(t *testing.T, transfers int) *slowed {
	t.Helper()
	x := &slowed{Cluster: built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2"), t: t, dir: t.TempDir()}
	params, input, err := workload.Congested.Prepare(x.dir, 7, transfers)
	if err != nil {
		t.Fatal(err)
	}
	x.input = input
	x.args = append(x.args, paramArgs(params)...)
	x.run = x.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), append(x.args, "--parallelism", "2")...)
	return x
}

// congested waits until the sources have come to a stand behind what is in flight.
func (x *slowed) congested() {
	x.t.Helper()
	var read int64
	var since time.Time
	harness.Until(x.t, time.Minute, "the sources stand still", func() bool {
		if x.job = x.Job(); x.job == nil || x.job.State.Terminal() {
			return x.job != nil
		}
		if n := x.job.Progress.SourceOut; n != read || n == 0 {
			read, since = n, time.Now()
			return false
		}
		return time.Since(since) > 500*time.Millisecond
	})
	if x.job.State != api.JobRunning {
		x.t.Fatalf("the job is %s: nothing was tested", x.job.State)
	}
}

// checkpoint takes one, and says how long that took.
func (x *slowed) checkpoint() (*api.Checkpoint, time.Duration) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	begun := time.Now()
	c, err := x.TakeCheckpoint(ctx, x.job.ID)
	if err != nil {
		x.t.Fatal(err)
	}
	return c, time.Since(begun)
}

// Behind a slow consumer an aligned checkpoint waits until all that is in flight is processed. One that overtakes it is there
// many times sooner, and who goes on from it loses nothing, and counts nothing twice.
func TestUnalignedCheckpointOvertakes(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "0s")
	var aligned time.Duration
	t.Run("aligned", func(t *testing.T) {
		t.Setenv("WASMILL_CHECKPOINT_ALIGNMENT_TIMEOUT", "0s")
		x := startSlowed(t, 200_000)
		x.congested()
		var c *api.Checkpoint
		if c, aligned = x.checkpoint(); c.Unaligned || c.InFlight != 0 {
			t.Errorf("checkpoint %+v", c)
		}
		t.Logf("%v aligned, %d bytes", aligned, c.Size)
		if _, err := x.CancelJob(context.Background(), x.job.ID); err != nil {
			t.Fatal(err)
		}
		x.run.Wait()
	})
	for _, c := range []struct {
		name, option, value string
		sooner              time.Duration // times, at least, on a machine that does other things too: 4 to 14 when it does not
	}{
		{"unaligned", "WASMILL_CHECKPOINT_UNALIGNED", "true", 2},
		{"out of patience", "WASMILL_CHECKPOINT_ALIGNMENT_TIMEOUT", "20ms", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.option, c.value)
			x := startSlowed(t, 100_000)
			x.congested()
			const much = 256 << 10
			taken, took := x.checkpoint()
			for try := 1; try < 3 && (c.sooner*took > aligned || taken.InFlight < much); try++ { // others may have had the processors
				x.congested()
				taken, took = x.checkpoint()
			}
			t.Logf("%v, %d bytes, %d of them in flight", took, taken.Size, taken.InFlight)
			if !taken.Unaligned || taken.InFlight < much {
				t.Errorf("checkpoint %+v (expected one that overtook much)", taken)
			}
			if c.sooner*took > aligned {
				t.Errorf("it took %v, an aligned one %v", took, aligned)
			}
			x.Restart("taskmanager-1")
			harness.Until(t, 2*time.Minute, "the job ends", func() bool { return x.Job().State.Terminal() })
			if j := x.Job(); j.State != api.JobFinished || j.Restarts == 0 {
				t.Errorf("job is %s after %d restarts: %v", j.State, j.Restarts, j.Failure)
			}
			x.run.Wait()
			if err := workload.Congested.Verify(x.dir, x.input); err != nil {
				t.Error(err)
			}
		})
	}
}

// A job is rescaled because it does not keep up, and needs no time to catch up for that: what is in flight is dealt out to the
// new subtasks.
func TestCongestedJobIsRescaled(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "0s")
	t.Setenv("WASMILL_CHECKPOINT_UNALIGNED", "true")
	x := startSlowed(t, 120_000)
	for _, parallelism := range []string{"3", "1"} {
		x.congested()
		begun := time.Now()
		built.wasmill.Run(t, "rescale", string(x.job.ID), "--parallelism", parallelism, "--jobmanager", x.URL).OK(t)
		t.Logf("rescaled to %s after %v", parallelism, time.Since(begun))
		all, err := x.JobCheckpoints(context.Background(), x.job.ID)
		if err != nil || len(all) == 0 || all[0].InFlight == 0 {
			t.Errorf("checkpoints %+v, %v (expected records in flight in the newest)", all, err)
		}
	}
	harness.Until(t, 2*time.Minute, "the job ends", func() bool { return x.Job().State.Terminal() })
	if j := x.Job(); j.State != api.JobFinished || j.Restarts != 2 || j.Parallelism != 1 {
		t.Errorf("job is %s after %d restarts, parallelism %d: %v", j.State, j.Restarts, j.Parallelism, j.Failure)
	}
	x.run.Wait()
	if err := workload.Ledger.Verify(x.dir, x.input); err != nil {
		t.Error(err)
	}
}

// What a congested job that has failed leaves holds records in flight. A new job goes on with them, at another parallelism.
func TestGoOnWithRecordsInFlight(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "300ms")
	t.Setenv("WASMILL_CHECKPOINT_UNALIGNED", "true")
	t.Setenv("WASMILL_RESTART_PER_HOUR", "1")
	x := startSlowed(t, 120_000)
	for attempt := 1; ; attempt++ {
		harness.Until(t, time.Minute, "a checkpoint of the attempt with records in flight", func() bool {
			x.job = x.Job()
			return x.job != nil && (x.job.State.Terminal() || x.job.Checkpoint != nil && x.job.Checkpoint.InFlight > 0 && int(x.job.Checkpoint.Attempt) >= attempt)
		})
		if x.job.State.Terminal() {
			break
		}
		x.Restart(fmt.Sprintf("taskmanager-%d", 2-attempt%2)) // the other one may have all of the next attempt
	}
	x.run.Wait()
	if x.job.State != api.JobFailed {
		t.Fatalf("job is %s: nothing was tested", x.job.State)
	}
	left := filepath.Join(x.Dir, "checkpoints", string(x.job.ID))
	harness.Until(t, 10*time.Second, "a seal", func() bool {
		_, err := os.Stat(filepath.Join(left, "SEALED"))
		return err == nil
	})
	if shown := built.wasmill.Run(t, "savepoint", "show", left).OK(t).Stdout; !strings.Contains(shown, "in flight") {
		t.Errorf("savepoint show: %s", shown)
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	x.Run(module, append(x.args, "--parallelism", "3", "--from", left)...).OK(t)
	if err := workload.Congested.Verify(x.dir, x.input, string(x.job.ID), string(x.Job().ID)); err != nil {
		t.Error(err)
	}
}
