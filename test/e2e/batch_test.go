package e2e

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// batchArgs are what a workload is run with in batch mode.
func batchArgs(parallelism int, params map[string]string) []string {
	return append([]string{"--mode", "batch", "--parallelism", fmt.Sprint(parallelism)}, paramArgs(params)...)
}

// What a job makes in streaming mode it makes in batch mode, on two TaskManagers with a slot each, at parallelisms above that, too;
// and nothing of it stays where its tasks ran.
func TestBatchMode(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	for _, w := range []*workload.Workload{workload.Ledger, workload.HashChain, workload.Windows, workload.Sliding, workload.Sessions, workload.Enrich, workload.Nearby, workload.NearbyPairs, workload.Rows} {
		for _, parallelism := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s at %d", w.Name, parallelism), func(t *testing.T) {
				dir := t.TempDir()
				params, input, err := w.Prepare(dir, uint64(parallelism), 3000)
				if err != nil {
					t.Fatal(err)
				}
				cluster.Run(guestOf(t, w), batchArgs(parallelism, params)...).OK(t)
				if err := w.Verify(dir, input); err != nil {
					t.Error(err)
				}
			})
		}
	}
	harness.Until(t, 10*time.Second, "the files of the jobs are removed", func() bool {
		left, err := filepath.Glob(filepath.Join(cluster.Dir, "*", "*", "output-*"))
		deeper, derr := filepath.Glob(filepath.Join(cluster.Dir, "*", "*", "*", "output-*"))
		return err == nil && derr == nil && len(left)+len(deeper) == 0
	})
}

// A TaskManager, or the JobManager, is killed while the second stage runs. What others have made of the first is not made again, and
// the output is that of a run without a failure.
func TestABatchStageIsRunAgain(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	for _, c := range []struct {
		killed string
		log    string
	}{
		{"taskmanager-2", `"msg":"the attempt goes on with tasks that have finished","job":"%s"`},
		{"jobmanager", `"msg":"tasks have finished under the JobManager before","job":"%s"`},
	} {
		t.Run(c.killed, func(t *testing.T) {
			w, dir := workload.Congested, t.TempDir()
			params, input, err := w.Prepare(dir, 3, 16_000)
			if err != nil {
				t.Fatal(err)
			}
			run := cluster.Start(guestOf(t, w), batchArgs(4, params)...)
			harness.Until(t, time.Minute, "the second stage runs", func() bool {
				seen := cluster.Job()
				return seen != nil && !seen.State.Terminal() && seen.Subtasks.Finished >= 4 && seen.Subtasks.Running > 0
			})
			cluster.Restart(c.killed)
			run.Wait().OK(t)
			if err := w.Verify(dir, input); err != nil {
				t.Error(err)
			}
			j := cluster.Job()
			if j == nil || j.Restarts == 0 || j.Mode != api.ModeBatch || j.Progress.SourceOut != int64(len(input["input"][0])+len(input["input"][1])) {
				t.Fatalf("%+v (expected a job in batch mode that was restarted, and has read its input once)", j)
			}
			log, err := os.ReadFile(filepath.Join(cluster.Dir, "jobmanager.log"))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(c.log, j.ID); !strings.Contains(string(log), want) {
				t.Errorf("the second attempt has run every task again (expected %s)", want)
			}
			harness.NothingPending(t, filepath.Join(dir, "output"))
		})
	}
}

// What cannot run in batch mode is refused before it does.
func TestBatchModeRefuses(t *testing.T) {
	dir := t.TempDir()
	guest := filepath.Join(harness.Root(t), "test/guests/running.wasm")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--mode", "batch"}, `mode: batch, but source "generator" (generator) does not end`},
		{[]string{"--mode", "fast"}, `--mode "fast" (expected streaming, batch or automatic)`},
	} {
		got := built.wasmill.Run(t, append([]string{"run", guest, "--param", "output=" + filepath.Join(dir, "out")}, c.args...)...)
		if got.Code == 0 || !strings.Contains(got.Stderr, c.want) {
			t.Errorf("%q: code %d, %s (expected %s)", c.args, got.Code, got.Stderr, c.want)
		}
	}
	got := built.wasmill.Run(t, "run", guest, "--param", "output="+filepath.Join(dir, "out"), "--param", "count=100000", "--param", "keys=5000", "--mode", "automatic")
	if got.OK(t); !strings.Contains(got.Stdout+got.Stderr, "FINISHED") {
		t.Errorf("automatic, with a source that ends: %s", got.Stderr)
	}
}

