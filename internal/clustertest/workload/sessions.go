package workload

import (
	"cmp"
	"fmt"
	"slices"
)

// gap is the silence between sessions: with a line of each key every 100 ms on average, some are of one line and some of many.
const gap = 150

// Sessions adds up values in sessions. Some lines come when what would be their session is over.
var Sessions = &Workload{
	Name: "sessions", Guest: Windows.Guest, Outputs: Windows.Outputs, Late: Windows.Late,
	Params: map[string]string{"gap": fmt.Sprint(gap), "disorder": fmt.Sprint(windowDisorder)},
	Make:   Sliding.Make,
	Check: func(in Input, out map[string][]File) error {
		lines, err := timedOf(0, in["input"], linesOf(out["late"]))
		if err != nil {
			return err
		}
		results, err := resultsOf(out["results"])
		if err != nil {
			return err
		}
		byKey := map[string][]timed{}
		for _, l := range lines {
			if !l.late {
				byKey[l.key] = append(byKey[l.key], l)
			}
		}
		var wrong error
		for key, lines := range byKey {
			slices.SortFunc(lines, func(a, b timed) int { return cmp.Compare(a.time, b.time) })
			for first, i := 0, 1; i <= len(lines); i++ {
				if i == len(lines) || lines[i].time > lines[i-1].time+gap {
					wrong = worst(wrong, checkSession(key, lines[first:i], results))
					first = i
				}
			}
		}
		for w := range results {
			wrong = worst(wrong, fmt.Errorf("results: a session of %s begins at %d, where no line begins one", w.key, w.start))
		}
		return wrong
	},
}

// checkSession holds what came out of a session, which it takes out of the results, against its lines, none of which was late. There is
// one result; of one with stragglers there may be several: those that come when the rest has had its result begin another.
func checkSession(key string, lines []timed, results map[windowed]sums) error {
	var sum, got int64
	var want, has [digits]int64
	marked := false
	for _, l := range lines {
		sum += plain(l.value)
		if d := digitOf(l.value); d >= 0 {
			marked = true
			want[d]++
		}
	}
	n := 0
	for i, l := range lines {
		s, any := results[windowed{l.time, key}]
		if !any {
			continue
		}
		if i > 0 && lines[i-1].time < l.time && !marked {
			return fmt.Errorf("results: a session of %s begins at %d (expected %d)", key, l.time, lines[0].time)
		}
		delete(results, windowed{l.time, key})
		n++
		got += plain(s[0])
		for d := range has {
			has[d] += digitIn(s[0], d)
		}
	}
	what := fmt.Sprintf("session %d to %d of %s", lines[0].time, lines[len(lines)-1].time, key)
	for d := range has {
		if has[d] > want[d] {
			return fmt.Errorf("results: %s has %d of %d stragglers of digit %d", what, has[d], want[d], d)
		}
	}
	switch {
	case n == 0:
		return missing("%s has no result (expected %d)", what, sum)
	case got > sum || got < sum && !marked:
		return fmt.Errorf("results: %s has %d (expected %d)", what, got, sum)
	case got < sum || has != want:
		return missing("%s has %d and stragglers %v (expected %d, %v)", what, got, has, sum, want)
	}
	return nil
}
