package jobmanager

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// A JobManager that is killed between a job's end and the last of its checkpoints leaves the rest to the next one.
func TestCheckpointsOfAnEndedJobAreDeletedByTheNextJobManager(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		a.finish()
		c.expect(job.ID, api.JobFinished, "")
		r := c.jm.jobOf(job.ID).record
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		r.Stored = true
		if err := c.jm.storeJob(&r); err != nil {
			t.Fatal(err)
		}
		c.store = t.TempDir()
		store, err := blob.Open(t.Context(), c.store)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), string(job.ID)+"/"+checkpoint.ManifestName(1), strings.NewReader("{}"), 2); err != nil {
			t.Fatal(err)
		}
		c.start()
		synctest.Wait()
		if err := store.List(t.Context(), "", func(i blob.Info) bool {
			t.Errorf("%s is left", i.Name)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if c.jm.jobOf(job.ID).record.Stored {
			t.Error("the job still says that it has checkpoints")
		}
	})
}

// So does one that is killed between a job's failure and the seal.
func TestWhatAFailedJobLeavesIsSealedByTheNextJobManager(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		a.finish()
		c.expect(job.ID, api.JobFinished, "")
		r := c.jm.jobOf(job.ID).record
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		r.Stored, r.State, r.Checkpoints = true, api.JobFailed, []decided{{ID: 3, Sum: "abc"}}
		if err := c.jm.storeJob(&r); err != nil {
			t.Fatal(err)
		}
		c.store = t.TempDir()
		c.start()
		synctest.Wait()
		store, err := blob.Open(t.Context(), c.store)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := store.Open(t.Context(), string(job.ID)+"/"+checkpoint.SealName); err != nil {
			t.Error(err)
		} else {
			o.Close()
		}
		if c.jm.jobOf(job.ID).record.Stored {
			t.Error("the job still says that it is to be sealed")
		}
	})
}

// A job may end while the manifest of a checkpoint is being written: it goes with the rest.
func TestAManifestThatIsWrittenAtTheEndIsDeletedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := blob.NewMemory()
		store := all.Sub("job")
		jm := &JobManager{config: Config{OpenStore: func(context.Context, string) (blob.Store, error) { return store, nil }}}
		j := &jobMaster{jm: jm, id: "job"}
		put := func(name string) {
			if err := store.Put(t.Context(), name, strings.NewReader("{}"), 2); err != nil {
				t.Error(err)
			}
		}
		put(checkpoint.ManifestName(1))
		j.writing.Go(func() {
			time.Sleep(time.Second)
			put(checkpoint.ManifestName(2))
		})
		if err := j.dropCheckpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := all.List(t.Context(), "", func(i blob.Info) bool {
			t.Errorf("%s is left", i.Name)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	})
}
