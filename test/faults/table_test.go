//go:build faults

package faults

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// rows are those of the table of faults, in their order; what is not here with real processes says why.
var rows = []struct{ row, what, elsewhere string }{
	{"1", "kill -9 of a TaskManager, each of the 17 phases", ""},
	{"2", "kill -9 of the JobManager", ""},
	{"2b", "a standby JobManager takes over", "later: needs a standby JobManager"},
	{"3", "kill -9 of every process", ""},
	{"4", "crash loop while restoring", ""},
	{"5", "symmetric partition", ""},
	{"6", "one-way and partial partition", ""},
	{"7", "slow link", ""},
	{"8", "loss, reorder, duplicate", ""},
	{"9", "corruption, garbage, replay", ""},
	{"10", "zombie: SIGSTOP past the lease", ""},
	{"11", "two JobManagers that believe they lead", "later: needs a standby JobManager"},
	{"12", "control requests lost, repeated, executed but timed out", ""},
	{"13", "clocks", ""},
	{"14", "full disk", ""},
	{"15", "EIO; fsync fails once", ""},
	{"16", "power cut", ""},
	{"17", "torn write", ""},
	{"18", "bit rot, truncation, swapped content", ""},
	{"19", "checkpoint file missing", ""},
	{"20", "slow disk", ""},
	{"21", "poison records", ""},
}

// leastRandom is the share of all runs, in percent, in which a process must be killed at a random time: else only the places
// are tested that somebody has thought of.
const leastRandom = 30

// conclude prints the table of verdicts, and says whether it is what was to be shown: of a run of all rows, that none was left
// out by itself and enough processes were killed at random times.
func conclude(to io.Writer, all bool) bool {
	fmt.Fprintln(to)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ROW\tFAULT\tRUNS\tVERDICT")
	random, whole := 0, true
	for _, r := range rows {
		runs, broken := 0, 0
		for _, v := range verdicts {
			if v.row == r.row {
				runs++
				if !v.held {
					broken++
				}
			}
		}
		word := "held"
		switch {
		case r.elsewhere != "":
			word = r.elsewhere
		case broken > 0:
			word = fmt.Sprintf("BROKEN in %d", broken)
		case runs == 0:
			word, whole = "not run", false
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", r.row, r.what, runs, word)
	}
	w.Flush()
	for _, v := range verdicts {
		if v.random {
			random++
		}
	}
	n := len(verdicts)
	if n > 0 {
		fmt.Fprintf(to, "%d runs, %d broken, %d (%d %%) with a process killed at a random time\n", n,
			len(slices.DeleteFunc(slices.Clone(verdicts), func(v verdict) bool { return v.held })), random, 100*random/n)
	}
	if !all {
		return true
	}
	enough := 100*random >= leastRandom*n
	if !whole {
		fmt.Fprintln(to, "a row was not run: nothing was tested there")
	}
	if !enough {
		fmt.Fprintf(to, "too few runs with a process killed at a random time (expected >= %d %%)\n", leastRandom)
	}
	return whole && enough
}
