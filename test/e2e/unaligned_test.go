package e2e

import (
	"context"
	"path/filepath"
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
	args := []string{"--parallelism", "2"}
	for name, value := range params {
		args = append(args, "--param", name+"="+value)
	}
	x.run = x.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), args...)
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
		sooner              time.Duration // times: a batch takes long here, and patience ends behind one
	}{
		{"unaligned", "WASMILL_CHECKPOINT_UNALIGNED", "true", 4},
		{"out of patience", "WASMILL_CHECKPOINT_ALIGNMENT_TIMEOUT", "20ms", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.option, c.value)
			x := startSlowed(t, 40_000)
			x.congested()
			taken, took := x.checkpoint()
			t.Logf("%v, %d bytes, %d of them in flight", took, taken.Size, taken.InFlight)
			if !taken.Unaligned || taken.InFlight < 256<<10 {
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
