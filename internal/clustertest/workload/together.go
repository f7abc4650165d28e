package workload

import (
	"fmt"
	"maps"
	"slices"
)

const (
	togetherSize  = 300
	togetherSlide = 100
)

// Together has a co-group count what two inputs have in sliding windows. No line comes too late.
var Together = &Workload{
	Name: "co-group", Guest: "together", Outputs: []string{"together", "early", "other"},
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "window": fmt.Sprint(togetherSize), "slide": fmt.Sprint(togetherSlide)},
	Make:   makeNearby, Check: checkTogether,
}

// TogetherPairs is a full outer join of the host in tumbling windows.
var TogetherPairs = &Workload{
	Name: "outer join in windows", Guest: Together.Guest, Outputs: Together.Outputs,
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "window": fmt.Sprint(togetherSize), "shape": "native", "outer": "full"},
	Make:   makeNearby, Check: checkTogetherPairs,
}

// together is the lines of one key in one window.
type together struct {
	lists [2][]string
	n     [2]int64
	sum   [2]int64
}

// allTogether are they all.
func allTogether(in Input, slide int64) (map[windowed]*together, error) {
	all := map[windowed]*together{}
	for side, name := range []string{"left", "right"} {
		for _, l := range in[name][0] {
			key, time, value, err := windowLine(l)
			if err != nil {
				return nil, err
			}
			for start := time - time%slide; start > time-togetherSize; start -= slide {
				id := windowed{start, key}
				if all[id] == nil {
					all[id] = &together{}
				}
				one := all[id]
				one.lists[side], one.n[side], one.sum[side] = append(one.lists[side], l), one.n[side]+1, one.sum[side]+value
			}
		}
	}
	return all, nil
}

func checkTogether(in Input, out map[string][]File) error {
	all, err := allTogether(in, togetherSlide)
	if err != nil {
		return err
	}
	want := map[string]int{}
	for id, one := range all {
		want[fmt.Sprintf("%d,%s,%d,%d,%d,%d", id.start, id.key, one.n[0], one.sum[0], one.n[1], one.sum[1])]++
	}
	return checkMet(want, out)
}

func checkTogetherPairs(in Input, out map[string][]File) error {
	all, err := allTogether(in, togetherSize)
	if err != nil {
		return err
	}
	want := map[string]int{}
	for _, one := range all {
		for i := range max(len(one.lists[0]), 1) {
			for k := range max(len(one.lists[1]), 1) {
				left, right := "-", "-"
				if len(one.lists[0]) > 0 {
					left = one.lists[0][i]
				}
				if len(one.lists[1]) > 0 {
					_, _, value, _ := windowLine(one.lists[1][k]) // it was read before
					right = fmt.Sprint(value)
				}
				want[left+","+right]++
			}
		}
	}
	return checkMet(want, out)
}

// checkMet holds what came out against the lines that were to, and how often.
func checkMet(want map[string]int, out map[string][]File) error {
	for _, late := range []string{"early", "other"} {
		if lines := linesOf(out[late]); len(lines) > 0 && lines[0] != "" {
			return fmt.Errorf("%s: %q was in time", late, lines[0])
		}
	}
	for _, l := range linesOf(out["together"]) {
		if want[l]--; want[l] < 0 {
			return fmt.Errorf("together: %q came out, or came out again", l)
		}
	}
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	if left := slices.Sorted(maps.Keys(want)); len(left) > 0 {
		return missing("%d lines did not come out, such as %s", len(left), left[0])
	}
	return nil
}
