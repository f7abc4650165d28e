package workload

import (
	"fmt"
	"strings"
)

const (
	togetherSize  = 300
	togetherSlide = 100
)

// Together has a co-group count what two inputs have in sliding windows. Some lines come too late for some of their windows, or for all.
var Together = &Workload{
	Name: "co-group", Guest: "together", Outputs: []string{"together", "early", "other"}, Late: Nearby.Late,
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "window": fmt.Sprint(togetherSize), "slide": fmt.Sprint(togetherSlide)},
	Make:   makeNearby, Check: checkTogether,
}

// TogetherPairs is a full outer join of the host in tumbling windows.
var TogetherPairs = &Workload{
	Name: "outer join in windows", Guest: Together.Guest, Outputs: Together.Outputs, Late: Nearby.Late,
	Params: map[string]string{"disorder": fmt.Sprint(nearbyDisorder), "window": fmt.Sprint(togetherSize), "shape": "native", "outer": "full"},
	Make:   makeNearby, Check: checkTogetherPairs,
}

func checkTogether(in Input, out map[string][]File) error {
	lines, err := timedSides(in, out)
	if err != nil {
		return err
	}
	results, counts := map[windowed]sums{}, map[windowed]sums{}
	for _, l := range linesOf(out["together"]) {
		var w windowed
		var s, n sums
		if _, err := fmt.Sscanf(strings.ReplaceAll(l, ",", " "), "%d %s %d %d %d %d", &w.start, &w.key, &n[0], &s[0], &n[1], &s[1]); err != nil {
			return fmt.Errorf("together: line %q: %w", l, err)
		}
		if _, twice := results[w]; twice {
			return fmt.Errorf("together: window %d of %s has two results", w.start, w.key)
		}
		results[w], counts[w] = s, n
	}
	around := func(time int64) []int64 { return windowsAround(time, togetherSize, togetherSlide) }
	return worst(checkNumbers(lines, around, results, counts), checkSums(lines, around, results))
}

// checkNumbers wants as many lines in each result as its sum says.
func checkNumbers(lines []timed, windows func(time int64) []int64, results, counts map[windowed]sums) error {
	for _, l := range lines {
		for _, start := range windows(l.time) {
			w := windowed{start, l.key}
			n := counts[w]
			if d := digitOf(l.value); d < 0 {
				n[l.side]--
			} else {
				n[l.side] -= digitIn(results[w][l.side], d)
			}
			counts[w] = n
		}
	}
	for w := range results {
		if counts[w] != (sums{}) {
			return fmt.Errorf("together: window %d of %s has %d lines too many", w.start, w.key, counts[w])
		}
	}
	return nil
}

// checkTogetherPairs wants each two that meet in a window once, and those alone that meet none. What was not late, and did not come
// out either, did not come yet, or has met nobody yet.
func checkTogetherPairs(in Input, out map[string][]File) error {
	lines, err := timedSides(in, out)
	if err != nil {
		return err
	}
	seen := map[string]bool{} // left lines, and values of right ones
	for _, l := range linesOf(out["together"]) {
		at := strings.LastIndex(l, ",")
		seen[l[:max(at, 0)]], seen[l[at+1:]] = true, true
	}
	var lacks error
	all := map[windowed]*[2][]string{}
	for _, l := range lines {
		name := l.text
		if l.side == 1 {
			name = fmt.Sprint(l.value)
		}
		if l.late {
			continue
		}
		if digitOf(l.value) >= 0 && !seen[name] {
			lacks = missing("%q did not come out, and was not late", l.text)
			continue
		}
		id := windowed{l.time - l.time%togetherSize, l.key}
		if all[id] == nil {
			all[id] = &[2][]string{}
		}
		all[id][l.side] = append(all[id][l.side], name)
	}
	want := map[string]int{}
	for _, lists := range all {
		for _, left := range orNone(lists[0]) {
			for _, right := range orNone(lists[1]) {
				want[left+","+right]++
			}
		}
	}
	return worst(sameLines("together", want, linesOf(out["together"]), itself), lacks)
}

// orNone is what an outer join has in the place of nobody.
func orNone(names []string) []string {
	if len(names) == 0 {
		return []string{"-"}
	}
	return names
}
