package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/test/harness"
)

// Lines are dealt out to four writers in each way that there is; which one wrote a line stands in the name of its file.
func TestRecordsAreDealtOut(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "4")
	module := filepath.Join(harness.Root(t), "test/guests/dealt.wasm")
	const lines, writers = 20_000, 4
	last := func(n int) int { // what the guest's function answers
		if n%10 == 9 {
			return writers - 1
		}
		return n % (writers - 1)
	}
	for _, c := range []struct {
		by     string
		copies int
		has    func(counts []int, of [][]int) bool // lines by writer
	}{
		{"rebalance", 1, func(n []int, _ [][]int) bool { return slices.Max(n)-slices.Min(n) <= 2*1024 }},
		{"shuffle", 1, func(n []int, _ [][]int) bool {
			return slices.Min(n) > lines/writers*9/10 && slices.Max(n) < lines/writers*11/10
		}},
		{"rescale", 1, func(_ []int, of [][]int) bool { // even and odd numbers are a split each, so each is written by two of the four
			pair := map[int]int{}
			for w, numbers := range of {
				for _, n := range numbers {
					if p, seen := pair[n%2]; seen && p != w/2 {
						return false
					}
					pair[n%2] = w / 2
				}
			}
			return true
		}},
		{"broadcast", writers, func(n []int, _ [][]int) bool { return slices.Min(n) == lines }},
		{"global", 1, func(n []int, _ [][]int) bool { return n[0] == lines }},
		{"custom", 1, func(_ []int, of [][]int) bool {
			for w, numbers := range of {
				for _, n := range numbers {
					if last(n) != w {
						return false
					}
				}
			}
			return true
		}},
	} {
		for _, group := range []string{"", "writers"} {
			t.Run(c.by+group, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				cluster.Run(module, "--param", "by="+c.by, "--param", "output="+out, "--param", "group="+group, "--parallelism", "2",
					"--param", fmt.Sprintf("count=%d", lines)).OK(t)
				counts, of := make([]int, writers), numbersOf(t, out, writers)
				seen := map[int]int{}
				for w, numbers := range of {
					counts[w] = len(numbers)
					for _, n := range numbers {
						seen[n]++
					}
				}
				for n := range lines {
					want := c.copies
					if c.by == "custom" && n%1000 == 999 {
						want = 0 // the function answers a subtask that there is not: left out
					}
					if seen[n] != want {
						t.Fatalf("line %d came %d times (expected %d)", n, seen[n], want)
					}
				}
				if !c.has(counts, of) {
					t.Errorf("by writer: %v", counts)
				}
			})
		}
	}
}

// Ranges of numbers go to the writers in their order in batch mode, too, and neighbouring ones to one where there are too few.
func TestRangesAreDealtOut(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	module := filepath.Join(harness.Root(t), "test/guests/dealt.wasm")
	for _, c := range []struct {
		writers int
		first   []int // number of each writer
	}{{4, []int{0, 1000, 4000, 12000}}, {2, []int{0, 4000}}} {
		for _, mode := range []string{"streaming", "batch"} {
			out := filepath.Join(t.TempDir(), "out")
			cluster.Run(module, "--mode", mode, "--param", "by=range", "--param", "output="+out, "--parallelism", "2",
				"--param", fmt.Sprintf("writers=%d", c.writers)).OK(t)
			of := numbersOf(t, out, c.writers)
			for w, numbers := range of {
				slices.Sort(numbers)
				end := 20_000
				if w+1 < c.writers {
					end = c.first[w+1]
				}
				if len(numbers) != end-c.first[w] || numbers[0] != c.first[w] || numbers[len(numbers)-1] != end-1 || len(slices.Compact(numbers)) != end-c.first[w] {
					t.Errorf("%s: writer %d of %d has %d numbers (expected those from %d to below %d, once)", mode, w, c.writers, len(numbers), c.first[w], end)
				}
			}
		}
	}
}

// numbersOf are the numbers of the lines below a directory, by the subtask that has written them.
func numbersOf(t *testing.T, out string, writers int) [][]int {
	of := make([][]int, writers)
	files, err := filepath.Glob(filepath.Join(out, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		w := 0
		fmt.Sscan(strings.Split(filepath.Base(name), "-")[3], &w)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			n := 0
			fmt.Sscan(line[:strings.Index(line, ",")], &n)
			of[w] = append(of[w], n)
		}
	}
	return of
}
