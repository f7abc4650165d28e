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

// lastBy is lastOf windows that lines are cut into.
func lastBy(cut func([]revisedLine, int64) revisedWindows, last func([]int64) (int64, bool)) func([]revisedLine, int64) map[string]int64 {
	return func(lines []revisedLine, ms int64) map[string]int64 { return lastOf(cut(lines, ms), last) }
}

// sumOfThirds is the sum of values up to the last third one, thirds their number.
func sumOfThirds(values []int64) (int64, bool) {
	sum, _ := sumOf(values[:len(values)-len(values)%3])
	return sum, len(values) >= 3
}

func thirds(values []int64) (int64, bool) {
	return int64(len(values) - len(values)%3), len(values) >= 3
}

func whole(lines []revisedLine, _ int64) revisedWindows {
	w := revisedWindows{}
	for _, l := range lines {
		w.add(0, l)
	}
	return w
}

// sumOfNewest is the last result of a window that has one at each third value, of the four newest that it has then.
func sumOfNewest(values []int64) (int64, bool) {
	n := len(values) - len(values)%3
	sum, _ := sumOf(values[max(0, n-4):n])
	return sum, n > 0
}

// sessionsByThirds are the results of sessions that have one at each third line, those that none of a session which they became has taken
// the place of.
func sessionsByThirds(of func([]int64) int64) func([]revisedLine, int64) map[string]int64 {
	type result struct{ start, value int64 }
	type session struct {
		start, end int64
		values     []int64
		since      int
		last       []result
	}
	return func(lines []revisedLine, gap int64) map[string]int64 {
		open := map[string][]session{}
		for _, l := range lines {
			one, others := session{start: l.at, end: l.at + gap}, []session{}
			for _, s := range open[l.key] {
				if s.start > one.end || one.start > s.end {
					others = append(others, s)
					continue
				}
				one.start, one.end, one.since = min(one.start, s.start), max(one.end, s.end), one.since+s.since
				one.values, one.last = append(one.values, s.values...), append(one.last, s.last...)
			}
			one.values = append(one.values, l.value)
			if one.since++; one.since >= 3 {
				one.since, one.last = 0, []result{{one.start, of(one.values)}}
			}
			open[l.key] = append(others, one)
		}
		all := map[string]int64{}
		for key, sessions := range open {
			for _, s := range sessions {
				for _, r := range s.last {
					all[key+instant(r.start)] = r.value
				}
			}
		}
		return all
	}
}

func sumAll(values []int64) int64 { sum, _ := sumOf(values); return sum }

// revisedCases are windows that have several results, and what the last ones are.
var revisedCases = map[string]struct {
	params []string
	window int64
	want   func(lines []revisedLine, ms int64) map[string]int64
}{
	"late lines of a window function":                  {[]string{"by=lines"}, 400, lastBy(tumbled, sumOf)},
	"late lines of one over what is folded":            {[]string{"by=folded", "kind=sliding"}, 400, lastBy(slid, sumOf)},
	"late lines of sessions":                           {[]string{"by=lines", "kind=session"}, 120, lastBy(parted, sumOf)},
	"late lines of a guest's sums":                     {[]string{"by=sum"}, 400, lastBy(tumbled, sumOf)},
	"late lines of a guest's sums, sliding":            {[]string{"by=sum", "kind=sliding"}, 400, lastBy(slid, sumOf)},
	"late lines of a guest's sums of sessions":         {[]string{"by=sum", "kind=session"}, 120, lastBy(parted, sumOf)},
	"late lines of a co-group":                         {[]string{"by=both"}, 400, lastBy(tumbled, func(v []int64) (int64, bool) { return 2 * sumAll(v), true })},
	"steps of event time":                              {[]string{"by=sum", "trigger=continuousEventTime", "every=100"}, 400, lastBy(tumbled, sumOf)},
	"steps of the clock, and by the end of the window": {[]string{"by=folded", "trigger=continuousProcessingTime", "every=300"}, 4_000_000, lastBy(tumbled, sumOf)},
	"each third line":                                  {[]string{"by=lines", "trigger=count", "every=3"}, 400, lastBy(tumbled, sumOfThirds)},
	"each third line, counted":                         {[]string{"by=count", "trigger=count", "every=3"}, 400, lastBy(tumbled, thirds)},
	"each third line of sessions":                      {[]string{"by=lines", "kind=session", "trigger=count", "every=3"}, 120, sessionsByThirds(sumAll)},
	"each third line of sessions, folded":              {[]string{"by=folded", "kind=session", "trigger=count", "every=3"}, 120, sessionsByThirds(sumAll)},
	"each third line of all time":                      {[]string{"by=lines", "kind=global", "trigger=count", "every=3"}, 400, lastBy(whole, sumOfThirds)},
	"each third line, of the newest":                   {[]string{"by=lines", "trigger=count", "every=3", "newest=4"}, 400, lastBy(tumbled, sumOfNewest)},
	"each third line of sessions, counted":             {[]string{"by=count", "kind=session", "trigger=count", "every=3"}, 120, sessionsByThirds(func(v []int64) int64 { return int64(len(v)) })},
}

// revisedInGo are those that only the guest in Go has.
var revisedInGo = []string{"each third line of all time", "each third line, of the newest"}

