package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Edges copies a file that is cut into splits of 1 MiB, when two subtasks read it, at all the places where that can go wrong.
var Edges = &Workload{
	Name: "edges", Guest: "passthrough", Outputs: []string{""}, Ragged: true,
	Make:  func(seed uint64, records int) Input { return Input{"input": {makeEdges(seed, records)}} },
	Check: checkEdges,
}

// makeEdges makes about so many lines. Each begins with its number, but for some that are empty.
func makeEdges(seed uint64, records int) (lines []string) {
	const split = 1 << 20
	r := rand.New(rand.NewPCG(seed, 23))
	offset := 0
	add := func(length int, end string) { // of a line, its end included
		text := fmt.Sprintf("%d:", len(lines))
		if length <= len(text)+len(end) {
			text, length = "", len(end)
		}
		text += strings.Repeat(string(rune('a'+len(lines)%26)), length-len(text)-len(end))
		lines = append(lines, text+strings.TrimSuffix(end, "\n"))
		offset += length
	}
	fill := func(to int, end string) { // lines up to that offset, the last one with this end
		for most := 2 * 6 * split / records; to-offset > most+64; {
			switch n := r.IntN(10); n {
			case 0:
				add(0, "\n")
			case 1:
				add(0, "\r\n")
			default:
				add(40+r.IntN(most), []string{"\n", "\r\n"}[n%2])
			}
		}
		add(to-offset, end)
	}
	fill(split, "\n")                // a line begins with the second split
	fill(2*split-1, "\n")            // the edge cuts a line behind its first byte
	fill(3*split+1, "\r\n")          // and one between \r and \n
	add(2*split+r.IntN(split), "\n") // a line that has a split for itself
	fill(offset+split, "\r\n")
	add(300<<10, "\n") // longer than what is read at a time
	fill(offset+split/2, "\n")
	return lines
}

func checkEdges(in Input, out map[string][]File) error {
	left := map[string]int{}
	for _, l := range in["input"][0] {
		left[strings.TrimSuffix(l, "\r")]++
	}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			if left[l] == 0 {
				return fmt.Errorf("%s: %d bytes that begin with %.20q came out, or came out again", f.Name, len(l), l)
			}
			left[l]--
		}
	}
	for l, n := range left {
		if n > 0 {
			return missing("%d bytes that begin with %.20q did not come out %d times", len(l), l, n)
		}
	}
	return nil
}
