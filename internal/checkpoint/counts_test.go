package checkpoint_test

import (
	"reflect"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// What passed before a restore counts once: not again with a task that had finished then.
func TestAddCounts(t *testing.T) {
	counts := func(n int64, sinks map[string]int64) checkpoint.Counts {
		return checkpoint.Counts{InputRead: 10 * n, SourceOut: n, RecordsOut: 2 * n, SinkIn: sinks}
	}
	tasks := []checkpoint.Task{
		{Task: task(0, 0), Counts: counts(3, nil)},
		{Task: task(1, 0), Counts: counts(0, map[string]int64{"out": 5})},
		{Task: task(1, 1), Counts: counts(0, map[string]int64{"out": 2, "late": 1})},
	}
	before := counts(100, map[string]int64{"out": 90})
	for name, c := range map[string]struct {
		restored *checkpoint.Plan
		want     checkpoint.Counts
	}{
		"from the beginning": {nil, counts(3, map[string]int64{"out": 7, "late": 1})},
		"restored":           {&checkpoint.Plan{Counts: before}, counts(103, map[string]int64{"out": 97, "late": 1})},
		"one had finished":   {&checkpoint.Plan{Counts: before, Finished: map[graph.TaskID]*checkpoint.Task{task(0, 0): {}}}, counts(100, map[string]int64{"out": 97, "late": 1})},
	} {
		if got := checkpoint.AddCounts(c.restored, tasks); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v (expected %+v)", name, got, c.want)
		}
	}
	if want := map[string]int64{"out": 90}; !reflect.DeepEqual(before.SinkIn, want) {
		t.Errorf("what was restored is %v (expected %v, as it was)", before.SinkIn, want)
	}
}
