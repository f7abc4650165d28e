package operator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// Random streams, of any times and none, are joined without a window, inner and outer, as pairs and as co-groups, by subtasks that
// go on from each other's snapshots: nothing comes out before the end, then all that meets, and nothing is late.
func TestJoinsOfAllTimeAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 300, func(t testing.TB, r *rand.Rand) { allTimeAgrees(t, r, 0) })
}

func TestJoinsOfAllTimeThatSpill(t *testing.T) {
	oracle.Check(t, 4, func(t testing.TB, r *rand.Rand) { allTimeAgrees(t, r, 1+r.Int64N(3)*(64<<10)) })
}

func allTimeAgrees(t testing.TB, r *rand.Rand, budget int64) {
	j := &joining{t: t, budget: budget, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
		Window: &abi.Window{Kind: abi.WindowAll}, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64?, right: i64?)",
	}}
	whole := r.IntN(2) == 0
	if whole {
		j.config.Function = &abi.Function{Kind: abi.FunctionCoGroup}
	} else {
		j.config.Outer = []string{"", abi.OuterLeft, abi.OuterRight, abi.OuterFull}[r.IntN(4)]
	}
	groups, want, drained := map[string]*joined{}, map[string]int{}, 0
	drain := func() {
		for _, s := range j.shards {
			s.fire(abi.MaxTime)
			j.late += s.op.Late()
			if n := s.left(s.op.(*windowJoin).match.kept, 12); n > 0 {
				t.Fatalf("%d records are left behind the end", n)
			}
		}
		for _, g := range groups {
			if whole {
				want[g.both()]++
				continue
			}
			pairsOfAllTime(g, j.config.Outer, want)
		}
		j.same(fmt.Sprintf("%q of all time, co-group %t", j.config.Outer, whole), want)
		clear(groups)
		drained = len(j.got)
	}
	j.spread(1 + r.IntN(3))
	number, keys := int64(0), 1+r.IntN(12)
	for range 1 + r.IntN(30) {
		var batch []rec
		input := r.IntN(2)
		for range r.IntN(16) {
			number++
			at := abi.NoTimestamp
			if r.IntN(3) > 0 {
				at = r.Int64N(1000)
			}
			k := rec{at, fmt.Sprint("k", min(r.IntN(keys), r.IntN(keys))), number}
			if groups[k.key] == nil {
				groups[k.key] = &joined{key: k.key}
			}
			groups[k.key].lists[input] = append(groups[k.key].lists[input], k)
			batch = append(batch, k)
		}
		j.process(batch, input)
		j.shards[r.IntN(len(j.shards))].fire(r.Int64N(2000))
		if early := len(j.got) - drained; early > 0 {
			t.Fatalf("%d results before the end: %v", early, j.got)
		}
		if r.IntN(6) == 0 {
			if r.IntN(4) == 0 { // drained: what is there comes out, and meets nothing that comes later
				drain()
			}
			j.spread(1 + r.IntN(4))
		}
	}
	drain()
	if j.late > 0 {
		t.Fatalf("%d records are late", j.late)
	}
}

// pairsOfAllTime counts what comes of a key.
func pairsOfAllTime(g *joined, outer string, want map[string]int) {
	left, right := g.lists[0], g.lists[1]
	add := func(l, r string) { want[fmt.Sprintf("%s,%s,%s@%d", g.key, l, r, abi.NoTimestamp)]++ }
	for _, l := range left {
		for _, r := range right {
			add(fmt.Sprint(l.value), fmt.Sprint(r.value))
		}
		if len(right) == 0 && (outer == abi.OuterLeft || outer == abi.OuterFull) {
			add(fmt.Sprint(l.value), "-")
		}
	}
	for _, r := range right {
		if len(left) == 0 && (outer == abi.OuterRight || outer == abi.OuterFull) {
			add("-", fmt.Sprint(r.value))
		}
	}
}
