package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/test/harness"
)

// A job without end is stopped: as it is, its last windows stay in the savepoint; drained, every window fires, and nothing is
// left in the state. Each record that was read is in one result. A job that goes on from there takes the records behind, and none for
// late because event time had ended.
func TestDrainFiresEveryWindow(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	module := filepath.Join(harness.Root(t), "test/guests/windows.wasm")
	const keys, disorder, window = 7, 50, 1000
	stop := func(t *testing.T, from string, args ...string) (results map[string]int64, left int64, saved string) {
		dir, before := t.TempDir(), int64(0)
		saved = filepath.Join(dir, "saved")
		given := []string{"--param", "output=" + filepath.Join(dir, "output"), "--param", "count=0", "--param", "rate=3000",
			"--param", "by=count", "--param", "lateevery=0", "--param", fmt.Sprintf("keys=%d", keys), "--param", fmt.Sprintf("disorder=%d", disorder),
			"--param", fmt.Sprintf("window=%d", window)}
		if from != "" {
			given, before = append(given, "--from", from), cluster.Job().Progress.SourceOut
		}
		run := cluster.Start(module, given...)
		harness.Until(t, time.Minute, "windows have fired", func() bool {
			j := cluster.Job()
			return j != nil && !j.State.Terminal() && j.Progress.SourceOut > before+3500
		})
		built.wasmill.Run(t, append([]string{"stop", string(cluster.Job().ID), "--to", saved, "--jobmanager", cluster.URL}, args...)...).OK(t)
		run.Wait().OK(t)
		return windowCounts(t, filepath.Join(dir, "output", "results")), entriesIn(t, saved, "windows"), saved
	}
	t.Run("not drained", func(t *testing.T) {
		if results, left, _ := stop(t, ""); left == 0 || len(results) == 0 {
			t.Errorf("%d results, %d entries left in the savepoint (expected some of both)", len(results), left)
		}
	})
	t.Run("drained", func(t *testing.T) {
		results, left, saved := stop(t, "", "--drain")
		if left != 0 {
			t.Errorf("%d entries are left in the savepoint", left)
		}
		behind, _, _ := stop(t, saved, "--drain")
		for name, n := range behind { // a window may have some of its records in each
			results[name] += n
		}
		read := int64(0)
		for _, n := range results {
			read += n
		}
		want := map[string]int64{}
		for n := range read {
			x := mix(uint64(n))
			at := max(0, n-int64(x%(disorder+1)))
			want[fmt.Sprintf("%d,%d", at-at%window, (x>>32)%keys)]++
		}
		if read < 3500 {
			t.Errorf("%d records are in results", read)
		}
		for name, n := range want {
			if results[name] != n {
				t.Errorf("window,key %s has %d records (expected %d of the first %d)", name, results[name], n, read)
			}
		}
		if len(results) != len(want) {
			t.Errorf("%d results (expected %d)", len(results), len(want))
		}
	})
}

// Bounded splits that are read at the same time hold event time back no longer than until the last of them is given out: windows
// fire while there is input.
func TestWindowsFireBeforeBoundedInputEnds(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	dir := t.TempDir()
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/windows.wasm"), "--parallelism", "2", "--param", "output="+dir, "--param", "count=1000000", "--param", "rate=3000",
		"--param", "by=count", "--param", "lateevery=0", "--param", "keys=7", "--param", "disorder=50", "--param", "window=1000")
	harness.Until(t, time.Minute, "results of windows are committed", func() bool {
		return len(windowCounts(t, filepath.Join(dir, "results"))) > 0
	})
	if j := cluster.Job(); j.State != api.JobRunning || j.Progress.SourceOut > 500_000 {
		t.Errorf("%s, with %d of 1,000,000 records read (expected that it runs)", j.State, j.Progress.SourceOut)
	}
	built.wasmill.Run(t, "cancel", string(cluster.Job().ID), "--jobmanager", cluster.URL).OK(t)
	run.Wait()
}

// mix is work_mix of the guests.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// windowCounts are the results of the windows by "start,key", each of which may be there once.
func windowCounts(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	files, _ := filepath.Glob(filepath.Join(dir, "part-*"))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(strings.TrimSpace(strings.ReplaceAll(string(data), "\t", ",")), "\n") {
			at := strings.LastIndex(l, ",")
			var n int64
			if _, err := fmt.Sscan(l[at+1:], &n); err != nil {
				t.Fatalf("%s: line %q", f, l)
			}
			if _, twice := all[l[:at]]; twice {
				t.Errorf("window %s has two results", l[:at])
			}
			all[l[:at]] = n
		}
	}
	return all
}

// entriesIn is how many entries an operator has in a savepoint.
func entriesIn(t *testing.T, path, uid string) (n int64) {
	t.Helper()
	var report savepoint.Report
	if err := json.Unmarshal([]byte(built.wasmill.Run(t, "savepoint", "show", path, "--output", "json").OK(t).Stdout), &report); err != nil {
		t.Fatal(err)
	}
	for _, o := range report.Operators {
		if o.UID == uid {
			for _, s := range o.States {
				n += s.Entries
			}
			return n
		}
	}
	t.Fatalf("%s has no operator %q: %+v", path, uid, report)
	return 0
}
