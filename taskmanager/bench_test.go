package taskmanager

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// wordBox is a guest that splits lines into words and keys them, without garbage.
type wordBox struct {
	fakeBox
	words   *abi.Builder
	encoded []byte
}

// Its first handle is the step's; others are there to check the key function.
func (b *wordBox) Open(number uint32, h *abi.Handle) error {
	if number > 1 {
		return nil
	}
	b.words = abi.NewBuilder(h.Functions[1].Outputs[0].Columns)
	return nil
}

func (b *wordBox) Process(number uint32, _ *abi.CallHeader, in host.Input) (*host.Effects, error) {
	if number > 1 {
		return &host.Effects{}, nil
	}
	if len(b.input) < in.Size() {
		b.input = abi.AlignedBytes(2 * in.Size())
	}
	if err := b.in.Parse(in.Encode(b.input)); err != nil {
		return nil, err
	}
	b.words.Reset()
	for i := range b.in.N {
		line, start := b.in.Value(i), 0
		for k, c := range line {
			if c == ' ' {
				b.words.Append(abi.Record{Key: line[start:k], Timestamp: b.in.Timestamp(i)})
				start = k + 1
			}
		}
		b.words.Append(abi.Record{Key: line[start:], Timestamp: b.in.Timestamp(i)})
	}
	if len(b.encoded) < b.words.Size() {
		b.encoded = abi.AlignedBytes(2 * b.words.Size())
	}
	e := host.Emit{Bytes: b.words.Encode(b.encoded)}
	if err := e.Batch.Parse(e.Bytes); err != nil {
		return nil, err
	}
	b.effects.Emits = append(b.effects.Emits[:0], e)
	return &b.effects, nil
}

// byHand is a job whose tasks a test runs turn by turn: subtask 0 of the source's chain and every task that counts.
type byHand struct {
	t        testing.TB
	source   *loop
	counters []*loop
}

// newByHand makes lines of eight words go from one source subtask to p that count them.
func newByHand(t testing.TB, p int, operators func(p int) []graph.Operator) *byHand {
	r := rand.New(rand.NewPCG(1, 1))
	var lines []string
	for range 20 * batchRecords {
		line := fmt.Sprint("w", r.IntN(5000))
		for range 7 {
			line += fmt.Sprint(" w", r.IntN(5000))
		}
		lines = append(lines, line)
	}
	f := newFixture(t, &listSource{splits: [][]string{lines}, repeat: true, endless: true, stamps: true}, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, operators(p)...)
	for i := 1; i < len(f.graph.Operators); i++ {
		op := &f.graph.Operators[i]
		if i <= 2 {
			op.Parallelism, op.Inputs[0].Partition = 1, graph.Forward
		}
		if f.graph.Operators[op.Inputs[0].From].Parallelism == op.Parallelism && i > 3 {
			op.Inputs[0].Partition = graph.Forward
		}
	}
	f.tm.start = func(context.Context, *task, graph.Module, *guest) (sandbox, error) { return &wordBox{}, nil }
	f.tm.mu.Lock()
	defer f.tm.mu.Unlock()
	a, err := newAttempt(f.tm, f.tm.jobOf("job"), f.message(1))
	if err != nil {
		t.Fatal(err)
	}
	a.bounded = true // results wait for an end that never comes
	h := &byHand{t: t}
	for _, id := range a.exec.Tasks() {
		l, _, err := newTask(a, wire.TaskDeploy{Task: id}).build(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.chain.open(context.Background()); err != nil { // it goes on until the test closes it
			t.Fatal(err)
		}
		t.Cleanup(func() { l.close() })
		if id.Chain == 0 {
			h.source = l
		} else {
			h.counters = append(h.counters, l)
		}
	}
	h.turn() // asks for the split
	return h
}

// turn takes a batch of lines through everything.
func (h *byHand) turn() {
	now := time.Now()
	h.step(h.source, now)
	h.source.chain.flush()
	for _, l := range h.counters {
		for !h.step(l, now) {
		}
	}
}

func (h *byHand) step(l *loop, now time.Time) (idle bool) {
	l.chain.time.set(now)
	idle, _, err := l.input.next(context.Background(), now)
	for more := true; more && err == nil; {
		more, err = l.chain.advance()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return idle
}

func windowedJob(p int) []graph.Operator { return windowJob(p, 1<<40) }

// From the source through the guest, partitioning, channels and the count, a batch makes no garbage.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools drop some of what they are given")
	}
	for name, c := range map[string]struct {
		p         int
		operators func(int) []graph.Operator
	}{"one": {1, countJob}, "four": {4, countJob}, "windowed": {4, windowedJob}} {
		t.Run(name, func(t *testing.T) {
			h := newByHand(t, c.p, c.operators)
			for range 200 {
				h.turn()
			}
			if n := allocs.PerRun(100, h.turn); n > 0.1 { // pools of buffers may be emptied once
				t.Errorf("%v allocations a batch (expected 0)", n)
			}
		})
	}
}

