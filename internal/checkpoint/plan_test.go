package checkpoint_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// job is source -> key -> count -> sink, of 8 key groups.
func job(parallelism int) *graph.JobGraph {
	in := func(from int, p graph.Partition) []graph.Input {
		return []graph.Input{{From: from, Partition: p, Exchange: graph.Pipelined}}
	}
	return &graph.JobGraph{MaxParallelism: 8, Operators: []graph.Operator{
		{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: parallelism},
		{Name: "key", UID: "key", Kind: abi.OperatorKey, Declared: &abi.Function{}, Parallelism: parallelism, Inputs: in(0, graph.Forward)},
		{Name: "count", UID: "counts", Kind: abi.OperatorCount, Parallelism: parallelism, Inputs: in(1, graph.Hash)},
		{Name: "out", UID: "out", Kind: abi.OperatorSink, Parallelism: parallelism, Inputs: in(2, graph.Forward)},
	}}
}

func task(chain, subtask int) graph.TaskID { return graph.TaskID{Chain: chain, Subtask: subtask} }

func TestPlanFollowsKeyGroups(t *testing.T) {
	file := func(name string, from, to graph.KeyGroup) checkpoint.File {
		return checkpoint.File{Name: name, From: from, To: to}
	}
	of := func(from, to graph.KeyGroup, files ...checkpoint.File) []checkpoint.File { // by the task of these groups
		for i := range files {
			files[i].OwnFrom, files[i].OwnTo = from, to
		}
		return files
	}
	two := &checkpoint.Manifest{Checkpoint: 4, Graph: *job(2), Tasks: []checkpoint.Task{
		{Task: task(0, 0)}, {Task: task(0, 1)},
		{Task: task(1, 0), Files: []checkpoint.File{file("base", 0, 4), file("a", 0, 4)}},
		{Task: task(1, 1), Files: []checkpoint.File{file("base", 4, 8), file("b", 4, 8)}},
	}}
	for _, c := range []struct {
		name        string
		parallelism int
		want        map[graph.TaskID][]checkpoint.File
	}{
		{"the same", 2, map[graph.TaskID][]checkpoint.File{
			task(1, 0): of(0, 4, file("base", 0, 4), file("a", 0, 4)),
			task(1, 1): of(4, 8, file("base", 4, 8), file("b", 4, 8)),
		}},
		{"one", 1, map[graph.TaskID][]checkpoint.File{
			task(1, 0): append(of(0, 4, file("base", 0, 8), file("a", 0, 4)), of(4, 8, file("b", 4, 8))...),
		}},
		{"four", 4, map[graph.TaskID][]checkpoint.File{
			task(1, 0): append(of(0, 4, file("base", 0, 2), file("a", 0, 2)), of(4, 8, file("b", 4, 4))...),
			task(1, 1): append(of(0, 4, file("base", 2, 4), file("a", 2, 4)), of(4, 8, file("b", 4, 4))...),
			task(1, 2): append(of(0, 4, file("base", 4, 6), file("a", 4, 4)), of(4, 8, file("b", 4, 6))...),
			task(1, 3): append(of(0, 4, file("base", 6, 8), file("a", 6, 6)), of(4, 8, file("b", 6, 8))...),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := job(c.parallelism)
			if got := checkpoint.NewPlan(two, g, graph.Expand(g)); !reflect.DeepEqual(got.Files, c.want) {
				t.Errorf("got  %v\nwant %v", got.Files, c.want)
			}
		})
	}
}

