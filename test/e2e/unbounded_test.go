package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/test/harness"
)

// A job without end is rescaled to fewer subtasks than its source has splits, and to more, and another one goes on from its
// savepoint with fewer: every split is read on, none is ahead of the watermark of the others, and each record is in one
// result.
func TestUnboundedSourceIsRescaled(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	module := filepath.Join(harness.Root(t), "test/guests/windows.wasm")
	const keys, disorder, window = 7, 50, 500
	dir := t.TempDir()
	output := filepath.Join(dir, "output")
	args := []string{"--param", "output=" + output, "--param", "count=0", "--param", "rate=4000", "--param", "by=count",
		"--param", "lateevery=0", "--param", fmt.Sprintf("keys=%d", keys), "--param", fmt.Sprintf("disorder=%d", disorder),
		"--param", fmt.Sprintf("window=%d", window)}
	cmd := func(args ...string) {
		t.Helper()
		built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...).OK(t)
	}
	reads := func(parallelism int) {
		t.Helper()
		from := int64(-1) // counts go on from those of the checkpoint
		harness.Until(t, time.Minute, fmt.Sprintf("the job reads at parallelism %d", parallelism), func() bool {
			j := cluster.Job()
			if j == nil || j.State != api.JobRunning || j.Parallelism != parallelism {
				return false
			}
			if from < 0 {
				from = int64(j.Progress.SourceOut)
			}
			return int64(j.Progress.SourceOut) > from+3000
		})
	}
	run := cluster.Start(module, append(args, "--parallelism", "2")...)
	reads(2)
	job := string(cluster.Job().ID)
	for _, p := range []int{1, 2, 3, 1} {
		cmd("rescale", job, "--parallelism", fmt.Sprint(p))
		reads(p)
	}
	cmd("rescale", job, "--parallelism", "2")
	reads(2)
	stopped, drained := filepath.Join(dir, "stopped"), filepath.Join(dir, "drained")
	cmd("stop", job, "--to", stopped)
	run.Wait().OK(t)

	run = cluster.Start(module, append(args, "--parallelism", "1", "--from", stopped)...)
	harness.Until(t, time.Minute, "another job", func() bool { j := cluster.Job(); return j != nil && string(j.ID) != job })
	reads(1)
	cmd("stop", string(cluster.Job().ID), "--to", drained, "--drain")
	run.Wait().OK(t)

	before, after := generated(t, stopped), generated(t, drained)
	want := map[string]int64{}
	for first, next := range after {
		if next <= before[first]+1000 {
			t.Errorf("split %d stood at %d and then at %d: it was not read on at parallelism 1", first, before[first], next)
		}
		for n := int64(first); n < next; n += int64(len(after)) {
			x := mix(uint64(n))
			at := max(0, n-int64(x%(disorder+1)))
			want[fmt.Sprintf("%d,%d", at-at%window, (x>>32)%keys)]++
		}
	}
	results := windowCounts(t, filepath.Join(output, "results"))
	for name, n := range want {
		if results[name] != n {
			t.Errorf("window,key %s has %d records (expected %d)", name, results[name], n)
		}
	}
	if len(results) != len(want) {
		t.Errorf("%d results (expected %d)", len(results), len(want))
	}
	late, _ := filepath.Glob(filepath.Join(output, "late", "part-*"))
	for _, f := range late {
		if data, err := os.ReadFile(f); err != nil || len(data) > 0 {
			t.Errorf("%s has %d bytes of records that were late (%v)", f, len(data), err)
		}
	}
}

// generated is the next record of each of the two splits of the generator in a savepoint.
func generated(t *testing.T, path string) (next [2]int64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	var m checkpoint.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Sources) != 1 || len(m.Sources[0].Open) != len(next) {
		t.Fatalf("%s: sources %+v (expected one, with %d open splits)", path, m.Sources, len(next))
	}
	for i, o := range m.Sources[0].Open {
		var at struct{ Next int64 }
		if err := json.Unmarshal(o.Position, &at); err != nil || int(o.Index) != i {
			t.Fatalf("%s: open split %+v: %v", path, o, err)
		}
		next[i] = at.Next
	}
	return next
}
