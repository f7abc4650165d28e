package operator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// bucketsOf are what came of a join, by key and window: each result, and of what kind of change it is.
type bucketsOf map[string][]madeOf

type madeOf struct {
	result string
	kind   abi.ChangeKind
}

// Of a window join that takes late records the only results are those that come last of each window, and where all come those of
// a window's first call are new and the others newer ones: of pairs, of a function, and of a co-group, with snapshots in between.
func TestOnlyTheLastResultOfAJoinCounts(t *testing.T) {
	oracle.Check(t, 150, func(t testing.TB, r *rand.Rand) {
		w := windowOf(r)
		w.LatenessMs = 1 + r.Int64N(80)
		config := JoinConfig{Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64?, right: i64?)"}
		switch r.IntN(3) {
		case 0:
			config.Function = &abi.Function{Kind: abi.FunctionCoGroup}
		case 1:
			config.Function = &abi.Function{Kind: abi.FunctionJoin}
		}
		if config.Function == nil || config.Function.Kind == abi.FunctionJoin {
			config.Outer = []string{"", abi.OuterLeft, abi.OuterFull}[r.IntN(3)]
		}
		once, delay := Once(&w, true)
		each, last := config, config
		each.Window, each.Tells, last.Window = &w, true, once
		var both [2]*joining
		for i, c := range []JoinConfig{each, last} {
			both[i] = &joining{t: t, got: map[string]int{}, buckets: bucketsOf{}, spoilt: func(int64) bool { return false }, config: c}
			both[i].spread(1)
		}
		now, number := int64(0), int64(0)
		for range 1 + r.IntN(30) {
			var batch []rec
			for range r.IntN(12) {
				now, number = now+r.Int64N(8), number+1
				batch = append(batch, rec{now - r.Int64N(60), fmt.Sprint("k", r.IntN(4)), number})
			}
			input, watermark, again := r.IntN(2), now-r.Int64N(50), r.IntN(8) == 0
			for i, j := range both {
				j.process(batch, input)
				j.shards[0].fire(watermark - delay*int64(i))
				if again {
					j.spread(1)
				}
			}
		}
		name := fmt.Sprintf("%q %v in %s", config.Outer, config.Function, w.String())
		for i, j := range both {
			j.shards[0].fire(now + 1000)
			if i == 1 {
				j.shards[0].fire(abi.MaxTime)
			}
		}
		onlyTheLast(t, name, both[0].buckets, both[1].buckets, w.GapMs > 0)
	})
}

// onlyTheLast says if what came only once is not what came last.
func onlyTheLast(t testing.TB, name string, each, last bucketsOf, sessions bool) {
	t.Helper()
	for id, all := range each {
		newer := false
		seen := map[string]bool{}
		for i, m := range all {
			switch {
			case i == 0 && m.kind != abi.Insert, m.kind == abi.Insert && newer && !sessions, m.kind == abi.Insert && seen[m.result] && !sessions:
				t.Fatalf("%s: result %d of %s is of kind %d: %v", name, i, id, m.kind, all)
			}
			newer, seen[m.result] = newer || m.kind != abi.Insert, true
		}
		if len(last[id]) == 0 && !sessions {
			t.Fatalf("%s: no result of %s at last (expected %v)", name, id, all)
		}
	}
	for id, only := range last {
		all := each[id]
		if len(all) < len(only) {
			t.Fatalf("%s: %s has %v at last (expected of %v)", name, id, only, all)
		}
		want := map[string]int{}
		for _, m := range all[len(all)-len(only):] {
			want[m.result]++
		}
		got := map[string]int{}
		for _, m := range only {
			got[m.result]++
		}
		if !maps.Equal(got, want) || slices.ContainsFunc(only, func(m madeOf) bool { return m.kind != abi.Insert }) {
			t.Fatalf("%s: %s has %v at last (expected the last of %v)", name, id, only, all)
		}
	}
}
