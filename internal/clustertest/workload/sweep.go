package workload

import (
	"fmt"
	"math/rand/v2"
)

// Sweep adds up numbers by key, and sweeps out all sums whenever a line is broadcast. When that is, is left open: what comes out of a
// key adds up to what went in.
var Sweep = &Workload{
	Name: "sweep", Guest: "sweep", Outputs: []string{""},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 73))
		in := Input{"input": {nil, nil}, "sweeps": {nil}}
		for i := range records {
			in["input"][i%2] = append(in["input"][i%2], fmt.Sprintf("k%d,%d", r.IntN(1+records/10), 1+r.IntN(1000)))
		}
		for i := range 1 + records/200 {
			in["sweeps"][0] = append(in["sweeps"][0], fmt.Sprint("sweep ", i))
		}
		return in
	},
	Check: func(in Input, out map[string][]File) error {
		left := map[string]int64{}
		add := func(line string, sign int64) error {
			var key, n int64
			if _, err := fmt.Sscanf(line, "k%d,%d", &key, &n); err != nil {
				return fmt.Errorf("line %q: %w", line, err)
			}
			left[fmt.Sprint("k", key)] += sign * n
			return nil
		}
		for _, file := range in["input"] {
			for _, l := range file {
				if err := add(l, 1); err != nil {
					return err
				}
			}
		}
		for _, l := range linesOf(out[""]) {
			if err := add(l, -1); err != nil {
				return err
			}
		}
		lacks := ""
		for key, n := range left {
			if n < 0 {
				return fmt.Errorf("%d too much came out of %s", -n, key)
			}
			if n > 0 {
				lacks = key
			}
		}
		if lacks != "" {
			return missing("%d did not come out of %s", left[lacks], lacks)
		}
		return nil
	},
}
