package workload

import (
	"fmt"
	"math/rand/v2"
)

// Copy copies lines, with nothing between a source and its sink: where files are of different lengths, subtasks finish long
// before others.
var Copy = &Workload{
	Name: "copy", Guest: "passthrough", Outputs: []string{""}, Timeless: true,
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 15))
		files := make([][]string, 2+r.IntN(2))
		for f := range files {
			n := records / 2
			if f > 0 {
				n = records / (4 * (f + 1))
			}
			for i := range n {
				files[f] = append(files[f], fmt.Sprintf("%d,%d,%x", f, i, r.Uint32()))
			}
		}
		return Input{"input": files}
	},
	Check: checkCopy,
}

// checkCopy wants each file's lines in their order. A file that was read by two tasks, one after the other, came out in two
// parts.
func checkCopy(in Input, out map[string][]File) error {
	next := make([]int, len(in["input"]))
	for _, l := range linesOf(out[""]) {
		var f, i int
		if _, err := fmt.Sscanf(l, "%d,%d,", &f, &i); err != nil || f < 0 || f >= len(next) {
			return fmt.Errorf("line %q", l)
		}
		if i != next[f] || i >= len(in["input"][f]) || in["input"][f][i] != l {
			return fmt.Errorf("file %d: %q came out where line %d was expected", f, l, next[f])
		}
		next[f]++
	}
	for f, n := range next {
		if n != len(in["input"][f]) {
			return missing("file %d: %d of %d lines came out", f, n, len(in["input"][f]))
		}
	}
	return nil
}