// Sums of f64 are the numbers nearest to what their values amount to, at every parallelism, though these come in another order each time.
func TestSumsInBatchModeHaveNoOrder(t *testing.T) {
	const count, keys = 60_000, 50
	sums := map[int64]*big.Rat{}
	for n := range int64(count) {
		cents := n * 48271 % 100003
		if sums[cents%keys] == nil {
			sums[cents%keys] = new(big.Rat)
		}
		sums[cents%keys].Add(sums[cents%keys], new(big.Rat).SetFloat64(float64(cents)/100))
	}
	var want []string
	for key, sum := range sums {
		nearest, _ := sum.Float64()
		want = append(want, fmt.Sprintf("%d\t%s\n", key, strconv.FormatFloat(nearest, 'g', -1, 64)))
	}
	slices.Sort(want)
	for _, parallelism := range []int{1, 2, 4} {
		out := filepath.Join(t.TempDir(), "out")
		args := batchArgs(parallelism, map[string]string{"output": out, "count": fmt.Sprint(count), "keys": fmt.Sprint(keys)})
		built.wasmill.Run(t, append([]string{"run", filepath.Join(harness.Root(t), "test/guests/sums.wasm")}, args...)...).OK(t)
		if got := sorted(harness.Output(t, out)); got != strings.Join(want, "") {
			t.Errorf("at %d:\n%s(expected)\n%s", parallelism, got, strings.Join(want, ""))
		}
	}
}

// update is a row of the guest updates.
type update struct {
	Op, Start, Key string
	Value          int64
}

// Without updates a result is one row, in both modes, whatever makes it. With them each change is one: the first of a key and
// window +I, the others +U, and the last one is what is written without.
func TestUpdates(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.txt")
	want := map[string]map[string]int64{}
	set := func(what, key string, value func(before int64, known bool) int64) {
		if want[what] == nil {
			want[what] = map[string]int64{}
		}
		before, known := want[what][key]
		want[what][key] = value(before, known)
	}
	var lines strings.Builder
	r := rand.New(rand.NewPCG(5, 0))
	for i := range int64(60_000) {
		key, at, v := fmt.Sprint("k", r.IntN(20)), max(0, i-r.Int64N(500)), r.Int64N(100)-50
		fmt.Fprintf(&lines, "%s,%d,%d\n", key, at, v)
		for _, k := range []string{key, fmt.Sprint(key, instant(at-at%1000))} {
			set("count", k, func(n int64, _ bool) int64 { return n + 1 })
			set("sum", k, func(n int64, _ bool) int64 { return n + v })
			set("least", k, func(n int64, known bool) int64 {
				if known {
					return min(n, v)
				}
				return v
			})
		}
	}
	if err := os.WriteFile(input, []byte(lines.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	revised := map[string]bool{}
	for _, by := range []string{"count", "sum", "least"} {
		for _, window := range []string{"0", "1000"} {
			for _, mode := range []string{"streaming", "batch"} {
				for _, updates := range []string{"final", "all"} {
					out := filepath.Join(dir, by+window+mode+updates)
					built.wasmill.Run(t, "run", filepath.Join(harness.Root(t), "test/guests/updates.wasm"), "--param", "input="+input, "--param", "output="+out,
						"--param", "by="+by, "--param", "updates="+updates, "--param", "window="+window, "--param", "lateness=600", "--mode", mode, "--parallelism", "2").OK(t)
					got := map[string]int64{}
					for _, u := range updatesIn(t, out) {
						_, known := got[u.Key+u.Start]
						op := map[bool]string{false: "+I", true: "+U"}[known]
						if updates == "final" {
							op = ""
						}
						if u.Op != op || known && (updates == "final" || mode == "batch") {
							t.Fatalf("%s in windows of %s, %s, updates %s: %+v (known: %v)", by, window, mode, updates, u, known)
						}
						got[u.Key+u.Start] = u.Value
						revised[by+window] = revised[by+window] || known
					}
					for k, v := range want[by] {
						if strings.Contains(k, "T") == (window != "0") && got[k] != v {
							t.Errorf("%s in windows of %s, %s, updates %s: %s is %d (expected %d)", by, window, mode, updates, k, got[k], v)
						}
					}
				}
			}
			if !revised[by+window] {
				t.Errorf("no result of %s in windows of %s has changed", by, window)
			}
		}
	}
}

// updatesIn are the rows below a directory, those of a file in their order.
func updatesIn(t *testing.T, dir string) (all []update) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var u update
			if err := json.Unmarshal([]byte(line), &u); err != nil {
				t.Fatal(err)
			}
			all = append(all, u)
		}
	}
	return all
}

