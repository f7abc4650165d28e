//go:build faults

package faults

import (
	"testing"
)

// scenarios are all faults, in the order of the table.
func scenarios() (all []scenario) {
	for _, part := range [][]scenario{
		phases(), stops(), exchanges(), adoptions(), kills(), anything(), resumptions(),
		partitions(), uploads(), slowLinks(), badLinks(), attacks(),
		zombies(), latecomers(),
		troubled(), clocks(),
		disks(),
		damages(),
		fullDisks(),
		poisons(),
	} {
		all = append(all, part...)
	}
	return all
}

// TestRows runs every scenario, with as many seeds as was said.
func TestRows(t *testing.T) {
	for i := range *repeats {
		for _, s := range scenarios() {
			if s.fullOnly && !*full {
				continue
			}
			perform(t, &s, *seedOf+uint64(i))
		}
	}
}
