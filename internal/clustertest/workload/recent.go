package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Recent counts the lines of each key in a state that ends a second of event time after the last of them. No line comes when it is
// a matter of the watermark whether the state has ended.
var Recent = &Workload{
	Name: "recent", Guest: "recent", Outputs: []string{""},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 47))
		last, lines := map[string]int{}, []string{}
		for i := range records {
			time := 20 * i
			key := fmt.Sprintf("k%d", r.IntN(40))
			for n := 0; n < 5 && !settled(last, key, time); n++ {
				key = fmt.Sprintf("k%d", r.IntN(40))
			}
			if !settled(last, key, time) {
				key = fmt.Sprintf("once%d", i)
			}
			last[key] = time
			lines = append(lines, fmt.Sprintf("%d,%s", time, key))
		}
		return Input{"input": {lines}}
	},
	Check: checkRecent,
}

// A state lives for recentLife; a watermark is less than recentLag behind the lines.
const (
	recentLife = 1000
	recentLag  = 1000
)

// settled says whether the watermark does not matter to a line of a key at that time.
func settled(last map[string]int, key string, time int) bool {
	before, any := last[key]
	return !any || time-before <= recentLife || time-before > recentLife+recentLag
}

// checkRecent wants each line once, behind those of its key, with its number among those that came before its state ended.
func checkRecent(in Input, out map[string][]File) error {
	want, count := map[string][]string{}, map[string]int{} // by key, those that have not come out
	last := map[string]int{}
	for _, l := range in["input"][0] {
		text, key, _ := strings.Cut(l, ",")
		time, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if time-last[key] > recentLife {
			count[key] = 0
		}
		count[key]++
		last[key] = time
		want[key] = append(want[key], fmt.Sprintf("%s,%d", l, count[key]))
	}
	for _, l := range linesOf(out[""]) {
		p := strings.Split(l, ",")
		if len(p) != 3 || len(want[p[1]]) == 0 || want[p[1]][0] != l {
			return fmt.Errorf("line %q (expected of its key, next: %.1q)", l, want[p[min(1, len(p)-1)]])
		}
		want[p[1]] = want[p[1]][1:]
	}
	for key, lines := range want {
		if len(lines) > 0 {
			return missing("%d lines of %s did not come out, such as %s", len(lines), key, lines[0])
		}
	}
	return nil
}
