package operator

import (
	"bytes"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ownGroups are so few that subtasks of different parallelisms have the same ones.
const ownGroups = 16

// restarts keeps what the subtasks of a chain have stored, and plans as a JobManager does what they go on from at any parallelism.
type restarts struct {
	t       testing.TB
	plan    func(parallelism int) *graph.JobGraph
	chain   int
	attempt graph.Attempt
	graph   *graph.JobGraph // of the last start
	content map[string][]byte
	files   [][]checkpoint.File // by subtask
}

// start opens the stores of all subtasks.
func (r *restarts) start(parallelism int) (stores []state.Store) {
	g := r.plan(parallelism)
	files := make([][]checkpoint.File, parallelism)
	if r.graph != nil {
		m := &checkpoint.Manifest{Graph: *r.graph}
		for i, f := range r.files {
			m.Tasks = append(m.Tasks, checkpoint.Task{Task: r.task(i), Files: f})
		}
		planned := checkpoint.NewPlan(m, g, graph.Expand(g))
		for i := range files {
			files[i] = planned.Files[r.task(i)]
		}
	}
	r.graph, r.files = g, files
	r.attempt++
	for i := range files {
		c := state.Config{Groups: ownGroups}
		c.From, c.To = graph.KeyGroupsOf(i, parallelism, ownGroups)
		for _, f := range files[i] {
			p := r.content[f.Name]
			reader, err := snapshot.Open(bytes.NewReader(p), int64(len(p)))
			if err != nil {
				r.t.Fatal(err)
			}
			c.Restored = append(c.Restored, reader.Cut(f.From, f.To).Of(f.Operators).OfOwner(f.OwnFrom, f.OwnTo))
		}
		store, err := state.New(c)
		if err != nil {
			r.t.Fatal(err)
		}
		stores = append(stores, store)
	}
	return stores
}

func (r *restarts) task(subtask int) graph.TaskID {
	return graph.TaskID{Chain: r.chain, Subtask: subtask}
}

// store takes in what has changed in the store of a subtask.
func (r *restarts) store(subtask int, from state.Store) {
	frozen, err := from.Freeze()
	if err != nil {
		r.t.Fatal(err)
	}
	if len(frozen.States()) == 0 {
		return
	}
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, frozen.States())
	if err := frozen.Write(w); err != nil {
		r.t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
	frozen.Release()
	f := checkpoint.File{Name: checkpoint.FileName(r.attempt, r.task(subtask), len(r.content))}
	f.From, f.To = graph.KeyGroupsOf(subtask, len(r.files), ownGroups)
	if r.content == nil {
		r.content = map[string][]byte{}
	}
	r.content[f.Name] = b.Bytes()
	r.files[subtask] = append(slices.Clip(r.files[subtask]), f)
}
