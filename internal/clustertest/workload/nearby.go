package workload

import (
	"fmt"
	"math/rand/v2"
)

const (
	nearbyDisorder = 100
	nearbyLower    = -200
	nearbyUpper    = 300
)

// Nearby joins two inputs by key and time. Some lines come behind the watermark: they meet none.
var Nearby = &Workload{
	Name: "interval join", Guest: "nearby", Outputs: []string{"joined", "early", "other"}, Late: []string{"early", "other"},
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "lower": fmt.Sprint(nearbyLower), "upper": fmt.Sprint(nearbyUpper)},
	Make:   makeNearby, Check: checkNearby,
}

// NearbyPairs is Nearby without a function.
var NearbyPairs = &Workload{
	Name: "interval join of the host", Guest: Nearby.Guest, Outputs: Nearby.Outputs, Late: Nearby.Late,
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "lower": fmt.Sprint(nearbyLower), "upper": fmt.Sprint(nearbyUpper), "native": "yes"},
	Make:   makeNearby, Check: checkNearby,
}

// makeNearby makes two files of each side. Each line has another last part.
func makeNearby(seed uint64, records int) Input {
	r, in := rand.New(rand.NewPCG(seed, 29)), Input{}
	for _, side := range sides {
		in[side] = make([][]string, 2)
	}
	of := map[string]*stragglers{}
	for i := range records / 2 {
		for _, side := range sides {
			if of[side] == nil {
				of[side] = &stragglers{reach: togetherSize}
			}
			key, time := fmt.Sprint("k", min(r.IntN(6), r.IntN(6))), int64(max(0, 40*i-r.IntN(nearbyDisorder+1)))
			time, value := of[side].behind(r, key, time, int64(i), 2*nearbyDisorder, 3*togetherSize)
			in[side][i%2] = append(in[side][i%2], fmt.Sprintf("%s,%d,%d", key, time, value))
		}
	}
	return in
}

// sides are the inputs of a join, and where their lines come out that are late.
var (
	sides     = [2]string{"left", "right"}
	lateSides = [2]string{"early", "other"}
)

// timedSides are the lines of both.
func timedSides(in Input, out map[string][]File) (lines []timed, err error) {
	for side, name := range sides {
		of, err := timedOf(side, in[name], linesOf(out[lateSides[side]]))
		if err != nil {
			return nil, err
		}
		lines = append(lines, of...)
	}
	return lines, nil
}

// checkNearby wants each two that meet once, but for those that were late.
func checkNearby(in Input, out map[string][]File) error {
	lines, err := timedSides(in, out)
	if err != nil {
		return err
	}
	right := map[string][]timed{}
	for _, l := range lines {
		if l.side == 1 && !l.late {
			right[l.key] = append(right[l.key], l)
		}
	}
	want := map[string]int{}
	for _, l := range lines {
		if l.side == 1 || l.late {
			continue
		}
		for _, f := range right[l.key] {
			if f.time >= l.time+nearbyLower && f.time < l.time+nearbyUpper {
				want[fmt.Sprintf("%s,%d", l.text, f.value)]++
			}
		}
	}
	return sameLines("joined", want, linesOf(out["joined"]), itself)
}