// revisedInput writes lines that come up to 1.5 seconds late, of values that make each sum greater.
func revisedInput(t *testing.T, path string, n int64) (lines []revisedLine) {
	t.Helper()
	var text strings.Builder
	r := rand.New(rand.NewPCG(7, 0))
	for i := range n {
		l := revisedLine{fmt.Sprint("k", r.IntN(40)), max(0, i-r.Int64N(1500)), 1 + r.Int64N(100)}
		lines = append(lines, l)
		fmt.Fprintf(&text, "%s,%d,%d\n", l.key, l.at, l.value)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return lines
}

// revisedRun runs a case of revisedCases with lines.
type revisedRun struct {
	name, module string
	args         []string // besides those of the case
	run          func(module string, args ...string) harness.Result
	lines        []revisedLine
	input, dir   string
}

func (r *revisedRun) rows(t *testing.T, mode string, parallelism int, updates string) []update {
	t.Helper()
	c := revisedCases[r.name]
	out := filepath.Join(r.dir, strings.ReplaceAll(r.name, " ", "-")+mode+fmt.Sprint(parallelism)+updates)
	args := append([]string{"--mode", mode, "--parallelism", fmt.Sprint(parallelism)}, r.args...)
	for _, p := range append(slices.Clone(c.params), "input="+r.input, "output="+out, "lateness=2000", "updates="+updates, fmt.Sprint("window=", c.window)) {
		args = append(args, "--param", p)
	}
	r.run(r.module, args...).OK(t)
	return updatesIn(t, out)
}

// last holds the only results of windows against the lines, which in batch mode come in the order of their times.
func (r *revisedRun) last(t *testing.T, mode string, parallelism int) {
	t.Helper()
	c, lines, how := revisedCases[r.name], slices.Clone(r.lines), fmt.Sprint(mode, " ", parallelism)
	if mode == "batch" {
		slices.SortStableFunc(lines, func(a, b revisedLine) int { return int(a.at - b.at) })
	}
	got := map[string]int64{}
	for _, u := range r.rows(t, mode, parallelism, "final") {
		if _, known := got[u.Key+u.Start]; known || u.Op != "" {
			t.Fatalf("%s: %+v (known: %v)", how, u, known)
		}
		got[u.Key+u.Start] = u.Value
	}
	sameResults(t, how, got, c.want(lines, c.window))
}

// all holds what each change says, and the last ones against the lines.
func (r *revisedRun) all(t *testing.T, parallelism int) {
	t.Helper()
	c := revisedCases[r.name]
	want := c.want(r.lines, c.window)
	session := slices.Contains(c.params, "kind=session") // one that has grown is another window, and stands beside the one before
	got, revised := map[string]int64{}, 0
	for _, u := range r.rows(t, "streaming", parallelism, "all") {
		_, known := got[u.Key+u.Start]
		if op := map[bool]string{false: "+I", true: "+U"}[known]; u.Op != op && !(session && u.Op == "+I") {
			t.Fatalf("%+v (expected %s)", u, op)
		}
		if got[u.Key+u.Start] = u.Value; u.Op == "+U" {
			revised++
		}
	}
	if session {
		maps.DeleteFunc(got, func(id string, _ int64) bool { _, lasts := want[id]; return !lasts })
	}
	sameResults(t, "updates", got, want)
	// One source alone is sure to have late lines: of two, one may have read all when the other says its first watermark.
	if parallelism == 1 && revised == 0 && !slices.Contains(c.params, "trigger=continuousProcessingTime") { // that may take less than a step
		t.Error("no result has changed")
	}
}

// Of the results that a window has by late lines, and by triggers, a file has the last one, at any parallelism, and in batch mode,
// where the lines of a key come in the order of their times; with updates each, which says whether it is the first, and the last of them is that.
func TestResultsOfWindowsThatChange(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.txt")
	lines := revisedInput(t, input, 20_000)
	for i, name := range slices.Sorted(maps.Keys(revisedCases)) {
		if slices.Contains(revisedInGo, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := &revisedRun{name: name, module: filepath.Join(harness.Root(t), "test/guests/updates.wasm"), lines: lines, input: input, dir: dir}
			r.run = func(module string, args ...string) harness.Result {
				return built.wasmill.Run(t, append([]string{"run", module}, args...)...)
			}
			r.last(t, "streaming", 1<<(i%3))
			r.last(t, "batch", 2)
			r.all(t, 2)
			r.all(t, 1)
		})
	}
}

// The same of jobs in Go and Rust: what their windows put out is folded, and told as the change that it is.
func TestResultsOfWindowsThatChangeInOtherLanguages(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	for _, language := range []string{"go", "rust"} {
		t.Run(language, func(t *testing.T) {
			dir := t.TempDir()
			r := &revisedRun{run: cluster.Run, input: filepath.Join(dir, "in.txt"), dir: dir}
			r.lines = revisedInput(t, r.input, 10_000)
			if language == "go" {
				r.module = goGuest(t, "testdata/updates")
			} else {
				r.module, r.args = rustGuest(t, "work"), []string{"--param", "work=updates", "--param", "disorder=0"}
			}
			names := []string{"late lines of a window function", "late lines of a guest's sums, sliding", "late lines of a guest's sums of sessions", "steps of event time"}
			if language == "go" {
				names = append(names, revisedInGo...)
			}
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					r := *r
					r.name = name
					r.last(t, "streaming", 2)
					r.last(t, "batch", 2)
					r.all(t, 1)
				})
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
