package taskmanager

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// What is kept goes when the JobManager says that the job is over and none of its tasks is left here: not sooner, and nothing
// else with it.
func TestKeptCopiesGoWithTheirJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const over, restarting, running = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"
		dir := t.TempDir()
		for _, name := range []string{over, restarting, running, "lost+found"} {
			for _, in := range []string{"files", "in-flight", "empty"} {
				if err := os.MkdirAll(filepath.Join(dir, name, in), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range []string{"files/1-0.0-1.snap", "files/1-0.0-2.snap", "in-flight/1-1-0.0.snap"} {
				if err := os.WriteFile(filepath.Join(dir, name, file), []byte("x"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		jm := newFakeJobManager()
		jm.over = map[graph.JobID]bool{over: true, running: true, "lost+found": true}
		tm := New(Config{ID: "tm-1", StateDir: dir})
		tm.jm, tm.epoch = jm, jm.epoch
		ends := &attempt{key: exchange.Attempt{Job: running}}
		tm.live[ends] = struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		session := make(chan error)
		go func() {
			session <- tm.runSession(ctx, &wire.Registered{Epoch: jm.epoch, Heartbeat: time.Second, Timeout: 3 * time.Second})
		}()
		expect := func(when string, want map[string]int) {
			t.Helper()
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			for name, n := range want {
				if files, _ := filepath.Glob(filepath.Join(dir, name, "*", "*")); len(files) != n {
					t.Errorf("%s: %d files of %s (expected %d)", when, len(files), name, n)
				}
				if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != (n > 0) {
					t.Errorf("%s: directory %s: %v", when, name, err)
				}
			}
		}
		expect("a task of one runs", map[string]int{over: 0, restarting: 3, running: 3, "lost+found": 3})
		tm.mu.Lock()
		delete(tm.live, ends)
		tm.mu.Unlock()
		expect("none runs", map[string]int{over: 0, restarting: 3, running: 0, "lost+found": 3})
		cancel()
		<-session
	})
}
