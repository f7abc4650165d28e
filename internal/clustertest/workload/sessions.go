package workload

import (
	"fmt"
	"slices"
)

// gap is the silence between sessions: with a line of each key every 100 ms on average, some are of one line and some of many.
const gap = 150

// Sessions adds up values in sessions. No line comes too late.
var Sessions = &Workload{
	Name: "sessions", Guest: Windows.Guest, Outputs: Windows.Outputs,
	Params: map[string]string{"gap": fmt.Sprint(gap), "disorder": fmt.Sprint(windowDisorder)},
	Make:   Sliding.Make,
	Check: func(in Input, out map[string][]File) error {
		type line struct{ time, value int64 }
		byKey := map[string][]line{}
		for _, lines := range in["input"] {
			for _, l := range lines {
				key, time, value, err := windowLine(l)
				if err != nil {
					return err
				}
				byKey[key] = append(byKey[key], line{time, value})
			}
		}
		sums := map[windowed]int64{}
		for key, lines := range byKey {
			slices.SortFunc(lines, func(a, b line) int { return int(a.time - b.time) })
			start, end := lines[0].time, lines[0].time
			for _, l := range lines {
				if l.time > end {
					start = l.time
				}
				end = l.time + gap
				sums[windowed{start, key}] += l.value
			}
		}
		return heldAgainst(sums, out)
	},
}
