package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// stage is a row of the budget table (ARCHITECTURE.md) and the Go benchmark that measures it, which reports ns/record and
// checks its own result.
type stage struct {
	name, pkg, benchmark string
	budget               float64 // ns per record
}

var budget = []stage{
	{"file source, split lines", "./internal/connector/file", "BenchmarkSourceLines", 60},
	{"into and out of a guest, batch of 1,024, metered", "./host", "BenchmarkBatch/same", 25},
	{"partition by key into 4 channels", "./taskmanager", "BenchmarkPartition/4", 40},
	{"local channel", "./taskmanager/exchange", "BenchmarkChannel/local", 10},
	{"QUIC channel, both ends", "./taskmanager/exchange", "BenchmarkChannel/quic", 600},
	{"keyed tumbling-window count, 100,000 keys", "./taskmanager/operator", "BenchmarkCount/one-window", 150},
}

// windows are the operators of windows, by their own benchmark; a budget of 0 is none.
var windows = []stage{
	{"tumbling count, 100,000 keys", "./taskmanager/operator", "BenchmarkWindows/tumbling,_100,000_keys", 150},
	{"tumbling count, 10 million keys", "./taskmanager/operator", "BenchmarkWindows/tumbling,_10_million_keys", 0},
	{"sliding count, 5 slices, 10,000 keys", "./taskmanager/operator", "BenchmarkWindows/sliding,_5_slices,_10,000_keys", 0},
	{"sliding count, 600 slices, 10,000 keys: at most 1.5 times as much", "./taskmanager/operator", "BenchmarkWindows/sliding,_600_slices,_10,000_keys", 0},
	{"session count, 10,000 keys", "./taskmanager/operator", "BenchmarkWindows/session,_10,000_keys", 0},
	{"process function, a value and a timer, 1,000 keys", "./taskmanager/operator", "BenchmarkProcess/value-timer/1000", 0},
}

var figure = regexp.MustCompile(`(?m)^Benchmark\S+\s.*?([0-9.]+) ns/record`)
var allocs = regexp.MustCompile(`(?m)^Benchmark\S+\s.*?([0-9]+) allocs/op`)

// stages runs the benchmark of each stage.
func stages(w *tabwriter.Writer, _ string) error {
	if err := measure(w, "STAGE, 100-byte records, one core", budget); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return measure(w, "WINDOWS, in the operator alone, one core", windows)
}

func measure(w *tabwriter.Writer, title string, all []stage) error {
	fmt.Fprintf(w, "%s\tns/record\tbudget\tof budget\tallocations a run\taim\n", title)
	for _, s := range all {
		var out bytes.Buffer
		if _, _, _, err := child(&out, "go", "test", "-run", "^$", "-bench", "^"+strings.ReplaceAll(s.benchmark, "/", "$/^")+"$", "-benchmem", "-count", "1", s.pkg); err != nil {
			return err
		}
		m := figure.FindStringSubmatch(out.String())
		if m == nil {
			return fmt.Errorf("%s: no ns/record in\n%s", s.benchmark, out.String())
		}
		ns, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", s.benchmark, err)
		}
		perRun := "?"
		if a := allocs.FindStringSubmatch(out.String()); a != nil {
			perRun = a[1]
		}
		if s.budget == 0 {
			fmt.Fprintf(w, "%s\t%.1f\t\t\t%s\n", s.name, ns, perRun)
			continue
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.2f\t%s\t%s\n", s.name, ns, s.budget, ns/s.budget, perRun, aim{most: 1}.verdict(ns/s.budget))
	}
	return nil
}
