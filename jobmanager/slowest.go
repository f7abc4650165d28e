package jobmanager

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// slowest is how far the slowest source of each group is, of what the tasks of the current attempt have told. Who has told
// nothing, has nothing to read, or has ended holds nobody up.
func (j *jobMaster) slowest() []wire.Slowest {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slowest(string(j.id), j.fsm.attempt, maps.Values(j.metrics))
}

func slowest(job string, attempt graph.Attempt, tasks func(yield func(wire.TaskMetrics) bool)) (all []wire.Slowest) {
	for m := range tasks {
		if m.Aligned == nil || m.Attempt != attempt {
			continue
		}
		i := slices.IndexFunc(all, func(s wire.Slowest) bool { return s.Group == m.Aligned.Group })
		if i < 0 {
			all = append(all, wire.Slowest{Job: graph.JobID(job), Attempt: attempt, Group: m.Aligned.Group, Watermark: m.Aligned.Watermark})
			continue
		}
		all[i].Watermark = min(all[i].Watermark, m.Aligned.Watermark)
	}
	slices.SortFunc(all, func(a, b wire.Slowest) int { return cmp.Compare(a.Group, b.Group) })
	return all
}
