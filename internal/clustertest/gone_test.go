package clustertest

import (
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// TestSeedsOfOutputThatIsGone has pending output taken away and given up, again and again, while processes are killed: what is
// named is lost, and nothing else.
func TestSeedsOfOutputThatIsGone(t *testing.T) {
	cache := t.TempDir()
	given := 0
	for i := range max(min(*seeds, 100)/10, 4) {
		w := []*workload.Workload{workload.Ledger, workload.HashChain, workload.Windows}[i%3]
		s := scenario(*seed+uint64(i), w, 1+i%2, cache)
		s.Faults = []Fault{outputGone, outputGone}
		t.Run(fmt.Sprint(s.Seed, " ", w.Name), func(t *testing.T) { given += Run(t, s)["output given up"] })
	}
	if given == 0 {
		t.Error("nothing was given up")
	}
}
