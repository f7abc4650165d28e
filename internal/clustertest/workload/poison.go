package workload

import (
	"fmt"
	"strings"
)

// Poison cannot take every seventh line: those are left out, and told of in dead letters, once each; the others count.
var Poison = &Workload{
	Name: "poison", Guest: "poison", Outputs: []string{"good", "letters"},
	Params: map[string]string{"every": "7", "on": "process", "ontrap": "deadLetter"},
	Make: func(_ uint64, records int) Input {
		var lines []string
		for i := range records {
			lines = append(lines, fmt.Sprintf("k%d,%d", i%5, i+1))
		}
		return Input{"input": {lines}}
	},
	Check: checkPoison,
}

func checkPoison(in Input, out map[string][]File) error {
	left := map[string]bool{} // lines that have not come out
	for _, l := range in["input"][0] {
		left[l] = true
	}
	poisoned := func(l string) bool {
		var n int
		_, number, _ := strings.Cut(l, ",")
		fmt.Sscan(number, &n)
		return n%7 == 0
	}
	counts := map[string]int{}
	for _, f := range out["good"] {
		for _, l := range f.Lines {
			i := strings.LastIndexByte(l, ',')
			if i < 0 {
				return fmt.Errorf("%s: line %q", f.Name, l)
			}
			line, count := l[:i], 0
			fmt.Sscan(l[i+1:], &count)
			key, _, _ := strings.Cut(line, ",")
			if poisoned(line) || !left[line] {
				return fmt.Errorf("%s: %q came out, or came out again", f.Name, line)
			}
			delete(left, line)
			if counts[key]++; counts[key] != count {
				return fmt.Errorf("%s: key %s: count %d (expected %d): what a call did that trapped was kept", f.Name, key, count, counts[key])
			}
		}
	}
	for _, l := range linesOf(out["letters"]) {
		p := strings.Split(l, "\t")
		line := p[len(p)-1]
		if len(p) < 4 || p[0] != "record" || !poisoned(line) || !left[line] {
			return fmt.Errorf("letters: %q (line %q)", l, line)
		}
		delete(left, line)
	}
	for l := range left {
		return fmt.Errorf("%d lines did not come out, such as %s", len(left), l)
	}
	return nil
}
