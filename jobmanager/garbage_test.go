package jobmanager

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

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
