package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

// A source that could be read at once stays near a slow one of its group, over a TaskManager that is killed, and it is said which
// split waits.
func TestSourcesOfAGroupStayTogether(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	module := filepath.Join(harness.Root(t), "test/guests/drift.wasm")
	const lines, drift, rate = 30_000, 500, 3000
	out := filepath.Join(t.TempDir(), "out")
	run := cluster.Start(module, "--param", "output="+out, "--param", fmt.Sprint("count=", lines), "--param", fmt.Sprint("drift=", drift), "--param", fmt.Sprint("rate=", rate), "--parallelism", "2")
	// Behind the drift, a source may read one batch of each split more, and go on for as long as it hears nothing: a heartbeat.
	most := drift + 2*1024*2 + 2*rate*int64(harness.Stretched(time.Second)/time.Millisecond)/1000
	paused, compared := false, 0
	look := func() {
		metrics, err := cluster.JobMetrics(t.Context(), cluster.Job().ID)
		if err != nil {
			return // it is restarting
		}
		furthest := map[string]int64{}
		for _, task := range metrics.Tasks {
			paused = paused || len(task.Metrics.Paused) > 0
			name, of := task.Name, "slow"
			if strings.Contains(name, "fast") {
				of = "fast"
			}
			if strings.HasPrefix(name, "generator") && task.Metrics.Watermark > 0 && task.Metrics.Watermark < abi.MaxTime {
				furthest[of] = max(furthest[of], task.Metrics.Watermark)
			}
		}
		if furthest["slow"] > 0 && furthest["fast"] > 0 {
			compared++
			if ahead := furthest["fast"] - furthest["slow"]; ahead > most {
				t.Fatalf("the fast source is %d ms ahead (expected <= %d)", ahead, most)
			}
		}
	}
	harness.Until(t, time.Minute, "a checkpoint, and a split that waits", func() bool {
		j := cluster.Job()
		if j == nil {
			return false
		}
		look()
		return paused && j.Checkpoint != nil
	})
	info := built.wasmill.Run(t, "info", string(cluster.Job().ID), "--jobmanager", cluster.URL)
	cluster.Restart("taskmanager-1")
	harness.Until(t, 2*time.Minute, "the end of the job", func() bool {
		look()
		return cluster.Job().State.Terminal()
	})
	if r := run.Wait(); r.Code != 0 || cluster.Job().State != api.JobFinished {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(info.Stdout, "ahead of group both") {
		t.Errorf("info tells of no split that waits: %s", info.Stdout)
	}
	if got := strings.Count(harness.Output(t, out), "\n"); got != 2*lines || compared < 3 {
		t.Errorf("%d lines came out (expected %d); the sources were compared %d times", got, 2*lines, compared)
	}
}
