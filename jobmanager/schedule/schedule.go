// Package schedule places jobs: which free slots a job gets, and which of them runs which task. It is pure: it sees an
// immutable view, and knows no TaskManager, clock or message. Equal views give equal answers.
package schedule

import (
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// TaskManager is what there is of one TaskManager.
type TaskManager struct {
	ID    wire.TaskManagerID
	Slots int   // of all
	Free  []int // indices of those that no job holds, ascending
}

// Slot is one slot of the cluster.
type Slot struct {
	TaskManager wire.TaskManagerID
	Index       int // 0 <= Index < slots of the TaskManager
}

// Place chooses n free slots, spread so that TaskManagers are as equally full as can be: the next slot is always taken
// where the smallest share is in use, and among equals where this job has least. Filling one TaskManager after the other
// would save network, and lose it all to one process; a job's subtasks also want the cores of every machine. No slots are
// taken on both of a pair that is apart, unless there are not enough others. It returns nil when there are not n.
func Place(view []TaskManager, n int, apart []Pair) []Slot {
	if free(view) < n {
		return nil
	}
	if whole := without(view, n, apart); whole != nil {
		view = whole
	}
	view = slices.Clone(view)
	taken := make([]int, len(view))
	slots := make([]Slot, 0, n)
	for range n {
		best := -1
		for i := range view {
			if len(view[i].Free) > 0 && (best < 0 || before(&view[i], taken[i], &view[best], taken[best])) {
				best = i
			}
		}
		tm := &view[best]
		slots = append(slots, Slot{TaskManager: tm.ID, Index: tm.Free[0]})
		tm.Free = tm.Free[1:]
		taken[best]++
	}
	return slots
}

// Pair is two TaskManagers that cannot reach each other, or could not lately.
type Pair struct{ A, B wire.TaskManagerID }

func free(view []TaskManager) (n int) {
	for _, tm := range view {
		n += len(tm.Free)
	}
	return n
}

// without leaves out one TaskManager of each pair, such that n slots are free; nil if there are not so many. Of a pair the one
// with fewer free slots goes first. It looks at up to 2^len(apart) choices: the caller keeps pairs few.
func without(view []TaskManager, n int, apart []Pair) []TaskManager {
	if free(view) < n {
		return nil
	}
	at := func(id wire.TaskManagerID) int {
		return slices.IndexFunc(view, func(tm TaskManager) bool { return tm.ID == id && len(tm.Free) > 0 })
	}
	for i, p := range apart {
		a, b := at(p.A), at(p.B)
		if a < 0 || b < 0 || a == b {
			continue
		}
		if len(view[a].Free) >= len(view[b].Free) {
			a, b = b, a
		}
		for _, gone := range []int{a, b} {
			if rest := without(slices.Delete(slices.Clone(view), gone, gone+1), n, apart[i+1:]); rest != nil {
				return rest
			}
		}
		return nil
	}
	return view
}

// before says whether the next slot is better taken from a than from b.
func before(a *TaskManager, takenA int, b *TaskManager, takenB int) bool {
	usedA, usedB := (a.Slots-len(a.Free))*b.Slots, (b.Slots-len(b.Free))*a.Slots // shares, over one denominator
	if usedA != usedB {
		return usedA < usedB
	}
	if takenA != takenB {
		return takenA < takenB
	}
	return a.ID < b.ID
}

// Assign gives every task of a job one of its slots: each slot group has slots of its own, one after the other. A slot holds
// at most one subtask of each chain. Subtask i of a chain as wide as its slot group runs in slot i of it, so that forward edges
// stay inside a slot; narrower chains that forward to each other keep together too, and begin where the fewest tasks are so
// far.
func Assign(x *graph.ExecutionGraph, slots []Slot) map[graph.TaskID]Slot {
	placed := make(map[graph.TaskID]Slot, len(x.Chains)*len(slots))
	together := forwardGroups(x)
	for _, g := range x.SlotGroups() {
		assign(x, g.Chains, together, slots[:g.Slots], placed)
		slots = slots[g.Slots:]
	}
	return placed
}

// assign is Assign for the chains of one slot group. Those that keep together have the same number in together.
func assign(x *graph.ExecutionGraph, chains, together []int, slots []Slot, placed map[graph.TaskID]Slot) {
	load := make([]int, len(slots))
	start := map[int]int{} // by number: slot of subtask 0
	for _, narrow := range []bool{false, true} {
		for _, c := range chains {
			chain := x.Chains[c]
			if (chain.Parallelism < len(slots)) != narrow {
				continue
			}
			at, seen := start[together[c]]
			if !seen {
				at = leastLoaded(load, chain.Parallelism)
				start[together[c]] = at
			}
			for s := range chain.Parallelism {
				k := (at + s) % len(slots)
				load[k]++
				placed[graph.TaskID{Chain: c, Subtask: s}] = slots[k]
			}
		}
	}
}

// leastLoaded is where width slots in a row hold the fewest tasks; a chain of full width begins at 0.
func leastLoaded(load []int, width int) int {
	if width == len(load) {
		return 0
	}
	best, least := 0, -1
	for at := range load {
		sum := 0
		for s := range width {
			sum += load[(at+s)%len(load)]
		}
		if least < 0 || sum < least {
			best, least = at, sum
		}
	}
	return best
}

// forwardGroups numbers the sets of chains that forward edges connect; these have one parallelism.
func forwardGroups(x *graph.ExecutionGraph) []int {
	group := make([]int, len(x.Chains))
	for c := range group {
		group[c] = c
	}
	for _, e := range x.Edges {
		if e.Partition != graph.Forward {
			continue
		}
		from, to := group[e.From], group[e.To]
		for c := range group {
			if group[c] == to {
				group[c] = from
			}
		}
	}
	return group
}
