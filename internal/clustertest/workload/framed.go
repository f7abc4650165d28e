package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A window fires when its values make framedFull or more; no value makes framedValue.
const (
	framedFull  = 2500
	framedValue = 1000
)

// Framed has a window function over tumbling windows that a trigger of the guest's fires and purges, by what they have and by their
// end: each line that does not come when its window is over is in one result. The function counts results by window, and lines by key.
var Framed = framed("window function", map[string]string{"trigger": "full", "full": fmt.Sprint(framedFull)})

// FramedSessions is the same over sessions, folded, whose gap each line says.
var FramedSessions = framed("window function of sessions", map[string]string{"trigger": "full", "full": fmt.Sprint(framedFull), "kind": "pause", "fold": "yes"})

// FramedAll is the same over all lines of a key, folded, for which it is called when the input has ended.
var FramedAll = framedAll()

func framedAll() *Workload {
	w := framed("window function of all lines", map[string]string{"kind": "full", "fold": "yes"})
	w.Late = nil
	return w
}

// Crowded is the same over windows of many keys each, that fire when they end: in several pieces, of which some are out and others are
// not when a checkpoint lies between.
var Crowded = crowded()

func crowded() *Workload {
	w := framed("window function of many keys", map[string]string{})
	w.Late = nil
	w.Make = func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 29))
		var lines []string
		for i := range records {
			lines = append(lines, fmt.Sprintf("k%d,%d,%d,", i%(windowSize-windowDisorder), max(0, i-r.IntN(windowDisorder)), r.IntN(framedValue)))
		}
		return Input{"input": {lines}}
	}
	return w
}

func framed(name string, params map[string]string) *Workload {
	params["window"], params["disorder"] = fmt.Sprint(windowSize), fmt.Sprint(windowDisorder)
	return &Workload{
		Name: name, Guest: "frames", Outputs: []string{"results", "late"}, Late: []string{"late"}, Params: params,
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 23))
			files := make([][]string, 2)
			for i := range records {
				rest := strings.Repeat("x", r.IntN(600)) // so that some windows have more than what lies with their mark
				key, time := r.IntN(5), 20*i-r.IntN(windowDisorder)
				if i > 120 && r.IntN(8) == 0 {
					time -= 2*windowDisorder + r.IntN(2*windowSize)
				}
				files[i%2] = append(files[i%2], fmt.Sprintf("k%d,%d,%d,%s", key, max(0, time), r.IntN(framedValue), rest))
			}
			return Input{"input": files}
		},
		Check: func(in Input, out map[string][]File) error { return checkFramed(in, out, params["kind"] == "") },
	}
}

// frame is what results say of a window, or of all windows of a key where these are sessions.
type frame struct {
	lines, sum int64
	results    []int64 // their numbers
}

func checkFramed(in Input, out map[string][]File, tumbling bool) error {
	want, got, counts := map[windowed]frame{}, map[windowed]frame{}, map[string][][2]int64{}
	of := func(start int64, key string) windowed {
		if tumbling {
			return windowed{start - start%windowSize, key}
		}
		return windowed{0, key}
	}
	late, err := behind(in["input"], linesOf(out["late"]))
	if err != nil {
		return err
	}
	for _, l := range slices.Concat(in["input"]...) {
		if late[l] > 0 {
			late[l]--
			continue
		}
		key, time, value, err := windowLine(l)
		if err != nil {
			return err
		}
		w := want[of(time, key)]
		want[of(time, key)] = frame{lines: w.lines + 1, sum: w.sum + value}
	}
	for _, l := range linesOf(out["results"]) {
		p := strings.Split(l, ",")
		if len(p) != 7 {
			return fmt.Errorf("results: line %q", l)
		}
		var n [6]int64 // start, lines, sum, number, all, why
		if _, err := fmt.Sscan(strings.Join(append(p[:1:1], p[2:]...), " "), &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil {
			return fmt.Errorf("results: line %q: %w", l, err)
		}
		if tumbling && n[2] >= framedFull+framedValue {
			return fmt.Errorf("results: line %q is of a window that was full before its last line", l)
		}
		id := of(n[0], p[1])
		g := got[id]
		g.lines, g.sum, g.results = g.lines+n[1], g.sum+n[2], append(g.results, n[3])
		got[id] = g
		counts[p[1]] = append(counts[p[1]], [2]int64{n[4], n[1]})
	}
	return worst(sameFrames(want, got, tumbling), steady(counts))
}

// sameFrames holds what came out of each window against what it has.
func sameFrames(want, got map[windowed]frame, numbered bool) (wrong error) {
	for id, g := range got {
		w := want[id]
		if g.lines > w.lines || g.sum > w.sum || g.lines == w.lines && g.sum != w.sum {
			return fmt.Errorf("results: window %d of %s has %d lines of %d (expected %d of %d)", id.start, id.key, g.lines, g.sum, w.lines, w.sum)
		}
		slices.Sort(g.results)
		for i, n := range g.results {
			switch {
			case !numbered || n == int64(i+1):
			case i > 0 && n == g.results[i-1] || n < 1:
				return fmt.Errorf("results: window %d of %s has results %d", id.start, id.key, g.results)
			default:
				wrong = worst(wrong, missing("results: window %d of %s has results %d", id.start, id.key, g.results))
			}
		}
	}
	for id, w := range want {
		if g := got[id]; g.lines < w.lines {
			wrong = worst(wrong, missing("results: window %d of %s has %d lines (expected %d)", id.start, id.key, g.lines, w.lines))
		}
	}
	return wrong
}

// steady sees that what a key's state counts grows by the lines of each result.
func steady(counts map[string][][2]int64) (wrong error) {
	for key, all := range counts {
		slices.SortFunc(all, func(a, b [2]int64) int { return int(a[0] - b[0]) })
		before := int64(0)
		for _, c := range all {
			switch over := c[0] - c[1] - before; {
			case over < 0:
				return fmt.Errorf("results: %s had %d lines so far, then %d with %d more", key, before, c[0], c[1])
			case over > 0:
				wrong = worst(wrong, missing("results: %s had %d lines so far, then %d with %d more", key, before, c[0], c[1]))
			}
			before = c[0]
		}
	}
	return wrong
}

// behind are the lines that were told of as late, and how often: those that are behind others of their file by more than lines may be.
func behind(files [][]string, told []string) (map[string]int, error) {
	late, may := map[string]int{}, map[string]int{}
	for _, file := range files {
		newest := int64(0)
		for _, l := range file {
			_, time, _, err := windowLine(l)
			if err != nil {
				return nil, err
			}
			if time < newest-windowDisorder {
				may[l]++
			}
			newest = max(newest, time)
		}
	}
	for _, l := range told {
		if l == "" { // of a file without lines
			continue
		}
		if late[l]++; late[l] > may[l] {
			return nil, fmt.Errorf("late: %q was not behind the others, or came out again", l)
		}
	}
	return late, nil
}
