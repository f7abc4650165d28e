package workload

import (
	"fmt"
	"strings"
)

// Asking asks the outside about each line, which answers "of KEY/ID" in the end, as results come; AskingInOrder in the order of
// the lines, which go by key.
var (
	Asking        = asking("requests", "")
	AskingInOrder = asking("requests in order by key", "yes")
)

// AskedHost is whom these workloads ask.
const AskedHost = "outside.test:80"

func asking(name, ordered string) *Workload {
	return &Workload{
		Name: name, Guest: "asking", Outputs: []string{""},
		Params: map[string]string{
			"url": "http://" + AskedHost, "host": AskedHost, "ordered": ordered, "keyed": ordered,
			"capacity": "8", "timeout": "5000", "retries": "6", "delay": "50",
		},
		Make: func(seed uint64, records int) Input {
			var lines []string
			for i := range records {
				lines = append(lines, fmt.Sprintf("k%d,%d", (uint64(i)*7+seed)%5, i))
			}
			return Input{"input": {lines}}
		},
		Check: func(in Input, out map[string][]File) error { return CheckAsked(in["input"][0], out[""], ordered != "") },
	}
}

// CheckAsked holds lines with their answers against those that were asked about: each is there once, and in order, if it is to
// be, behind those of its key.
func CheckAsked(in []string, files []File, ordered bool) error {
	left := map[string]int{}
	for _, l := range in {
		left[askedLine(l)]++
	}
	last := map[string]int{}
	for _, l := range linesOf(files) {
		if l == "" && left[l] == 0 {
			continue // an empty file
		}
		if left[l]--; left[l] < 0 {
			return fmt.Errorf("%q came out, or came out again", l)
		}
		key, rest, _ := strings.Cut(l, ",")
		var id int
		if _, err := fmt.Sscan(strings.Split(rest, "=")[0], &id); err != nil {
			return fmt.Errorf("%q: %w", l, err)
		}
		if before, seen := last[key]; ordered && seen && id < before {
			return fmt.Errorf("%q came out behind the line %d of its key", l, before)
		}
		last[key] = id
	}
	n, such := 0, ""
	for l, k := range left {
		if k > 0 {
			n, such = n+k, l
		}
	}
	if n > 0 {
		return missing("%d lines did not come out, such as %s", n, such)
	}
	return nil
}

func askedLine(line string) string {
	if strings.HasSuffix(line, "7") {
		return line + "=self"
	}
	return line + "=of " + strings.Replace(line, ",", "/", 1)
}