// What an operator has stored itself is replaced by what it has stored since, whichever task did: one has written all of its state
// anew in attempt 3, another only what has changed, so that it still has what was written when there was one task, in attempt 2.
func TestPlanNamesOlderFilesFirst(t *testing.T) {
	file := func(name string, from, to graph.KeyGroup) checkpoint.File {
		return checkpoint.File{Name: "files/" + name + ".snap", From: from, To: to}
	}
	m := &checkpoint.Manifest{Checkpoint: 4, Graph: *job(2), Tasks: []checkpoint.Task{
		{Task: task(1, 0), Files: []checkpoint.File{file("3-1.0-9", 0, 4)}},
		{Task: task(1, 1), Files: []checkpoint.File{file("1-1.0-5", 4, 4), file("1-1.1-5", 4, 8), file("2-1.0-1", 4, 8), file("3-1.1-1", 4, 8)}},
	}}
	want := []checkpoint.File{file("1-1.1-5", 4, 8), file("2-1.0-1", 4, 8), file("3-1.0-9", 0, 4), file("3-1.1-1", 4, 8)}
	for i, by := range []int{1, 1, 0, 1} {
		want[i].OwnFrom, want[i].OwnTo = graph.KeyGroupsOf(by, 2, 8)
	}
	g := job(1)
	if got := checkpoint.NewPlan(m, g, graph.Expand(g)).Files[task(1, 0)]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Of a union every subtask goes on with what all have stored; what they had of others before is stored anew.
func TestPlanOfUnions(t *testing.T) {
	own := func(parallelism int) *graph.JobGraph {
		return &graph.JobGraph{MaxParallelism: 8, Operators: []graph.Operator{
			{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: parallelism},
			{Name: "own", UID: "own", Kind: abi.OperatorProcess, Parallelism: parallelism, Inputs: []graph.Input{{Partition: graph.Forward, Exchange: graph.Pipelined}},
				Declared: &abi.Function{States: []abi.State{{Name: "all", Scope: abi.ScopeOperator, Kind: "union"}}}},
		}}
	}
	file := func(name string, from, to graph.KeyGroup) checkpoint.File {
		return checkpoint.File{Name: name, From: from, To: to}
	}
	m := &checkpoint.Manifest{Graph: *own(2), Tasks: []checkpoint.Task{
		{Task: task(0, 0), Files: []checkpoint.File{file("old", 0, 4), file("b", 4, 4), file("a", 0, 4)}},
		{Task: task(0, 1), Finished: true, Files: []checkpoint.File{file("b", 4, 8)}},
	}}
	g := own(2)
	got := checkpoint.NewPlan(m, g, graph.Expand(g)).Files
	others := file("b", 4, 4)
	others.Operators, others.OwnFrom, others.OwnTo = []string{"own"}, 4, 8
	mine := func(name string) checkpoint.File {
		f := file(name, 0, 4)
		f.OwnFrom, f.OwnTo = 0, 4
		return f
	}
	want := map[graph.TaskID][]checkpoint.File{task(0, 0): {mine("old"), mine("a"), others}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPlanLeavesOutWhatHasFinished(t *testing.T) {
	m := &checkpoint.Manifest{Graph: *job(2), Tasks: []checkpoint.Task{{Task: task(0, 1), Finished: true}, {Task: task(1, 0)}}}
	g := job(2)
	if got := checkpoint.NewPlan(m, g, graph.Expand(g)); len(got.Finished) != 1 || got.Finished[task(0, 1)] == nil {
		t.Errorf("finished %v (expected 0.1)", got.Finished)
	}
	g = job(3)
	if got := checkpoint.NewPlan(m, g, graph.Expand(g)); len(got.Finished) != 0 {
		t.Errorf("finished %v (expected none: the tasks are others)", got.Finished)
	}
}

func TestMergeSources(t *testing.T) {
	open := func(i uint32, at string) checkpoint.OpenSplit {
		return checkpoint.OpenSplit{Index: i, Position: json.RawMessage(at)}
	}
	begin := map[string]checkpoint.SourceSplits{"in": {Done: []uint32{0}, Open: []checkpoint.OpenSplit{open(1, "10"), open(2, "20")}, Watermark: 5}}
	got := checkpoint.MergeSources(begin, []checkpoint.Task{
		{Sources: []checkpoint.SourceState{{Operator: "in", Done: []uint32{1}, Open: []checkpoint.OpenSplit{open(4, "44")}, Watermark: 9}}},
		{Sources: []checkpoint.SourceState{{Operator: "in", Watermark: 7}}},
	})
	want := []checkpoint.SourceSplits{{Operator: "in", Done: []uint32{0, 1}, Open: []checkpoint.OpenSplit{open(2, "20"), open(4, "44")}, Watermark: 7}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A subtask without input left holds nobody back. Of a source that was read to its end nothing will come.
func TestMergedWatermarkIsOfThoseThatRead(t *testing.T) {
	begin := map[string]checkpoint.SourceSplits{"in": {Watermark: 5}}
	state := func(w int64) []checkpoint.SourceState {
		return []checkpoint.SourceState{{Operator: "in", Watermark: w}}
	}
	for _, c := range []struct {
		subtasks []int64
		want     int64
	}{
		{[]int64{7, abi.MaxTime}, 7},
		{[]int64{abi.MaxTime, 9, 8}, 8},
		{[]int64{abi.MinTime, abi.MaxTime}, abi.MinTime},
		{[]int64{abi.MaxTime, abi.MaxTime}, abi.MaxTime},
	} {
		var tasks []checkpoint.Task
		for _, w := range c.subtasks {
			tasks = append(tasks, checkpoint.Task{Finished: w == abi.MaxTime, Sources: state(w)})
		}
		if got := checkpoint.MergeSources(begin, tasks)[0].Watermark; got != c.want {
			t.Errorf("%d: %d (expected %d)", c.subtasks, got, c.want)
		}
	}
}

// What comes next may come to any subtask, so each goes on from the smallest watermark of all, at any parallelism; those without
// input left do not count, unless all are.
func TestPlanTakesTheSmallestWatermark(t *testing.T) {
	m := &checkpoint.Manifest{Graph: *job(2)}
	for s, w := range []int64{abi.MaxTime, 900, 400} {
		m.Tasks = append(m.Tasks, checkpoint.Task{Task: task(0, s), Promised: map[string]int64{"times": w, "ended": abi.MaxTime}})
	}
	for _, parallelism := range []int{1, 2, 3} {
		g := job(parallelism)
		if got, want := checkpoint.NewPlan(m, g, graph.Expand(g)).Promised, (map[string]int64{"times": 400, "ended": abi.MaxTime}); !maps.Equal(got, want) {
			t.Errorf("parallelism %d: %v (expected %v)", parallelism, got, want)
		}
	}
}

func TestManifestIsHeldAgainstItsChecksum(t *testing.T) {
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "j", Checkpoint: 3, Graph: *job(1)}
	data, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := checkpoint.Decode(data, sum); err != nil || got.Checkpoint != 3 || len(got.Graph.Operators) != 4 {
		t.Errorf("read %+v, %v", got, err)
	}
	for i := range data {
		data[i] ^= 1
		if _, err := checkpoint.Decode(data, sum); err == nil {
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
		data[i] ^= 1
	}
	other := &checkpoint.Manifest{Version: 9}
	data, sum, _ = other.Encode()
	if _, err := checkpoint.Decode(data, sum); err == nil {
		t.Error("a manifest of another version was read")
	}
}

// An operator that is given another parallelism leaves its chain, and comes back. Each operator's state is with one task all
// the time: what the files of the chain before have of it is not read by who has only its neighbours.
func TestPlanKeepsOperatorsApart(t *testing.T) {
	graphOf := func(counts, times, out int) *graph.JobGraph {
		g := job(2)
		in := func(from int, a, b int) []graph.Input {
			p := graph.Forward
			if a != b {
				p = graph.Rebalance
			}
			return []graph.Input{{From: from, Partition: p, Exchange: graph.Pipelined}}
		}
		g.Operators[2].Parallelism = counts
		g.Operators[3] = graph.Operator{Name: "times", UID: "times", Kind: abi.OperatorTimestamp, Declared: &abi.Function{}, Parallelism: times, Inputs: in(2, counts, times)}
		g.Operators = append(g.Operators, graph.Operator{Name: "out", UID: "out", Kind: abi.OperatorSink, Parallelism: out, Inputs: in(3, times, out)})
		return g
	}
	names := func(files []checkpoint.File) (all []string) {
		for _, f := range files {
			name := f.Name
			if f.Operators != nil {
				name += " of " + strings.Join(f.Operators, " and ")
			}
			all = append(all, name)
		}
		return all
	}
	g := graphOf(1, 1, 1)
	m := &checkpoint.Manifest{Graph: *g, Tasks: []checkpoint.Task{{Task: task(1, 0), Files: []checkpoint.File{{Name: "all", To: 8}}}}}
	for round, step := range []struct {
		counts, times, out int
		want               map[graph.TaskID][]string
	}{
		{1, 1, 2, map[graph.TaskID][]string{task(1, 0): {"all"}}},
		{1, 2, 2, map[graph.TaskID][]string{
			task(1, 0): {"all of counts", "0-1.0 of counts"},
			task(2, 0): {"all of times", "0-1.0 of times"},
			task(2, 1): {"all of times", "0-1.0 of times"},
		}},
		{1, 1, 1, map[graph.TaskID][]string{
			task(1, 0): {"all of counts", "0-1.0 of counts", "1-1.0 of counts", "all of times", "0-1.0 of times", "1-2.0 of times", "1-2.1 of times"},
		}},
		{2, 1, 1, map[graph.TaskID][]string{
			task(1, 0): {"all of counts", "0-1.0 of counts", "1-1.0 of counts", "2-1.0 of counts"},
			task(1, 1): {"all of counts", "0-1.0 of counts", "1-1.0 of counts", "2-1.0 of counts"},
			task(2, 0): {"all of times", "0-1.0 of times", "1-2.0 of times", "1-2.1 of times", "2-1.0 of times"},
		}},
	} {
		g := graphOf(step.counts, step.times, step.out)
		x := graph.Expand(g)
		plan := checkpoint.NewPlan(m, g, x)
		m = &checkpoint.Manifest{Graph: *g}
		for _, id := range x.Tasks() {
			files := plan.Files[id]
			if got, want := names(files), step.want[id]; !slices.Equal(got, want) {
				t.Errorf("round %d: %s reads %q (expected %q)", round, id, got, want)
			}
			if len(files) > 0 {
				files = append(files, checkpoint.File{Name: fmt.Sprintf("%d-%s", round, id), To: 8})
			}
			m.Tasks = append(m.Tasks, checkpoint.Task{Task: id, Files: files})
		}
	}
}
