package operator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
)

// counting is which results of a key in a window count.
type counting uint8

const (
	eachResult  counting = iota
	lastResult           // the one that no other takes the place of
	toldResults          // each, and it says what change it is
)

// modelled is the window whose results, or last ones, are right. Where only the last one counts, and a trigger fires by the end, elements
// leave once.
func (c counting) modelled(w abi.Window) abi.Window {
	if t, err := newTrigger(&w, "i64"); c == lastResult && w.Evictor != nil && err == nil && t.ends {
		w.Trigger = nil
	}
	return w
}

// lastResults are those of a model that count: the last one before what a window has is purged, or is gone, and is not in a session's that
// has become another and had one since. They are made when the window ends, or is purged: what was said of when they were is as it was made.
func lastResults(m *windowModel, made map[string][]string) map[string][]string {
	for id, all := range m.lasts {
		for i, line := range all {
			if values, _, elements := strings.Cut(line, ", "); elements && i < len(made[id]) {
				_, timing, _ := strings.Cut(made[id][i], ", ")
				all[i] = values + ", " + timing
			}
		}
	}
	return m.lasts
}

// toldRight says whether the first result of a key in a window is told as a new one, also the first of what came behind a purge,
// and the others as newer ones.
func toldRight(t testing.TB, name string, guest *windowGuest, m *windowModel) bool {
	for id, all := range guest.kinds {
		for i, kind := range all {
			want := abi.UpdateAfter
			if i == 0 || slices.Contains(m.cuts[id], i) {
				want = abi.Insert
			}
			if kind != want {
				t.Errorf("%s: result %d of %s is of kind %d (expected %d)", name, i, id, kind, want)
				return false
			}
		}
	}
	return true
}

// Where only the last of the results of a key in a window counts, that one comes, and no other: of any window, with a trigger, with late
// records, whether all elements are kept or what they are folded into, with snapshots in between.
func TestOnlyTheLastResultOfAWindowCounts(t *testing.T) {
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 0, lastResult) })
}

// What does not fit in memory is the same.
func TestTheLastResultsOfWindowsThatSpillCount(t *testing.T) {
	oracle.Check(t, 60, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 3, lastResult) })
}

// Where each result counts it says whether the key has had one in the window.
func TestResultsOfWindowsAreToldAsTheyChange(t *testing.T) {
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 0, toldResults) })
}

// A window that had its result before a snapshot, when each counted, is over where only the last one does; one that had not has its
// only one. The other way round the windows that wait for late records have theirs, and what a trigger had held comes with its next.
func TestResultsCountOtherwiseBehindASnapshot(t *testing.T) {
	plain := abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: 20}
	third := abi.Window{Kind: "tumbling", SizeMs: 10, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 2}}
	for _, elem := range []bool{true, false} {
		guest := &windowGuest{elem: elem, results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
		config := func(w *abi.Window, final bool) (Config, int64) {
			once, delay := Once(w, final)
			c := Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: once, Final: final, Guest: guest, Calls: guest, Groups: graph.DefaultMaxParallelism,
				Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow, States: []abi.State{{Name: "calls", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}}}
			if !elem {
				c.Function.Accumulator = "i64"
			}
			return c, delay
		}
		values := func(want map[string]string) {
			t.Helper()
			got := map[string]string{}
			for id, all := range guest.results {
				for i, line := range all {
					all[i], _, _ = strings.Cut(line, ",")
				}
				got[id] = strings.Join(all, "; ")
			}
			if !maps.Equal(got, want) {
				t.Errorf("%v (expected %v)", got, want)
			}
			clear(guest.results)
		}
		sum := func(values ...int) string {
			if elem {
				return strings.Trim(fmt.Sprint(values), "[]")
			}
			n := 0
			for _, v := range values {
				n += v
			}
			return fmt.Sprint(n)
		}
		each, _ := config(&plain, false)
		last, delay := config(&plain, true)
		f := start(t, each)
		f.process(rec{5, "a", 1}, rec{15, "a", 2})
		f.fire(12)
		values(map[string]string{"0,10,a": sum(1)})
		f.again(last)
		f.process(rec{6, "a", 4}, rec{16, "a", 8})
		f.fire(25 - delay)
		values(map[string]string{})
		if f.op.Late() != 1 {
			t.Errorf("%d late (expected 1)", f.op.Late())
		}
		f.again(each)
		f.fire(25)
		values(map[string]string{"10,20,a": sum(2, 8)})
		f.fire(abi.MaxTime)
		nothingLeft(f, "late records")

		each, _ = config(&third, false)
		last, _ = config(&third, true)
		f = start(t, last)
		f.process(rec{1, "a", 1}, rec{2, "a", 2}, rec{3, "a", 4})
		values(map[string]string{})
		f.again(each)
		f.process(rec{4, "a", 8}, rec{5, "a", 16})
		values(map[string]string{"0,10,a": sum(1, 2, 4, 8)})
		f.again(last)
		f.process(rec{6, "a", 32})
		f.fire(abi.MaxTime)
		values(map[string]string{"0,10,a": sum(1, 2, 4, 8, 16, 32)})
		nothingLeft(f, "held")
	}
}
