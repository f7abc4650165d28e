package operator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// All records of two inputs meet, inner and outer, as pairs and by a function, whichever input comes first and lies in a table.
func TestHashJoinsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 300, func(t testing.TB, r *rand.Rand) { hashJoinAgrees(t, r, 0, 16) })
}

func TestHashJoinsThatSpill(t *testing.T) {
	oracle.Check(t, 4, func(t testing.TB, r *rand.Rand) { hashJoinAgrees(t, r, 1+r.Int64N(3)*(64<<10), 400) })
}

func hashJoinAgrees(t testing.TB, r *rand.Rand, budget int64, most int) {
	j := &joining{t: t, budget: budget, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
		Window: &abi.Window{Kind: abi.WindowAll}, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64?, right: i64?)",
		Hash: true, Build: r.IntN(2), Outer: []string{"", abi.OuterLeft, abi.OuterRight, abi.OuterFull}[r.IntN(4)],
	}}
	function := r.IntN(2) == 0
	if function {
		j.config.Function = &abi.Function{Kind: abi.FunctionJoin}
	}
	groups := map[string]*joined{}
	j.spread(1 + r.IntN(3))
	number, keys := int64(0), 1+r.IntN(most)
	for _, input := range []int{j.config.Build, 1 - j.config.Build} {
		for range r.IntN(12) {
			var batch []rec
			for range r.IntN(most) {
				number++
				k := rec{r.Int64N(1000), fmt.Sprint("k", min(r.IntN(keys), r.IntN(keys))), number}
				if groups[k.key] == nil {
					groups[k.key] = &joined{key: k.key}
				}
				groups[k.key].lists[input] = append(groups[k.key].lists[input], k)
				batch = append(batch, k)
			}
			j.process(batch, input)
			if input == j.config.Build && len(j.got) > 0 {
				t.Fatalf("%v before anything of the other input", j.got)
			}
		}
	}
	for _, s := range j.shards {
		s.fire(abi.MaxTime)
	}
	want := map[string]int{}
	for _, g := range groups {
		pairsOfAllTime(g, j.config.Outer, want)
	}
	j.same(fmt.Sprintf("%q, input %d in a table, function %t", j.config.Outer, j.config.Build, function), want)
}
