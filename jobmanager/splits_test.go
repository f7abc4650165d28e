package jobmanager

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// Splits that do not end are dealt out among the subtasks that run, whoever asks first; each is told of its last one, and
// an answer that was lost is given again.
func TestSplitsWithoutEndAreDealtOut(t *testing.T) {
	var splits connector.Splits
	for i := range 5 {
		splits.Splits = append(splits.Splits, connector.Split{ID: fmt.Sprint("s", i)})
	}
	for _, c := range []struct {
		name    string
		readers []int
		open    []uint32 // of what is restored
		want    map[int][]uint32
	}{
		{"fewer subtasks than splits", []int{0, 1}, nil, map[int][]uint32{0: {0, 2, 4}, 1: {1, 3}}},
		{"one subtask", []int{0}, []uint32{4, 1}, map[int][]uint32{0: {1, 4, 0, 2, 3}}},
		{"more subtasks than splits", []int{0, 1, 2, 3, 4, 5}, nil, map[int][]uint32{0: {0}, 4: {4}, 5: nil}},
		{"a subtask that had finished", []int{0, 2}, nil, map[int][]uint32{0: {0, 2, 4}, 2: {1, 3}}},
	} {
		q := newSplitQueue(splits, c.readers)
		if c.open != nil {
			s := checkpoint.SourceSplits{}
			for _, i := range c.open {
				s.Open = append(s.Open, checkpoint.OpenSplit{Index: i, Position: []byte(fmt.Sprint(i)), Promised: map[string]int64{"in": int64(i)}})
			}
			q.restore(s)
		}
		for _, subtask := range c.readers { // the first asks for all it can have before the next one asks
			var got []uint32
			for n := 0; ; n++ {
				r := splitRequest{graph.TaskID{Subtask: subtask}, wire.RequestID(fmt.Sprint(subtask, n))}
				a, again := q.assign(r), q.assign(r)
				if a.Index != again.Index || a.Last != again.Last || (a.Split == nil) != (again.Split == nil) {
					t.Errorf("%s: subtask %d was answered %+v, and then %+v", c.name, subtask, a, again)
				}
				if a.Split == nil {
					break
				}
				got = append(got, a.Index)
				if want := c.want[subtask]; want != nil && a.Last != (len(got) == len(want)) {
					t.Errorf("%s: subtask %d: split %d: last is %t", c.name, subtask, a.Index, a.Last)
				}
				if slices.Contains(c.open, a.Index) != (a.Split.Position != nil) {
					t.Errorf("%s: split %d at position %q", c.name, a.Index, a.Split.Position)
				}
				if w, said := a.Promised["in"]; said != slices.Contains(c.open, a.Index) || said && w != int64(a.Index) {
					t.Errorf("%s: split %d had promised %d, %v", c.name, a.Index, w, said)
				}
			}
			if want, ok := c.want[subtask]; ok && !slices.Equal(got, want) {
				t.Errorf("%s: subtask %d has %d (expected %d)", c.name, subtask, got, want)
			}
		}
	}
}

// Who holds its watermark for splits that nobody reads hears that none is left, as soon as the last was given out, and not before.
func TestWhoWaitsForSplitsHearsThatNoneIsLeft(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 2)
		job := c.submit(2, "input=2") // two splits
		source := 0
		beat := func(want int) {
			t.Helper()
			m := &wire.Heartbeat{Epoch: a.epoch, TaskManager: "a"}
			for s := range 2 {
				m.Tasks = append(m.Tasks, wire.TaskMetrics{Job: job.ID, Attempt: 1, Task: graph.TaskID{Subtask: s}, Held: s == 0})
			}
			noted, err := c.jm.Heartbeat(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if len(noted.Dealt) != want || want == 1 && noted.Dealt[0] != (wire.Dealt{Job: job.ID, Attempt: 1}) {
				t.Errorf("%+v (expected %d, the first subtask)", noted.Dealt, want)
			}
		}
		next := func(s int) {
			t.Helper()
			n := &wire.NextSplit{Header: a.tasks[graph.TaskID{Subtask: s}], Task: graph.TaskID{Subtask: s}, Operator: source}
			n.Request = wire.RequestID(fmt.Sprint("split-", s))
			if got, err := c.jm.NextSplit(t.Context(), n); err != nil || got.Split == nil {
				t.Fatalf("%+v: %v", got, err)
			}
		}
		beat(0)
		next(0)
		beat(0)
		next(1)
		beat(1)
	})
}
