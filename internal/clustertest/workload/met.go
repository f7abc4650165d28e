package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Met is a job in which all lines of two inputs meet that have one key, those of outer alone, too, done as hint says. Some keys have
// lines of one input only.
func Met(hint, outer string) *Workload {
	return &Workload{
		Name: fmt.Sprintf("met %s %s", hint, outer), Guest: "met", Outputs: []string{""}, Params: map[string]string{"hint": hint, "outer": outer},
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 71))
			in := Input{"left": {nil, nil}, "right": {nil, nil}}
			for i := range records {
				side, keys := "left", records/2
				if i%4 == 0 { // the smaller one
					side, keys = "right", records
				}
				in[side][i/4%2] = append(in[side][i/4%2], fmt.Sprintf("k%d,%s%d", r.IntN(keys), side[:1], i))
			}
			return in
		},
		Check: func(in Input, out map[string][]File) error { return checkAllMet(in, linesOf(out[""]), outer) },
	}
}

func checkAllMet(in Input, out []string, outer string) error {
	keys := map[string]*[2][]string{}
	for side, name := range []string{"left", "right"} {
		for _, file := range in[name] {
			for _, l := range file {
				key, id, _ := strings.Cut(l, ",")
				if keys[key] == nil {
					keys[key] = &[2][]string{}
				}
				keys[key][side] = append(keys[key][side], id)
			}
		}
	}
	want := map[string]int{}
	for key, lists := range keys {
		left, right := lists[0], lists[1]
		if len(right) == 0 && (outer == "left" || outer == "full") {
			right = []string{"-"}
		}
		if len(left) == 0 && (outer == "right" || outer == "full") {
			left = []string{"-"}
		}
		for _, l := range left {
			for _, r := range right {
				want[key+","+l+","+r]++
			}
		}
	}
	total := len(want)
	for _, l := range out {
		if want[l]--; want[l] < 0 {
			return fmt.Errorf("%q came out, which does not meet, or came out again", l)
		}
	}
	if len(out) < total {
		return missing("%d lines came out (expected %d)", len(out), total)
	}
	return nil
}
