package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"
)

// warmUp is how long a job runs before it is measured.
const warmUp = 3 * time.Second

// What checkpoints cost is measured in one running job, by pairs of spans: one with a checkpoint at the beginning of each of
// its seconds, one with none. Two jobs would differ by more, in where their memory lies and in what else the machine does
// meanwhile; neighbouring spans hardly do. Which of a pair is first alternates, and what counts is the median pair.
const (
	pairs    = 15
	pairSpan = 3 * time.Second
)

// pair is what two spans have counted: without checkpoints, with them.
type pair struct{ perSecond, perCPU [2]float64 }

// checkpointing measures what checkpoints cost a running count: records, the time that a task stands still, and bytes.
func checkpointing(w *tabwriter.Writer, dir string) error {
	fmt.Fprintf(w, "RUNNING COUNT, parallelism 2, %d pairs of spans of %s\tK records/s\tloss (quartiles)\tK records/CPU-s\tloss (quartiles)\taim\tFlink 1.20.5\tCPU of others\n", pairs, pairSpan)
	runs := []struct {
		name       string
		keys       uint64
		unaligned  bool
		aim, flink string
		seen       *taken
	}{
		{name: "100,000 keys", keys: 100_000, aim: "< 3 %"}, {name: "1,000,000 keys", keys: 1_000_000, aim: "< 10 %", flink: "508 to 352 K/s, 31 %"},
		{name: "100,000 keys, unaligned", keys: 100_000, unaligned: true}, {name: "1,000,000 keys, unaligned", keys: 1_000_000, unaligned: true},
	}
	for i := range runs {
		r := &runs[i]
		all, seen, err := cost(filepath.Join(dir, fmt.Sprintf("cost-%d", i)), r.keys, r.unaligned)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		r.seen = seen
		fmt.Fprintf(w, "%s, a checkpoint each second against none\t%s\t%s\t%s\t%.0f %%\n", r.name,
			losses(all, func(p *pair) [2]float64 { return p.perSecond }), losses(all, func(p *pair) [2]float64 { return p.perCPU }), r.aim+"\t"+r.flink, 100*seen.others)
	}
	fmt.Fprintln(w, "\nA CHECKPOINT, of nearly every key\tmedian\tlargest\taim")
	for _, r := range runs {
		t := r.seen
		fmt.Fprintf(w, "%s, the task that stands still longest\t%.2f ms\t%.2f ms\t< 5 ms\n", r.name, ms(median(t.stops)), ms(t.stops[len(t.stops)-1]))
		fmt.Fprintf(w, "%s, from the barrier to the acknowledgement\t%.0f ms\t%.0f ms\t\n", r.name, ms(median(t.durations)), ms(t.durations[len(t.durations)-1]))
		fmt.Fprintf(w, "%s, bytes written (local, store, folded) per byte changed\t%.2f\t\t< 4\n", r.name, float64(t.written)/t.changed)
		if r.unaligned {
			_, middle, most := quartiles(t.inFlight)
			fmt.Fprintf(w, "%s, overtaken and stored\t%.0f KB\t%.0f KB\t\n", r.name, middle/1e3, most/1e3)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// losses shows what the spans of pairs have counted, without checkpoints and with them, and what these cost.
func losses(all []pair, of func(*pair) [2]float64) string {
	var without, with, lost []float64
	for i := range all {
		n := of(&all[i])
		without, with, lost = append(without, n[0]), append(with, n[1]), append(lost, 100*(1-n[1]/n[0]))
	}
	_, a, _ := quartiles(without)
	_, b, _ := quartiles(with)
	least, middle, most := quartiles(lost)
	return fmt.Sprintf("%.0f to %.0f\t%.1f %% (%.1f to %.1f)", a/1e3, b/1e3, middle, least, most)
}

// cost measures one running count.
func cost(dir string, keys uint64, unaligned bool) ([]pair, *taken, error) {
	os.Setenv("WASMILL_CHECKPOINT_UNALIGNED", strconv.FormatBool(unaligned))
	defer os.Unsetenv("WASMILL_CHECKPOINT_UNALIGNED")
	c, err := startCount(dir, 1, 2, keys, 12, 0)
	if err != nil {
		return nil, nil, err
	}
	time.Sleep(warmUp)
	all, seen, err := c.pairs()
	if err != nil {
		return nil, nil, c.fail(err)
	}
	return all, seen, c.stop()
}

// pairs measures spans with and without checkpoints, and looks at the checkpoints.
func (c *runningCount) pairs() (all []pair, seen *taken, err error) {
	seen = &taken{count: c}
	if err := seen.begin(); err != nil {
		return nil, nil, err
	}
	for i := range pairs {
		var p pair
		for k := range 2 {
			with := (i + k) % 2
			var each func() error
			if with == 1 {
				each = seen.take
			}
			if p.perSecond[with], p.perCPU[with], err = c.span(pairSpan, each); err != nil {
				return nil, nil, err
			}
		}
		all = append(all, p)
	}
	return all, seen, seen.end()
}
