// Package allocs counts what a function allocates, for tests that hold code to allocating nothing. It knows that others in the
// process allocate meanwhile, and refuses to know who they are.
package allocs

import "testing"

// tries is how often runs are counted before what was counted is believed.
const tries = 5

// PerRun is testing.AllocsPerRun without what others allocate: that counts the whole process, so the least of a few tries is f's.
func PerRun(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for try := 1; try < tries && least > 0; try++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
