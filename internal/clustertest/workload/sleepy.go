package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Sleepy keeps a value of so many bytes for each of so many keys, and counts what each is named. In each of
// its files all keys come before any comes again.
func Sleepy(keys, bytes int) *Workload {
	return &Workload{
		Name: "sleepy state", Guest: "sleepy-state", Params: map[string]string{"bytes": strconv.Itoa(bytes)}, Outputs: []string{""}, Timeless: true,
		Make: func(seed uint64, records int) Input {
			r := rand.New(rand.NewPCG(seed, 13))
			files := make([][]string, 2)
			for f := range files {
				order := r.Perm(keys)
				for i := range records / len(files) {
					files[f] = append(files[f], fmt.Sprintf("k%06d", order[i%keys])) // of one length: a part of the bytes is that of the lines
				}
			}
			return Input{"input": files}
		},
		Check: checkCounts,
	}
}

// checkCounts wants KEY,N for every N up to how often the key came, in that order.
func checkCounts(in Input, out map[string][]File) error {
	want, seen := map[string]int{}, map[string]int{}
	for _, lines := range in["input"] {
		for _, key := range lines {
			want[key]++
		}
	}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			key, text, _ := strings.Cut(l, ",")
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if n != seen[key]+1 || n > want[key] {
				return fmt.Errorf("%s: key %s: count %d behind %d (it came %d times)", f.Name, key, n, seen[key], want[key])
			}
			seen[key] = n
		}
	}
	for key, n := range want {
		if seen[key] != n {
			return missing("key %s: %d of %d counts came out", key, seen[key], n)
		}
	}
	return nil
}
