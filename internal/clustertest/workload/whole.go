package workload

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// All lines that a subtask has, sorted by a number or by rows, or taken by a function that tells of them behind the last one. The
// lines are dealt out in turn, so which subtask has which is left open: each subtask's must be in order, and all must be there.
var (
	SortedLines = wholes("sort")
	SortedRows  = wholes("fields")
	Mapped      = wholes("map")
	Reduced     = wholes("reduce")
	Aggregated  = wholes("aggregate")
	SortedKeys  = wholes("keys")
	Ranged      = wholes("range")
)

func wholes(of string) *Workload {
	return &Workload{
		Name: "whole " + of, Guest: "whole", Outputs: []string{""}, Params: map[string]string{"of": of},
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 67))
			files := make([][]string, 3)
			for i := range records {
				files[i%3] = append(files[i%3], fmt.Sprintf("%d,%d", r.Int64N(int64(records))-int64(records)/2, i))
			}
			return Input{"input": files}
		},
		Check: func(in Input, out map[string][]File) error {
			switch of {
			case "map":
				return checkMapped(in["input"], linesOf(out[""]))
			case "keys":
				return checkSortedKeys(in["input"], out[""])
			case "reduce", "aggregate":
				return checkFolded(in["input"], linesOf(out[""]), of)
			}
			if err := checkSorted(in["input"], out[""], of == "fields"); err != nil || of != "range" {
				return err
			}
			return checkRanged(out[""])
		},
	}
}

// checkMapped wants what subtasks tell of their lines to add up to all lines.
func checkMapped(in [][]string, out []string) error {
	want := map[string]bool{}
	var n, sum, id, tenths int64
	for _, file := range in {
		for _, l := range file {
			var v int64
			if _, err := fmt.Sscanf(l, "%d,%d", &v, &id); err != nil {
				return err
			}
			want[l], n, sum = true, n+1, sum+v
		}
	}
	var told, total int64
	ends := 0
	for _, l := range out {
		var some, of int64
		if _, err := fmt.Sscanf(l, "end,%d,%d", &some, &of); err == nil {
			ends, told, total, tenths = ends+1, told+some, total+of, tenths-some/100
			continue
		}
		if tenths++; !want[l] {
			return fmt.Errorf("%q came out, which did not go in, or came out again", l)
		}
		delete(want, l)
	}
	switch {
	case told > n || told == n && (total != sum || tenths != 0):
		return fmt.Errorf("%d subtasks tell of %d lines that add up to %d, %d hundreds too many (expected %d, %d)", ends, told, total, tenths, n, sum)
	case told < n:
		return missing("%d subtasks tell of %d lines (expected %d)", ends, told, n)
	}
	return nil
}

