package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// work is what an operator is given: the numbers below count, each of one of keys keys; a number is a record's event time, too.
// Size and slide are those of its windows.
type work struct{ count, keys, size, slide int64 }

// scenario is an operator of test/guests/measured.wasm over a generator's numbers, and the same in plain Go, which calls a function
// with each result.
type scenario struct {
	name, operator, what string
	work                 work
	plain                func(work, func(key int64, columns []int64))
	aim                  aim
	of                   string  // the aim is of how many times what this scenario costs it costs; empty: of the rate
	flink                float64 // thousand events a CPU-second
	mode                 string  // of the job, empty: streaming
}

// stageBudgets is what the budget table has for a record from a source through a guest, the partitioner and a channel into a window.
const stageBudgets = 60 + 25 + 40 + 10 + 150 // ns

// A slide has 25,000 numbers. Flink's figures are of 100,000, so of fewer results a record.
var scenarios = []scenario{
	{name: "tumbling", operator: "tumbling", what: "tumbling count, 100,000 keys", work: work{5_000_000, 100_000, 1_000_000, 0}, plain: plainTumbling, aim: aim{least: 1e6 / stageBudgets}},
	{name: "tumbling-10M", operator: "tumbling", what: "tumbling count, 10 million keys", work: work{10_000_000, 10_000_000, 10_000_000, 0}, plain: plainTumbling},
	{name: "sliding-5", operator: "sliding", what: "sliding count, 5 slices, 10,000 keys", work: work{10_000_000, 10_000, 5 * 25_000, 25_000}, plain: plainSliding, aim: aim{least: 4 * 426}, flink: 426},
	{name: "sliding-600", operator: "sliding", what: "sliding count, 600 slices, 10,000 keys", work: work{20_000_000, 10_000, 600 * 25_000, 25_000}, plain: plainSliding, aim: aim{most: 1.5}, of: "sliding-5", flink: 5},
	{name: "session", operator: "session", what: "session count, 10,000 keys", work: work{3_000_000, 10_000, 20_000, 0}, plain: plainSessions},
	{name: "interval", operator: "interval", what: "interval join, 100,000 keys, a pair an event", work: work{2_000_000, 100_000, 200_000, 0}, plain: plainPairs},
	{name: "process", operator: "process", what: "process function with a value, 1 million keys", work: work{5_000_000, 1_000_000, 0, 0}, plain: plainRunning, aim: aim{least: 4 * 269}, flink: 269},
	{name: "tumbling-batch", operator: "tumbling", what: "tumbling count, 100,000 keys, batch mode", work: work{5_000_000, 100_000, 1_000_000, 0}, plain: plainTumbling, aim: aim{most: 1.1}, of: "tumbling", mode: "batch"},
	{name: "tumbling-10M-batch", operator: "tumbling", what: "tumbling count, 10 million keys, batch mode", work: work{10_000_000, 10_000_000, 10_000_000, 0}, plain: plainTumbling, aim: aim{most: 1.1}, of: "tumbling-10M", mode: "batch"},
	{name: "process-batch", operator: "process", what: "process function with a value, 1 million keys, batch mode", work: work{5_000_000, 1_000_000, 0, 0}, plain: plainRunning, aim: aim{most: 1.1}, of: "process", mode: "batch"},
}

// operators measures each scenario at parallelism 1, without checkpoints.
func operators(w *tabwriter.Writer, dir string) error {
	fmt.Fprintln(w, "OPERATORS, C guest, parallelism 1, made in process\tplain Go, K events/CPU-s\tjob\tof plain\tFlink\tof Flink's\taim")
	defer withoutCheckpoints()()
	rates := map[string]float64{}
	for i := range scenarios {
		s := &scenarios[i]
		if !chosen("operators", s.name) {
			continue
		}
		plain, want, err := s.plainly()
		if err != nil {
			return err
		}
		starting, err := s.job(dir, work{1, s.work.keys, s.work.size, s.work.slide}, nil)
		if err != nil {
			return err
		}
		spent, err := s.job(dir, s.work, want)
		if err != nil {
			return err
		}
		k := s.rate(spent - starting)
		rates[s.name] = k
		fmt.Fprintf(w, "%s: %s\t%.0f\t%.0f\t%.2f\t%s\t%s\n", s.name, s.what, s.rate(plain), k, k/s.rate(plain), times(k, s.flink), s.verdict(k, rates))
	}
	return nil
}

// rate is in thousand events a CPU-second.
func (s *scenario) rate(spent time.Duration) float64 {
	return float64(s.work.count) / spent.Seconds() / 1000
}

func (s *scenario) verdict(k float64, rates map[string]float64) string {
	if s.of == "" {
		return s.aim.verdict(k)
	}
	if rates[s.of] == 0 {
		return "" // it was not measured
	}
	return fmt.Sprintf("%.2f times the cost of %s, %s", rates[s.of]/k, s.of, s.aim.verdict(rates[s.of]/k))
}

// plainly runs the plain program twice, the faster run counts, and returns the rows of the sampled keys.
func (s *scenario) plainly() (best time.Duration, rows []byte, err error) {
	for i := range 2 {
		var lines bytes.Buffer
		spent, err := cpuOf(func() error {
			s.plain(s.work, func(key int64, columns []int64) {
				if key%1000 != 0 {
					return
				}
				for i, c := range columns {
					fmt.Fprintf(&lines, "%s%d", []string{"", "\t"}[min(i, 1)], c)
				}
				lines.WriteByte('\n')
			})
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
		if i == 0 || spent < best {
			best = spent
		}
		rows = lines.Bytes()
	}
	return best, rows, nil
}

// job runs the job twice, unless it is to be run for its start alone: without rows that are wanted. The faster run counts.
func (s *scenario) job(dir string, of work, want []byte) (best time.Duration, err error) {
	for i := range 2 {
		out := filepath.Join(dir, fmt.Sprintf("%s-%d-%d", s.name, of.count, i))
		args := []string{"run", "test/guests/measured.wasm", "--param", "operator=" + s.operator, "--param", "output=" + out}
		if s.mode != "" {
			args = append(args, "--mode", s.mode)
		}
		for name, value := range map[string]int64{"count": of.count, "keys": of.keys, "size": of.size, "slide": of.slide} {
			args = append(args, "--param", fmt.Sprintf("%s=%d", name, value))
		}
		_, spent, _, err := child(nil, "bin/wasmill", args...)
		if err != nil {
			return 0, err
		}
		if want != nil {
			if err := sameResult(out, want); err != nil {
				return 0, fmt.Errorf("operators/%s: %w", s.name, err)
			}
		}
		if i == 0 || spent < best {
			best = spent
		}
	}
	return best, nil
}
