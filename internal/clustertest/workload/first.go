package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The first lines of each key or of all, and those that differ, with two keys for three lines: all lines of a key lie in one file,
// so which of them come first is known, as long as a file is one split (1 MiB). Every tenth line stands in another file again.
var (
	FirstOfKey = firsts("key", 3)
	FirstOfAll = firsts("all", 50)
	Distinct   = firsts("distinct", 1)
	Unequal    = firsts("value", 1)
)

func firsts(of string, n int) *Workload {
	return &Workload{
		Name: "first of " + of, Guest: "first", Outputs: []string{""}, Params: map[string]string{"of": of, "n": fmt.Sprint(n)},
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 61))
			files := make([][]string, 3)
			for i := range records {
				key := r.IntN(1 + records*2/3)
				line := fmt.Sprintf("k%d,%d", key, i)
				files[key%3] = append(files[key%3], line)
				if of == "value" && i%10 == 0 {
					files[r.IntN(3)] = append(files[r.IntN(3)], line)
				}
			}
			return Input{"input": files}
		},
		Check: func(in Input, out map[string][]File) error { return checkFirsts(in["input"], linesOf(out[""]), of, n) },
	}
}

func checkFirsts(in [][]string, out []string, of string, n int) error {
	want, total := map[string]int{}, 0 // which lines may come out, how often; how many have to
	seen := map[string]int{}
	for _, file := range in {
		for _, l := range file {
			key, _, _ := strings.Cut(l, ",")
			switch of {
			case "value":
				key = l
			case "all":
				key = ""
			}
			if seen[key]++; of == "all" || seen[key] <= n {
				want[l]++
			}
			if seen[key] <= n {
				total++
			}
		}
	}
	for _, l := range out {
		if want[l]--; want[l] < 0 {
			return fmt.Errorf("%q came out, which is not among the first, or came out again", l)
		}
	}
	switch came := len(out); {
	case came > total:
		return fmt.Errorf("%d lines came out (expected %d)", came, total)
	case came < total:
		return missing("%d lines came out (expected %d)", came, total)
	}
	return nil
}
