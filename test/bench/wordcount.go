package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// repeats of Moby-Dick make the text: long enough that starting up hardly counts.
const repeats = 60

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
	fmt.Fprintf(w, "plain Go, one thread\t\t%.2f s\t%.1f\t1\t%s\n", median(cpus).Seconds(), plainRate, aim{least: 12}.verdict(plainRate))
	for _, run := range []struct {
		language, counter string
		parallelism       int
		aim               aim // of M words a CPU-second, Flink's are 1.5
	}{
		{"c", "native", 1, aim{least: 8}}, {"rust", "native", 1, aim{least: 8}}, {"go", "native", 1, aim{least: 8}},
		{"c", "guest", 1, aim{}}, {"rust", "guest", 1, aim{}}, {"go", "guest", 1, aim{}}, {"c", "native", 2, aim{least: 8}},
	} {
		if !chosen("wordcount", run.language) {
			continue
		}
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
			median(walls).Seconds(), median(cpus).Seconds(), r, r/plainRate, run.aim.verdict(r))
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

// plain is what the child process runs: count, and write the result to stdout.
func plain(path string) error {
	counts, words, err := plainCount(path)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, words)
	return writeCounts(os.Stdout, counts)
}
