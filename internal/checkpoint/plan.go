package checkpoint

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// Plan is what an attempt goes on from: the files of each task, what was in flight to it, what of the sources is still to be read, and the tasks that
// need not run.
type Plan struct {
	Checkpoint ID
	Files      map[graph.TaskID][]File
	InFlight   map[graph.TaskID][]InFlight // to be processed before anything else, in their order
	Sources    map[string]SourceSplits     // by uid
	Promised   map[string]int64            // the watermarks that timestamp functions go on from, by uid: of all subtasks the smallest
	Finished   map[graph.TaskID]*Task      // with what they gave, which later checkpoints hold again
	Skipped    map[string]int64            // what operators have left out up to it, by uid
	Counts     Counts                      // what has passed up to it
}

// BytesInFlight are those of all batches that were in flight. A file that several tasks read counts as often.
func (p *Plan) BytesInFlight() (n int64) {
	for _, all := range p.InFlight {
		for _, f := range all {
			for _, l := range f.Lanes {
				n += l.Bytes
			}
		}
	}
	return n
}

// NewPlan spreads a manifest over the tasks of a graph that may differ from the manifest's in parallelism and chains.
// Operators are found by uid, key groups decide which task gets what: a file is named for each task that owns some of the
// groups that the reference counts for, and cut to these; and to the operators that the task takes over, where it does not
// take all.
func NewPlan(m *Manifest, g *graph.JobGraph, x *graph.ExecutionGraph) *Plan {
	p := &Plan{
		Checkpoint: m.Checkpoint, Files: map[graph.TaskID][]File{}, InFlight: map[graph.TaskID][]InFlight{},
		Sources: map[string]SourceSplits{}, Promised: map[string]int64{}, Finished: map[graph.TaskID]*Task{}, Skipped: m.Skipped, Counts: m.Counts,
	}
	for _, s := range m.Sources {
		p.Sources[s.Operator] = s
	}
	for _, t := range m.Tasks {
		for uid, w := range t.Promised {
			if least, told := p.Promised[uid]; !told || w < least {
				p.Promised[uid] = w
			}
		}
	}
	old := graph.Expand(&m.Graph)
	tasks := map[graph.TaskID]*Task{}
	for i := range m.Tasks {
		tasks[m.Tasks[i].Task] = &m.Tasks[i]
	}
	same := sameChains(&m.Graph, old, g, x)
	for _, id := range x.Tasks() {
		if same {
			if t := tasks[id]; t != nil && t.Finished {
				p.Finished[id] = t
				continue
			}
		}
		if files := filesOf(id, &m.Graph, old, tasks, g, x); len(files) > 0 {
			p.Files[id] = files
		}
		if flight := inFlightOf(id, m, old, g, x); len(flight) > 0 {
			p.InFlight[id] = flight
		}
	}
	return p
}

// sameChains says whether both graphs are cut into the same tasks.
func sameChains(a *graph.JobGraph, ax *graph.ExecutionGraph, b *graph.JobGraph, bx *graph.ExecutionGraph) bool {
	if len(ax.Chains) != len(bx.Chains) {
		return false
	}
	for c := range ax.Chains {
		if ax.Chains[c].Parallelism != bx.Chains[c].Parallelism || !slices.Equal(uids(a, ax, c), uids(b, bx, c)) {
			return false
		}
	}
	return true
}

func uids(g *graph.JobGraph, x *graph.ExecutionGraph, chain int) (all []string) {
	for _, i := range x.Chains[chain].Operators {
		all = append(all, g.Operators[i].UID)
	}
	return all
}

// filesOf are the files that a new task goes on from.
func filesOf(id graph.TaskID, g *graph.JobGraph, old *graph.ExecutionGraph, tasks map[graph.TaskID]*Task, ng *graph.JobGraph, x *graph.ExecutionGraph) (files []File) {
	chain := x.Chains[id.Chain]
	from, to := graph.KeyGroupsOf(id.Subtask, chain.Parallelism, ng.MaxParallelism)
	mine := keepers(ng, x, id.Chain)
	for c := range old.Chains {
		kept := keepers(g, old, c)
		taken := intersection(kept, mine)
		if len(taken) == 0 {
			continue
		}
		for s := range old.Chains[c].Parallelism {
			t := tasks[graph.TaskID{Chain: c, Subtask: s}]
			taken := taken
			if old.Chains[c].Parallelism == chain.Parallelism && s != id.Subtask {
				taken = intersection(unions(ng, x, id.Chain), taken)
			}
			if t == nil || len(taken) == 0 {
				continue
			}
			for _, f := range t.Files {
				if f.From >= f.To {
					continue // what others had stored, which the task has stored anew
				}
				f.OwnFrom, f.OwnTo = graph.KeyGroupsOf(s, old.Chains[c].Parallelism, g.MaxParallelism)
				f.From, f.To = max(f.From, from), min(f.To, to)
				f.To = max(f.From, f.To) // of no group: only what the operators themselves have stored counts
				if len(taken) < max(len(kept), len(mine)) && !failpoint.Planted(failpoint.UncutChain) {
					if f.Operators == nil {
						f.Operators = kept
					}
					if f.Operators = intersection(f.Operators, taken); len(f.Operators) == 0 {
						continue
					}
				}
				files = named(files, f)
			}
		}
	}
	slices.SortStableFunc(files, func(a, b File) int {
		older, _, _, _ := ParseFileName(a.Name)
		newer, _, _, _ := ParseFileName(b.Name)
		return cmp.Compare(older, newer)
	})
	return files
}

