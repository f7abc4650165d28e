package workload

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Values of lines that are always in time add up to less than 1<<plainBits in a window. A line that may come late, a straggler, has a
// value with one in a digit above: so a sum says which of them are in it, and how often.
const (
	plainBits = 20
	digitBits = 4
	digits    = 10
)

// stragglers are made so that no two of a key which may meet in a window have one digit.
type stragglers struct {
	reach int64 // lines that are further apart share no window
	made  map[string][]straggler
}

type straggler struct {
	time  int64
	digit int
}

// mark is what a straggler's value has of its own; there is none if too many are near it.
func (s *stragglers) mark(key string, time int64) (mark int64, ok bool) {
	taken := [digits]bool{}
	for _, m := range s.made[key] {
		if m.time-time < s.reach && time-m.time < s.reach {
			taken[m.digit] = true
		}
	}
	for d := range taken {
		if !taken[d] {
			if s.made == nil {
				s.made = map[string][]straggler{}
			}
			s.made[key] = append(s.made[key], straggler{time, d})
			return 1 << (plainBits + digitBits*d), true
		}
	}
	return 0, false
}

// behind makes one line in eight a straggler, once there is something to be behind of: up to most milliseconds more than lines may be.
func (s *stragglers) behind(r *rand.Rand, key string, time, value int64, least, most int) (int64, int64) {
	if time < int64(least+most) || r.IntN(8) > 0 {
		return time, value
	}
	late := time - int64(least+r.IntN(most))
	if mark, ok := s.mark(key, late); ok {
		return late, mark + value
	}
	return time, value
}

// digitOf is that of a straggler's value; -1: the line is always in time.
func digitOf(value int64) int {
	if value>>plainBits == 0 {
		return -1
	}
	return bits.TrailingZeros64(uint64(value)>>plainBits) / digitBits
}

// digitIn is how often a straggler of that digit is in a sum.
func digitIn(sum int64, digit int) int64 {
	return sum >> (plainBits + digitBits*digit) & (1<<digitBits - 1)
}

// plain is a sum without what tells stragglers.
func plain(sum int64) int64 { return sum & (1<<plainBits - 1) }

// timed is a line as a window has it.
type timed struct {
	text, key   string
	time, value int64
	side        int // input
	late        bool
}

// timedOf are the lines of an input, those that were late marked, which must be stragglers, and each told of once.
func timedOf(side int, files [][]string, late []string) (lines []timed, err error) {
	told := map[string]int{}
	for _, l := range late {
		if l != "" { // of a file without lines
			told[l]++
		}
	}
	for _, file := range files {
		for _, l := range file {
			line := timed{text: l, side: side}
			if line.key, line.time, line.value, err = windowLine(l); err != nil {
				return nil, err
			}
			if told[l] > 0 {
				if digitOf(line.value) < 0 {
					return nil, fmt.Errorf("late: %q was in time", l)
				}
				told[l]--
				line.late = true
			}
			lines = append(lines, line)
		}
	}
	for l, n := range told {
		if n > 0 {
			return nil, fmt.Errorf("late: %q came out, which did not go in, or came out again", l)
		}
	}
	return lines, nil
}

// sums are those of the lines of a key in a window, by input.
type sums [2]int64

// checkSums holds the result of each window, of which there is one, against the lines: one in time is in all of its windows; a
// straggler is in those which had no result when it came, the youngest, or if there were none it was told of as late.
func checkSums(lines []timed, windows func(time int64) []int64, results map[windowed]sums) (wrong error) {
	want := map[windowed]sums{}
	for _, l := range lines {
		if digitOf(l.value) >= 0 {
			wrong = worst(wrong, l.placed(windows(l.time), results))
			continue
		}
		for _, start := range windows(l.time) {
			s := want[windowed{start, l.key}]
			s[l.side] += l.value
			want[windowed{start, l.key}] = s
		}
	}
	for w, s := range results {
		if s != want[w] { // what was placed is gone from it
			wrong = worst(wrong, fmt.Errorf("results: window %d of %s: %x (expected %x besides stragglers)", w.start, w.key, s, want[w]))
		}
	}
	for w, s := range want {
		if _, any := results[w]; !any {
			wrong = worst(wrong, missing("window %d of %s has no result (expected %x)", w.start, w.key, s))
		}
	}
	return wrong
}

// placed looks for a straggler in the results of its windows, the oldest first, and takes it out of them.
func (l *timed) placed(windows []int64, results map[windowed]sums) error {
	in := false
	for _, start := range windows {
		w := windowed{start, l.key}
		s, any := results[w]
		switch n := digitIn(s[l.side], digitOf(l.value)); {
		case !any:
		case n > 1 || n == 1 && l.late:
			return fmt.Errorf("results: %q is in window %d %d times, late: %v", l.text, start, n, l.late)
		case n == 0 && in:
			return fmt.Errorf("results: %q is not in window %d, and in one before", l.text, start)
		case n == 1:
			in = true
			s[l.side] -= l.value
			results[w] = s
		}
	}
	if !in && !l.late {
		return missing("%q is in no window, and was not late", l.text)
	}
	return nil
}