// BenchmarkChain measures everything but the guest's and the source's own work: 1,024 lines of 8 words a turn.
func BenchmarkChain(b *testing.B) {
	for _, p := range []int{1, 4} {
		for name, operators := range map[string]func(int) []graph.Operator{"count": countJob, "windowed": windowedJob} {
			b.Run(fmt.Sprint(name, "-", p), func(b *testing.B) {
				h := newByHand(b, p, operators)
				for range 100 {
					h.turn()
				}
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					h.turn()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(8*batchRecords), "ns/word")
			})
		}
	}
}

// BenchmarkPartition deals batches of 1,024 keys out to channels, hashes included.
func BenchmarkPartition(b *testing.B) {
	for _, p := range []int{1, 4, 32} {
		b.Run(fmt.Sprint(p), func(b *testing.B) {
			a := exchange.Attempt{Job: "job", Epoch: 1, Attempt: 1}
			network := exchange.NewNetwork(nil, exchange.Config{})
			defer network.Close()
			if err := network.Attach(a); err != nil {
				b.Fatal(err)
			}
			wake := make(chan struct{}, 1)
			var gates []*exchange.Gate
			var senders []*exchange.Sender
			for i := range p {
				to := graph.TaskID{Chain: 1, Subtask: i}
				gates = append(gates, network.Gate(a, to, []exchange.GateInput{{Edge: 0, Senders: 1}}, wake))
				senders = append(senders, network.Sender(a, 0, graph.TaskID{}, to, "", wake))
			}
			e := newEdge(network, graph.Hash, 0, senders, abi.ColumnKeys|abi.ColumnHashes, graph.DefaultMaxParallelism, newTaskMetrics(nil))
			w := abi.NewBuilder(abi.ColumnKeys)
			r := rand.New(rand.NewPCG(1, 1))
			for range batchRecords {
				w.Append(abi.Record{Key: fmt.Appendf(nil, "key-%06d", r.IntN(100_000))})
			}
			var in batch
			arrived := 0
			receive := func() {
				for _, g := range gates {
					for el, ok := g.Next(); ok; el, ok = g.Next() {
						arrived += int(binary.LittleEndian.Uint32(el.Buffer.Bytes()[8:])) // a batch's header has n there
						el.Buffer.Release()
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				w.View(&in.Batch)
				if err := e.process(&in); err != nil {
					b.Fatal(err)
				}
				receive()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchRecords, "ns/record")
			e.flush()
			receive()
			if arrived != b.N*batchRecords {
				b.Errorf("%d records arrived (expected %d)", arrived, b.N*batchRecords)
			}
		})
	}
}

// Each key lies with the subtask that owns its key group, whatever the number of key groups.
func TestHashPartitionFollowsKeyGroups(t *testing.T) {
	for _, groups := range []int{128, 100, 7} {
		a := exchange.Attempt{Job: "job", Epoch: 1, Attempt: 1}
		network := exchange.NewNetwork(nil, exchange.Config{})
		if err := network.Attach(a); err != nil {
			t.Fatal(err)
		}
		const p = 3
		var gates []*exchange.Gate
		var senders []*exchange.Sender
		for i := range p {
			to := graph.TaskID{Chain: 1, Subtask: i}
			gates = append(gates, network.Gate(a, to, []exchange.GateInput{{Edge: 0, Senders: 1}}, nil))
			senders = append(senders, network.Sender(a, 0, graph.TaskID{}, to, "", nil))
		}
		e := newEdge(network, graph.Hash, 0, senders, abi.ColumnKeys|abi.ColumnHashes, groups, newTaskMetrics(nil))
		w := abi.NewBuilder(abi.ColumnKeys)
		const n = 5000
		for i := range n {
			w.Append(abi.Record{Key: fmt.Append(nil, i)})
		}
		var in batch
		w.View(&in.Batch)
		if err := e.process(&in); err != nil {
			t.Fatal(err)
		}
		e.end()
		got := 0
		for subtask, g := range gates {
			for el, ok := g.Next(); ok; el, ok = g.Next() {
				if el.Kind != exchange.Batch {
					continue
				}
				var b abi.Batch
				if err := b.Parse(el.Buffer.Bytes()); err != nil {
					t.Fatal(err)
				}
				for i := range b.N {
					hash := xxhash.Sum64(b.Key(i))
					if want := graph.SubtaskOf(graph.KeyGroupOf(hash, groups), p, groups); want != subtask || b.Hashes[i] != hash {
						t.Fatalf("%d key groups: key %q went to subtask %d with hash %x (expected %d, %x)", groups, b.Key(i), subtask, b.Hashes[i], want, hash)
					}
					got++
				}
			}
		}
		if got != n {
			t.Errorf("%d key groups: %d records arrived (expected %d)", groups, got, n)
		}
		network.Close()
	}
}
