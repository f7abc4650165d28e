package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/internal/nexmark/reference"
)

// The events that a job takes: enough that starting up, which is measured with one event and taken off, hardly counts. Each person
// that q23 joins meets more the more there are.
const (
	jobEvents  = 3_000_000
	fewEvents  = 300_000
	lineEvents = 1_000_000
)

// revised are the queries that put out a row again when it changes. Flink's figures are of every change, and so are ours.
var revised = []string{"q4", "q9", "q15", "q16", "q17", "q18", "q19"}

// flinkLines is what Flink does from JSON lines, in thousand events a CPU-second.
var flinkLines = map[string]float64{"q0": 160, "q2": 187, "q5": 119, "q17": 127}

// nexmarkJobs measures the queries as jobs of the Rust module at parallelism 1: from the generator in process, and from a file of JSON
// lines, both to nowhere, at 100,000 events a second of event time, without checkpoints. What each puts out for that file is held
// against the plain program's answer.
func nexmarkJobs(w *tabwriter.Writer, dir string) error {
	defer withoutCheckpoints()()
	lines := filepath.Join(dir, "events.json")
	if _, _, _, err := child(nil, "bin/wasmill", "nexmark", "generate", lines, "--events", fmt.Sprint(lineEvents), "--rate", "100000"); err != nil {
		return err
	}
	f, err := os.Open(lines)
	if err != nil {
		return err
	}
	defer f.Close()
	events, err := reference.Read(f)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "NEXMARK JOBS, Rust, parallelism 1\tplain Go, in memory, K events/CPU-s\tmade in process\tof plain\tFlink\tof Flink's\taim\tfrom JSON lines\tFlink\tof Flink's\taim")
	var wrong []error // the queries whose rows differ: the table is whole nevertheless
	for i := range reference.Queries {
		q := &reference.Queries[i]
		if !chosen("nexmark-jobs", q.Name) {
			continue
		}
		if err := nexmarkJob(w, q, lines, events); err != nil {
			return err
		}
		if err := answered(q, lines, filepath.Join(dir, q.Name), events); err != nil {
			wrong = append(wrong, err)
		}
	}
	if !chosen("nexmark-jobs", "json") {
		return errors.Join(wrong...)
	}
	k, err := jobRate("q0", lines, lineEvents, "json=guest")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "json: q0, JSON read and written by the guest\t\t\t\t\t\t\t%.0f\t%s\t%s\n", k, times(k, flinkLines["q0"]), aim{least: 600}.verdict(k))
	return errors.Join(wrong...)
}

// nexmarkJob measures a query in plain Go, as a job whose events are made in process, and as one that reads them from lines.
func nexmarkJob(w *tabwriter.Writer, q *reference.Query, lines string, events *reference.Events) error {
	spent, _, err := plainly(q, events)
	if err != nil {
		return err
	}
	plain := lineEvents / spent.Seconds() / 1000
	n, params, remark := jobEvents, []string{"rate=100000"}, ""
	if q.Name == "q23" {
		n, remark = fewEvents, fmt.Sprintf(", %d K events", fewEvents/1000)
	}
	if slices.Contains(revised, q.Name) {
		params, remark = append(params, "updates=all"), ", with updates"
	}
	made, err := jobRate(q.Name, "generator", n, append(params, fmt.Sprint("events=", n))...)
	if err != nil {
		return err
	}
	read, err := jobRate(q.Name, lines, lineEvents, params[1:]...)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s%s\t%.0f\t%.0f\t%.1f\t%s\t%.0f\t%s\n", q.Name, remark, plain, made, made/plain, against(made, flinkNexmark[q.Name], 4),
		read, against(read, flinkLines[q.Name], 8))
	return nil
}

// answered holds the rows of a query against those of the plain program.
func answered(q *reference.Query, lines, out string, events *reference.Events) error {
	if _, err := jobCPU(q.Name, "input="+lines, "output="+out); err != nil {
		return err
	}
	defer os.RemoveAll(out)
	d, err := reference.Expect(q, events).Compare(out)
	if err != nil {
		return err
	}
	if !d.Same() {
		return fmt.Errorf("nexmark-jobs: %v", d)
	}
	return nil
}

// jobRate is how many thousand events of an input, which has so many, a query takes in a CPU-second, without its start.
func jobRate(query, input string, events int, params ...string) (float64, error) {
	starting := time.Duration(math.MaxInt64)
	for range 2 { // the first may compile the module
		once, err := jobCPU(query, "input=generator", "events=1", "output=blackhole")
		if err != nil {
			return 0, err
		}
		starting = min(starting, once)
	}
	spent, err := jobCPU(query, append(params, "input="+input, "output=blackhole")...)
	if err != nil {
		return 0, err
	}
	return float64(events) / (spent - starting).Seconds() / 1000, nil
}

// jobCPU is the time on the processors of a run of a query.
func jobCPU(query string, params ...string) (time.Duration, error) {
	args := []string{"run", "bin/guests/nexmark-rust.wasm", "--param", "query=" + query}
	for _, p := range params {
		args = append(args, "--param", p)
	}
	_, cpu, _, err := child(nil, "bin/wasmill", args...)
	return cpu, err
}

// against is Flink's figure, how many times that ours is, and whether that is as many as aimed at, if there is one of it.
func against(k, flink, aimed float64) string {
	if flink == 0 {
		return "\t\t"
	}
	return times(k, flink) + "\t" + aim{least: aimed}.verdict(k/flink)
}
