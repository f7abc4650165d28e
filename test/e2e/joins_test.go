package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// Two inputs are joined by key and time, by intervals and in windows, with a function and without, at every parallelism; each
// result comes out once. A TaskManager is killed meanwhile.
func TestJoins(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	for _, w := range []*workload.Workload{workload.Nearby, workload.NearbyPairs, workload.Together, workload.TogetherPairs} {
		for i, parallelism := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s at %d", w.Name, parallelism), func(t *testing.T) {
				runThroughKill(t, cluster, pace, w, uint64(i), 20_000, parallelism)
			})
		}
	}
}

// In batch mode, where the input is sorted by key, joins give the same.
func TestJoinsInBatchMode(t *testing.T) {
	for _, w := range []*workload.Workload{workload.Nearby, workload.NearbyPairs, workload.Together, workload.TogetherPairs} {
		t.Run(w.Name, func(t *testing.T) {
			dir := t.TempDir()
			params, input, err := w.Prepare(dir, 3, 6000)
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run", guestOf(t, w), "--mode", "batch", "--parallelism", "2"}, paramArgs(params)...)
			built.wasmill.Run(t, args...).OK(t)
			if err := w.Verify(dir, input); err != nil {
				t.Error(err)
			}
		})
	}
}

// A join that cannot run is refused when it is submitted, with the place of the fault.
func TestBadJoinsAreRefused(t *testing.T) {
	dir := t.TempDir()
	lines := filepath.Join(dir, "lines.txt")
	if err := os.WriteFile(lines, []byte("k,1,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		guest, want string
		params      []string
	}{
		{"nearby", "interval: an interval from 10 to 5 ms (exclusive) (expected lower <= upper", []string{"lower=10", "upper=5"}},
		{"together", "window (expected one: every record would be kept for ever)", []string{"window=0"}},
		{"together", "window.slide: 400ms (expected 0s < slide <= 300ms, its size)", []string{"slide=400"}},
		{"together", `outer: "full" of a co-group (expected none`, []string{"outer=full"}},
	} {
		args := []string{"run", filepath.Join(harness.Root(t), "test/guests", c.guest+".wasm")}
		for _, p := range append(c.params, "left="+lines, "right="+lines, "output="+filepath.Join(dir, "out")) {
			args = append(args, "--param", p)
		}
		if r := built.wasmill.Run(t, args...); r.Code == 0 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%s %q: code %d, %s\nexpected %s", c.guest, c.params, r.Code, r.Stderr, c.want)
		}
	}
}
