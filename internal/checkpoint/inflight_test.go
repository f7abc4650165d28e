package checkpoint_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// spread is in -> parse (of another parallelism: rebalanced) -> key -> count -> sink, of 8 key groups.
func spread(in, rest int) *graph.JobGraph {
	from := func(from int, p graph.Partition) []graph.Input {
		return []graph.Input{{From: from, Partition: p, Exchange: graph.Pipelined}}
	}
	first := graph.Rebalance
	if in == rest {
		first = graph.Forward
	}
	return &graph.JobGraph{MaxParallelism: 8, Operators: []graph.Operator{
		{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: in, Output: "utf8"},
		{Name: "parse", UID: "parse", Kind: abi.OperatorMap, Parallelism: rest, Output: "utf8", Inputs: from(0, first)},
		{Name: "key", UID: "key", Kind: abi.OperatorKey, Parallelism: rest, Key: "utf8", Output: "utf8", Inputs: from(1, graph.Forward)},
		{Name: "count", UID: "counts", Kind: abi.OperatorCount, Parallelism: rest, Inputs: from(2, graph.Hash)},
		{Name: "out", UID: "out", Kind: abi.OperatorSink, Parallelism: rest, Inputs: from(3, graph.Forward)},
	}}
}

func flight(name string, from, to graph.KeyGroup, operator string) *checkpoint.InFlight {
	return &checkpoint.InFlight{
		File: checkpoint.File{Name: name, From: from, To: to}, Lanes: []checkpoint.Lane{{Operator: operator, Sender: 1, Batches: 2, Bytes: 10}},
	}
}

// What goes by key goes to whoever has some of the key groups, cut to these; what was rebalanced to one heir.
func TestPlanDealsOutWhatWasInFlight(t *testing.T) {
	m := &checkpoint.Manifest{Checkpoint: 4, Graph: *spread(1, 2), Tasks: []checkpoint.Task{
		{Task: task(0, 0)},
		{Task: task(1, 0), InFlight: flight("p0", 0, 4, "parse")},
		{Task: task(1, 1), InFlight: flight("p1", 4, 8, "parse")},
		{Task: task(2, 0), InFlight: flight("c0", 0, 4, "counts")},
		{Task: task(2, 1)},
	}}
	for _, c := range []struct {
		name     string
		in, rest int
		want     string
	}{
		{"the same", 1, 2, "1.0 p0[0:4] 1.1 p1[4:8] 2.0 c0[0:4]"},
		{"more senders", 3, 2, "1.0 p0[0:4] 1.1 p1[4:8] 2.0 c0[0:4]"},
		{"three", 1, 3, "1.0 p0[0:3] 1.1 p1[4:6] 2.0 c0[0:3] 2.1 c0[3:4]"},
		{"one", 2, 1, "1.0 p0[0:4] 1.0 p1[4:8] 2.0 c0[0:4]"},
	} {
		g := spread(c.in, c.rest)
		x := graph.Expand(g)
		plan := checkpoint.NewPlan(m, g, x)
		var got []string
		for _, id := range x.Tasks() {
			for _, f := range plan.InFlight[id] {
				if len(f.Lanes) != 1 || f.Lanes[0].Batches != 2 {
					t.Errorf("%s: lanes of %s: %v", c.name, f.Name, f.Lanes)
				}
				got = append(got, fmt.Sprintf("%s %s[%d:%d]", id, f.Name, f.From, f.To))
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, s, c.want)
		}
	}
}

func TestRecordsInFlightNeedTheirWay(t *testing.T) {
	was := spread(1, 2)
	codec := spread(1, 2)
	codec.Operators[2].Key = "i64"
	gone := spread(1, 2)
	gone.Operators[3].UID = "other"
	for _, c := range []struct {
		name    string
		is      *graph.JobGraph
		keeps   bool
		strands string // of what is in flight to counts; of parse: p
	}{
		{"the same", spread(1, 2), true, ""},
		{"another parallelism", spread(2, 5), true, ""},
		{"the operators become one chain", spread(2, 2), false, `operator "parse"`},
		{"another codec of keys", codec, false, `operator "counts"`},
		{"another operator", gone, false, `operator "counts"`},
	} {
		if got := checkpoint.KeepsWays(was, c.is); got != c.keeps {
			t.Errorf("%s: keeps the ways: %v (expected %v)", c.name, got, c.keeps)
		}
		m := &checkpoint.Manifest{Graph: *was, Tasks: []checkpoint.Task{
			{Task: task(1, 0), InFlight: flight("p0", 0, 4, "parse")}, {Task: task(2, 0), InFlight: flight("c0", 0, 4, "counts")},
			{Task: task(2, 1), InFlight: flight("c1", 4, 8, "counts")},
		}}
		err := m.CheckInFlight(c.is)
		var lost *checkpoint.Stranded
		if errors.As(err, &lost) != (c.strands != "") || lost != nil && strings.Join(lost.Operators, " ") != c.strands {
			t.Errorf("%s: %v (expected %q)", c.name, err, c.strands)
		}
	}
}

// What was in flight belongs to its checkpoint alone.
func TestGarbageOfWhatWasInFlight(t *testing.T) {
	const attempt = 2
	name := checkpoint.InFlightName
	retained := func(id checkpoint.ID, of graph.Attempt, names ...string) *checkpoint.Manifest {
		m := &checkpoint.Manifest{Checkpoint: id, Attempt: of}
		for i, n := range names {
			m.Tasks = append(m.Tasks, checkpoint.Task{Task: task(1, i), InFlight: flight(n, 0, 8, "counts")})
		}
		return m
	}
	all := []string{
		name(1, 40, task(1, 0)), // of an attempt that is over, and of another job's counter
		name(1, 41, task(1, 0)), // the same, retained
		name(2, 5, task(1, 0)), name(2, 5, task(1, 1)),
		name(2, 6, task(1, 0)), name(2, 6, task(1, 1)),
		name(2, 7, task(1, 0)), // on its way into a manifest
		"in-flight/2-5-1.0.snapshot", "in-flight/notes.txt",
	}
	manifests := []*checkpoint.Manifest{retained(4, 1, name(1, 41, task(1, 0))), retained(6, 2, name(2, 6, task(1, 0)), name(2, 6, task(1, 1)))}
	got := checkpoint.Garbage(all, manifests, attempt)
	want := []string{all[0], all[2], all[3]}
	if !slices.Equal(got, want) {
		t.Errorf("garbage %q\nexpected %q", got, want)
	}
}
