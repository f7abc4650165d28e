// Package workload has the jobs that faults are tried on: each makes its own input from a seed, and tells from the output
// whether a record was lost, counted twice, or overtaken by another of its key. It knows lines of text and nothing of
// clusters.
package workload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Input is the lines of the input files, by the parameter that names them (a glob, when there are several).
type Input map[string][][]string

// Workload is one job with its input and what its output must be.
type Workload struct {
	Name     string
	Guest    string            // module in test/guests, without .wasm
	Params   map[string]string // besides inputs and output
	Outputs  []string          // folders below the output directory; "" is that itself
	Late     []string          // those of lines that came too late; no other has any
	Deep     bool              // they have folders of their own
	Ragged   bool              // the last line of an input file has no end
	Make     func(seed uint64, records int) Input
	Timeless bool // the end of time may come before that of the input: nothing waits for it
	Endless  bool // the input does not end
	// Check holds the committed files of each output, in the order of their commits, against the input. If all that came out
	// is right, and there is to be more, it answers errMissing.
	Check func(in Input, out map[string][]File) error
}

// File is one committed output file: its lines in their order.
type File struct {
	Name  string // in its output, with slashes
	Lines []string
}

// All are the workloads that every fault is tried on.
var All = []*Workload{
	Ledger, HashChain, Windows, Enrich, Poison, Copy, Braid, Sliding, Sessions, Nearby, NearbyPairs, Together, TogetherPairs, Rules, Asking,
	AskingInOrder, Framed, FramedSessions, Folds, Roster, Drift, UnendingDrift, Unending, Overlapping, Idle, Rows, Partitions, FirstOfKey,
	FirstOfAll, Distinct, Unequal, Moved, Versioned, PoisonKeys, PoisonTimers, PoisonResults, Recent, SortedLines,
	Mapped, SortedRows, Crowded, Reduced, Aggregated, SortedKeys, Sweep, SweptLists, SweptMaps, FramedAll,
}

// Prepare writes the input files below dir and answers the job's parameters.
func (w *Workload) Prepare(dir string, seed uint64, records int) (params map[string]string, in Input, err error) {
	in = w.Make(seed, records)
	params = map[string]string{"output": filepath.Join(dir, "output")}
	for k, v := range w.Params {
		params[k] = v
	}
	for name, files := range in {
		for i, lines := range files {
			path := filepath.Join(dir, fmt.Sprintf("%s-%d.txt", name, i))
			text := strings.Join(lines, "\n")
			if !w.Ragged {
				text += "\n"
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				return nil, nil, err
			}
		}
		params[name] = filepath.Join(dir, name+"-*.txt")
	}
	return params, in, nil
}

// Verify reads the outputs below dir and checks them. Jobs are those that have written them, each of which has gone on from a
// savepoint of the one before; one need not be named.
func (w *Workload) Verify(dir string, in Input, jobs ...string) error {
	return w.verify(dir, in, Read, jobs)
}

// VerifyBeginning is Verify for a job that has come to an early end: what it has committed may lack all that would have come
// later, and nothing else, and what it has prepared may lie there.
func (w *Workload) VerifyBeginning(dir string, in Input, jobs ...string) error {
	err := w.verify(dir, in, readBeginning, jobs)
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

func (w *Workload) verify(dir string, in Input, read func(string, bool, ...string) ([]File, error), jobs []string) error {
	out := map[string][]File{}
	for _, name := range w.Outputs {
		files, err := read(filepath.Join(dir, "output", name), w.Deep, jobs...)
		if err != nil {
			return err
		}
		out[name] = files
	}
	return w.Check(in, out)
}

// LateLines is how many lines below dir were told of as late.
func (w *Workload) LateLines(dir string) (n int) {
	for _, name := range w.Late {
		files, err := read(filepath.Join(dir, "output", name), w.Deep, func(string) error { return nil }, nil)
		if err == nil { // or there is no output
			n += len(linesOf(files))
		}
	}
	return n
}

// Read reads the committed files of an output directory, and of those below if it is deep, in the order of job, checkpoint,
// subtask and number. A hidden file is output that was neither committed nor removed.
func Read(dir string, deep bool, jobs ...string) ([]File, error) {
	return read(dir, deep, func(name string) error { return fmt.Errorf("%s: %s was left behind", dir, name) }, jobs)
}

// readBeginning is Read where hidden files are as they must be, and there may be no output yet.
func readBeginning(dir string, deep bool, jobs ...string) ([]File, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return read(dir, deep, func(string) error { return nil }, jobs)
}

func read(dir string, deep bool, hidden func(name string) error, jobs []string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path) // it is below dir
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != dir && !deep:
			return filepath.SkipDir
		case e.IsDir():
			return nil
		case strings.HasPrefix(e.Name(), "."):
			return hidden(name)
		}
		data, err := os.ReadFile(path)
		files = append(files, File{filepath.ToSlash(name), strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")})
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return slices.Compare(order(a.Name, jobs), order(b.Name, jobs)) })
	return files, nil
}

// order is the numbers of a name part-JOB-CHECKPOINT-SUBTASK-N, behind that of the job.
func order(name string, jobs []string) []int {
	parts := strings.Split(name, "-")
	numbers := []int{slices.Index(jobs, parts[max(0, len(parts)-4)])}
	for _, p := range parts[max(0, len(parts)-3):] {
		n := 0
		fmt.Sscan(p, &n)
		numbers = append(numbers, n)
	}
	return numbers
}

// linesOf are those of all files.
func linesOf(files []File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Lines...)
	}
	return all
}
