package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// slide is how far apart sliding windows begin: their slices are of 100 ms, and not every window begins with a new one.
const slide = 300

// Sliding adds up values in sliding windows. Some lines come too late for some of their windows, or for all.
var Sliding = &Workload{
	Name: "sliding windows", Guest: Windows.Guest, Outputs: Windows.Outputs, Late: Windows.Late,
	Params: map[string]string{"window": fmt.Sprint(windowSize), "disorder": fmt.Sprint(windowDisorder), "slide": fmt.Sprint(slide)},
	Make: func(seed uint64, records int) Input {
		r, s := rand.New(rand.NewPCG(seed, 19)), stragglers{reach: windowSize}
		files := make([][]string, 2)
		for i := range records {
			key, time, value := fmt.Sprint("k", r.IntN(5)), int64(max(0, 20*i-r.IntN(windowDisorder+1))), r.Int64N(1000)
			time, value = s.behind(r, key, time, value, 2*windowDisorder, 2*windowSize)
			files[i%2] = append(files[i%2], fmt.Sprintf("%s,%d,%d", key, time, value))
		}
		return Input{"input": files}
	},
	Check: func(in Input, out map[string][]File) error {
		lines, err := timedOf(0, in["input"], linesOf(out["late"]))
		if err != nil {
			return err
		}
		results, err := resultsOf(out["results"])
		if err != nil {
			return err
		}
		return checkSums(lines, func(time int64) []int64 { return windowsAround(time, windowSize, slide) }, results)
	},
}

// windowsAround are the beginnings of those that a time is in, the oldest first.
func windowsAround(time, size, slide int64) (starts []int64) {
	first := time - size + 1
	for start := first + ((-first)%slide+slide)%slide; start <= time; start += slide {
		starts = append(starts, start)
	}
	return starts
}

// resultsOf are sums by window, each of which has one.
func resultsOf(files []File) (map[windowed]sums, error) {
	results := map[windowed]sums{}
	for _, f := range files {
		for _, l := range f.Lines {
			var w windowed
			var sum int64
			if _, err := fmt.Sscanf(strings.NewReplacer("\t", " ", ",", " ").Replace(l), "%d %s %d", &w.start, &w.key, &sum); err != nil {
				return nil, fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if _, twice := results[w]; twice {
				return nil, fmt.Errorf("%s: window %d of %s has two results", f.Name, w.start, w.key)
			}
			results[w] = sums{sum}
		}
	}
	return results, nil
}
