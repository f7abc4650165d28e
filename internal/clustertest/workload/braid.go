package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// braided is how many ways there are.
const braided = 3

// Braid brings each line by several ways to the count of its key, over edges of every kind: those that a barrier overtakes
// on, and those that it does not.
var Braid = &Workload{
	Name: "braid", Guest: "braid", Outputs: []string{""},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 16))
		files := make([][]string, 2)
		for i := range records / 2 { // each goes three ways
			files[i%2] = append(files[i%2], fmt.Sprintf("k%d,%d", r.IntN(8), i))
		}
		return Input{"input": files}
	},
	Check: checkBraid,
}

func checkBraid(in Input, out map[string][]File) error {
	left := map[string]int{}
	for _, lines := range in["input"] {
		for _, l := range lines {
			left[l] = braided
		}
	}
	counts := map[string]int{}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			i := strings.LastIndexByte(l, ',')
			if i < 0 {
				return fmt.Errorf("%s: line %q", f.Name, l)
			}
			line, count := l[:i], 0
			fmt.Sscan(l[i+1:], &count)
			if left[line]--; left[line] < 0 {
				return fmt.Errorf("%s: %q came out more than %d times", f.Name, line, braided)
			}
			key, _, _ := strings.Cut(line, ",")
			if counts[key]++; counts[key] != count {
				return fmt.Errorf("%s: key %s: count %d (expected %d)", f.Name, key, count, counts[key])
			}
		}
	}
	for l, n := range left {
		if n > 0 {
			return missing("%q came out %d times (expected %d)", l, braided-n, braided)
		}
	}
	return nil
}
