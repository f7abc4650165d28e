// Command bench measures Wasmill on this machine and prints a table: each stage that a record passes through, a state that
// does not fit in memory, the word count from end to end beside a plain Go program over the same text, what pre-aggregation gains
// between two processes, operators beside plain Go, how fast a cluster starts, what checkpoints cost, how long a rescaling, an
// exchange of a module and a recovery take, how fast Nexmark's events are made and its queries answered in plain Go, and by jobs.
// Given names of parts it measures only these, and of wordcount, operators and nexmark-jobs also single entries: operators/session,
// nexmark-jobs/q20. It fails where a result is wrong: a figure for wrong work is worth nothing.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "plain" {
		exitOn(plain(os.Args[2]))
		return
	}
	dir, err := os.MkdirTemp("", "wasmill-bench")
	exitOn(err)
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	exitOn(known(os.Args[1:]))
	for _, part := range parts {
		if !chosen(part.name, "") {
			continue
		}
		begun := time.Now()
		if err := part.run(w, dir); err != nil {
			w.Flush()
			os.RemoveAll(dir)
			exitOn(err)
		}
		fmt.Fprintf(w, "(%s took %.0f s)\n\n", part.name, time.Since(begun).Seconds())
		w.Flush()
	}
}

type part struct {
	name string
	run  func(*tabwriter.Writer, string) error
}

var parts = []part{
	{"stages", stages}, {"state", largeState}, {"wordcount", wordCount}, {"preaggregate", preAggregation}, {"operators", operators},
	{"operations", operations}, {"checkpoints", checkpointing}, {"rescale", redeployments}, {"upgrade", upgrades},
	{"recovery", recovery}, {"nexmark", nexmarkQueries}, {"nexmark-jobs", nexmarkJobs},
}

// known checks the names that the command was given.
func known(names []string) error {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	for _, name := range names {
		of, _, _ := strings.Cut(name, "/")
		if !slices.Contains(all, of) {
			return fmt.Errorf("%q is no part (expected one of %s)", name, strings.Join(all, ", "))
		}
	}
	return nil
}

// chosen says whether an entry of a part is measured; with an empty entry, whether any is.
func chosen(part, entry string) bool {
	return len(os.Args) == 1 || slices.ContainsFunc(os.Args[1:], func(name string) bool {
		of, only, _ := strings.Cut(name, "/")
		return of == part && (entry == "" || only == "" || only == entry)
	})
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child runs a command and says how long it took on the clock and on the processors.
func child(stdout *bytes.Buffer, name string, args ...string) (wall, cpu time.Duration, stderr string, err error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	if stdout != nil {
		*stdout = out
	}
	return time.Since(begun), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), errs.String(), nil
}

// runs of each measurement; the median counts.
const runs = 3

func median(d []time.Duration) time.Duration {
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[len(d)/2]
}

// sameResult compares the lines of the part files in dir with those of the plain program.
func sameResult(dir string, want []byte) error {
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		return err
	}
	var lines []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		lines = append(lines, strings.SplitAfter(strings.TrimSuffix(string(data), "\n"), "\n")...)
	}
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\n")
	}
	sort.Strings(lines)
	wanted := strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")
	sort.Strings(wanted)
	if len(lines) != len(wanted) {
		return fmt.Errorf("%d rows (the plain program has %d)", len(lines), len(wanted))
	}
	for i := range lines {
		if lines[i] != wanted[i] {
			return fmt.Errorf("row %q (the plain program has %q)", lines[i], wanted[i])
		}
	}
	return nil
}
