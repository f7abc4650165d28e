package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// view reads "a:2/4 b:0/2": TaskManager a with 2 of 4 slots free, the last ones.
func view(text string) []TaskManager {
	var v []TaskManager
	for _, word := range strings.Fields(text) {
		id, counts, _ := strings.Cut(word, ":")
		var free, slots int
		fmt.Sscanf(counts, "%d/%d", &free, &slots)
		tm := TaskManager{ID: wire.TaskManagerID(id), Slots: slots}
		for i := slots - free; i < slots; i++ {
			tm.Free = append(tm.Free, i)
		}
		v = append(v, tm)
	}
	return v
}

func show(slots []Slot) string {
	var words []string
	for _, s := range slots {
		words = append(words, fmt.Sprintf("%s%d", s.TaskManager, s.Index))
	}
	return strings.Join(words, " ")
}

func TestPlace(t *testing.T) {
	for _, c := range []struct{ view, want string }{
		{"a:2/2 b:2/2 4", "a0 b0 a1 b1"},
		{"a:2/2 b:2/2 1", "a0"},
		{"a:1/2 b:2/2 2", "b0 a1"}, // after the first both are half full, and a has none of this job
		{"a:4/4 b:1/1 3", "a0 b0 a1"},
		{"a:8/8 b:2/2 5", "a0 b0 a1 a2 a3"},
		{"a:1/1 b:1/2 3", ""},
		{"", ""},
	} {
		words := strings.Fields(c.view)
		n := 1
		if len(words) > 0 {
			fmt.Sscan(words[len(words)-1], &n)
			words = words[:len(words)-1]
		}
		if got := show(Place(view(strings.Join(words, " ")), n, nil)); got != c.want {
			t.Errorf("%s: %q (expected %q)", c.view, got, c.want)
		}
	}
}

func TestPlaceKeepsTheViewAndTheLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var v []TaskManager
		free := 0
		for i := range r.IntN(5) {
			tm := TaskManager{ID: wire.TaskManagerID(fmt.Sprint("tm", i)), Slots: 1 + r.IntN(6)}
			for s := range tm.Slots {
				if r.IntN(2) == 0 {
					tm.Free = append(tm.Free, s)
				}
			}
			free += len(tm.Free)
			v = append(v, tm)
		}
		before := fmt.Sprint(v)
		n := 1 + r.IntN(8)
		var apart []Pair
		for range r.IntN(4) {
			apart = append(apart, Pair{wire.TaskManagerID(fmt.Sprint("tm", r.IntN(5))), wire.TaskManagerID(fmt.Sprint("tm", r.IntN(5)))})
		}
		slots := Place(v, n, apart)
		if fmt.Sprint(v) != before {
			t.Fatalf("the view was changed: %s -> %v", before, v)
		}
		if (slots != nil) != (free >= n) || slots != nil && len(slots) != n {
			t.Fatalf("%s, %d wanted: %v", before, n, slots)
		}
		seen := map[Slot]bool{}
		for _, s := range slots {
			k := slices.IndexFunc(v, func(tm TaskManager) bool { return tm.ID == s.TaskManager })
			if seen[s] || !slices.Contains(v[k].Free, s.Index) {
				t.Fatalf("%s, %d wanted: %v", before, n, slots)
			}
			seen[s] = true
		}
	}
}

