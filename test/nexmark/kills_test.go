//go:build nexmark

package nexmark

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/nexmark/reference"
	"github.com/wasmill/wasmill/test/harness"
)

var (
	seed = flag.Uint64("seed", 0, "of the kills; 0: chosen by the clock")
	full = flag.Bool("full", false, "kill the cluster of every query, and not of three")
)

// killed are the queries that run under kills without -full: slices of windows, state with timers, aggregates.
var killed = []string{"q5", "q9", "q16"}

// Each query has the rows of the reference, each once, though processes of its cluster are killed while it runs, with a checkpoint
// each second.
func TestQueriesUnderKills(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "1s")
	t.Setenv("WASMILL_RESTART_DELAY", "200ms")
	t.Setenv("WASMILL_RESTART_MAX_DELAY", "1s")
	t.Setenv("WASMILL_RESTART_PER_HOUR", "1000")
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	wasmill, module := built(t)
	options := [][2]string{{"events", "60000"}, {"rate", "100"}, {"start", "2026-01-01T23:55:00Z"}, {"out-of-order", "4s"}}
	_, events := eventFile(t, wasmill, options)
	cluster := wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1") // a subtask each, so that every kill hits
	var before graph.JobID                                               // the query before
	for i := range reference.Queries {
		q := &reference.Queries[i]
		if !*full && !slices.Contains(killed, q.Name) {
			continue
		}
		t.Run(q.Name, func(t *testing.T) {
			t.Logf("-seed %d", *seed)
			out, limit := filepath.Join(t.TempDir(), "out"), "7500"
			if q.Name == "q3" || q.Name == "q8" {
				limit = "600" // they take no bids, which are 92 of 100 events
			}
			args := []string{"--param", "query=" + q.Name, "--param", "input=generator", "--param", "output=" + out, "--param", "limit=" + limit, "--parallelism", "2"}
			for _, option := range options {
				args = append(args, "--param", option[0]+"="+option[1])
			}
			run := cluster.Start(module, args...)
			j := kill(t, cluster, before, rand.New(rand.NewPCG(*seed, uint64(i))))
			before = j.ID
			run.Wait().OK(t)
			if j.Attempt < 4 {
				t.Errorf("%d attempts (expected at least 4, or too few kills have hit the job)", j.Attempt)
			}
			same(t, reference.Expect(q, events), out)
		})
	}
}

// kill ends processes by SIGKILL, and starts them again, while the job that is not before runs: at a random time behind each
// checkpoint that is completed after the last kill, four times. It returns the job when it has ended.
func kill(t *testing.T, cluster *harness.Cluster, before graph.JobID, random *rand.Rand) (j *api.Job) {
	victims := []string{"taskmanager-1", "jobmanager", "taskmanager-2", fmt.Sprint("taskmanager-", 1+random.IntN(2))}
	last := checkpoint.ID(0)
	harness.Until(t, 3*time.Minute, "the job has ended", func() bool {
		now := cluster.Job()
		if now == nil || now.ID == before { // there is no JobManager, or not yet the job
			return false
		}
		j = now
		if j.State == api.JobRunning && j.Checkpoint != nil && j.Checkpoint.ID > last && len(victims) > 0 {
			last = j.Checkpoint.ID
			time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond) // any time may be the one at which something is lost
			cluster.Restart(victims[0])
			victims = victims[1:]
		}
		return j.Ended != nil
	})
	return j
}
