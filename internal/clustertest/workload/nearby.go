package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

const (
	nearbyDisorder = 100
	nearbyLower    = -200
	nearbyUpper    = 300
)

// Nearby joins two inputs by key and time. No line comes too late.
var Nearby = &Workload{
	Name: "interval join", Guest: "nearby", Outputs: []string{"joined", "early", "other"},
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "lower": fmt.Sprint(nearbyLower), "upper": fmt.Sprint(nearbyUpper)},
	Make:   makeNearby, Check: checkNearby,
}

// NearbyPairs is Nearby without a function.
var NearbyPairs = &Workload{
	Name: "interval join of the host", Guest: Nearby.Guest, Outputs: Nearby.Outputs,
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "lower": fmt.Sprint(nearbyLower), "upper": fmt.Sprint(nearbyUpper), "native": "yes"},
	Make:   makeNearby, Check: checkNearby,
}

func makeNearby(seed uint64, records int) Input {
	r := rand.New(rand.NewPCG(seed, 29))
	var lines [2][]string
	for i := range records / 2 {
		for side := range lines {
			key := min(r.IntN(6), r.IntN(6))
			lines[side] = append(lines[side], fmt.Sprintf("k%d,%d,%d", key, max(0, 40*i-r.IntN(nearbyDisorder+1)), i))
		}
	}
	return Input{"left": {lines[0]}, "right": {lines[1]}}
}

func checkNearby(in Input, out map[string][]File) error {
	type fact struct{ time, value int64 }
	right := map[string][]fact{}
	for _, l := range in["right"][0] {
		key, time, value, err := windowLine(l)
		if err != nil {
			return err
		}
		right[key] = append(right[key], fact{time, value})
	}
	want := map[string]int{}
	for _, l := range in["left"][0] {
		key, time, _, err := windowLine(l)
		if err != nil {
			return err
		}
		for _, f := range right[key] {
			if f.time >= time+nearbyLower && f.time < time+nearbyUpper {
				want[fmt.Sprintf("%s,%d", l, f.value)]++
			}
		}
	}
	for _, late := range []string{"early", "other"} {
		if lines := linesOf(out[late]); len(lines) > 0 && lines[0] != "" {
			return fmt.Errorf("%s: %q was in time", late, lines[0])
		}
	}
	for _, l := range linesOf(out["joined"]) {
		if want[l]--; want[l] < 0 {
			return fmt.Errorf("joined: %q came out, or came out again", l)
		}
	}
	var left []string
	for l, n := range want {
		if n > 0 {
			left = append(left, l)
		}
	}
	if slices.Sort(left); len(left) > 0 {
		return missing("%d pairs did not come out, such as %s", len(left), left[0])
	}
	return nil
}
