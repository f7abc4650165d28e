package workload

import (
	"fmt"
	"slices"
)

// Drift reads files of which one is far ahead of the others in event time, and waits for them; UnendingDrift the same where no
// file ends, and none waits for ever.
var (
	Drift         = drift("drift", false)
	UnendingDrift = drift("unending drift", true)
)

func drift(name string, endless bool) *Workload {
	return &Workload{
		Name: name, Guest: "drift", Params: map[string]string{"drift": "50", "idle": "700"}, Outputs: []string{""}, Endless: endless,
		Make: func(_ uint64, records int) Input {
			slow, fast := make([][]string, 2), make([][]string, 2)
			for i := range records / 2 {
				slow[i%2] = append(slow[i%2], fmt.Sprintf("s,%d", i))
				fast[i%2] = append(fast[i%2], fmt.Sprintf("f,%d", 10*i))
			}
			return Input{"slow": slow, "fast": fast}
		},
		Check: func(in Input, out map[string][]File) error {
			left := map[string]int{}
			for _, files := range in {
				for _, l := range slices.Concat(files...) {
					left[l]++
				}
			}
			for _, l := range linesOf(out[""]) {
				if left[l]--; left[l] < 0 {
					return fmt.Errorf("%q came out again, or never went in", l)
				}
			}
			for l, n := range left {
				if n > 0 {
					return missing("%q did not come out", l)
				}
			}
			return nil
		},
	}
}
