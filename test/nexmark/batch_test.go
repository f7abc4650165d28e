//go:build nexmark

package nexmark

import (
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/internal/nexmark/reference"
)

// Each query has the rows of the reference in batch mode, too.
func TestQueriesInBatchMode(t *testing.T) {
	wasmill, module := built(t)
	path, events := eventFile(t, wasmill, made())
	for i := range reference.Queries {
		q := &reference.Queries[i]
		t.Run(q.Name, func(t *testing.T) {
			want := reference.Expect(q, events)
			for _, parallelism := range []string{"1", "3"} {
				out := filepath.Join(t.TempDir(), "out")
				wasmill.Run(t, "run", module, "--mode", "batch", "--param", "query="+q.Name, "--param", "input="+path, "--param", "output="+out, "--parallelism", parallelism).OK(t)
				t.Logf("at parallelism %s", parallelism)
				same(t, want, out)
			}
		})
	}
}