// checkSortedKeys wants each line once, and those of a key behind each other in order.
func checkSortedKeys(in [][]string, out []File) error {
	left := map[string]bool{}
	for _, l := range slices.Concat(in...) {
		left[l] = true
	}
	begun := map[int64]bool{}
	for _, f := range out {
		key, last := int64(-1), int64(0) // a key's lines may lie in two files of a writer, but for the first of a file's
		for i, l := range f.Lines {
			var number, id int64
			if _, err := fmt.Sscanf(l, "%d,%d", &number, &id); err != nil {
				return fmt.Errorf("line %q: %w", l, err)
			}
			switch k := id / 7; {
			case !left[l]:
				return fmt.Errorf("%q came out, which did not go in, or came out again", l)
			case k == key && number < last:
				return fmt.Errorf("%q is behind number %d", l, last)
			case k != key && begun[k] && i > 0:
				return fmt.Errorf("%q comes behind lines of other keys", l)
			default:
				key, last, begun[k] = k, number, true
			}
			delete(left, l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(left)) {
		return missing("%q did not come out", l)
	}
	return nil
}

// checkFolded wants one line of a subtask at most, which together are sums over all lines: of numbers and ids, or how many there are
// and the sum of their numbers.
func checkFolded(in [][]string, out []string, of string) error {
	form, want, got := "%d,%d", [2]int64{}, [2]int64{}
	lines := 0
	for _, l := range slices.Concat(in...) {
		var v [2]int64
		if _, err := fmt.Sscanf(l, form, &v[0], &v[1]); err != nil {
			return err
		}
		if lines++; of == "aggregate" {
			v = [2]int64{1, v[0]}
		}
		want = [2]int64{want[0] + v[0], want[1] + v[1]}
	}
	if of == "aggregate" {
		form = "end,%d,%d"
	}
	for _, l := range out {
		var v [2]int64
		if _, err := fmt.Sscanf(l, form, &v[0], &v[1]); err != nil {
			return fmt.Errorf("line %q: %w", l, err)
		}
		got = [2]int64{got[0] + v[0], got[1] + v[1]}
	}
	switch {
	case lines > 100 && len(out) > lines/10:
		return fmt.Errorf("%d lines of %d came out (expected one a subtask)", len(out), lines)
	case got == want:
		return nil
	case got[1] < want[1] && of == "reduce" || got[0] < want[0] && of == "aggregate":
		return missing("subtasks add up to %d (expected %d)", got, want)
	}
	return fmt.Errorf("subtasks add up to %d (expected %d)", got, want)
}

// checkRanged wants the lines of a writer, which are in order, to be behind those of the one before, and all writers to have about as many.
func checkRanged(out []File) error {
	type span struct {
		first, last int64
		n           int
	}
	writers, lines := map[int]*span{}, 0
	for _, f := range out {
		var writer int
		var first, last int64
		_, err := fmt.Sscan(strings.Split(f.Name, "-")[3], &writer)
		if err == nil {
			_, err = fmt.Sscanf(f.Lines[0]+" "+f.Lines[len(f.Lines)-1], "%d,%d %d,", &first, new(int), &last)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if writers[writer] == nil {
			writers[writer] = &span{first: first}
		}
		w := writers[writer]
		w.last, w.n = last, w.n+len(f.Lines)
		lines += len(f.Lines)
	}
	for i, w := range writers {
		if fair := lines / len(writers); w.n < fair/2 || w.n > fair*2 {
			return fmt.Errorf("writer %d has %d of %d lines (expected about %d)", i, w.n, lines, fair)
		}
		if next := writers[i+1]; next != nil && next.first <= w.last {
			return fmt.Errorf("writer %d begins with %d, and the one before ends with %d", i+1, next.first, w.last)
		}
	}
	return nil
}

// checkSorted wants each line once, and those of a subtask in order.
func checkSorted(in [][]string, out []File, rows bool) error {
	left := map[string]int{}
	for _, file := range in {
		for _, l := range file {
			left[l]++
		}
	}
	last := map[string][2]int64{} // by job and subtask
	for _, f := range out {
		parts := strings.Split(f.Name, "-") // part, job, checkpoint, subtask, number
		writer := parts[1] + " " + parts[3]
		for _, l := range f.Lines {
			var v [2]int64
			if _, err := fmt.Sscanf(l, "%d,%d", &v[0], &v[1]); err != nil {
				return fmt.Errorf("%s: %q", f.Name, l)
			}
			if left[l]--; left[l] < 0 {
				return fmt.Errorf("%q came out, which did not go in, or came out again", l)
			}
			before, some := last[writer]
			if some && (!rows && v[0] < before[0] || rows && (v[0] > before[0] || v[0] == before[0] && v[1] < before[1])) {
				return fmt.Errorf("%s: %q behind %d,%d", f.Name, l, before[0], before[1])
			}
			last[writer] = v
		}
	}
	for _, l := range slices.Sorted(maps.Keys(left)) {
		if left[l] > 0 {
			return missing("%q did not come out", l)
		}
	}
	return nil
}
