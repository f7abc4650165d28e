//go:build faults

package faults

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// isPrefix holds the output of a job that was refused to go on against its input: what there is of it is right, and there
// once. Lines are KEY,N,...: the records of a key have no gap.
func (x *run) isPrefix(what string) {
	x.t.Helper()
	files, err := workload.Read(filepath.Join(x.path("job"), "output", x.workload.Outputs[0]), false, string(x.job))
	if err == nil {
		switch x.workload.Name {
		case workload.WideChain.Name:
			err = chainsBegin(x.workload, x.input, files)
		case workload.Ledger.Name:
			err = ledgerBegins(x.input, files)
		default:
			err = fmt.Errorf("nobody knows how the output of %s begins", x.workload.Name)
		}
	}
	if err != nil {
		x.t.Errorf("%s: the output of the job that was refused: %v", what, err)
	}
}

// chainsBegin checks against so many records of each key as there are.
func chainsBegin(w *workload.Workload, in workload.Input, out []workload.File) error {
	shown := map[string]int{}
	for _, f := range out {
		for _, l := range f.Lines {
			key, _, _ := strings.Cut(l, ",")
			shown[key]++
		}
	}
	cut := workload.Input{}
	for name, files := range in {
		for _, lines := range files {
			var some []string
			for _, l := range lines {
				if key, _, _ := strings.Cut(l, ","); shown[key] > 0 {
					shown[key]--
					some = append(some, l)
				}
			}
			cut[name] = append(cut[name], some)
		}
	}
	return w.Check(cut, map[string][]workload.File{w.Outputs[0]: out})
}

// ledgerBegins checks that each account books what is in the input, each once, and adds it up.
func ledgerBegins(in workload.Input, out []workload.File) error {
	left := map[string]int{} // by account and delta
	for _, lines := range in["input"] {
		for _, l := range lines {
			f := strings.Split(l, ",")
			left[f[0]+",-"+f[2]]++
			left[f[1]+","+f[2]]++
		}
	}
	next, balance := map[string]int{}, map[string]int{}
	for _, f := range out {
		for _, l := range f.Lines {
			var seq, delta, after int
			account, rest, _ := strings.Cut(l, ",")
			if _, err := fmt.Sscanf(rest, "%d,%d,%d", &seq, &delta, &after); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			next[account]++
			balance[account] += delta
			booked := fmt.Sprintf("%s,%d", account, delta)
			left[booked]--
			if seq != next[account] || after != balance[account] || left[booked] < 0 {
				return fmt.Errorf("%s: line %q (expected record %d, and a balance of %d)", f.Name, l, next[account], balance[account])
			}
		}
	}
	return nil
}
