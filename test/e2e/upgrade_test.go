package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

// versioned is a job of test/guests/versioned.c under load.
type versioned struct {
	t       *testing.T
	cluster *harness.Cluster
	pace    *pace
	run     *harness.Process
	module  string
	out     string
	count   int
}

const versionedKeys = 16

func startVersioned(t *testing.T, count, rate int, args ...string) *versioned {
	t.Helper()
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	v := &versioned{t: t, pace: paced(t), cluster: built.wasmill.Cluster(t, args...), count: count, out: filepath.Join(t.TempDir(), "out"), module: filepath.Join(harness.Root(t), "test/guests/versioned.wasm")}
	v.run = v.cluster.Start(v.module, "--parallelism", "2", "--param", fmt.Sprintf("count=%d", count), "--param", fmt.Sprintf("rate=%d", rate), "--param", "output="+v.out)
	v.completes()
	return v
}

// completes waits for one more checkpoint.
func (v *versioned) completes() {
	v.t.Helper()
	before := v.cluster.Job()
	harness.Until(v.t, time.Minute, "a checkpoint completes", func() bool {
		j := v.cluster.Job()
		if j != nil && j.State.Terminal() {
			v.t.Fatalf("the job is %s already: nothing was tested (%v)", j.State, j.Failure)
		}
		return j != nil && j.Checkpoint != nil && (before == nil || before.Checkpoint == nil || j.Checkpoint.ID > before.Checkpoint.ID)
	})
}

// upgrade runs the command with a module that differs in a custom section.
func (v *versioned) upgrade(section byte, args ...string) harness.Result {
	v.t.Helper()
	wasm, err := os.ReadFile(v.module)
	if err != nil {
		v.t.Fatal(err)
	}
	next := filepath.Join(v.t.TempDir(), "next.wasm")
	if err := os.WriteFile(next, append(wasm, 0, 3, 1, 'v', section), 0o666); err != nil { // id, size, length of the name, name, a byte
		v.t.Fatal(err)
	}
	return built.wasmill.Run(v.t, append([]string{"upgrade", string(v.cluster.Job().ID), next, "--jobmanager", v.cluster.URL}, args...)...)
}

// finish waits for the job's end, and holds its output against what must be in it: versions in this order.
func (v *versioned) finish(versions ...string) {
	v.t.Helper()
	v.pace.full()
	harness.Until(v.t, 2*time.Minute, "the job ends", func() bool { return v.cluster.Job().State.Terminal() })
	if j := v.cluster.Job(); j.State != api.JobFinished {
		v.t.Fatalf("job is %s: %v", j.State, j.Failure)
	}
	v.run.Wait()
	type line struct {
		n, number     int
		made, counted string
	}
	byKey := map[string][]line{}
	files, _ := filepath.Glob(filepath.Join(v.out, "part-*"))
	for _, f := range files {
		data, err := os.Open(f)
		if err != nil {
			v.t.Fatal(err)
		}
		for s := bufio.NewScanner(data); s.Scan(); {
			var key, n, number int
			var l line
			if _, err := fmt.Sscanf(strings.ReplaceAll(s.Text(), ",", " "), "%d %d %d %s %s", &key, &n, &number, &l.made, &l.counted); err != nil {
				v.t.Fatalf("line %q: %v", s.Text(), err)
			}
			l.n, l.number = n, number
			byKey[fmt.Sprint(key)] = append(byKey[fmt.Sprint(key)], l)
		}
		data.Close()
	}
	total := 0
	for key, lines := range byKey {
		slices.SortFunc(lines, func(a, b line) int { return a.n - b.n })
		at := 0
		for i, l := range lines {
			if l.n != i+1 || i > 0 && l.number != lines[i-1].number+versionedKeys {
				v.t.Fatalf("key %s: line %d is %+v, behind %+v", key, i, l, lines[max(i-1, 0)])
			}
			if l.made != l.counted {
				v.t.Fatalf("key %s: %+v was made by one version and counted by another", key, l)
			}
			for at < len(versions) && versions[at] != l.made {
				at++
			}
			if at == len(versions) {
				v.t.Fatalf("key %s: line %d is of version %s (expected %v, one after the other)", key, i, l.made, versions)
			}
		}
		if first, last := lines[0].made, lines[len(lines)-1].made; first != versions[0] || last != versions[len(versions)-1] {
			v.t.Errorf("key %s: versions %s to %s (expected %v)", key, first, last, versions)
		}
		total += len(lines)
	}
	if total != v.count {
		v.t.Errorf("%d lines (expected %d)", total, v.count)
	}
}

