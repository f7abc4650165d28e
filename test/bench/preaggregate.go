package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// preAggregation measures what folding records before they are sent gains over a network: the word count on two TaskManagers, so that
// half of all words go from one process to the other. What the JobManager and the client use is counted, too.
func preAggregation(w *tabwriter.Writer, dir string) error {
	input, err := repeated(dir)
	if err != nil {
		return err
	}
	counts, words, err := plainCount(input)
	if err != nil {
		return err
	}
	var want bytes.Buffer
	if err := writeCounts(&want, counts); err != nil {
		return err
	}
	c := &runningCount{dir: filepath.Join(dir, "cluster")}
	var out bytes.Buffer
	if _, _, _, err := child(&out, "bin/wasmill", "cluster", "start", "--dir", c.dir, "--taskmanagers", "2", "--slots", "1"); err != nil {
		return err
	}
	defer c.close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	fmt.Fprintln(w, "PRE-AGGREGATION, word count on 2 TaskManagers\twall\tCPU\tM words/CPU-s\taim")
	for _, folding := range []string{"off", "auto"} {
		var walls, cpus []time.Duration
		for i := range runs + 1 { // the first compiles the module
			out := filepath.Join(dir, fmt.Sprintf("ahead-%s-%d", folding, i))
			before, err := c.cpu("")
			if err != nil {
				return err
			}
			wall, own, _, err := child(nil, "bin/wasmill", "run", "bin/guests/wordcount-c.wasm", "--jobmanager", lines[len(lines)-1], "--parallelism", "2",
				"--pre-aggregate", folding, "--param", "input="+input, "--param", "output="+out)
			if err != nil {
				return err
			}
			after, err := c.cpu("")
			if err != nil {
				return err
			}
			if err := sameResult(out, want.Bytes()); err != nil {
				return fmt.Errorf("pre-aggregation %s: %w", folding, err)
			}
			if i > 0 {
				walls, cpus = append(walls, wall), append(cpus, after-before+own)
			}
		}
		r := rate(words, median(cpus))
		verdict := ""
		if folding == "auto" {
			verdict = aim{least: 8}.verdict(r)
		}
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f s\t%.2f\t%s\n", folding, median(walls).Seconds(), median(cpus).Seconds(), r, verdict)
	}
	return nil
}
