package e2e

import (
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

// Two inputs are joined by key and time, with a function and without, at every parallelism; each pair comes out once. A
// TaskManager is killed meanwhile.
func TestIntervalJoin(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	for _, w := range []*workload.Workload{workload.Nearby, workload.NearbyPairs} {
		for i, parallelism := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s at %d", w.Name, parallelism), func(t *testing.T) {
				dir := t.TempDir()
				params, input, err := w.Prepare(dir, uint64(parallelism), 20_000)
				if err != nil {
					t.Fatal(err)
				}
				args := []string{"--parallelism", fmt.Sprint(parallelism)}
				for name, value := range params {
					args = append(args, "--param", name+"="+value)
				}
				run := cluster.Start(filepath.Join(harness.Root(t), "test/guests", w.Guest+".wasm"), args...)
				harness.Until(t, time.Minute, "a checkpoint completes", func() bool {
					j := cluster.Job()
					return j != nil && (j.Checkpoint != nil || j.State == api.JobFinished)
				})
				cluster.Restart(fmt.Sprint("taskmanager-", 1+i%2))
				run.Wait().OK(t)
				if err := w.Verify(dir, input); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A join that cannot run is refused when it is submitted, with the place of the fault.
func TestBadJoinsAreRefused(t *testing.T) {
	dir := t.TempDir()
	lines := filepath.Join(dir, "lines.txt")
	if err := os.WriteFile(lines, []byte("k,1,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := built.wasmill.Run(t, "run", filepath.Join(harness.Root(t), "test/guests/nearby.wasm"), "--param", "left="+lines, "--param", "right="+lines,
		"--param", "output="+filepath.Join(dir, "out"), "--param", "lower=10", "--param", "upper=5")
	if want := "interval: an interval from 10 to 5 ms (exclusive) (expected lower <= upper"; r.Code == 0 || !strings.Contains(r.Stderr, want) {
		t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
	}
}
