package taskmanager

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// expanding is a guest that makes n records of size bytes out of each, and dies when it has to do so for more than most
// at once, as the host ends a call that emits too much.
func expanding(n, size, most int) *fakeModule {
	value := make([]byte, size)
	return &fakeModule{functions: []fakeFunction{{
		name: "expand", kind: abi.FunctionFlatMap,
		each: func(r abi.Record, emit func(abi.Record)) {
			for range n {
				emit(abi.Record{Timestamp: r.Timestamp, Value: value})
			}
		},
		kill: func(_ int, values [][]byte) *host.Error {
			if len(values) <= most {
				return nil
			}
			return &host.Error{Kind: host.KindOutputLimit, Message: "too much", Record: abi.None}
		},
	}}}
}

// What a guest emits at once may be larger than what a channel takes at once.
func TestLargeEmitsAreCut(t *testing.T) {
	for _, p := range []graph.Partition{graph.Rebalance, graph.Broadcast, graph.Hash} {
		t.Run(string(p), func(t *testing.T) {
			const n, size = 10, exchange.MaxBatchBytes / 8
			m := expanding(n, size, 1)
			m.functions = append(m.functions, fakeFunction{name: "word", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
				r.Key = []byte("k")
				emit(r)
			}})
			f := newFixture(t, &listSource{splits: [][]string{{"a"}}}, m, graph.Operator{Name: "expand"}, graph.Operator{Name: "word"},
				graph.Operator{Name: "out", Kind: abi.OperatorSink, Parallelism: 2})
			f.graph.Operators[3].Inputs[0].Partition = p
			f.run()
			want := n
			if p == graph.Broadcast {
				want = 2 * n
			}
			if f.sink.written != want {
				t.Errorf("%d records (expected %d)", f.sink.written, want)
			}
		})
	}
}

// A batch that has to be halved because it becomes too much waits for its receivers between the halves: no task may fill
// the memory of its process.
func TestHalvesOfABatchWaitForTheirReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 64
		f := newFixture(t, &listSource{splits: [][]string{numbered(lines)}}, expanding(1, 256<<10, 1), graph.Operator{Name: "expand"},
			graph.Operator{Name: "out", Kind: abi.OperatorSink})
		f.graph.Operators[2].Inputs[0].Partition = graph.Rebalance
		f.sink.delay = time.Minute
		n := f.deploy()
		f.jm.running(n)
		synctest.Wait()
		for _, task := range f.tm.tasks() {
			if got := task.metrics.recordsOut.Load(); task.id.Chain == 0 && got > 8 {
				t.Errorf("%d batches that fill a channel were sent while the sink took one", got)
			}
		}
		for _, r := range f.jm.ends(n) {
			if r.State != wire.TaskFinished {
				t.Errorf("task %s ended %s: %+v", r.Task, r.State, r.Failure)
			}
		}
		if f.sink.written != lines {
			t.Errorf("%d records (expected %d)", f.sink.written, lines)
		}
		f.stop()
	})
}
