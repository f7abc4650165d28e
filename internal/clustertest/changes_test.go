package clustertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// TestSeedsOfTwoChanges has jobs changed by two at once, again and again, alone and while processes are killed.
func TestSeedsOfTwoChanges(t *testing.T) {
	cache := t.TempDir()
	both := faultsThat("two changes")
	made := 0
	for i := range max(min(*seeds, 100)/10, 4) {
		w := []*workload.Workload{workload.Ledger, workload.Versioned, workload.Windows}[i%3]
		s := scenario(*seed+uint64(i), w, 1+i%2, cache)
		s.Faults = append(slices.Clone(both), both...)
		t.Run(fmt.Sprint(s.Seed, " ", w.Name), func(t *testing.T) { made += Run(t, s)["two changes at once"] })
	}
	if made == 0 {
		t.Error("no change was made")
	}
}
