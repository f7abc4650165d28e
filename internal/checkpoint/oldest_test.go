package checkpoint_test

import (
	"reflect"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// The oldest version that a state may hold rises when all that a job may go on from is known to hold nothing older.
func TestTheOldestVersionRises(t *testing.T) {
	g := job(2)
	op := &g.Operators[2]
	op.Kind, op.Oldest = abi.OperatorProcess, map[string]int{"total": 1, "names": 0}
	op.Declared = &abi.Function{Kind: abi.FunctionProcess, States: []abi.State{{Name: "total", Version: 3}, {Name: "names", Version: 2}, {Name: "new", Version: 1}}}
	files := []checkpoint.File{{Name: "a"}}
	of := func(total, names int) checkpoint.Versions {
		return checkpoint.Versions{"counts": {"total": total, "names": names}, "others": {"total": 0}}
	}
	part := func(subtask int, v checkpoint.Versions) checkpoint.Task {
		return checkpoint.Task{Task: task(1, subtask), Files: files, Versions: v}
	}
	for _, c := range []struct {
		name  string
		tasks []checkpoint.Task
		want  map[string]int // nil: nothing is known
	}{
		{"all are rewritten", []checkpoint.Task{part(0, of(3, 2)), part(1, of(3, 2))}, map[string]int{"total": 3, "names": 2}},
		{"one holds older ones", []checkpoint.Task{part(0, of(3, 1)), part(1, of(2, 2))}, map[string]int{"total": 2, "names": 1}},
		{"one has not looked", []checkpoint.Task{part(0, of(3, 2)), part(1, nil)}, nil},
		{"one says nothing", []checkpoint.Task{part(0, of(3, 2))}, nil},
		{"one has nothing", []checkpoint.Task{part(0, of(2, 2)), {Task: task(1, 1)}}, map[string]int{"total": 2, "names": 2}},
		{"none has the states", []checkpoint.Task{part(0, checkpoint.Versions{}), part(1, checkpoint.Versions{})}, map[string]int{"total": 3, "names": 2}},
	} {
		tasks := append([]checkpoint.Task{{Task: task(0, 0), Files: files}, {Task: task(0, 1), Files: files}}, c.tasks...)
		if got := checkpoint.Oldest(g, tasks)["counts"]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v (expected %v)", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		all  []checkpoint.Versions
		want map[string]int
	}{
		{"nothing to go on from", nil, map[string]int{"total": 1, "names": 0}},
		{"one of which nothing is known", []checkpoint.Versions{nil, of(3, 2)}, map[string]int{"total": 1, "names": 0}},
		{"the least counts", []checkpoint.Versions{of(3, 1), of(2, 2)}, map[string]int{"total": 2, "names": 1}},
		{"one state is of the version declared", []checkpoint.Versions{of(3, 0), of(3, 2)}, map[string]int{"names": 0}},
		{"all are", []checkpoint.Versions{of(3, 2)}, nil},
		{"it never falls", []checkpoint.Versions{of(0, 0)}, map[string]int{"total": 1, "names": 0}},
	} {
		before := graph.JobGraph{Operators: append([]graph.Operator(nil), g.Operators...)}
		got := checkpoint.Raise(before, c.all)
		if !reflect.DeepEqual(got.Operators[2].Oldest, c.want) {
			t.Errorf("%s: %v (expected %v)", c.name, got.Operators[2].Oldest, c.want)
		}
		if !reflect.DeepEqual(op.Oldest, map[string]int{"total": 1, "names": 0}) || !reflect.DeepEqual(before.Operators[2].Oldest, op.Oldest) {
			t.Fatalf("%s: the graph that others have was changed: %v", c.name, op.Oldest)
		}
	}
}
