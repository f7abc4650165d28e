package workload

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	windowSize     = 1000
	windowDisorder = 100
)

// Windows adds up values in tumbling windows; some lines come too late.
var Windows = &Workload{
	Name: "windows", Guest: "windows", Outputs: []string{"results", "late"}, Late: []string{"late"},
	Params: map[string]string{"window": fmt.Sprint(windowSize), "disorder": fmt.Sprint(windowDisorder)},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 13))
		var lines []string
		for i := range records {
			time := 20*i - r.IntN(windowDisorder+1)
			if i > 120 && r.IntN(8) == 0 {
				time -= 2 * windowSize // far behind
			}
			lines = append(lines, fmt.Sprintf("k%d,%d,%d", r.IntN(5), max(0, time), r.IntN(1000)))
		}
		return Input{"input": {lines}}
	},
	Check: func(in Input, out map[string][]File) error { return checkWindows(in, out, math.MaxInt64) },
}

// Unending is the same over files that do not end, though they give nothing more in the end: the shortest is the first to be
// silent, and the furthest in time by then. Windows that the slowest of them has not passed never have a result.
var Unending = &Workload{
	Name: "unending windows", Guest: Windows.Guest, Outputs: Windows.Outputs, Params: Windows.Params, Endless: true,
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 17))
		files := make([][]string, 3)
		for f, n := range []int{records / 12, records / 4, records * 2 / 3} {
			for i := range n {
				time := 20*records*i/n - r.IntN(windowDisorder+1)
				if i > n/4 && r.IntN(8) == 0 {
					time -= 2 * windowSize
				}
				files[f] = append(files[f], fmt.Sprintf("k%d,%d,%d", r.IntN(5), max(0, time), r.IntN(1000)))
			}
		}
		return Input{"input": files}
	},
	Check: func(in Input, out map[string][]File) error {
		ends, err := watermarks(in)
		if err != nil {
			return err
		}
		return checkWindows(in, out, slices.Min(ends))
	},
}

// Overlapping is Unending with files that end, which are read one after the other though they overlap in time: nothing of a
// file is late because of another.
var Overlapping = &Workload{
	Name: "overlapping windows", Guest: Windows.Guest, Outputs: Windows.Outputs, Params: Windows.Params, Make: Unending.Make, Check: Windows.Check,
}

// Idle is Unending with watermarks that the guest reports, whose files are idle when they have been silent for long: in the end
// all are, and the windows that the furthest of them has passed have a result.
var Idle = &Workload{
	Name: "idle windows", Guest: Windows.Guest, Outputs: Windows.Outputs, Endless: true, Make: Unending.Make,
	Params: map[string]string{"window": fmt.Sprint(windowSize), "disorder": fmt.Sprint(windowDisorder), "marks": "guest", "idle": "3000"},
	Check: func(in Input, out map[string][]File) error {
		ends, err := watermarks(in)
		if err != nil {
			return err
		}
		return checkWindows(in, out, slices.Max(ends))
	},
}

// watermarks are those behind the last line of each file.
func watermarks(in Input) (all []int64, err error) {
	for _, lines := range in["input"] {
		newest := int64(0)
		for _, l := range lines {
			_, time, _, err := windowLine(l)
			if err != nil {
				return nil, err
			}
			newest = max(newest, time)
		}
		all = append(all, newest-windowDisorder-1)
	}
	return all, nil
}

type windowed struct {
	start int64
	key   string
}

// due says whether the watermark at the end has passed the window.
func (w windowed) due(passed int64) bool { return w.start+windowSize-1 <= passed }

// checkWindows checks the results of all windows that the watermark has passed; of others there must be none.
func checkWindows(in Input, out map[string][]File, passed int64) error {
	sums, count := map[windowed]int64{}, map[string]int{}
	late := map[string]bool{} // lines that may be late
	for _, lines := range in["input"] {
		newest := int64(-1)
		for _, l := range lines {
			key, time, value, err := windowLine(l)
			if err != nil {
				return err
			}
			sums[windowed{time - time%windowSize, key}] += value
			count[l]++
			if time < newest-windowDisorder {
				late[l] = true
			}
			newest = max(newest, time)
		}
	}
	lines := 0
	for _, l := range linesOf(out["late"]) {
		key, time, value, err := windowLine(l)
		if err != nil {
			return err
		}
		if !late[l] {
			return fmt.Errorf("late: %q was not behind the others", l)
		}
		if count[l]--; count[l] < 0 {
			return fmt.Errorf("late: %q came out more often than it went in", l)
		}
		w := windowed{time - time%windowSize, key}
		sums[w] -= value
		lines++
	}
	come := map[windowed][]int64{} // what may be among the late ones later
	for l, n := range count {
		if key, time, value, _ := windowLine(l); late[l] {
			w := windowed{time - time%windowSize, key}
			come[w] = append(come[w], slices.Repeat([]int64{value}, n)...)
		}
	}
	var wrong error
	seen := map[windowed]bool{}
	for _, f := range out["results"] {
		for _, l := range f.Lines {
			var w windowed
			var sum int64
			p := strings.Split(l, "\t")
			if len(p) == 1 {
				p = strings.Split(l, ",")
			}
			if len(p) != 3 {
				return fmt.Errorf("%s: line %q", f.Name, l)
			}
			w.key = p[1]
			if _, err := fmt.Sscan(p[0], &w.start); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if _, err := fmt.Sscan(p[2], &sum); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if seen[w] {
				return fmt.Errorf("%s: window %d of %s has two results", f.Name, w.start, w.key)
			}
			seen[w] = true
			if !w.due(passed) {
				return fmt.Errorf("%s: window %d of %s has a result, and time has come to %d", f.Name, w.start, w.key, passed)
			}
			switch over := sums[w] - sum; {
			case over == 0:
			case sumsOf(come[w])[over]:
				wrong = worst(wrong, missing("%s: window %d of %s: %d, without lines of %d that are not among the late ones", f.Name, w.start, w.key, sum, over))
			default:
				return fmt.Errorf("%s: window %d of %s: %d (its lines, late ones apart, make %d)", f.Name, w.start, w.key, sum, sums[w])
			}
		}
	}
	for w, sum := range sums {
		if !seen[w] && sum != 0 && w.due(passed) {
			return worst(wrong, missing("window %d of %s has no result (expected %d)", w.start, w.key, sum))
		}
	}
	return wrong
}

// sumsOf are those of some of the values.
func sumsOf(values []int64) map[int64]bool {
	all := map[int64]bool{0: true}
	for _, v := range values {
		for _, sum := range slices.Collect(maps.Keys(all)) {
			all[sum+v] = true
		}
	}
	return all
}

func windowLine(l string) (key string, time, value int64, err error) {
	key, rest, _ := strings.Cut(l, ",")
	_, err = fmt.Sscanf(rest, "%d,%d", &time, &value)
	return key, time, value, err
}
