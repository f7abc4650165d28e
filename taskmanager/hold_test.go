package taskmanager

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// snapshots are the files below a directory.
func snapshots(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// A task that has finished writes its state when a checkpoint asks for it, once, and not at all if none does.
func TestTheLastStateIsWrittenForWhoAsks(t *testing.T) {
	lines, _ := words(2, 50)
	module := &fakeModule{functions: []fakeFunction{splitWords, byWord}}
	f := newFixture(t, &listSource{splits: lines}, module, countJob(1)...)
	f.tm.config.NewState = func(c state.Config) (state.Store, error) { // every task has something left
		s, err := state.New(c)
		if err == nil {
			err = s.SetOwn("counts", "left", []byte("something"))
		}
		return s, err
	}
	f.tm.config.StateDir, f.tm.config.OpenStore = t.TempDir(), blob.Open
	store := t.TempDir()
	d := f.message(1)
	d.Checkpoints = &wire.Checkpoints{Store: store}
	if err := f.tm.Deploy(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var held []graph.TaskID
	for _, r := range f.jm.ends(len(d.Tasks)) {
		if r.State != wire.TaskFinished || !r.Holds {
			t.Fatalf("task %s ended %s, holds its part: %v (%+v)", r.Task, r.State, r.Holds, r.Failure)
		}
		held = append(held, r.Task)
	}
	if n := snapshots(t, store); n != 0 {
		t.Errorf("%d files of state are written that nobody has asked for", n)
	}
	ask := func(id checkpoint.ID) (files int) {
		m := &wire.Trigger{Header: d.Header, Checkpoint: id, Tasks: held}
		if err := f.tm.Trigger(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		f.jm.acknowledged(id, len(held))
		f.jm.mu.Lock()
		defer f.jm.mu.Unlock()
		for _, a := range f.jm.acks {
			if a.Checkpoint != id {
				continue
			}
			if !a.Part.Finished {
				t.Errorf("checkpoint %d: the part of task %s says that it goes on", id, a.Task)
			}
			files += len(a.Part.Files)

		}
		return files
	}
	if n := ask(1); n != len(held) {
		t.Errorf("checkpoint 1 has %d files (expected %d)", n, len(held))
	}
	if err := f.tm.Conclude(t.Context(), &wire.Conclude{Header: d.Header, Aborted: 1}); err != nil {
		t.Fatal(err)
	}
	if n := ask(2); n != len(held) { // those that are there
		t.Errorf("checkpoint 2 has %d files (expected %d)", n, len(held))
	}
	if n := snapshots(t, store); n != len(held) {
		t.Errorf("%d files are in the store (expected %d)", n, len(held))
	}
	if err := f.tm.Conclude(t.Context(), &wire.Conclude{Header: d.Header, Completed: 2}); err != nil {
		t.Fatal(err)
	}
	f.tm.mu.Lock()
	a := f.tm.jobs["job"].current
	f.tm.mu.Unlock()
	a.wg.Wait() // nothing is held any more
}

// What is held goes with the attempt.
func TestWhatIsHeldGoesWithTheAttempt(t *testing.T) {
	lines, _ := words(1, 10)
	f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, countJob(1)...)
	f.tm.config.StateDir, f.tm.config.OpenStore = t.TempDir(), blob.Open
	store := t.TempDir()
	d := f.message(1)
	d.Checkpoints = &wire.Checkpoints{Store: store}
	if err := f.tm.Deploy(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	f.jm.ends(len(d.Tasks))
	f.tm.mu.Lock()
	a := f.tm.jobs["job"].current
	f.tm.mu.Unlock()
	f.cancel()
	a.wg.Wait()
	if n := snapshots(t, store); n != 0 {
		t.Errorf("%d files of state are written that nobody has asked for", n)
	}
	if n := len(f.jm.ends(len(d.Tasks))); n != len(d.Tasks) {
		t.Errorf("%d ends are reported (expected %d)", n, len(d.Tasks))
	}
}
