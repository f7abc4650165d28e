package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/test/harness"
)

// revisedLine is a line that the guest updates takes: of key, at so many milliseconds.
type revisedLine struct {
	key       string
	at, value int64
}

// revisedWindows are, by start and key, the values that a window has in the order of their lines.
type revisedWindows map[string]map[string][]int64

func (w revisedWindows) add(start int64, l revisedLine) {
	at := instant(start)
	if w[at] == nil {
		w[at] = map[string][]int64{}
	}
	w[at][l.key] = append(w[at][l.key], l.value)
}

// tumbled and slid cut lines as their windows of so many milliseconds do, parted as sessions with such a gap do.
func tumbled(lines []revisedLine, size int64) revisedWindows {
	w := revisedWindows{}
	for _, l := range lines {
		w.add(l.at-l.at%size, l)
	}
	return w
}

func slid(lines []revisedLine, size int64) revisedWindows {
	w := tumbled(lines, size)
	for _, l := range lines {
		into := l.at + size/2
		w.add(into-into%size-size/2, l)
	}
	return w
}

func parted(lines []revisedLine, gap int64) revisedWindows {
	w := revisedWindows{}
	sorted := slices.Clone(lines)
	slices.SortStableFunc(sorted, func(a, b revisedLine) int { return int(a.at - b.at) })
	start, last := map[string]int64{}, map[string]int64{}
	for _, l := range sorted {
		if before, known := last[l.key]; !known || l.at-before > gap {
			start[l.key] = l.at
		}
		last[l.key] = l.at
		w.add(start[l.key], l)
	}
	return w
}

func sumOf(values []int64) (sum int64, has bool) {
	for _, v := range values {
		sum += v
	}
	return sum, true
}

// lastOf are the last results of keys in windows.
func lastOf(windows revisedWindows, last func(values []int64) (int64, bool)) map[string]int64 {
	all := map[string]int64{}
	for start, byKey := range windows {
		for key, values := range byKey {
			if result, has := last(values); has {
				all[key+start] = result
			}
		}
	}
	return all
}

// revisedCases are windows that have several results, and what the last one is.
var revisedCases = map[string]struct {
	params []string
	cut    func(lines []revisedLine, ms int64) revisedWindows
	window int64
	last   func(values []int64) (last int64, has bool)
}{
	"late lines of a window function":                  {[]string{"by=lines"}, tumbled, 400, sumOf},
	"late lines of one over what is folded":            {[]string{"by=folded", "kind=sliding"}, slid, 400, sumOf},
	"late lines of sessions":                           {[]string{"by=lines", "kind=session"}, parted, 120, sumOf},
	"late lines of a guest's sums":                     {[]string{"by=sum"}, tumbled, 400, sumOf},
	"late lines of a guest's sums, sliding":            {[]string{"by=sum", "kind=sliding"}, slid, 400, sumOf},
	"late lines of a guest's sums of sessions":         {[]string{"by=sum", "kind=session"}, parted, 120, sumOf},
	"late lines of a co-group":                         {[]string{"by=both"}, tumbled, 400, func(v []int64) (int64, bool) { sum, _ := sumOf(v); return 2 * sum, true }},
	"steps of event time":                              {[]string{"by=sum", "trigger=continuousEventTime", "every=100"}, tumbled, 400, sumOf},
	"steps of the clock, and by the end of the window": {[]string{"by=folded", "trigger=continuousProcessingTime", "every=300"}, tumbled, 4_000_000, sumOf},
	"each third line": {[]string{"by=lines", "trigger=count", "every=3"}, tumbled, 400, func(v []int64) (int64, bool) {
		sum, _ := sumOf(v[:len(v)-len(v)%3])
		return sum, len(v) >= 3
	}},
	"each third line, counted": {[]string{"by=count", "trigger=count", "every=3"}, tumbled, 400, func(v []int64) (int64, bool) {
		return int64(len(v) - len(v)%3), len(v) >= 3
	}},
}

// Of the results that a window has by late lines, and by triggers, a file has the last one, at any parallelism, and in batch mode,
// where the lines of a key come in the order of their times; with updates each, which says whether it is the first, and the last of them is that.
func TestResultsOfWindowsThatChange(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.txt")
	var lines []revisedLine
	var text strings.Builder
	r := rand.New(rand.NewPCG(7, 0))
	for i := range int64(20_000) {
		l := revisedLine{fmt.Sprint("k", r.IntN(40)), max(0, i-r.Int64N(300)), r.Int64N(100)}
		lines = append(lines, l)
		fmt.Fprintf(&text, "%s,%d,%d\n", l.key, l.at, l.value)
	}
	if err := os.WriteFile(input, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	for i, name := range slices.Sorted(maps.Keys(revisedCases)) {
		c := revisedCases[name]
		t.Run(name, func(t *testing.T) {
			inOrder := slices.Clone(lines)
			slices.SortStableFunc(inOrder, func(a, b revisedLine) int { return int(a.at - b.at) })
			want := map[string]map[string]int64{"streaming": lastOf(c.cut(lines, c.window), c.last), "batch": lastOf(c.cut(inOrder, c.window), c.last)}
			run := func(mode string, parallelism int, updates string) []update {
				out := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+mode+fmt.Sprint(parallelism)+updates)
				args := []string{"run", filepath.Join(harness.Root(t), "test/guests/updates.wasm"), "--mode", mode, "--parallelism", fmt.Sprint(parallelism)}
				for _, p := range append(slices.Clone(c.params), "input="+input, "output="+out, "lateness=400", "updates="+updates, fmt.Sprint("window=", c.window)) {
					args = append(args, "--param", p)
				}
				built.wasmill.Run(t, args...).OK(t)
				return updatesIn(t, out)
			}
			for _, how := range []struct {
				mode        string
				parallelism int
			}{{"streaming", 1 << (i % 3)}, {"batch", 2}} {
				got := map[string]int64{}
				for _, u := range run(how.mode, how.parallelism, "final") {
					if _, known := got[u.Key+u.Start]; known || u.Op != "" {
						t.Fatalf("%v: %+v (known: %v)", how, u, known)
					}
					got[u.Key+u.Start] = u.Value
				}
				sameResults(t, fmt.Sprint(how), got, want[how.mode])
			}
			session := slices.Contains(c.params, "kind=session") // one that has grown is another window, and stands beside the one before
			for _, parallelism := range []int{2, 1} {
				got, revised := map[string]int64{}, 0
				for _, u := range run("streaming", parallelism, "all") {
					_, known := got[u.Key+u.Start]
					if op := map[bool]string{false: "+I", true: "+U"}[known]; u.Op != op && !(session && u.Op == "+I") {
						t.Fatalf("%+v (expected %s)", u, op)
					}
					if got[u.Key+u.Start] = u.Value; u.Op == "+U" {
						revised++
					}
				}
				if session {
					maps.DeleteFunc(got, func(id string, _ int64) bool { _, lasts := want["streaming"][id]; return !lasts })
				}
				sameResults(t, "updates", got, want["streaming"])
				// One source alone is sure to have late lines: of two, one may have read all when the other says its first watermark.
				if parallelism == 1 && revised == 0 && !slices.Contains(c.params, "trigger=continuousProcessingTime") { // that may take less than a step
					t.Error("no result has changed")
				}
			}
		})
	}
}

func sameResults(t *testing.T, how string, got, want map[string]int64) {
	t.Helper()
	for id, value := range want {
		if have, there := got[id]; !there || have != value {
			t.Fatalf("%s: %s is %d (there: %v; expected %d)", how, id, have, there, value)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d results (expected %d)", how, len(got), len(want))
	}
}
