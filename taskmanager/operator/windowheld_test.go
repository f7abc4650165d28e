package operator

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// counting is which results of a key in a window count.
type counting uint8

const (
	eachResult  counting = iota
	lastResult           // the one that no other takes the place of
	toldResults          // each, and it says what change it is
)

// modelled is the window whose results, or last ones, are right. Where only the last one counts elements leave once, by the end, and
// sessions that have become another one have no result.
func (c counting) modelled(w abi.Window) abi.Window {
	if c == lastResult && (w.Evictor != nil || w.Kind == SessionWindows) {
		w.Trigger = nil
	}
	return w
}

// lastResults are those of a model that count: the last one before what a window has is purged, and the last. They are made when the
// window ends, or is purged: what was said of when they were is as it was made.
func lastResults(m *windowModel, made map[string][]string) map[string][]string {
	last := map[string][]string{}
	for id, all := range m.results {
		from := 0
		for _, to := range append(slices.Clone(m.cuts[id]), len(all)) {
			if to > from {
				last[id] = append(last[id], all[to-1])
			}
			from = to
		}
		for i, line := range last[id] {
			if values, _, elements := strings.Cut(line, ", "); elements && i < len(made[id]) {
				_, timing, _ := strings.Cut(made[id][i], ", ")
				last[id][i] = values + ", " + timing
			}
		}
	}
	return last
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

// Where each result counts it says whether the key has had one in the window.
func TestResultsOfWindowsAreToldAsTheyChange(t *testing.T) {
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 0, toldResults) })
}