// Without a window all lines of a key meet when both inputs have ended: inner, outer and as co-groups, in both modes.
func TestJoinsOfAllTime(t *testing.T) {
	dir, guest := t.TempDir(), filepath.Join(harness.Root(t), "test/guests/together.wasm")
	r := rand.New(rand.NewPCG(9, 0))
	params := []string{"run", guest, "--param", "meet=all", "--parallelism", "3"}
	var lists [2]map[string][]string
	for side, name := range []string{"left", "right"} {
		lists[side] = map[string][]string{}
		var text strings.Builder
		for i := range 500 {
			key := fmt.Sprint("k", r.IntN(150))
			line := fmt.Sprintf("%s,%d,%d", key, r.IntN(10_000), i)
			lists[side][key] = append(lists[side][key], line)
			text.WriteString(line + "\n")
		}
		path := filepath.Join(dir, name+".txt")
		if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		params = append(params, "--param", name+"="+path)
	}
	number := func(line string) string { return line[strings.LastIndex(line, ",")+1:] }
	for _, outer := range []string{"", "left", "right", "full"} {
		var want strings.Builder
		for key, left := range lists[0] {
			for _, l := range left {
				for _, right := range lists[1][key] {
					fmt.Fprintf(&want, "%s,%s\n", l, number(right))
				}
				if lists[1][key] == nil && (outer == "left" || outer == "full") {
					fmt.Fprintf(&want, "%s,-\n", l)
				}
			}
		}
		for key, right := range lists[1] {
			for _, l := range right {
				if lists[0][key] == nil && (outer == "right" || outer == "full") {
					fmt.Fprintf(&want, "-,%s\n", number(l))
				}
			}
		}
		for _, mode := range []string{"streaming", "batch"} {
			for _, shape := range []string{"native", "function"} {
				out := filepath.Join(dir, outer+mode+shape)
				built.wasmill.Run(t, append(params, "--param", "output="+out, "--param", "outer="+outer, "--param", "shape="+shape, "--mode", mode)...).OK(t)
				harness.Same(t, harness.Output(t, filepath.Join(out, "together")), sorted(want.String()))
			}
		}
	}
	var want strings.Builder
	for i := range 150 {
		key := fmt.Sprint("k", i)
		n, sum := [2]int{}, [2]int{}
		for side := range lists {
			for _, l := range lists[side][key] {
				var v int
				if _, err := fmt.Sscan(number(l), &v); err != nil {
					t.Fatal(err)
				}
				n[side], sum[side] = n[side]+1, sum[side]+v
			}
		}
		if n[0]+n[1] > 0 {
			fmt.Fprintf(&want, "0,%s,%d,%d,%d,%d\n", key, n[0], sum[0], n[1], sum[1])
		}
	}
	for _, mode := range []string{"streaming", "batch"} {
		out := filepath.Join(dir, "cogroup"+mode)
		built.wasmill.Run(t, append(params, "--param", "output="+out, "--param", "shape=cogroup", "--mode", mode)...).OK(t)
		harness.Same(t, harness.Output(t, filepath.Join(out, "together")), sorted(want.String()))
	}
	got := built.wasmill.Run(t, "run", guest, "--param", "meet=all", "--param", "count=0", "--param", "output="+filepath.Join(dir, "unbounded"))
	if text := `join "together" puts out nothing before its input ends (it has no window), and source "generator" (generator) does not end`; got.Code == 0 || !strings.Contains(got.Stderr, text) {
		t.Errorf("code %d, %s (expected %s)", got.Code, got.Stderr, text)
	}
}
