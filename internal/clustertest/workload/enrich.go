package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

const (
	enrichDisorder = 100
	enrichPatience = 500
)

// Enrich joins facts with what was known of their key at their time: two inputs, map state and timers.
var Enrich = &Workload{
	Name: "enrich", Guest: "enrich", Outputs: []string{"joined", "unmatched"},
	Params: map[string]string{"disorder": fmt.Sprint(enrichDisorder), "patience": fmt.Sprint(enrichPatience)},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 14))
		var left, right []string
		for i := range records / 2 {
			key := fmt.Sprintf("k%d", r.IntN(8))
			if i%3 == 0 {
				key = fmt.Sprintf("once%d", i) // no later timer of the key makes up for a lost one
			}
			left = append(left, fmt.Sprintf("%s,%d,%d", key, max(0, 40*i-r.IntN(enrichDisorder+1)), i))
			right = append(right, fmt.Sprintf("k%d,%d,%d", r.IntN(4), 40*i, r.IntN(1000)))
		}
		return Input{"left": {left}, "right": {right}}
	},
	Check: checkEnrich,
}

func checkEnrich(in Input, out map[string][]File) error {
	type update struct{ time, value int64 }
	updates := map[string][]update{}
	for _, l := range in["right"][0] {
		key, time, value, err := windowLine(l)
		if err != nil {
			return err
		}
		updates[key] = append(updates[key], update{time, value})
	}
	want := map[string]int{}
	for _, l := range in["left"][0] {
		key, time, _, err := windowLine(l)
		if err != nil {
			return err
		}
		at := -1
		for i, u := range updates[key] { // in the order of their times
			if u.time <= time || at < 0 && u.time <= time+enrichPatience {
				at = i
			}
		}
		if at < 0 {
			want["unmatched "+l]++
		} else {
			want[fmt.Sprintf("joined %s,%d", l, updates[key][at].value)]++
		}
	}
	for _, name := range []string{"joined", "unmatched"} {
		for _, l := range linesOf(out[name]) {
			k := name + " " + l
			if want[k]--; want[k] < 0 {
				return fmt.Errorf("%s: %q came out, or came out again", name, l)
			}
		}
	}
	var left []string
	for k, n := range want {
		if n > 0 {
			left = append(left, k)
		}
	}
	slices.Sort(left)
	if len(left) > 0 {
		return missing("%d lines did not come out, such as %s", len(left), left[0])
	}
	return nil
}
