package main

import (
	"fmt"
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

// nexmarkJobs measures the queries as jobs of the Rust module at parallelism 1, from the generator in process to nowhere, and some
// from a file of JSON lines, all at 100,000 events a second of event time, without checkpoints and with as much memory for state as Flink had.
func nexmarkJobs(w *tabwriter.Writer, dir string) error {
	for name, value := range map[string]string{"WASMILL_STATE_BUDGET": "2GiB", "WASMILL_CHECKPOINT_INTERVAL": "0"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
		defer os.Unsetenv(name)
	}
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
	fmt.Fprintf(w, "NEXMARK JOBS, Rust, parallelism 1, made in process, to a blackhole\tplain Go, in memory, K events/CPU-s\tjob\tof plain\tFlink\tof Flink's\taim\n")
	for i := range reference.Queries {
		if err := madeJob(w, &reference.Queries[i], events); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nNEXMARK JOBS, Rust, parallelism 1, from JSON lines\t\tK events/CPU-s\t\tFlink\tof Flink's\taim\n")
	for _, name := range []string{"q0", "q2", "q5", "q17"} {
		k, err := jobRate(name, lines, lineEvents)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t\t%.0f\t\t%s\n", name, k, against(k, flinkLines[name], 8))
	}
	k, err := jobRate("q0", lines, lineEvents, "json=guest")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "q0, JSON read and written by the guest\t\t%.0f\t\t%s (600 K)\n", k, against(k, flinkLines["q0"], 4))
	return nil
}

// madeJob measures a query in plain Go, and as a job whose events are made in process.
func madeJob(w *tabwriter.Writer, q *reference.Query, events *reference.Events) error {
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
	k, err := jobRate(q.Name, "generator", n, append(params, fmt.Sprint("events=", n))...)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s%s\t%.0f\t%.0f\t%.1f\t%s\n", q.Name, remark, plain, k, k/plain, against(k, flinkNexmark[q.Name], 4))
	return nil
}

// jobRate is how many thousand events of an input, which has so many, a query takes in a CPU-second, without its start.
func jobRate(query, input string, events int, params ...string) (float64, error) {
	starting, err := jobCPU(query, "input=generator", "events=1")
	if err != nil {
		return 0, err
	}
	spent, err := jobCPU(query, append(params, "input="+input)...)
	if err != nil {
		return 0, err
	}
	return float64(events) / (spent - starting).Seconds() / 1000, nil
}

// jobCPU is the time on the processors of a run of a query.
func jobCPU(query string, params ...string) (time.Duration, error) {
	args := []string{"run", "bin/guests/nexmark-rust.wasm", "--param", "query=" + query, "--param", "output=blackhole"}
	for _, p := range params {
		args = append(args, "--param", p)
	}
	_, cpu, _, err := child(nil, "bin/wasmill", args...)
	return cpu, err
}

// against is Flink's figure, how many times that ours is, and the aim, if there is one of it.
func against(k, flink float64, aim int) string {
	if flink == 0 {
		return "\t\t"
	}
	return fmt.Sprintf("%.0f\t%.1f\t>= %d", flink, k/flink, aim)
}
