package state_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
	"github.com/wasmill/wasmill/taskmanager/state/statetest"
)

func TestMemoryRandom(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { statetest.Random(t, seed, 600, state.New) })
	}
}

// spilling makes stores that have next to no memory.
func spilling(t *testing.T, budget int64) func(state.Config) (state.Store, error) {
	dir, n := t.TempDir(), 0
	disk := &spill.Disk{Dir: dir}
	return func(c state.Config) (state.Store, error) {
		n++
		c.Budget, c.Dir, c.Space = budget, filepath.Join(dir, fmt.Sprint("attempt ", n)), &spill.Space{Disk: disk, Dir: dir}
		return state.New(c)
	}
}

func TestSpilling(t *testing.T) {
	open := spilling(t, 1)
	statetest.Run(t, func(t *testing.T) state.Store {
		s, err := open(state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestSpillingRandom(t *testing.T) {
	for seed := range uint64(6) {
		for _, budget := range []int64{1, 200 << 10, 600 << 10} {
			t.Run(fmt.Sprintf("seed %d budget %d", seed, budget), func(t *testing.T) {
				statetest.Random(t, seed, 600, spilling(t, budget))
			})
		}
	}
}
