package taskmanager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// countingSink is a sink that counts.
type countingSink struct {
	*collector
	n atomic.Int64
}

func (d *countingSink) Open(context.Context, connector.SinkTask) (connector.Writer, error) {
	return countingWriter{d}, nil
}

type countingWriter struct{ d *countingSink }

func (w countingWriter) Write(b *abi.Batch, _ time.Time) (time.Time, error) {
	w.d.n.Add(int64(b.N))
	return time.Time{}, nil
}
func (countingWriter) Prepare(context.Context) ([]connector.Committable, connector.Settle, error) {
	return nil, nil, nil
}
func (countingWriter) Close() error { return nil }

// BenchmarkModes counts a million words of so many keys, in both modes, and in batch mode also sorted by key, from the source to the sink:
// processor time of the process.
func BenchmarkModes(b *testing.B) {
	const words = 1 << 20
	for _, keys := range []int{8, 100_000, words} {
		for _, mode := range []string{"streaming", "batch", "sorted"} {
			b.Run(fmt.Sprintf("%d keys/%s", keys, mode), func(b *testing.B) {
				lines := wordsOf(words, keys)
				var used time.Duration
				for range b.N {
					used += countIn(b, mode, lines, keys)
				}
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/words, "cpu-ns/record")
			})
		}
	}
}

// wordsOf are lines of eight words, of which each key is one at least.
func wordsOf(words, keys int) (lines []string) {
	r := rand.New(rand.NewPCG(1, 1))
	order := r.Perm(words)
	for at := 0; at < words; at += 8 {
		var line []string
		for _, n := range order[at : at+8] {
			line = append(line, fmt.Sprint("word-", n%keys))
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

// countIn runs one job and answers what it has used.
func countIn(b *testing.B, mode string, lines []string, keys int) time.Duration {
	f := newFixture(b, &listSource{splits: [][]string{lines}, stamps: true}, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, countJob(1)...)
	if mode == "sorted" {
		f.graph.Operators[3].PreAggregate = graph.PreAggregateOff
	}
	f.tm.config.StateDir = b.TempDir()
	f.tm.disk.Dir = f.tm.config.StateDir
	f.tm.config.State.Budget = 256 << 20
	f.tm.start = func(context.Context, *task, graph.Module, *guest) (sandbox, error) { return &wordBox{}, nil }
	sink := &countingSink{collector: newCollector()}
	f.tm.config.Connectors.Sinks["collect"] = func(map[string]string) (connector.Sink, error) { return sink, nil }
	before := processorTime()
	d := f.message(1)
	if mode == "streaming" {
		if err := f.tm.Deploy(b.Context(), d); err != nil {
			b.Fatal(err)
		}
		f.jm.ends(len(d.Tasks))
	} else {
		f.inBatchMode(d)
	}
	used := processorTime() - before
	for _, r := range f.jm.ends(len(d.Tasks)) {
		if r.State != wire.TaskFinished {
			b.Fatalf("%s: %+v", r.State, r.Failure)
		}
	}
	if n := sink.n.Load(); n != int64(keys) {
		b.Fatalf("%d results (expected %d)", n, keys)
	}
	f.stop()
	<-f.done
	return used
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
