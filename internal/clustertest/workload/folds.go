package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Folds has records folded before they are sent, by the host and by the guest: sums in sliding windows, and all values of a key
// in their order. What is held back when something breaks is neither lost nor counted twice.
var Folds = &Workload{
	Name: "folds", Guest: "folds", Outputs: []string{"results", "chains"}, Params: Sliding.Params,
	Make: func(seed uint64, records int) Input { // each key is in one of the files, which are read in turn and overlap in time
		r := rand.New(rand.NewPCG(seed, 53))
		files := make([][]string, 3)
		for i := range records {
			f := i % len(files)
			files[f] = append(files[f], fmt.Sprintf("k%d-%d,%d,%d", f, r.IntN(2), max(0, 20*i-r.IntN(windowDisorder+1)), r.IntN(1000)))
		}
		return Input{"input": files}
	},
	Check: func(in Input, out map[string][]File) error {
		var wrong error
		if err := Sliding.Check(in, out); err != nil && !errors.Is(err, errMissing) {
			return err
		} else if err != nil {
			wrong = err
		}
		if err := checkValues(in, out["chains"]); err != nil {
			return err
		}
		return wrong
	},
}

// checkValues checks that each key has all its values, in the order in which they were read.
func checkValues(in Input, files []File) error {
	chains := map[string]string{}
	for _, lines := range in["input"] {
		for _, l := range lines {
			p := strings.Split(l, ",")
			chains[p[0]] += p[2] + ";"
		}
	}
	for _, f := range files {
		for _, l := range f.Lines {
			key, chain, _ := strings.Cut(l, "\t")
			if want, any := chains[key]; !any || chain != want {
				return fmt.Errorf("%s: the values of %q are %.80q (expected %.80q, once)", f.Name, key, chain, want)
			}
			delete(chains, key)
		}
	}
	for key := range chains {
		return missing("key %q has no result", key)
	}
	return nil
}
