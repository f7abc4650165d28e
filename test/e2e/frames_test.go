package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// Window functions behind a trigger of the guest's run on a cluster at every parallelism, while a TaskManager is killed: each
// line is in one result, and state of keys and of windows counts each result once.
func TestWindowFunctions(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	lines := map[*workload.Workload]int{workload.Framed: 20_000, workload.FramedSessions: 4_000} // sessions ask their trigger line by line
	for _, w := range []*workload.Workload{workload.Framed, workload.FramedSessions} {
		for i, parallelism := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s at %d", w.Name, parallelism), func(t *testing.T) {
				runThroughKill(t, cluster, pace, w, uint64(i), lines[w], parallelism)
			})
		}
	}
}

// A window has a million lines, and its guest less memory than they take: it is given some at a time.
func TestAWindowLargerThanItsGuest(t *testing.T) {
	checkLargeWindow(t, 1_000_000, "2MiB", filepath.Join(harness.Root(t), "test/guests/frames.wasm"))
}

// checkLargeWindow has a guest of that memory sum up a window of so many lines.
func checkLargeWindow(t *testing.T, n int, memory, module string, params ...string) {
	t.Helper()
	dir := t.TempDir()
	var lines []byte
	for i := range n {
		lines = fmt.Appendf(lines, "a,%d,%d\n", i, i%10)
	}
	input, out := filepath.Join(dir, "lines.txt"), filepath.Join(dir, "out")
	if err := os.WriteFile(input, lines, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WASMILL_GUEST_MEMORY", memory)
	args := []string{"run", module}
	for _, p := range append(params, "input="+input, "output="+out, fmt.Sprint("window=", n)) {
		args = append(args, "--param", p)
	}
	built.wasmill.Run(t, args...).OK(t)
	if got := harness.Output(t, filepath.Join(out, "results")); got != fmt.Sprintf("0,a,%d,%d,1,%d,0\n", n, 9*n/2, n) {
		t.Errorf("results %q", got)
	}
}

// frameCases are kinds of windows, triggers and evictors over frameLines, with the results that are told by hand:
// start,key,lines,sum,results,why.
var frameCases = map[string]struct{ params, want []string }{
	"at the end":           {nil, []string{"0,a,2,3,1,0", "0,b,1,8,1,0", "1000,a,3,14,1,0", "2000,a,1,7,1,0"}},
	"folded":               {[]string{"fold=yes"}, []string{"0,a,2,3,1,0", "0,b,1,8,1,0", "1000,a,3,14,1,0", "2000,a,1,7,1,0"}},
	"counted":              {[]string{"trigger=count", "every=2"}, []string{"0,a,2,3,1,0", "1000,a,2,8,1,0"}},
	"counted, without end": {[]string{"kind=global", "trigger=count", "every=2", "purging=yes"}, []string{"0,a,2,3,1,1", "0,a,2,8,2,1", "0,a,2,13,3,1"}},
	"all at the end":       {[]string{"kind=full"}, []string{"0,a,6,24,1,0", "0,b,1,8,1,0"}},
	"all folded":           {[]string{"kind=full", "fold=yes"}, []string{"0,a,6,24,1,0", "0,b,1,8,1,0"}},
	"the newest two":       {[]string{"kind=global", "trigger=count", "every=3", "evictor=count"}, []string{"0,a,2,5,1,1", "0,a,2,13,2,1"}},
	"even ones":            {[]string{"evictor=odd"}, []string{"0,a,1,2,1,0", "0,b,1,8,1,0", "1000,a,1,6,1,0", "2000,a,0,0,1,0"}},
	"in steps":             {[]string{"trigger=continuousEventTime", "every=600"}, []string{"0,a,2,3,1,0", "0,b,1,8,1,0", "1000,a,3,14,1,0", "2000,a,1,7,1,0"}},
	"full":                 {[]string{"trigger=full", "full=6"}, []string{"0,a,2,3,1,0", "0,b,1,8,1,1", "1000,a,1,6,2,1", "1000,a,2,8,1,1", "2000,a,1,7,1,1"}},
	"sessions by the line": {[]string{"kind=pause"}, []string{"100,a,1,1,0,0", "200,a,1,2,0,0", "250,b,1,8,0,0", "1100,a,1,3,0,0", "1150,a,1,5,0,0", "1900,a,1,6,0,0", "2500,a,1,7,0,0"}},
	"sessions":             {[]string{"kind=session", "window=300"}, []string{"100,a,2,3,0,0", "250,b,1,8,0,0", "1100,a,2,8,0,0", "1900,a,1,6,0,0", "2500,a,1,7,0,0"}},
}

const frameLines = "a,100,1\na,200,2\nb,250,8\na,1100,3\na,1150,5\na,1900,6\na,2500,7\n"

// checkFrames has the guest frames run over frameLines and holds its results against those that are told.
func checkFrames(t *testing.T, params, want []string, run func(args ...string) harness.Result) {
	t.Helper()
	dir := t.TempDir()
	lines, out := filepath.Join(dir, "lines.txt"), filepath.Join(dir, "out")
	if err := os.WriteFile(lines, []byte(frameLines), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"--parallelism", "2"}
	for _, p := range append(slices.Clone(params), "disorder=0", "input="+lines, "output="+out) {
		args = append(args, "--param", p)
	}
	run(args...).OK(t)
	var got []string
	for _, l := range strings.Fields(harness.Output(t, filepath.Join(out, "results"))) {
		p := strings.Split(l, ",")
		got = append(got, strings.Join(slices.Delete(p, 5, 6), ",")) // not what results of the key have had so far
	}
	if got, want := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("results %q\nexpected %q", got, want)
	}
}

// Every kind of window, trigger and evictor from the command line.
func TestTriggersAndEvictors(t *testing.T) {
	guest := filepath.Join(harness.Root(t), "test/guests/frames.wasm")
	for name, c := range frameCases {
		t.Run(name, func(t *testing.T) {
			checkFrames(t, c.params, c.want, func(args ...string) harness.Result {
				return built.wasmill.Run(t, append([]string{"run", guest}, args...)...)
			})
		})
	}
}

// A window that cannot have a result is refused when it is submitted, with the place of the fault.
func TestBadTriggersAreRefused(t *testing.T) {
	for _, c := range []struct {
		params map[string]string
		want   string
	}{
		{map[string]string{"kind": "global"}, "window.trigger: none of a global window, which has no end (expected one, or it would never have a result)"},
		{map[string]string{"trigger": "delta"}, `window.trigger.every: 3ms of a trigger delta (expected none)`},
		{map[string]string{"trigger": "count", "every": "-1"}, "window.trigger.count: -1 (expected >= 1)"},
		{map[string]string{"evictor": "odd", "fold": "yes"}, "window.evictor: of the window function \"frames\", which has an accumulator and keeps no records (expected one over all records)"},
	} {
		args := []string{"run", filepath.Join(harness.Root(t), "test/guests/frames.wasm"), "--param", "input=x", "--param", "output=y"}
		for _, name := range slices.Sorted(maps.Keys(c.params)) {
			args = append(args, "--param", name+"="+c.params[name])
		}
		if r := built.wasmill.Run(t, args...); r.Code == 0 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%v: code %d, %s\nexpected %s", c.params, r.Code, r.Stderr, c.want)
		}
	}
}
