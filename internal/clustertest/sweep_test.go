package clustertest

import (
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// Broadcast records are applied to all keys under faults: what is swept out of a state is so once.
func TestSeedsOfSweeps(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/10, 4) {
		s := scenario(*seed+uint64(i), workload.Sweep, 1+i%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i/2%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) { Run(t, s) })
	}
}