// named adds a file. One that several tasks name, because all of them went on from it, is named once, where it was first: of what
// operators have stored themselves, what it says would else replace what a task has said since. For the same reason files of an
// older attempt come first, see filesOf.
func named(files []File, f File) []File {
	i := slices.IndexFunc(files, func(have File) bool { return have.Name == f.Name && slices.Equal(have.Operators, f.Operators) })
	if i < 0 {
		return append(files, f)
	}
	switch have := &files[i]; {
	case f.From == f.To:
	case have.From == have.To:
		have.From, have.To = f.From, f.To
	default:
		have.From, have.To = min(have.From, f.From), max(have.To, f.To) // what lies between is of tasks that name it, too
	}
	return files
}

// keepers are the uids of those operators of a chain that may have something in its tasks' files.
func keepers(g *graph.JobGraph, x *graph.ExecutionGraph, chain int) (all []string) {
	if failpoint.Planted(failpoint.UncutChain) {
		return uids(g, x, chain)
	}
	for _, i := range x.Chains[chain].Operators {
		switch op := &g.Operators[i]; op.Kind {
		case abi.OperatorSink, abi.OperatorMap, abi.OperatorFilter, abi.OperatorFlatMap, abi.OperatorKey,
			abi.OperatorPartition, abi.OperatorUnion:
		default:
			all = append(all, op.UID)
		}
	}
	return all
}

// unions are the uids of those operators of a chain whose subtasks each go on with all that any of them has stored.
func unions(g *graph.JobGraph, x *graph.ExecutionGraph, chain int) (all []string) {
	for _, i := range x.Chains[chain].Operators {
		op := &g.Operators[i]
		if op.Declared != nil && slices.ContainsFunc(op.Declared.States, func(s abi.State) bool { return s.Kind == "union" }) {
			all = append(all, op.UID)
		}
	}
	return all
}

func intersection(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// AddSkipped adds what tasks have left out since their attempt began to what had been left out in what it was restored from,
// nil for nothing. Tasks that had finished then are counted there.
func AddSkipped(restored *Plan, tasks []Task) map[string]int64 {
	sum := map[string]int64{}
	if restored != nil {
		maps.Copy(sum, restored.Skipped)
	}
	for _, t := range tasks {
		if restored != nil && restored.Finished[t.Task] != nil {
			continue
		}
		for uid, n := range t.Skipped {
			sum[uid] += n
		}
	}
	return sum
}

// MergeSources brings what was still to be read when an attempt began up to where its subtasks stand.
func MergeSources(begin map[string]SourceSplits, tasks []Task) []SourceSplits {
	var all []SourceSplits
	for uid, s := range begin {
		s.Operator = uid
		s.Done = slices.Clone(s.Done)
		open := map[uint32]OpenSplit{}
		for _, o := range s.Open {
			open[o.Index] = o
		}
		first := true
		for _, t := range tasks {
			for _, st := range t.Sources {
				if st.Operator != uid {
					continue
				}
				if first || st.Watermark < s.Watermark {
					s.Watermark, first = st.Watermark, false
				}
				s.Done = append(s.Done, st.Done...)
				for _, o := range st.Open {
					open[o.Index] = o
				}
			}
		}
		slices.Sort(s.Done)
		s.Done = slices.Compact(s.Done)
		s.Open = nil
		for _, o := range open {
			if _, done := slices.BinarySearch(s.Done, o.Index); !done {
				s.Open = append(s.Open, o)
			}
		}
		slices.SortFunc(s.Open, func(a, b OpenSplit) int { return int(a.Index) - int(b.Index) })
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b SourceSplits) int {
		if a.Operator < b.Operator {
			return -1
		}
		return 1
	})
	return all
}