func TestPlaceKeepsApartWhoCannotReachEachOther(t *testing.T) {
	for _, c := range []struct {
		view  string
		n     int
		apart string // pairs
		want  string
	}{
		{"a:2/2 b:2/2 c:2/2", 2, "ab", "a0 c0"},
		{"a:2/2 b:1/2 c:2/2", 4, "ab", "a0 c0 a1 c1"}, // of a pair the one that has less to give goes
		{"a:2/2 b:2/2", 2, "ab", "a0 a1"},
		{"a:2/2 b:2/2", 3, "ab", "a0 b0 a1"}, // there are no others
		{"a:1/2 b:2/2 c:1/2", 2, "bc", "b0 a1"},
		{"a:2/2 b:2/2 c:2/2", 2, "ab ac bc", "a0 a1"},
		{"a:2/2 b:2/2 c:2/2", 4, "ab ac", "b0 c0 b1 c1"}, // one that reaches nobody
		{"a:2/2 b:3/3 c:2/2", 4, "ab bc", "a0 c0 a1 c1"}, // not the first choice
		{"a:0/2 b:2/2", 2, "ab", "b0 b1"},
		{"a:2/2 b:2/2", 2, "xy ax aa", "a0 b0"}, // who is not there
	} {
		var apart []Pair
		for _, p := range strings.Fields(c.apart) {
			apart = append(apart, Pair{wire.TaskManagerID(p[:1]), wire.TaskManagerID(p[1:])})
		}
		if got := show(Place(view(c.view), c.n, apart)); got != c.want {
			t.Errorf("%s, %d, apart %s: %q (expected %q)", c.view, c.n, c.apart, got, c.want)
		}
	}
}

func chain(parallelism int) graph.Chain { return graph.Chain{Parallelism: parallelism} }

func TestAssign(t *testing.T) {
	slots := []Slot{{"a", 0}, {"b", 0}, {"a", 1}, {"b", 1}}
	x := &graph.ExecutionGraph{
		Chains: []graph.Chain{chain(1), chain(4), chain(4), chain(1), chain(2), chain(2)},
		Edges: []graph.Edge{
			{From: 0, To: 1, Partition: graph.Rebalance}, {From: 1, To: 2, Partition: graph.Forward},
			{From: 2, To: 3, Partition: graph.Rebalance}, {From: 2, To: 4, Partition: graph.Hash},
			{From: 4, To: 5, Partition: graph.Forward},
		},
	}
	got := Assign(x, slots)
	var lines []string
	for c, chain := range x.Chains {
		var in []Slot
		for s := range chain.Parallelism {
			in = append(in, got[graph.TaskID{Chain: c, Subtask: s}])
		}
		lines = append(lines, show(in))
	}
	want := "a0|a0 b0 a1 b1|a0 b0 a1 b1|b0|a1 b1|a1 b1"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("%s (expected %s)", got, want)
	}
}

func TestASlotHoldsOneSubtaskOfEachChain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := 1 + r.IntN(6)
		slots := make([]Slot, n)
		for i := range slots {
			slots[i] = Slot{"tm", i}
		}
		x := &graph.ExecutionGraph{}
		tasks := 0
		for range 1 + r.IntN(6) {
			p := 1 + r.IntN(n)
			tasks += p
			x.Chains = append(x.Chains, chain(p))
		}
		placed := Assign(x, slots)
		if len(placed) != tasks {
			t.Fatalf("%d of %d tasks placed", len(placed), tasks)
		}
		seen := map[string]bool{}
		for task, slot := range placed {
			key := fmt.Sprint(task.Chain, slot)
			if seen[key] {
				t.Fatalf("two subtasks of chain %d in slot %v of %v", task.Chain, slot, x.Chains)
			}
			seen[key] = true
		}
	}
}

// Slot groups have slots of their own, in the order of their first chains.
func TestAssignKeepsSlotGroupsApart(t *testing.T) {
	x := &graph.ExecutionGraph{Chains: []graph.Chain{
		{Parallelism: 2}, {Parallelism: 3, SlotGroup: "heavy"}, {Parallelism: 1}, {Parallelism: 1, SlotGroup: "heavy"},
	}}
	if n := x.SlotsNeeded(); n != 5 {
		t.Fatalf("%d slots (expected 5)", n)
	}
	slots := []Slot{{"a", 0}, {"b", 0}, {"a", 1}, {"b", 1}, {"a", 2}}
	got := Assign(x, slots)
	var lines []string
	for c, chain := range x.Chains {
		var in []Slot
		for s := range chain.Parallelism {
			in = append(in, got[graph.TaskID{Chain: c, Subtask: s}])
		}
		lines = append(lines, show(in))
	}
	if got, want := strings.Join(lines, "|"), "a0 b0|a1 b1 a2|a0|a1"; got != want {
		t.Errorf("%s (expected %s)", got, want)
	}
}
