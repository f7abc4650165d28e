package workload

import (
	"fmt"
	"strconv"
)

// Roster holds lines in lists of an operator without key, one that is dealt out and one that every subtask begins with, until it
// hears of the end.
var Roster = &Workload{
	Name: "roster", Guest: "roster", Outputs: []string{""},
	Make: func(_ uint64, records int) Input {
		lines, calls := make([][]string, 4), []string{}
		for i := range records {
			lines[i%4] = append(lines[i%4], strconv.Itoa(i))
		}
		for range records / 2 {
			calls = append(calls, "wait")
		}
		return Input{"input": lines, "calls": {append(calls, "end")}}
	},
	Check: func(in Input, out map[string][]File) error {
		var want, got []int64
		for _, lines := range in["input"] {
			for _, l := range lines {
				n, _ := strconv.ParseInt(l, 10, 64) // it was made above
				want = append(want, n)
			}
		}
		for _, f := range out[""] {
			for _, l := range f.Lines {
				n, err := strconv.ParseInt(l, 10, 64)
				if err != nil {
					return fmt.Errorf("%s: line %q", f.Name, l)
				}
				got = append(got, n)
			}
		}
		return sameNumbers("roster", want, got)
	},
}
