package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// rustGuest is the module of test/guests/rust, which `make guests` builds; here it is made anew where something has changed.
func rustGuest(t *testing.T, name string) string {
	t.Helper()
	root := harness.Root(t)
	if _, err := os.Stat(filepath.Join(root, "bin/rust/sysroot")); err != nil {
		t.Skip("there is no Rust for WebAssembly (make need-rust installs it)")
	}
	module := "bin/guests/" + name + "-rust.wasm"
	cmd := exec.Command("make", "-s", module)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", module, err, out)
	}
	return filepath.Join(root, module)
}

// A function over one value after the other needs no memory for all of them.
func TestAWindowLargerThanItsRustGuest(t *testing.T) {
	checkLargeWindow(t, 400_000, "4MiB", rustGuest(t, "work"), "work=frames")
}

// What the guests in C do, one in Rust does: window functions with triggers and evictors, joins of each kind, broadcast state, lists of the
// operator, first and distinct, sorts, and requests; each line has the answer that it must have.
func TestRustGuest(t *testing.T) {
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "127.0.0.1:*")
	module := rustGuest(t, "work")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	byFunction := *workload.TogetherPairs
	byFunction.Name, byFunction.Params = "outer join by a function", maps.Clone(byFunction.Params)
	byFunction.Params["shape"] = "function"
	for name, c := range frameCases {
		for _, hold := range []string{"hold=no", "hold=yes"} { // values one after the other, and all of a window
			t.Run("windows "+name+", "+hold, func(t *testing.T) {
				checkFrames(t, append(slices.Clone(c.params), "work=frames", hold), c.want, func(args ...string) harness.Result { return cluster.Run(module, args...) })
			})
		}
	}
	for i, w := range []*workload.Workload{
		workload.Framed, workload.FramedSessions, workload.Nearby, workload.NearbyPairs, workload.Together, workload.TogetherPairs, &byFunction,
		workload.Rules, workload.Sweep, workload.SweptLists, workload.SweptMaps, workload.Roster, workload.FirstOfKey, workload.FirstOfAll, workload.Distinct, workload.Unequal, workload.Folds,
		workload.SortedLines, workload.SortedRows, workload.Mapped, workload.Reduced, workload.Aggregated, workload.SortedKeys, workload.Ranged,
		workload.Met("broadcastHashSecond", "left"), workload.Met("repartitionHashFirst", "full"),
	} {
		t.Run(w.Name, func(t *testing.T) {
			dir := t.TempDir()
			params, input, err := w.Prepare(dir, uint64(i), 1_000)
			if err != nil {
				t.Fatal(err)
			}
			args := append(batchArgs(2, params), "--param", "work="+w.Guest)
			if w != workload.Ranged && w.Guest != "met" { // which batch mode is for
				args[1] = "streaming"
			}
			cluster.Run(module, args...).OK(t)
			if err := w.Verify(dir, input); err != nil {
				t.Error(err)
			}
		})
	}
	for _, ordered := range []bool{false, true} {
		t.Run(fmt.Sprint("requests, ordered: ", ordered), func(t *testing.T) {
			dir, server := t.TempDir(), newTroubled(t)
			params := []string{"work=asking", "capacity=20", "retries=5", "timeout=30000"}
			if ordered {
				params = append(params, "ordered=yes", "keyed=yes")
			}
			in, args := server.asking(t, dir, 300, params...)
			cluster.Run(module, append(args, "--parallelism", "2")...).OK(t)
			files, err := workload.Read(filepath.Join(dir, "output"), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := workload.CheckAsked(in, files, ordered); err != nil {
				t.Error(err)
			}
		})
	}
}
