package taskmanager

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// words makes lines of made-up words in splits, and counts them.
func words(splits, lines int) ([][]string, map[string]int64) {
	r := rand.New(rand.NewPCG(7, 7))
	counts := map[string]int64{}
	var out [][]string
	for range splits {
		var split []string
		for range lines {
			var line []string
			for range r.IntN(12) {
				w := fmt.Sprint("w", r.IntN(1+r.IntN(400)))
				counts[w]++
				line = append(line, w)
			}
			split = append(split, strings.Join(line, " "))
		}
		out = append(out, split)
	}
	return out, counts
}

// rowCounts reads rows row(key, value) that a sink got.
func rowCounts(t *testing.T, c *collector) map[string]int64 {
	t.Helper()
	s, err := abi.ParseSchema("row(key: utf8, value: i64)")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, v := range c.values {
		if err := abi.Validate(s, v); err != nil {
			t.Fatal(err)
		}
		k := string(s.Row(v).Bytes(0))
		if _, twice := out[k]; twice {
			t.Errorf("%q came twice", k)
		}
		out[k] = s.Row(v).I64(1)
	}
	return out
}

func sameCounts(t *testing.T, got, want map[string]int64) {
	t.Helper()
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%q: %d (expected %d)", k, got[k], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d keys (expected %d)", len(got), len(want))
	}
}

func countJob(parallelism int) []graph.Operator {
	return []graph.Operator{
		{Name: "split", Parallelism: parallelism}, {Name: "word", Key: "utf8", Parallelism: parallelism},
		{Name: "counts", Kind: abi.OperatorCount, Output: "row(key: utf8, value: i64)", Parallelism: parallelism},
	}
}

func TestWordCount(t *testing.T) {
	for _, p := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			lines, want := words(5, 3000)
			f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, countJob(p)...)
			f.graph.Operators[0].Parallelism = p
			f.graph.Operators[1].Inputs[0].Partition = graph.Forward
			ends := f.run()
			sameCounts(t, rowCounts(t, f.sink), want)
			prepared := 0
			for _, r := range ends {
				prepared += len(r.Prepared)
			}
			if prepared != p {
				t.Errorf("%d committables (expected %d)", prepared, p)
			}
		})
	}
}

func TestSplitAndKeyAreOneCall(t *testing.T) {
	lines, _ := words(1, 10)
	m := &fakeModule{functions: []fakeFunction{splitWords, byWord}}
	f := newFixture(t, &listSource{splits: lines}, m, countJob(1)...)
	f.run()
	if n := m.calls.Load(); n != 1+keyChecks {
		t.Errorf("%d calls for a batch of 10 lines (expected 1, and those that check the key)", n)
	}
}
