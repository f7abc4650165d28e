package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// TestEveryKeyGroupKeepsItsHistory takes checkpoints of a job that is restored at one parallelism after the other. Whatever
// the order of parallelisms, each key group must find in its task's files each delta that was written for it, once, the
// oldest first.
func TestEveryKeyGroupKeepsItsHistory(t *testing.T) {
	const groups, keyed = 8, 1 // key groups of job, and the chain that owns them
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			history := make([][]string, groups) // names of the deltas written for each group
			m := &checkpoint.Manifest{Graph: *job(1)}
			for round := range 6 {
				g := job(1 + rnd.IntN(groups))
				x := graph.Expand(g)
				plan := checkpoint.NewPlan(m, g, x)
				m = &checkpoint.Manifest{Graph: *g}
				for _, id := range x.Tasks() {
					files := plan.Files[id]
					if id.Chain == keyed {
						from, to := graph.KeyGroupsOf(id.Subtask, g.Operators[2].Parallelism, groups)
						for group := from; group < to; group++ {
							if got := namesFor(group, files); !slices.Equal(got, history[group]) {
								t.Fatalf("round %d, group %d of task %s reads %v (expected %v)", round, group, id, got, history[group])
							}
						}
						delta := checkpoint.File{Name: checkpoint.FileName(graph.Attempt(round+1), id, 1), From: from, To: to}
						files = append(files, delta)
						for group := from; group < to; group++ {
							history[group] = append(history[group], delta.Name)
						}
					}
					m.Tasks = append(m.Tasks, checkpoint.Task{Task: id, Files: files})
				}
			}
		})
	}
}

// namesFor are the files that count for a key group.
func namesFor(group graph.KeyGroup, files []checkpoint.File) (names []string) {
	for _, f := range files {
		if f.From <= group && group < f.To {
			names = append(names, f.Name)
		}
	}
	return names
}