// A module is exchanged twice in the tasks of two processes, under load: what lies before the barrier is of the old one, what
// lies behind it of the new one, and the tasks and their channels are the same all the time.
func TestUpgradeInPlace(t *testing.T) {
	v := startVersioned(t, 400_000, 50_000, "--taskmanagers", "2", "--slots", "1")
	before := v.cluster.Job()
	if r := v.upgrade('2', "--param", "version=2", "--dry-run"); r.Code != 0 || !strings.Contains(r.Stdout, "would be upgraded in place, without a restart") {
		t.Errorf("--dry-run: %+v", r)
	}
	if r := v.upgrade('2', "--param", "output="+v.out+"-other", "--dry-run"); r.Code != 0 || !strings.Contains(r.Stdout, "would be upgraded by a restart from a checkpoint") || !strings.Contains(r.Stdout, "not in place: operator") {
		t.Errorf("--dry-run with another sink: %+v", r)
	}
	if j := v.cluster.Job(); j.Module != before.Module || j.Attempt != 1 {
		t.Errorf("--dry-run has done something: %+v", j)
	}
	if r := v.upgrade('2', "--param", "version=2"); r.Code != 0 || !strings.Contains(r.Stdout, "upgraded in place after") || !strings.Contains(r.Stderr, "is upgraded in place, without a restart") {
		t.Fatalf("upgrade: %+v", r)
	}
	if r := v.upgrade('2', "--param", "version=2"); r.Code != 1 || !strings.Contains(r.Stderr, "runs this module with these parameters") {
		t.Errorf("the same upgrade again: %+v", r)
	}
	v.completes()
	if r := v.upgrade('3', "--param", "version=3"); r.Code != 0 {
		t.Fatalf("upgrade again: %+v", r)
	}
	j := v.cluster.Job()
	if j.State.Terminal() || j.Attempt != 1 || j.Restarts != 0 || j.Module == before.Module || j.Params["version"] != "3" {
		t.Errorf("upgraded job: %+v", j)
	}
	v.finish("1", "2", "3")
	if j := v.cluster.Job(); j.Attempt != 1 {
		t.Errorf("attempt %d (expected 1)", j.Attempt)
	}
}

// A module that traps at once is never decided for: the command says why, and the old one goes on, exactly.
func TestAModuleThatTrapsAtOnceLeavesTheOldOneRunning(t *testing.T) {
	v := startVersioned(t, 300_000, 50_000, "--taskmanagers", "2", "--slots", "1")
	before := v.cluster.Job()
	for i, where := range []string{"made", "counted"} {
		v.pace.full() // a module that is given nothing to do is decided for
		r := v.upgrade('2', "--param", "version=2", "--param", "trap="+where)
		v.pace.slow()
		if r.Code != 1 || !strings.Contains(r.Stderr, "was not upgraded") || !strings.Contains(r.Stderr, "went back") || !strings.Contains(r.Stderr, "unreachable") {
			t.Fatalf("upgrade to a module that traps where lines are %s: %+v", where, r)
		}
		harness.Until(t, time.Minute, "the job runs again", func() bool { return v.cluster.Job().State == api.JobRunning })
		j := v.cluster.Job()
		if j.Module != before.Module || j.Params["trap"] != "" || int(j.Attempt) != 2+i || j.Failure == nil {
			t.Errorf("job: %+v", j)
		}
		v.completes()
	}
	v.finish("1")
}

// A TaskManager is killed right behind an upgrade: its job goes on with the new module.
func TestAKilledTaskManagerComesBackWithTheNewModule(t *testing.T) {
	v := startVersioned(t, 300_000, 50_000, "--taskmanagers", "2", "--slots", "1")
	v.upgrade('2', "--param", "version=2").OK(t)
	v.cluster.Restart("taskmanager-1")
	harness.Until(t, time.Minute, "the job runs again", func() bool {
		j := v.cluster.Job()
		return j.Attempt == 2 && j.State == api.JobRunning
	})
	v.completes()
	v.cluster.Restart("jobmanager")
	harness.Until(t, time.Minute, "the job runs again", func() bool {
		j := v.cluster.Job()
		return j != nil && j.Attempt == 3 && j.State == api.JobRunning
	})
	if j := v.cluster.Job(); j.Params["version"] != "2" {
		t.Errorf("job: %+v", j)
	}
	v.finish("1", "2")
}
