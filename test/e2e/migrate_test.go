package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/test/harness"
)

// A job whose states change their form twice: stopped with a savepoint and gone on with from there in the second version with
// another parallelism, then upgraded to the third while a TaskManager is killed. Keys that nobody names for long are
// brought over two versions at once. Every record counts once.
func TestStateOfOlderVersionsIsMigrated(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	pace := pausing(t, 400*time.Millisecond)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	const count, keys, phase = 84_000, 900, 20_000
	output := filepath.Join(dir, "output")
	module := func(name string) string { return filepath.Join(harness.Root(t), "test/guests", name+".wasm") }
	args := []string{"--param", "output=" + output, "--param", "rate=10000"}
	for name, n := range map[string]int{"count": count, "keys": keys, "phase": phase} {
		args = append(args, "--param", fmt.Sprintf("%s=%d", name, n))
	}
	cmd := func(args ...string) harness.Result {
		return built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...)
	}
	read := func(what string, n int64) { // records that the jobs have read and stored; they read on slowly
		t.Helper()
		pace.full()
		harness.Until(t, time.Minute, what, func() bool {
			j := cluster.Job()
			return j != nil && (j.Progress.SourceOut >= n || j.State.Terminal())
		})
		pace.slow()
		begun := cluster.Job() // the checkpoint behind its last may have begun before
		harness.Until(t, time.Minute, "a checkpoint behind the "+what, func() bool {
			j := cluster.Job()
			return j.State.Terminal() || j.Checkpoint != nil && (begun.Checkpoint == nil || j.Checkpoint.ID >= begun.Checkpoint.ID+2)
		})
		if j := cluster.Job(); j.State.Terminal() {
			t.Fatalf("the job was %s before it was at the %s: nothing was tested", j.State, what)
		}
	}

	first := cluster.Start(module("moved"), append(args, "--parallelism", "2")...)
	read("end of the first phase", phase)
	job, was := string(cluster.Job().ID), ""
	silent := without(t, module("moved-2"), "migrates", dir)
	refused := `state "seq" of operator "count" (uid "count") has schema version 2 (it may hold elements of version 1), and the module does not say how to migrate them`
	if r := cmd("upgrade", job, silent, "--dry-run"); r.Code != 1 || !strings.Contains(r.Stderr, refused) || !strings.Contains(r.Stderr, "migrate what has changed") {
		t.Errorf("upgrade to a module that cannot migrate: %+v", r)
	}
	if r := cmd("upgrade", job, module("moved-2"), "--dry-run"); r.Code != 0 || !strings.Contains(r.Stdout, `state "kinds" of operator "count" has schema version 2 instead of 1`) {
		t.Errorf("upgrade --dry-run: %+v", r)
	}
	saved := filepath.Join(dir, "saved")
	cmd("stop", job, "--to", saved).OK(t)
	first.Wait()
	if got := versionsIn(t, saved, "total"); len(got) != 1 || got[1] == 0 {
		t.Errorf("versions in the first savepoint: %v", got)
	}
	if r := cluster.Run(silent, append(args, "--from", saved)...); r.Code != 1 || !strings.Contains(r.Stderr, refused) {
		t.Errorf("go on with a module that cannot migrate: %+v", r)
	}

	second := cluster.Start(module("moved-2"), append(args, "--parallelism", "3", "--from", saved)...)
	harness.Until(t, time.Minute, "the second job", func() bool { return string(cluster.Job().ID) != job })
	read("middle", 2*phase)
	was, job = job, string(cluster.Job().ID)
	if r := cmd("upgrade", job, module("moved"), "--dry-run"); r.Code != 1 || !strings.Contains(r.Stderr, "has schema version 1 (saved with 2, and versions only grow)") {
		t.Errorf("upgrade to an older version: %+v", r)
	}
	before := cluster.Job().Module
	for try := 0; cluster.Job().Module == before; try++ {
		upgrade := built.wasmill.Start(t, "upgrade", job, module("moved-3"), "--jobmanager", cluster.URL)
		if try == 0 {
			cluster.Restart("taskmanager-1")
		}
		if r := upgrade.Wait(); r.Code != 0 && !strings.Contains(r.Stderr, "has ended") && !strings.Contains(r.Stderr, "changed meanwhile") && !strings.Contains(r.Stderr, "expected RUNNING") && !strings.Contains(r.Stderr, "not enough slots") {
			t.Fatalf("upgrade: %+v", r)
		}
		harness.Until(t, time.Minute, "the job runs", func() bool { return cluster.Job().State == api.JobRunning || cluster.Job().State.Terminal() })
		if j := cluster.Job(); j.State.Terminal() {
			t.Fatalf("the job was %s before it was upgraded: nothing was tested", j.State)
		}
	}
	mixed := filepath.Join(dir, "mixed")
	harness.Until(t, time.Minute, "a savepoint", func() bool { return cmd("savepoint", "take", job, "--to", mixed).Code == 0 })
	for _, state := range []string{"seq", "total", "listed", "kinds"} {
		if got := versionsIn(t, mixed, state); got[1] == 0 || got[2] == 0 || got[3] == 0 {
			t.Errorf("versions of %s after the upgrade: %v (expected some of each)", state, got)
		}
	}
	if r := built.wasmill.Run(t, "savepoint", "show", mixed).OK(t); !strings.Contains(r.Stdout, "VERSION") || !strings.Contains(r.Stdout, "1 (") {
		t.Errorf("savepoint show: %s", r.Stdout)
	}
	cluster.Restart("taskmanager-2")
	pace.full()
	second.Wait().OK(t)
	in := workload.Input{"input": {workload.MovedLines(count, keys, phase)}}
	files, err := workload.Read(output, false, was, job)
	if err != nil {
		t.Fatal(err)
	}
	if err := workload.Moved.Check(in, map[string][]workload.File{"": files}); err != nil {
		t.Error(err)
	}
}

