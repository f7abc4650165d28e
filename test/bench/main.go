// Command bench measures Wasmill on this machine and prints a table: each stage that a record passes through, a state that
// does not fit in memory, the word count from end to end beside a plain Go program over the same text, how fast a cluster
// starts, what checkpoints cost, how long a rescaling, an exchange of a module and a recovery take, how fast Nexmark's events are
// made and its queries answered in plain Go, and by jobs. Given names of parts (stages, state, wordcount, operations, checkpoints,
// rescale, upgrade, recovery, nexmark, nexmark-jobs) it measures only these. It fails where a result is wrong: a figure for wrong work is worth nothing.
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

// repeats of Moby-Dick make the text: long enough that starting up hardly counts.
const repeats = 60

func main() {
	if len(os.Args) == 3 && os.Args[1] == "plain" {
		exitOn(plain(os.Args[2]))
		return
	}
	dir, err := os.MkdirTemp("", "wasmill-bench")
	exitOn(err)
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		name string
		run  func(*tabwriter.Writer, string) error
	}{
		{"stages", stages}, {"state", largeState}, {"wordcount", wordCount}, {"operations", operations},
		{"checkpoints", checkpointing}, {"rescale", redeployments}, {"upgrade", upgrades}, {"recovery", recovery},
		{"nexmark", nexmarkQueries}, {"nexmark-jobs", nexmarkJobs},
	} {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], part.name) {
			continue
		}
		if err := part.run(w, dir); err != nil {
			w.Flush()
			os.RemoveAll(dir)
			exitOn(err)
		}
		fmt.Fprintln(w)
		w.Flush()
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plain is what the child process runs: count, and write the result to stdout.
func plain(path string) error {
	counts, words, err := plainCount(path)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, words)
	return writeCounts(os.Stdout, counts)
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

// wordCount measures the plain program and the same work as a job, and compares their results.
func wordCount(w *tabwriter.Writer, dir string) error {
	input, err := repeated(dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var want bytes.Buffer
	var words int64
	var cpus []time.Duration
	for range runs {
		_, cpu, stderr, err := child(&want, self, "plain", input)
		if err != nil {
			return err
		}
		if _, err := fmt.Sscan(stderr, &words); err != nil {
			return fmt.Errorf("read the plain program's word count: %w", err)
		}
		cpus = append(cpus, cpu)
	}
	plainRate := rate(words, median(cpus))
	fmt.Fprintf(w, "WORD COUNT, Moby-Dick %d times, %.1f M words\twall\tCPU\tM words/CPU-s\tof plain\taim\n", repeats, float64(words)/1e6)
	fmt.Fprintf(w, "plain Go, one thread\t\t%.2f s\t%.1f\t1\t>= 12\n", median(cpus).Seconds(), plainRate)
	for _, run := range []struct {
		language, counter string
		parallelism       int
		aim               string
	}{
		{"c", "native", 1, ">= 4"}, {"rust", "native", 1, ">= 4"}, {"go", "native", 1, ">= 2"},
		{"c", "guest", 1, ""}, {"rust", "guest", 1, ""}, {"go", "guest", 1, ""}, {"c", "native", 2, "Flink: 1.5, wall 4.9 s"},
	} {
		var walls, cpus []time.Duration
		for i := range runs + 1 { // the first fills the compile cache
			out := filepath.Join(dir, fmt.Sprintf("%s-%s-%d-%d", run.language, run.counter, run.parallelism, i))
			wall, cpu, _, err := child(nil, "bin/wasmill", "run", "bin/guests/wordcount-"+run.language+".wasm", "--parallelism", fmt.Sprint(run.parallelism),
				"--param", "input="+input, "--param", "output="+out, "--param", "counter="+run.counter)
			if err != nil {
				return err
			}
			if err := sameResult(out, want.Bytes()); err != nil {
				return fmt.Errorf("wordcount-%s, counter=%s: %w", run.language, run.counter, err)
			}
			if i > 0 {
				walls, cpus = append(walls, wall), append(cpus, cpu)
			}
		}
		r := rate(words, median(cpus))
		fmt.Fprintf(w, "%s guest, %s count, parallelism %d\t%.2f s\t%.2f s\t%.2f\t%.2f\t%s\n", run.language, run.counter, run.parallelism,
			median(walls).Seconds(), median(cpus).Seconds(), r, r/plainRate, run.aim)
	}
	return nil
}

func rate(words int64, cpu time.Duration) float64 { return float64(words) / cpu.Seconds() / 1e6 }

// repeated writes the text, many times over, into one file.
func repeated(dir string) (string, error) {
	text, err := os.ReadFile("examples/data/moby-dick.txt")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "input.txt")
	return path, os.WriteFile(path, bytes.Repeat(text, repeats), 0o666)
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
