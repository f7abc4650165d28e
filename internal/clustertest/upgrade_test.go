package clustertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// Modules are exchanged in running tasks, alone and while processes are killed and requests are lost.
func TestUpgrades(t *testing.T) {
	cache := t.TempDir()
	upgrades := faultsThat("upgrade")
	for i, w := range append(slices.Clone(workload.All), workload.Versioned) {
		t.Run(fmt.Sprint(i, " ", w.Name), func(t *testing.T) {
			s := scenario(5000+*seed+uint64(i), w, 1+i%2, cache)
			s.Faults, s.Must = append([]Fault{upgrades[0]}, upgrades...), "upgrade inPlace"
			Run(t, s)
		})
	}
}
