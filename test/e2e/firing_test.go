package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/test/harness"
)

// Windows of many keys whose function takes its time fire for longer than a checkpoint may take, one while there is input and one at
// its end. Checkpoints are completed meanwhile, results appear with them, and who goes on puts out the rest, each key once: from a
// checkpoint, because a TaskManager is killed or the job is rescaled, with another module, and from the savepoint of a stop.
func TestAFiringThatOutlastsCheckpoints(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CHECKPOINT_TIMEOUT", "1s")
	t.Setenv("WASMILL_CHECKPOINT_TOLERATED_FAILURES", "0")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	const keys = 2000
	out := filepath.Join(t.TempDir(), "output")
	module := filepath.Join(harness.Root(t), "test/guests/weary.wasm")
	start := func(args ...string) *harness.Process {
		return cluster.Start(module, append(args, "--param", "output="+out, "--param", fmt.Sprintf("count=%d", 2*keys),
			"--param", fmt.Sprintf("keys=%d", keys), "--param", fmt.Sprintf("window=%d", keys), "--param", "effort=400000")...)
	}
	rows := func() int { return strings.Count(harness.Output(t, out), "\n") }
	within := func(done int) {
		t.Helper()
		harness.Until(t, time.Minute, "some of a window is out", func() bool { return rows() > done })
		if n := rows(); n >= done+keys {
			t.Errorf("%d results have come at once (expected less than %d)", n-done, keys)
		}
	}
	run := start("--parallelism", "1")
	within(0)
	job := cluster.Job()
	if info := built.wasmill.Run(t, "info", string(job.ID), "--jobmanager", cluster.URL).OK(t).Stdout; !strings.Contains(info, "\ncheckpoint   #") {
		t.Errorf("no checkpoint is completed:\n%s", info)
	}
	cluster.Restart(usedTaskManager(t, cluster, job))
	within(keys)
	cmd := func(args ...string) {
		t.Helper()
		built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...).OK(t)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	cmd("rescale", string(job.ID), "--parallelism", "2")
	cmd("upgrade", string(job.ID), another(t, module))
	cmd("stop", string(job.ID), "--to", saved)
	run.Wait().OK(t)
	if n := rows(); n >= 2*keys {
		t.Errorf("%d results are out (expected less than %d): a barrier has waited for all of them", n, 2*keys)
	}
	start("--parallelism", "1", "--from", saved).Wait().OK(t)
	var want []string
	for k := range keys {
		want = append(want, fmt.Sprintf("k%d,0,1\n", k), fmt.Sprintf("k%d,%d,1\n", k, keys))
	}
	slices.Sort(want)
	harness.Same(t, harness.Output(t, out), strings.Join(want, ""))
	harness.NothingPending(t, out)
}

// Subtasks that fire are made fewer, while records are in flight to them that are late for what fires: some had come to the watermark
// and were done with it, some were in the middle. Each session is put out once, and what is late stays late.
func TestSubtasksThatFireAreMadeFewer(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CHECKPOINT_UNALIGNED", "true")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "3")
	subtask := func(key string) int {
		return graph.SubtaskOf(graph.KeyGroupOf(xxhash.Sum64String(key), graph.DefaultMaxParallelism), 3, graph.DefaultMaxParallelism)
	}
	var keys []string // most of them of one subtask, and not that of far: the others are done with theirs soon
	for k := 0; len(keys) < 1000; k++ {
		if key := fmt.Sprint("k", k); subtask(key) == (subtask("far")+1)%3 || k%20 == 0 {
			keys = append(keys, key)
		}
	}
	each := strings.Join(keys, ",0\n") + ",0\n"
	dir := t.TempDir()
	in, out := filepath.Join(dir, "lines.csv"), filepath.Join(dir, "output")
	lines := each + strings.Repeat("far,1000000\n", 30_000) + each + strings.Repeat("far,1000001\n", 30_000) // what is far makes the first due
	if err := os.WriteFile(in, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/weary.wasm"), "--parallelism", "3", "--param", "input="+in, "--param", "output="+out,
		"--param", "gap=1000", "--param", "effort=1000000")
	rows := func() int { return strings.Count(harness.Output(t, out), "\n") }
	harness.Until(t, time.Minute, "two subtasks are done", func() bool { return rows() > len(keys)/3 })
	for _, parallelism := range []string{"2", "1"} {
		built.wasmill.Run(t, "rescale", string(cluster.Job().ID), "--parallelism", parallelism, "--jobmanager", cluster.URL).OK(t)
		if n := rows(); n >= len(keys) && parallelism == "2" {
			t.Errorf("%d sessions are out (expected less than %d): none was left to fire", n, len(keys))
		}
	}
	run.Wait().OK(t)
	want := []string{"far,1000000,60000\n"}
	for _, key := range keys {
		want = append(want, key+",0,1\n")
	}
	slices.Sort(want)
	harness.Same(t, harness.Output(t, out), strings.Join(want, ""))
	harness.NothingPending(t, out)
}

// The input ends while windows fire and checkpoints overtake: the job does, too.
func TestInputEndsWhileWindowsFire(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CHECKPOINT_UNALIGNED", "true")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "2")
	out := filepath.Join(t.TempDir(), "output")
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/weary.wasm"), "--parallelism", "1", "--param", "output="+out,
		"--param", "count=100", "--param", "keys=100", "--param", "window=100", "--param", "effort=15000000")
	run.Wait().OK(t)
	if n := strings.Count(harness.Output(t, out), "\n"); n != 100 {
		t.Errorf("%d results (expected 100)", n)
	}
}
