package jobmanager

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// gatedStores are directories whose Put does what a test says.
type gatedStores struct {
	dir string // of checkpoints

	mu   sync.Mutex
	put  []string                                     // what was put into a job's store
	gate func(ctx context.Context, name string) error // of the next ones; nil: they are put
}

type gatedStore struct {
	blob.Store
	stores *gatedStores
}

func (g *gatedStores) open(_ context.Context, url string) (blob.Store, error) {
	s, err := blob.OpenDir(url)
	if err != nil || !strings.HasPrefix(url, g.dir+"/") {
		return s, err
	}
	return gatedStore{s, g}, nil
}

func (s gatedStore) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	g := s.stores
	g.mu.Lock()
	gate := g.gate
	g.mu.Unlock()
	if gate != nil {
		if err := gate(ctx, name); err != nil {
			return err
		}
	}
	if err := s.Store.Put(context.WithoutCancel(ctx), name, r, size); err != nil { // it is let through
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put = append(g.put, name)
	return nil
}

func (s gatedStore) Sweep(ctx context.Context) error { return blob.Sweep(ctx, s.Store) }

func (g *gatedStores) set(gate func(ctx context.Context, name string) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate, g.put = gate, nil
}

func (g *gatedStores) made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.put)
}

// forever waits for the end of the call.
func forever(name string) func(context.Context, string) error {
	return func(ctx context.Context, put string) error {
		if put != name {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// savedBy makes a savepoint of three files of a job of that graph.
func savedBy(t *testing.T, path string, g *graph.JobGraph) (names []string) {
	t.Helper()
	store, err := blob.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "before", Checkpoint: 7, Kind: checkpoint.Savepoint, Attempt: 2, Graph: *g}
	task := checkpoint.Task{}
	put := func(name string, data []byte) {
		if err := store.Put(t.Context(), name, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		data := bytes.Repeat([]byte{byte('a' + n)}, 1000)
		name := checkpoint.FileName(3, graph.TaskID{}, n)
		put(name, data)
		names = append(names, name)
		task.Files = append(task.Files, checkpoint.File{Name: name, Size: 1000, Checksum: checkpoint.Sum(data), To: graph.KeyGroup(g.MaxParallelism)})
	}
	m.Tasks = []checkpoint.Task{task}
	data, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	put(checkpoint.SavepointManifest, data)
	put(checkpoint.SealName, (&checkpoint.Seal{Job: m.Job, Checkpoint: m.Checkpoint, Sum: sum}).Encode())
	return names
}

// goingOn is a test of a job that goes on from a savepoint.
func goingOn(t *testing.T, test func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job)) {
	t.Helper()
	onFakeTime(t, func(t *testing.T, c *cluster) {
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		c.gate = &gatedStores{dir: t.TempDir()}
		c.start()
		first := c.submit(1)
		path := filepath.Join(t.TempDir(), "saved")
		files := savedBy(t, path, &c.jm.jobOf(first.ID).record.Graph)
		if _, err := c.jm.CancelJob(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		c.after(time.Second)
		test(t, c, path, files, func() *api.Job {
			one := 1
			job, err := c.jm.SubmitJob(t.Context(), &api.Submit{Module: c.upload(), Parallelism: &one, Params: map[string]string{"input": "4"}, From: path})
			if err != nil {
				t.Fatal(err)
			}
			return c.job(job.ID)
		})
	})
}

// The request does not wait for the copy, which another JobManager goes on with: what is there is not copied again.
func TestASavepointIsCopiedBesideTheSubmission(t *testing.T) {
	goingOn(t, func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job) {
		c.gate.set(forever(files[1]))
		job := submit()
		if c.expect(job.ID, api.JobCreated, ""); job.Origin == nil || job.Origin.Path != path || job.Origin.Copied != 1000 || job.Origin.Size != 3000 {
			t.Fatalf("origin: %+v", job.Origin)
		}
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		c.gate.set(nil)
		c.start()
		job = c.expect(job.ID, api.JobCreated, "waits for slots")
		if job.Checkpoint == nil || job.Origin.Copied != 3000 || job.Restarts != 0 {
			t.Errorf("job: %+v, origin %+v", job, job.Origin)
		}
		if made := c.gate.made(); slices.Contains(made, files[0]) || !slices.Contains(made, files[1]) || !slices.Contains(made, files[2]) {
			t.Errorf("the second JobManager has put %v", made)
		}
		if err := os.RemoveAll(path); err != nil { // it is the user's to delete
			t.Fatal(err)
		}
		tm := c.add("a", 1)
		c.after(time.Second)
		c.expect(job.ID, api.JobRunning, "")
		if d := tm.deployed[len(tm.deployed)-1]; d.Attempt != 4 || len(d.Tasks[0].Restore.Files) != 3 {
			t.Errorf("deployed: %+v", d)
		}
	})
}

func TestASavepointThatIsDamagedFailsTheJob(t *testing.T) {
	goingOn(t, func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job) {
		file := filepath.Join(path, filepath.FromSlash(files[2]))
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 1000), 0o666); err != nil {
			t.Fatal(err)
		}
		job := submit()
		c.after(10 * time.Second)
		c.expect(job.ID, api.JobFailed, "go on from savepoint "+path+": file "+files[2]+": checksum")
		c.leftNothing(job.ID)
	})
}

