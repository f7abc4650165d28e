package workload

import (
	"fmt"
	"math/rand/v2"
)

// Rules counts rules of each key in a broadcast state, in every subtask, and says of each fact how many there were in the end.
var Rules = &Workload{
	Name: "broadcast state", Guest: "rules", Outputs: []string{"told"},
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "count-rules": "yes"},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 43))
		var facts, rules []string
		for i := range records / 2 {
			facts = append(facts, fmt.Sprintf("k%d,%d,%d", r.IntN(12), 40*i, i))
			rules = append(rules, fmt.Sprintf("k%d,%d,%d", min(r.IntN(10), r.IntN(10)), 40*i, i))
		}
		return Input{"facts": {facts}, "rules": {rules}}
	},
	Check: func(in Input, out map[string][]File) error {
		rules := map[string]int{}
		for _, l := range in["rules"][0] {
			key, _, _, err := windowLine(l)
			if err != nil {
				return err
			}
			rules[key]++
		}
		want := map[string]int{}
		for _, l := range in["facts"][0] {
			key, _, _, err := windowLine(l)
			if err != nil {
				return err
			}
			said := "-"
			if n := rules[key]; n > 0 {
				said = fmt.Sprint(n)
			}
			want[l+","+said]++
		}
		return sameLines("told", want, linesOf(out["told"]), itself)
	},
}
