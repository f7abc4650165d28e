package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// slide is how far apart sliding windows begin: their slices are of 100 ms, and not every window begins with a new one.
const slide = 300

// Sliding adds up values in sliding windows. No line comes too late.
var Sliding = &Workload{
	Name: "sliding windows", Guest: Windows.Guest, Outputs: Windows.Outputs,
	Params: map[string]string{"window": fmt.Sprint(windowSize), "disorder": fmt.Sprint(windowDisorder), "slide": fmt.Sprint(slide)},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 19))
		var lines []string
		for i := range records {
			lines = append(lines, fmt.Sprintf("k%d,%d,%d", r.IntN(5), max(0, 20*i-r.IntN(windowDisorder+1)), r.IntN(1000)))
		}
		return Input{"input": {lines}}
	},
	Check: func(in Input, out map[string][]File) error {
		sums := map[windowed]int64{}
		for _, lines := range in["input"] {
			for _, l := range lines {
				key, time, value, err := windowLine(l)
				if err != nil {
					return err
				}
				for start := time - (time%slide+slide)%slide; start > time-windowSize; start -= slide {
					sums[windowed{start, key}] += value
				}
			}
		}
		return heldAgainst(sums, out)
	},
}

// heldAgainst checks that each window has its sum as its one result, and that nothing came late.
func heldAgainst(sums map[windowed]int64, out map[string][]File) error {
	if late := linesOf(out["late"]); len(late) > 0 {
		return fmt.Errorf("late: %q was in time", late[0])
	}
	seen := map[windowed]bool{}
	for _, f := range out["results"] {
		for _, l := range f.Lines {
			var w windowed
			var sum int64
			if _, err := fmt.Sscanf(strings.NewReplacer("\t", " ", ",", " ").Replace(l), "%d %s %d", &w.start, &w.key, &sum); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if want, any := sums[w]; !any || sum != want || seen[w] {
				return fmt.Errorf("%s: window %d of %s: %d (expected %d, once)", f.Name, w.start, w.key, sum, want)
			}
			seen[w] = true
		}
	}
	for w, sum := range sums {
		if !seen[w] {
			return missing("window %d of %s has no result (expected %d)", w.start, w.key, sum)
		}
	}
	return nil
}