func TestASavepointThatCannotBeCopiedNowIsCopiedLater(t *testing.T) {
	goingOn(t, func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job) {
		c.gate.set(func(context.Context, string) error { return errors.New("the disk is full") })
		job := submit()
		c.after(time.Minute)
		if job = c.expect(job.ID, api.JobCreated, ""); !strings.Contains(job.Origin.Hindered, "the disk is full") {
			t.Errorf("origin: %+v", job.Origin)
		}
		c.gate.set(nil)
		c.after(commitRetryMax)
		if job = c.expect(job.ID, api.JobCreated, "waits for slots"); job.Origin.Hindered != "" {
			t.Errorf("origin: %+v", job.Origin)
		}
	})
}

func TestAJobIsCanceledWhileItsSavepointIsCopied(t *testing.T) {
	goingOn(t, func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job) {
		c.gate.set(forever(files[1]))
		job := submit()
		if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		c.after(time.Second)
		c.expect(job.ID, api.JobCanceled, "")
		c.leftNothing(job.ID)
	})
}

// Another savepoint, or none, lies there when another JobManager looks.
func TestASavepointThatIsReplacedFailsTheJob(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path string, g *graph.JobGraph){
		"replaced": func(t *testing.T, path string, g *graph.JobGraph) {
			other := *g
			other.Name = "other"
			savedBy(t, path, &other)
			data, err := os.ReadFile(filepath.Join(path, checkpoint.SavepointManifest))
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.Replace(data, []byte(`"checkpoint":7`), []byte(`"checkpoint":8`), 1)
			seal := (&checkpoint.Seal{Job: "before", Checkpoint: 8, Sum: checkpoint.Sum(changed)}).Encode()
			for file, p := range map[string][]byte{checkpoint.SavepointManifest: changed, checkpoint.SealName: seal} {
				_ = os.Remove(filepath.Join(path, file))
				if err := os.WriteFile(filepath.Join(path, file), p, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		},
		"deleted": func(*testing.T, string, *graph.JobGraph) {},
	} {
		want := map[string]string{"replaced": "another savepoint lies there now", "deleted": "it is no savepoint"}[name]
		t.Run(name, func(t *testing.T) {
			goingOn(t, func(t *testing.T, c *cluster, path string, files []string, submit func() *api.Job) {
				c.gate.set(forever(files[1]))
				job := submit()
				g := c.jm.jobOf(job.ID).record.Graph
				if err := c.jm.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				replace(t, path, &g)
				c.gate.set(nil)
				c.start()
				c.after(10 * time.Second)
				c.expect(job.ID, api.JobFailed, want)
				c.leftNothing(job.ID)
			})
		})
	}
}

// leftNothing sees that a job has no files.
func (c *cluster) leftNothing(id graph.JobID) {
	c.t.Helper()
	synctest.Wait()
	store, err := blob.OpenDir(c.gate.dir + "/" + string(id))
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Close()
	if err := store.List(c.t.Context(), "", func(i blob.Info) bool { c.t.Errorf("%s is left", i.Name); return true }); err != nil {
		c.t.Fatal(err)
	}
}
