package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Moved counts in states whose form changes when the job is given the modules moved-2 and moved-3. Some keys are named only
// at the beginning and at the end, so that versions mix.
var Moved = &Workload{
	Name: "moved", Guest: "moved", Outputs: []string{""}, Timeless: true,
	Make: func(seed uint64, records int) Input {
		files := make([][]string, 2)
		for i, l := range MovedLines(records, 30, records/5+1) {
			files[(uint64(i)+seed)%2] = append(files[(uint64(i)+seed)%2], l)
		}
		return Input{"input": files}
	},
	Check: checkMoved,
}

// MovedLines are those that the guest makes, when it is not given any.
func MovedLines(count, keys, phase int) []string {
	mix := func(x uint64) uint64 {
		x += 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	lines := make([]string, count)
	for n := range lines {
		key := mix(uint64(n)) % uint64(keys)
		switch at := n / phase; {
		case at == 1 && key%3 == 0:
			key++
		case at == 2 || at == 3:
			key = key/3*3 + 2
		}
		lines[n] = fmt.Sprintf("k%d,%d", key, n)
	}
	return lines
}

func checkMoved(in Input, out map[string][]File) error {
	want := map[string][]int64{} // by key, in no order
	for _, lines := range in["input"] {
		for _, l := range lines {
			key, text, _ := strings.Cut(l, ",")
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return err
			}
			want[key] = append(want[key], n)
		}
	}
	type counts struct {
		all                []int64
		seq, total, listed int64
		kinds              [4]int64
	}
	got := map[string]*counts{}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			key, rest, _ := strings.Cut(l, ",")
			var n, seq, total, listed, kinds int64
			if _, err := fmt.Sscanf(rest, "%d,%d,%d,%d,%d", &n, &seq, &total, &listed, &kinds); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			c := got[key]
			if c == nil {
				c = &counts{}
				got[key] = c
			}
			c.all = append(c.all, n)
			c.seq++
			c.total += n
			if n%3 == 0 {
				c.listed += n
			}
			c.kinds[n%4]++
			if seq != c.seq || total != c.total || listed != c.listed || kinds != c.kinds[n%4] {
				return fmt.Errorf("%s: line %q (expected %s,%d,%d,%d,%d,%d)", f.Name, l, key, n, c.seq, c.total, c.listed, c.kinds[n%4])
			}
		}
	}
	var wrong error
	for key, all := range want {
		var came []int64
		if c := got[key]; c != nil {
			came = c.all
		}
		wrong = worst(wrong, sameNumbers("key "+key, all, came))
	}
	return wrong
}
