package operator

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// keptGroups are so few that every one has chunks.
const keptGroups = 8

// keptWorld is subtasks that keep records, and what all of them must have.
type keptWorld struct {
	testing.TB
	r       *rand.Rand
	kept    []*Kept
	stores  []state.Store
	files   [][]checkpoint.File // by subtask
	content map[string][]byte   // of files
	model   map[string]int
	order   []string // of all, while one subtask has not been stored
}

func keptPlan(parallelism int) *graph.JobGraph {
	return &graph.JobGraph{MaxParallelism: keptGroups, Operators: []graph.Operator{
		{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: parallelism},
		{Name: "op", UID: "op", Kind: abi.OperatorMapPartition, Parallelism: parallelism, Inputs: []graph.Input{{From: 0, Partition: graph.Forward, Exchange: graph.Pipelined}}},
	}}
}

// spread has n subtasks go on with what those of before have kept.
func (k *keptWorld) spread(n int) {
	m := &checkpoint.Manifest{Graph: *keptPlan(max(len(k.kept), 1))}
	for i := range k.kept {
		k.save(i)
		m.Tasks = append(m.Tasks, checkpoint.Task{Task: graph.TaskID{Subtask: i}, Files: k.files[i]})
	}
	g := keptPlan(n)
	plan := checkpoint.NewPlan(m, g, graph.Expand(g))
	k.kept, k.stores, k.files, k.order = nil, nil, nil, nil
	for i := range n {
		c := state.Config{Groups: keptGroups}
		c.From, c.To = graph.KeyGroupsOf(i, n, keptGroups)
		own := plan.Files[graph.TaskID{Subtask: i}]
		for _, f := range own {
			p := k.content[f.Name]
			r, err := snapshot.Open(bytes.NewReader(p), int64(len(p)))
			if err != nil {
				k.Fatal(err)
			}
			c.Restored = append(c.Restored, r.Cut(f.From, f.To).Of(f.Operators).OfOwner(f.OwnFrom, f.OwnTo))
		}
		store, err := state.New(c)
		if err != nil {
			k.Fatal(err)
		}
		kept, err := NewKept("op", store, abi.ColumnValues|abi.ColumnTimestamps, c.From, c.To, keptGroups)
		if err != nil {
			k.Fatal(err)
		}
		k.kept, k.stores, k.files = append(k.kept, kept), append(k.stores, store), append(k.files, own)
	}
}

// save takes a snapshot of subtask i.
func (k *keptWorld) save(i int) {
	if err := k.kept[i].Save(); err != nil {
		k.Fatal(err)
	}
	frozen, err := k.stores[i].Freeze()
	if err != nil {
		k.Fatal(err)
	}
	defer frozen.Release()
	if len(frozen.States()) == 0 {
		return
	}
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, frozen.States())
	if err := frozen.Write(w); err != nil {
		k.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		k.Fatal(err)
	}
	f := checkpoint.File{Name: fmt.Sprint(len(k.content))}
	f.From, f.To = graph.KeyGroupsOf(i, len(k.kept), keptGroups)
	k.content[f.Name] = b.Bytes()
	k.files[i] = append(k.files[i], f)
}

func (k *keptWorld) add(number *int) {
	w := abi.NewBuilder(abi.ColumnValues | abi.ColumnTimestamps)
	size := []int{1, 1, 2000, 50_000}[k.r.IntN(4)]
	for range k.r.IntN(12) {
		v := fmt.Sprint(*number, " ", strings.Repeat("x", k.r.IntN(size)))
		w.Append(abi.Record{Timestamp: int64(*number), Value: []byte(v)})
		*number++
		k.model[v]++
		k.order = append(k.order, v)
	}
	var b abi.Batch
	w.View(&b)
	if err := k.kept[k.r.IntN(len(k.kept))].Add(&b); err != nil {
		k.Fatal(err)
	}
}

// All records that were kept are read once, over restores at the same and other parallelisms; those of a subtask that was never
// restored in the order in which they came. What was cleared is gone.
func TestKeptRecordsAreReadOnce(t *testing.T) {
	oracle.Check(t, 300, func(t testing.TB, r *rand.Rand) {
		k := &keptWorld{TB: t, r: r, model: map[string]int{}, content: map[string][]byte{}}
		restored, number := false, 0
		k.spread(1 + r.IntN(3))
		for range r.IntN(20) {
			if r.IntN(4) == 0 {
				k.spread(1 + r.IntN(4))
				restored = true
			}
			k.add(&number)
			if r.IntN(3) == 0 {
				k.save(r.IntN(len(k.kept)))
			}
		}
		var came []string
		for _, kept := range k.kept {
			for {
				var b abi.Batch
				more, err := kept.Next(&b)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					break
				}
				for i := range b.N {
					came = append(came, string(b.Value(i)))
					if want := fmt.Sprint(b.Timestamp(i), " "); !strings.HasPrefix(string(b.Value(i)), want) {
						t.Fatalf("record %.10q has the time %s", b.Value(i), want)
					}
				}
			}
			if err := kept.Clear(); err != nil {
				t.Fatal(err)
			}
		}
		if !restored && len(k.kept) == 1 {
			for i, v := range came {
				if i >= len(k.order) || v != k.order[i] {
					t.Fatalf("record %d is %.20q", i, v)
				}
			}
		}
		have := map[string]int{}
		for _, v := range came {
			have[v]++
		}
		if !maps.Equal(have, k.model) {
			t.Fatalf("%d records (expected %d), or others", len(came), number)
		}
		k.spread(2)
		for _, kept := range k.kept {
			if more, err := kept.Next(&abi.Batch{}); more || err != nil {
				t.Fatalf("records are left: %v", err)
			}
		}
	})
}
