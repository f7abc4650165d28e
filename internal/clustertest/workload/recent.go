package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Recent counts the lines of each key in a state that ends a second of event time after the last of them. What was in flight when a
// checkpoint was taken that a job goes on from comes before any watermark does, and is more than a second's lines.
var Recent = Recents(2500)

const (
	recentLife = 1000 // milliseconds that the state lives
	recentStep = 20   // between two lines
	recentKeys = 20   // at a time, each again before its state ends
)

// Recents is Recent where the watermark is at most so many milliseconds behind the lines: none comes when it is a matter of the
// watermark whether the state has ended. Keys come for twice as long, and then others.
func Recents(lag int) *Workload {
	return &Workload{
		Name: "recent", Guest: "recent", Outputs: []string{""},
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 47))
			last, lines, round := map[string]int{}, []string{}, []int(nil)
			for i := range records {
				if i%recentKeys == 0 {
					round = r.Perm(recentKeys)
				}
				time := recentStep * i
				key := fmt.Sprintf("k%d", time/(2*lag)%2*recentKeys+round[i%recentKeys])
				if before, any := last[key]; any && time-before > recentLife && time-before <= recentLife+lag {
					key = fmt.Sprintf("once%d", i)
				}
				last[key] = time
				lines = append(lines, fmt.Sprintf("%d,%s", time, key))
			}
			return Input{"input": {lines}}
		},
		Check: checkRecent,
	}
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
