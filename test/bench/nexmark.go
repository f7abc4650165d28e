package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/abi"
	source "github.com/wasmill/wasmill/internal/connector/nexmark"
	"github.com/wasmill/wasmill/internal/nexmark"
	"github.com/wasmill/wasmill/internal/nexmark/eventfile"
	"github.com/wasmill/wasmill/internal/nexmark/reference"
)

// nexmarkEvents is how many events the plain program answers the queries on, at 100,000 a second of event time.
const nexmarkEvents = 1_000_000

// flinkNexmark is what Flink 1.20.5 does on two cores of this class from its own generator to a blackhole, in thousand events
// a CPU-second.
var flinkNexmark = map[string]float64{
	"q0": 677, "q1": 641, "q2": 623, "q3": 478, "q4": 114, "q5": 166, "q7": 89, "q8": 479, "q9": 63, "q11": 254,
	"q12": 284, "q14": 732, "q15": 168, "q16": 23, "q17": 445, "q18": 132, "q19": 129, "q20": 115, "q21": 242, "q22": 407,
}

// nexmarkQueries measures how fast events are made and read, and how fast the plain program answers each query.
func nexmarkQueries(w *tabwriter.Writer, _ string) error {
	p := nexmark.Standard()
	p.Events, p.Rate = nexmarkEvents, 100_000
	g, err := nexmark.NewGenerator(p)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "NEXMARK EVENTS, %d M\tns/event\tM events/CPU-s\n", nexmarkEvents/1_000_000)
	var lines, compact bytes.Buffer
	if err := eventsMade(w, g, &lines, &compact); err != nil {
		return err
	}
	if err := rowsMade(w); err != nil {
		return err
	}
	var events *reference.Events
	reading, err := cpuOf(func() (err error) {
		events, err = reference.Read(&lines)
		return err
	})
	if err != nil {
		return err
	}
	perEvent(w, "plain Go reads lines (encoding/json)", reading, nexmarkEvents)
	lines, compact = bytes.Buffer{}, bytes.Buffer{}
	fmt.Fprintf(w, "\nNEXMARK QUERIES, plain Go (naive), %d M events\trows\tK events/CPU-s, in memory\tfrom lines\tFlink, generator in process\n", nexmarkEvents/1_000_000)
	for i := range reference.Queries {
		if err := plainAnswer(w, &reference.Queries[i], events, reading); err != nil {
			return err
		}
	}
	return nil
}

// eventsMade measures the two files that the command writes.
func eventsMade(w *tabwriter.Writer, g *nexmark.Generator, lines, compact *bytes.Buffer) error {
	all := [nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All}
	var e nexmark.Event
	var line []byte
	spent, err := cpuOf(func() error {
		for number := range g.Events {
			g.Make(&e, number, &all)
			line = nexmark.AppendJSON(line[:0], &e)
			lines.Write(line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	perEvent(w, fmt.Sprintf("made, as lines of %d bytes", lines.Len()/nexmarkEvents), spent, g.Events)
	spent, err = cpuOf(func() error {
		out, err := eventfile.NewWriter(compact)
		if err != nil {
			return err
		}
		for number := range g.Events {
			g.Make(&e, number, &all)
			if err := out.Append(&e); err != nil {
				return err
			}
		}
		return out.Close()
	})
	if err != nil {
		return err
	}
	perEvent(w, fmt.Sprintf("made, as a compact file of %d bytes an event", compact.Len()/nexmarkEvents), spent, g.Events)
	return nil
}

// rowsMade measures the source, without what comes behind it.
func rowsMade(w *tabwriter.Writer) error {
	for _, c := range []struct{ what, kind, codec string }{
		{"made, as rows of q0", "bid", "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)"},
		{"made, as rows of q2", "bid", "row(auction: i64, price: i64)"},
		{"made, as rows of q5", "", "row(bid: row(auction: i64)?)"},
	} {
		untyped, err := source.NewSource(map[string]string{"kind": c.kind, "events": fmt.Sprint(nexmarkEvents), "rate": "100000"})
		if err != nil {
			return err
		}
		src, err := untyped.(*source.Source).For(abi.Codec(c.codec))
		if err != nil {
			return err
		}
		spent, err := cpuOf(func() error {
			splits, err := src.Enumerate(context.Background(), 1)
			if err != nil {
				return err
			}
			b := abi.NewBuilder(src.Columns())
			for _, split := range splits.Splits {
				r, err := src.Open(context.Background(), split)
				if err != nil {
					return err
				}
				for done := false; !done; b.Reset() {
					p, err := r.Poll(b, 1024, 64<<10, time.Time{})
					if err != nil {
						return err
					}
					done = p.Done
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		perEvent(w, c.what, spent, nexmarkEvents)
	}
	return nil
}

func perEvent(w *tabwriter.Writer, what string, spent time.Duration, events uint64) {
	fmt.Fprintf(w, "%s\t%.0f\t%.2f\n", what, float64(spent.Nanoseconds())/float64(events), float64(events)/spent.Seconds()/1e6)
}

// plainAnswer measures one query.
func plainAnswer(w *tabwriter.Writer, q *reference.Query, events *reference.Events, reading time.Duration) error {
	spent, rows, err := plainly(q, events)
	if err != nil {
		return err
	}
	k := func(d time.Duration) float64 { return nexmarkEvents / d.Seconds() / 1000 }
	flink := ""
	if f := flinkNexmark[q.Name]; f > 0 {
		flink = fmt.Sprintf("%.0f", f)
	}
	fmt.Fprintf(w, "%s, %s\t%d\t%.0f\t%.0f\t%s\n", q.Name, q.Meaning, rows, k(spent), k(spent+reading), flink)
	return nil
}

// plainly answers a query twice: the faster one counts, and both must have as many rows.
func plainly(q *reference.Query, events *reference.Events) (best time.Duration, n int, err error) {
	var rows [2]int
	var spent [2]time.Duration
	for i := range rows {
		if spent[i], err = cpuOf(func() error {
			q.Answer(events, func(reference.Row) { rows[i]++ })
			return nil
		}); err != nil {
			return 0, 0, err
		}
	}
	if rows[0] != rows[1] || rows[0] == 0 {
		return 0, 0, fmt.Errorf("%s: %d rows, then %d", q.Name, rows[0], rows[1])
	}
	return min(spent[0], spent[1]), rows[0], nil
}

// cpuOf is the time on the processors that something takes: the machine may be shared.
func cpuOf(do func() error) (time.Duration, error) {
	runtime.GC()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return 0, err
	}
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()), nil
}