// without writes a module again that says a word of its manifest no more.
func without(t *testing.T, module, word, dir string) string {
	t.Helper()
	wasm, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.ReplaceAll(wasm, []byte(word), bytes.Repeat([]byte("x"), len(word)))
	if bytes.Equal(wasm, other) {
		t.Fatalf("%s does not say %q", module, word)
	}
	path := filepath.Join(dir, "silent.wasm")
	if err := os.WriteFile(path, other, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// versionsIn are the entries of a state in a savepoint, by schema version.
func versionsIn(t *testing.T, path, state string) map[uint16]int64 {
	t.Helper()
	var report savepoint.Report
	if err := json.Unmarshal([]byte(built.wasmill.Run(t, "savepoint", "show", path, "--output", "json").OK(t).Stdout), &report); err != nil {
		t.Fatal(err)
	}
	for _, o := range report.Operators {
		for _, s := range o.States {
			if s.Name == state {
				return s.Versions
			}
		}
	}
	t.Fatalf("%s has no state %q: %+v", path, state, report)
	return nil
}

// An element that its function cannot migrate is the fault of the records that need it: they fail the job, by name, or are left
// out, as their operator says; the element stays as it was.
func TestElementsThatCannotBeMigrated(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "2")
	dir := t.TempDir()
	const keys, refused = 10, 3
	key := strings.Split(workload.MovedLines(refused+1, keys, 1<<40)[refused], ",")[0] // whose list has it
	module := func(name string) string { return filepath.Join(harness.Root(t), "test/guests", name+".wasm") }
	args := func(output string, more ...string) []string {
		return append([]string{"--param", "output=" + filepath.Join(dir, output), "--param", "count=0", "--param", "rate=3000",
			"--param", fmt.Sprintf("keys=%d", keys), "--param", fmt.Sprint("phase=", int64(1)<<40)}, more...)
	}
	read := int64(0) // by jobs that were stopped
	stop := func(run *harness.Process, to string) string {
		t.Helper()
		harness.Until(t, time.Minute, "records are read", func() bool {
			j := cluster.Job()
			if j == nil || j.State != api.JobRunning || j.Progress.SourceOut <= read+1000 {
				return false
			}
			read = j.Progress.SourceOut
			return true
		})
		to = filepath.Join(dir, to)
		built.wasmill.Run(t, "stop", string(cluster.Job().ID), "--to", to, "--jobmanager", cluster.URL).OK(t)
		run.Wait().OK(t)
		return to
	}
	saved := stop(cluster.Start(module("moved"), args("first")...), "saved")
	before := versionsIn(t, saved, "listed")[1]
	refuse := []string{"--from", saved, "--param", fmt.Sprintf("refuse=%d", refused)}
	r := cluster.Run(module("moved-2"), args("failed", refuse...)...)
	want := fmt.Sprintf(`operator "count": migration: state "listed" of key %q, version 1: a number that it was told to refuse`, key)
	if r.Code != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("run: %+v (expected %s)", r, want)
	}
	run := cluster.Start(module("moved-2"), args("second", append(refuse, "--param", "ontrap=skip")...)...)
	left := versionsIn(t, stop(run, "again"), "listed")
	if left[1] == 0 || left[1] >= before || left[2] == 0 {
		t.Errorf("versions afterwards: %v (expected those of one key, of %d, to be old)", left, before)
	}
	job := cluster.Job()
	if len(job.Skipped) != 1 || job.Skipped[0].Count == 0 {
		t.Errorf("skipped: %+v", job.Skipped)
	}
	files, err := workload.Read(filepath.Join(dir, "second"), false)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range files {
		for _, l := range f.Lines {
			seen[strings.Split(l, ",")[0]]++
		}
	}
	if len(seen) != keys-1 || seen[key] != 0 {
		t.Errorf("records of keys %v came out (expected those of all %d but %s)", seen, keys, key)
	}
}
