package workload

import (
	"fmt"
	"math/rand/v2"
)

// What sweeps are of: numbers added up by key, which are swept out whenever a line is broadcast, kept until then as a sum, a list or a
// map. When that is, is left open: what comes out of a key adds up to what went in.
var (
	Sweep      = sweeps("sum")
	SweptLists = sweeps("list")
	SweptMaps  = sweeps("map")
)

func sweeps(keep string) *Workload {
	return &Workload{Name: "sweep of a " + keep, Guest: "sweep", Outputs: []string{""}, Params: map[string]string{"keep": keep}, Make: makeSweeps, Check: checkSwept}
}

func makeSweeps(seed uint64, records int) Input {
	r := rand.New(rand.NewPCG(seed, 73))
	in := Input{"input": {nil, nil}, "sweeps": {nil}}
	for i := range records {
		in["input"][i%2] = append(in["input"][i%2], fmt.Sprintf("k%d,%d", r.IntN(1+records/10), 1+r.IntN(1000)))
	}
	for i := range 1 + records/200 {
		in["sweeps"][0] = append(in["sweeps"][0], fmt.Sprint("sweep ", i))
	}
	return in
}

func checkSwept(in Input, out map[string][]File) error {
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
}
