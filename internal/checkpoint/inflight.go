package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// InFlight is what an unaligned barrier has overtaken on its way to a task: batches, in a file of their own. They are
// processed before anything else when the job goes on.
type InFlight struct {
	File         // cut to key groups as files of state are
	Lanes []Lane `json:"lanes"` // that count, in the order of the file
}

// Lane is a channel that a task takes records from, and how much was in flight there.
type Lane struct {
	Operator string `json:"operator"` // uid of the one that takes them
	Input    int    `json:"input"`    // of that operator
	Sender   int    `json:"sender"`   // subtask
	Batches  int64  `json:"batches"`
	Bytes    int64  `json:"bytes"`
}

// way is what the channels of an edge have in common in every graph in which records that were in flight there can go on.
type way struct {
	operator, from string // uids
	input, side    int
	partition      graph.Partition
	key, value     abi.Codec
}

// waysOf are the edges of a graph that barriers can overtake on: their records can be dealt out to subtasks again.
func waysOf(g *graph.JobGraph, x *graph.ExecutionGraph) (all []way) {
	for _, e := range x.Edges {
		if !e.Partition.Overtakable() {
			continue
		}
		all = append(all, way{
			operator: g.Operators[e.ToOperator].UID, from: g.Operators[e.FromOperator].UID, input: e.Input, side: e.Side, partition: e.Partition,
			key: g.KeyCodec(e.FromOperator, e.Side), value: g.Codec(e.FromOperator, e.Side),
		})
	}
	return all
}

// KeepsWays says whether whatever can be in flight in a job of the one graph can go on in one of the other.
func KeepsWays(was, is *graph.JobGraph) bool {
	have := waysOf(is, graph.Expand(is))
	return !slices.ContainsFunc(waysOf(was, graph.Expand(was)), func(w way) bool { return !slices.Contains(have, w) })
}

// Stranded says that a checkpoint holds records in flight to an operator that the graph it is to be gone on with does not
// bring there.
type Stranded struct{ Operators []string }

func (e *Stranded) Error() string {
	return fmt.Sprintf("it holds records that were in flight to %s, and in this graph they cannot get there", strings.Join(e.Operators, ", "))
}

// CheckInFlight is a *Stranded if records that were in flight cannot go on in a graph.
func (m *Manifest) CheckInFlight(g *graph.JobGraph) error {
	old, have := waysOf(&m.Graph, graph.Expand(&m.Graph)), waysOf(g, graph.Expand(g))
	var lost []string
	for _, t := range m.Tasks {
		if t.InFlight == nil {
			continue
		}
		for _, l := range t.InFlight.Lanes {
			is := func(w way) bool { return w.operator == l.Operator && w.input == l.Input }
			i := slices.IndexFunc(old, is)
			name := fmt.Sprintf("operator %q", l.Operator)
			if (i < 0 || !slices.Contains(have, old[i])) && !slices.Contains(lost, name) {
				lost = append(lost, name)
			}
		}
	}
	if len(lost) > 0 {
		return &Stranded{lost}
	}
	return nil
}

// inFlightOf is what a new task takes in of what was in flight: of channels whose records go by key what has keys of its
// own, of others all that was in flight to one of the old subtasks that are now its.
func inFlightOf(id graph.TaskID, m *Manifest, old *graph.ExecutionGraph, g *graph.JobGraph, x *graph.ExecutionGraph) (all []InFlight) {
	head := g.Operators[x.Chains[id.Chain].Operators[0]].UID
	parallelism := x.Chains[id.Chain].Parallelism
	from, to := graph.KeyGroupsOf(id.Subtask, parallelism, g.MaxParallelism)
	ways := waysOf(&m.Graph, old)
	for _, t := range m.Tasks {
		if t.InFlight == nil {
			continue
		}
		f := *t.InFlight
		f.From, f.To = max(f.From, from), min(f.To, to)
		f.To = max(f.From, f.To)
		heir := t.Task.Subtask * parallelism / old.Chains[t.Task.Chain].Parallelism
		f.Lanes = nil
		for _, l := range t.InFlight.Lanes {
			i := slices.IndexFunc(ways, func(w way) bool { return w.operator == l.Operator && w.input == l.Input })
			if l.Operator != head || i < 0 {
				continue
			}
			if keyed := ways[i].partition == graph.Hash; keyed && f.From < f.To || !keyed && heir == id.Subtask {
				f.Lanes = append(f.Lanes, l)
			}
		}
		if len(f.Lanes) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// AllFiles are the files that a manifest names, each once, with all their key groups.
func (m *Manifest) AllFiles() (all []File) {
	seen := map[string]bool{}
	add := func(f File) {
		if !seen[f.Name] {
			seen[f.Name] = true
			all = append(all, f)
		}
	}
	for _, t := range m.Tasks {
		for _, f := range t.Files {
			add(f)
		}
		if t.InFlight != nil {
			add(t.InFlight.File)
		}
	}
	return all
}
