package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// HashChain folds the records of each key into one number, in their order, in value, list and map state.
var HashChain = &Workload{
	Name: "hashchain", Guest: "hashchain", Params: map[string]string{"states": "all"}, Outputs: []string{""}, Timeless: true,
	Make:  func(seed uint64, records int) Input { return makeChains(seed, records, 8) },
	Check: checkChains,
}

// WideChain is a hash chain of so many keys that their state does not fit into a small budget of memory.
var WideChain = WideChains(20_000)

// WideChains is a hash chain of three times so many keys, in value state.
func WideChains(keys int) *Workload {
	return &Workload{
		Name: "wide chain", Guest: "hashchain", Params: map[string]string{"states": "value"}, Outputs: []string{""}, Timeless: true,
		Make:  func(seed uint64, records int) Input { return makeChains(seed, records, keys) },
		Check: checkChains,
	}
}

// makeChains makes three files, each of so many keys of its own: one reader at a time has a file, and so the order of a key.
func makeChains(seed uint64, records, keys int) Input {
	r := rand.New(rand.NewPCG(seed, 11))
	files := make([][]string, 3)
	for i := range records {
		f := i % len(files)
		files[f] = append(files[f], fmt.Sprintf("k%d-%d,%d", f, r.IntN(keys), r.IntN(1_000_000)))
	}
	return Input{"input": files}
}

func chain(h uint64, seq int64) uint64 {
	x := (h ^ uint64(seq)) * 0x9e3779b97f4a7c15
	return x ^ x>>32
}

func checkChains(in Input, out map[string][]File) error {
	want := map[string][]uint64{} // h by key and n-1
	for _, lines := range in["input"] {
		for _, l := range lines {
			key, text, _ := strings.Cut(l, ",")
			seq, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return err
			}
			h := uint64(0)
			if n := len(want[key]); n > 0 {
				h = want[key][n-1]
			}
			want[key] = append(want[key], chain(h, seq))
		}
	}
	seen := map[string]int{}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			var key, rest string
			key, rest, _ = strings.Cut(l, ",")
			var n int
			var h uint64
			if _, err := fmt.Sscanf(rest, "%d,%x", &n, &h); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if n != seen[key]+1 {
				return fmt.Errorf("%s: key %s: record %d behind %d", f.Name, key, n, seen[key])
			}
			if n > len(want[key]) || want[key][n-1] != h {
				return fmt.Errorf("%s: key %s: chain %x at record %d of %d is not what its records make", f.Name, key, h, n, len(want[key]))
			}
			seen[key] = n
		}
	}
	for key, hs := range want {
		if seen[key] != len(hs) {
			return missing("key %s: %d of %d records came out", key, seen[key], len(hs))
		}
	}
	return nil
}
