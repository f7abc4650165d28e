package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmill/wasmill/test/harness"
)

// pace slows sources down: they pause before each batch, for longer the more the machine has to do. So a test that interferes with a
// job does so while there is input left, however fast the one and slow the other.
type pace struct {
	t    *testing.T
	flag string // a file; sources are slow for as long as it is there
}

// paced slows the sources of all jobs down that the test starts from here on.
func paced(t *testing.T) *pace { return pausing(t, 200*time.Millisecond) }

// pausing is paced with a pause of its own, of a test that does more while there is input left.
func pausing(t *testing.T, pause time.Duration) *pace {
	t.Helper()
	p := &pace{t, filepath.Join(t.TempDir(), "slow")}
	t.Setenv("FAILPOINT", fmt.Sprintf("reading=pause:%v?%s", harness.Stretched(pause), p.flag))
	p.slow()
	return p
}

func (p *pace) slow() {
	p.t.Helper()
	if err := os.WriteFile(p.flag, nil, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// full has sources read as fast as they can.
func (p *pace) full() {
	p.t.Helper()
	if err := os.RemoveAll(p.flag); err != nil {
		p.t.Fatal(err)
	}
}
