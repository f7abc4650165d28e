package jobmanager

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// A savepoint whose attempt ends while it is stored is none: nothing of it stays, who has asked is told so, and another can be
// made there.
func TestASavepointWhoseAttemptEnds(t *testing.T) {
	for name, stored := range map[string]bool{"while it is copied": false, "when all of it is there": true} {
		t.Run(name, func(t *testing.T) {
			onFakeTime(t, func(t *testing.T, c *cluster) {
				to := c.gated(t)
				a, b := c.add("a", 1), c.add("b", 1)
				job := c.submit(2)
				take := func() <-chan error { return c.takes(t, job.ID, &api.TakeSavepoint{Path: to}) }
				letGo := make(chan struct{})
				c.gate.set(func(ctx context.Context, name string) error {
					if name != checkpoint.SavepointManifest {
						return nil
					}
					if stored {
						<-letGo
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				})
				answer := take()
				a.acknowledge(1)
				b.acknowledge(1)
				b.kill()
				c.jm.Lost("b", "killed")
				synctest.Wait()
				close(letGo)
				c.answered(answer, "take a savepoint of job "+string(job.ID)+": the job's attempt has ended before (TaskManager taskmanager-b is lost: killed): ask again when the job runs")
				leftNothing(t, to)
				c.gate.set(nil)
				d := c.add("d", 1)
				c.after(stopLimit)
				answer = take()
				a.acknowledge(2)
				d.acknowledge(2)
				c.after(2 * commitPoll)
				c.answered(answer, "")
				if _, err := os.Stat(filepath.Join(to, checkpoint.SealName)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The input of a job may end while it is asked to stop with a savepoint: then it finishes, and the answer says so.
func TestASavepointWhoseJobFinishes(t *testing.T) {
	for name, stored := range map[string]bool{"before all tasks have taken part": false, "while it is stored": true} {
		t.Run(name, func(t *testing.T) {
			onFakeTime(t, func(t *testing.T, c *cluster) {
				to := c.gated(t)
				a, b := c.add("a", 1), c.add("b", 1)
				job := c.submit(2)
				c.gate.set(func(ctx context.Context, _ string) error {
					<-ctx.Done()
					return ctx.Err()
				})
				answer := c.takes(t, job.ID, &api.TakeSavepoint{Path: to, Stop: true})
				a.acknowledge(1)
				if stored {
					b.acknowledge(1)
				}
				for _, tm := range []*fakeTM{a, b} {
					tm.report(tm.running()[0], wire.TaskFinished, nil)
				}
				c.answered(answer, "take a savepoint of job "+string(job.ID)+": the job's attempt has ended before (its input has ended): it finishes, with all of its output")
				leftNothing(t, to)
				c.expect(job.ID, api.JobFinished, "")
			})
		})
	}
}

// gated starts the JobManager anew with stores that a test may hold up, and names a place for a savepoint.
func (c *cluster) gated(t *testing.T) (to string) {
	t.Helper()
	if err := c.jm.Close(); err != nil {
		t.Fatal(err)
	}
	c.gate = &gatedStores{dir: t.TempDir()}
	c.start()
	c.jm.config.StoreThere, c.jm.config.StoreFits = blob.There, blob.Fits
	return filepath.Join(c.gate.dir, "savepoint")
}

// takes asks for a savepoint, and returns when all that follows has happened; the answer comes later.
func (c *cluster) takes(t *testing.T, job graph.JobID, what *api.TakeSavepoint) <-chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := c.jm.TakeSavepoint(t.Context(), job, what)
		answer <- err
	}()
	synctest.Wait()
	return answer
}

// leftNothing sees that a savepoint that came to nothing leaves not even a directory.
func leftNothing(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", dir, err)
	}
}

// A savepoint that cannot be copied leaves nothing behind, and what was there before stays.
func TestASavepointThatFailsLeavesNothing(t *testing.T) {
	for _, mine := range []bool{false, true} {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			to := c.gated(t)
			a := c.add("a", 1)
			job := c.submit(1)
			c.gate.set(func(_ context.Context, name string) error {
				if name != checkpoint.SavepointManifest {
					return nil
				}
				if mine { // somebody has put something there meanwhile
					if err := os.WriteFile(filepath.Join(to, "mine"), nil, 0o666); err != nil {
						t.Error(err)
					}
				}
				return errors.New("no space left on device")
			})
			answer := c.takes(t, job.ID, &api.TakeSavepoint{Path: to})
			a.acknowledge(1)
			c.answered(answer, "take a savepoint of job "+string(job.ID)+": write the manifest of savepoint "+to+": no space left on device")
			if _, err := os.Stat(filepath.Join(to, "mine")); mine && err != nil {
				t.Errorf("what was there is gone: %v", err)
			}
			if !mine {
				leftNothing(t, to)
			}
			c.expect(job.ID, api.JobRunning, "")
		})
	}
}

// What is refused leaves nothing behind, and says what to do.
func TestARefusedSavepointMakesNothing(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		c.jm.config.StoreThere, c.jm.config.StoreFits = blob.There, blob.Fits
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		job := c.submit(1) // which waits for slots
		refused := func(path, want string, hint bool) {
			t.Helper()
			_, err := c.jm.TakeSavepoint(t.Context(), job.ID, &api.TakeSavepoint{Path: path})
			var e *api.Error
			if !errors.As(err, &e) || !strings.Contains(e.Detail, want) || hint && e.Hint == "" {
				t.Errorf("%s: %+v (expected %q, hint %v)", path, err, want, hint)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("%s: there is %v, %v (expected the file alone)", path, entries, err)
			}
		}
		at := filepath.Join(dir, "a", "b")
		refused(at, "is CREATED (expected RUNNING)", true)
		refused("a/b", "path: a/b is relative (expected an absolute path", true)
		c.add("a", 1)
		c.expect(job.ID, api.JobRunning, "")
		refused(filepath.Join(file, "b"), "not a directory", false)
		refused(dir, "is not empty: there is file", true)
	})
}

// The place of a savepoint may be away for good when its job has ended: its seal is tried again, and that is logged less and less often.
func TestASealThatCannotBePutIsTriedAgain(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		to := c.gated(t)
		a := c.add("a", 1)
		job := c.submit(1)
		c.gate.set(func(_ context.Context, name string) error {
			if name == checkpoint.SealName {
				return errors.New("disk is read-only")
			}
			return nil
		})
		answer := c.takes(t, job.ID, &api.TakeSavepoint{Path: to})
		a.acknowledge(1)
		c.after(10 * time.Minute)
		if n := strings.Count(c.log.text(), `msg="seal savepoint"`); n != 7 {
			t.Errorf("in 10 minutes of the running job logged %d times (expected 7, at tries 1, 2, 4 ... 64)", n)
		}
		if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		c.after(10*time.Minute + 30*time.Second)
		c.expect(job.ID, api.JobCanceled, "")
		var told []string // at which tries
		for line := range strings.Lines(c.log.text()) {
			if _, rest, ok := strings.Cut(line, "has no seal, which is tried again each minute"); ok {
				told = append(told, strings.Fields(rest)[3])
				if !strings.Contains(line, "disk is read-only") || !strings.Contains(line, to) || !strings.Contains(line, "mend that") {
					t.Errorf("%s does not say why, which, or what can be done", line)
				}
			}
		}
		if want := []string{"tries=1", "tries=2", "tries=4", "tries=8"}; !slices.Equal(told, want) {
			t.Errorf("in 10 minutes logged at %v (expected %v)", told, want)
		}
		c.gate.set(nil)
		c.after(tidyAgain)
		if _, err := os.Stat(filepath.Join(to, checkpoint.SealName)); err != nil {
			t.Error(err)
		}
		<-answer
	})
}
