package workload

import (
	"fmt"
	"regexp"
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
		return missing("%d lines did not come out, such as %s", len(left), l)
	}
	return nil
}

// PoisonKeys cannot find the key of every seventh line.
var PoisonKeys = &Workload{
	Name: "poison keys", Guest: "poison", Outputs: []string{"good", "letters"},
	Params: map[string]string{"every": "7", "on": "key", "ontrap": "deadLetter"}, Make: Poison.Make,
	Check: func(in Input, out map[string][]File) error {
		taken, poisoned := map[string]int{}, map[string]int{}
		for _, l := range in["input"][0] {
			if _, n := keyAndNumber(l); n%7 == 0 {
				poisoned["record\t\t"+l]++
			} else {
				taken[l]++
			}
		}
		return worst(sameLines("good", taken, linesOf(out["good"]), itself),
			sameLines("letters", poisoned, linesOf(out["letters"]), func(l string) string {
				p := strings.Split(l, "\t")
				return p[0] + "\t" + p[1] + "\t" + p[len(p)-1]
			}))
	},
}

// PoisonTimers cannot fire the timer of every seventh line.
var PoisonTimers = &Workload{
	Name: "poison timers", Guest: "poison", Outputs: []string{"good", "letters"},
	Params: map[string]string{"every": "7", "on": "timer", "ontrap": "deadLetter"}, Make: Poison.Make,
	Check: func(in Input, out map[string][]File) error {
		fired, poisoned := map[string]int{}, map[string]int{}
		for _, l := range in["input"][0] {
			key, n := keyAndNumber(l)
			if n%7 == 0 {
				poisoned[fmt.Sprintf("timer\t%s\tfor %d of key", key, n)]++
			} else {
				fired[l]++
			}
		}
		return worst(sameLines("good", fired, linesOf(out["good"]), itself), sameLines("letters", poisoned, linesOf(out["letters"]), letter))
	},
}

// PoisonResults cannot make a result of a sum that is a multiple of seven.
var PoisonResults = &Workload{
	Name: "poison results", Guest: "poison", Outputs: []string{"good", "letters"},
	Params: map[string]string{"every": "7", "on": "result", "ontrap": "deadLetter"}, Make: Poison.Make,
	Check: func(in Input, out map[string][]File) error {
		type window struct {
			key   string
			start int
		}
		sums := map[window]int{}
		for _, l := range in["input"][0] {
			key, n := keyAndNumber(l)
			sums[window{key, n - n%10}] += n
		}
		made, poisoned := map[string]int{}, map[string]int{}
		for w, sum := range sums {
			if sum%7 == 0 {
				poisoned[fmt.Sprintf("result\t%s\tfrom %d to %d of key", w.key, w.start, w.start+10)]++
			} else {
				made[fmt.Sprintf("%d\t%s\t%d", w.start, w.key, sum)]++
			}
		}
		return worst(sameLines("good", made, linesOf(out["good"]), itself), sameLines("letters", poisoned, linesOf(out["letters"]), letter))
	},
}

func keyAndNumber(line string) (key string, n int) {
	key, number, _ := strings.Cut(line, ",")
	fmt.Sscan(number, &n)
	return key, n
}

var whichUnit = regexp.MustCompile(`(for \d+|from \d+ to \d+) of key`)

// letter is what tells a dead letter from others: its unit, key, and which timer or result it was.
func letter(line string) string {
	p := strings.Split(line, "\t")
	if len(p) != 4 || p[1] != p[3] {
		return line
	}
	return p[0] + "\t" + p[1] + "\t" + whichUnit.FindString(p[2])
}
