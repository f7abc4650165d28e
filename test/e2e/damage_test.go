package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/test/harness"
)

// A job fails because the newest of its checkpoints is damaged. It is gone on from the one before with --allow-rewind, which
// repeats the output since and says so; and, with the file put back, from the newest, exactly.
func TestGoOnFromAFailedJobWhoseNewestCheckpointIsDamaged(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 7, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	module, args := filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), paramArgs(params)
	run := cluster.Start(module, args...)
	var retained []api.Checkpoint
	lists := func() {
		all, err := cluster.JobCheckpoints(context.Background(), cluster.Job().ID)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(all, func(a, b api.Checkpoint) int { return int(a.ID) - int(b.ID) })
		retained = all
	}
	harness.Until(t, time.Minute, "three checkpoints are retained", func() bool {
		if cluster.Job() == nil {
			return false
		}
		lists()
		return len(retained) >= 3
	})
	start := cluster.Lose("taskmanager-1")
	harness.Until(t, time.Minute, "the job has lost its TaskManager", func() bool { return cluster.Job().State != api.JobRunning })
	lists()
	failed := cluster.Job().ID
	left := filepath.Join(cluster.Dir, "checkpoints", string(failed))
	newest, before := retained[len(retained)-1].ID, retained[len(retained)-2].ID
	putBack := damageNewest(t, left, newest, before)
	if err := os.RemoveAll(filepath.Join(cluster.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	start()
	if r := run.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "--allow-rewind") || !strings.Contains(r.Stderr, "--from "+left) {
		t.Fatalf("the job whose newest checkpoint is damaged: %+v", r)
	}
	harness.Until(t, 10*time.Second, "a seal", func() bool {
		_, err := os.Stat(filepath.Join(left, checkpoint.SealName))
		return err == nil
	})
	pace.full()
	verify := func() harness.Result {
		return built.wasmill.Run(t, "checkpoint", "verify", string(failed), "--jobmanager", cluster.URL)
	}
	if r := verify(); r.Code != 1 || !strings.Contains(r.Stdout, "a restart fails") {
		t.Errorf("verify: %+v", r)
	}
	if r := cluster.Run(module, append(args, "--from", left)...); r.Code != 1 || !strings.Contains(r.Stderr, "damaged") || !strings.Contains(r.Stderr, "--allow-rewind") {
		t.Errorf("go on from the checkpoint that is damaged: %+v", r)
	}

	cluster.Run(module, append(args, "--from", left, "--allow-rewind")...).OK(t)
	rewound := cluster.Job()
	if rewound.Guarantee.Guarantee != connector.AtLeastOnce {
		t.Errorf("guarantee of the job that went back: %+v (expected at-least-once)", rewound.Guarantee)
	}
	if err := workload.Ledger.Verify(dir, input, string(failed), string(rewound.ID)); err == nil {
		t.Error("no output is there twice: the job did not go back")
	}
	parts := func(job any, above checkpoint.ID) (names []string) {
		all, _ := filepath.Glob(filepath.Join(params["output"], fmt.Sprintf("part-%v-*", job)))
		for _, name := range all {
			var id checkpoint.ID
			if _, err := fmt.Sscanf(filepath.Base(name), fmt.Sprintf("part-%v-%%d-", job), &id); err != nil {
				t.Fatal(err)
			}
			if id > above {
				names = append(names, name)
			}
		}
		return names
	}
	repeated := parts(failed, before)
	if len(repeated) == 0 {
		t.Fatal("no output was committed since: nothing was tested")
	}
	back := aside(t, repeated)
	if err := workload.Ledger.Verify(dir, input, string(failed), string(rewound.ID)); err != nil {
		t.Errorf("without what is repeated: %v", err)
	}
	back()
	aside(t, parts(rewound.ID, 0))

	putBack()
	if r := verify(); r.Code != 0 || !strings.Contains(r.Stdout, fmt.Sprintf("a restart goes on from #%d", newest)) {
		t.Errorf("verify with the file put back: %+v", r)
	}
	cluster.Run(module, append(args, "--parallelism", "2", "--from", left, "--allow-rewind")...).OK(t)
	if last := cluster.Job(); last.Guarantee.Guarantee != connector.ExactlyOnce {
		t.Errorf("guarantee with the file put back: %+v (expected exactly-once)", last.Guarantee)
	} else if err := workload.Ledger.Verify(dir, input, string(failed), string(last.ID)); err != nil {
		t.Errorf("with the file put back: %v", err)
	}
}

// damageNewest turns bits all over a file that the newest checkpoint names and the one before does not, and returns what puts the
// file back.
func damageNewest(t *testing.T, left string, newest, before checkpoint.ID) (putBack func()) {
	t.Helper()
	names := func(id checkpoint.ID) (all []string) {
		data, err := os.ReadFile(filepath.Join(left, checkpoint.ManifestName(id)))
		if err != nil {
			t.Fatal(err)
		}
		m, err := checkpoint.Decode(data, checkpoint.Sum(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.AllFiles() {
			all = append(all, f.Name)
		}
		return all
	}
	old := names(before)
	for _, name := range names(newest) {
		if slices.Contains(old, name) {
			continue
		}
		path := filepath.Join(left, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write := func() {
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		turn := func() {
			for i := 0; i < len(data); i += 32 {
				data[i] ^= 1
			}
		}
		turn()
		write()
		turn()
		return write
	}
	t.Fatal("the newest checkpoint has no file of its own: nothing can be tested")
	return nil
}

// aside takes files out of their directory, and returns what brings them back.
func aside(t *testing.T, paths []string) (back func()) {
	t.Helper()
	away := t.TempDir()
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range paths {
		move(p, filepath.Join(away, filepath.Base(p)))
	}
	return func() {
		for _, p := range paths {
			move(filepath.Join(away, filepath.Base(p)), p)
		}
	}
}
