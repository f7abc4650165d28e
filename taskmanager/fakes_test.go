package taskmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// raceEnabled says that the tests run under the race detector.
var raceEnabled bool

// fakeFunction is a user function: of kinds that take records one by one, or a folding.
type fakeFunction struct {
	name   string
	kind   abi.FunctionKind
	each   func(r abi.Record, emit func(abi.Record))
	fold   func(acc, value []byte) []byte                        // acc is nil at first
	result func(g *abi.Group, acc []byte, emit func(abi.Record)) // nil: the accumulator is the result
	kill   func(call int, values [][]byte) *host.Error           // the call dies instead
}

// fakeModule is a module of such functions, and what became of its instances.
type fakeModule struct {
	functions []fakeFunction
	instances atomic.Int32
	calls     atomic.Int32
	spin      chan struct{} // when set, calls wait until they are cancelled
}

// fakeBox is an instance of a fakeModule.
type fakeBox struct {
	module   *fakeModule
	handles  map[uint32]*abi.Handle
	builders map[uint32]*abi.Builder
	memory   map[uint32][]byte
	effects  host.Effects
	in       abi.Batch
	input    []byte
	canceled chan struct{}
	once     sync.Once
	dead     bool
	emitters []func(abi.Record)
	newest   int64
}

func (m *fakeModule) start() *fakeBox {
	m.instances.Add(1)
	return &fakeBox{module: m, handles: map[uint32]*abi.Handle{}, builders: map[uint32]*abi.Builder{}, memory: map[uint32][]byte{}, canceled: make(chan struct{})}
}

func (b *fakeBox) Manifest() *abi.Manifest { return nil }
func (b *fakeBox) Cancel()                 { b.once.Do(func() { close(b.canceled) }) }
func (b *fakeBox) Fuel() int64             { return 1 }

func (b *fakeBox) Close(context.Context) error { return nil }

func (b *fakeBox) Open(number uint32, h *abi.Handle) error {
	b.handles[number] = h
	for _, f := range h.Functions {
		for _, o := range f.Outputs {
			b.builders[number<<16|o.Number] = abi.NewBuilder(o.Columns)
		}
	}
	return nil
}

func canceledError() *host.Error {
	return &host.Error{Kind: host.KindCanceled, Message: "the call was canceled", Record: abi.None}
}

func (b *fakeBox) begin() error {
	if b.dead {
		return errors.New("a dead instance was called")
	}
	b.module.calls.Add(1)
	if b.module.spin != nil {
		<-b.canceled
	}
	select {
	case <-b.canceled:
		return canceledError()
	default:
	}
	b.effects = host.Effects{Emits: b.effects.Emits[:0], Reply: b.effects.Reply[:0]}
	return nil
}

func (b *fakeBox) Process(number uint32, _ *abi.CallHeader, in host.Input) (*host.Effects, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	if len(b.input) < in.Size() {
		b.input = abi.AlignedBytes(2 * in.Size())
	}
	if err := b.in.Parse(in.Encode(b.input)); err != nil {
		return nil, err
	}
	h := b.handles[number]
	for k := range h.Functions {
		if h.Functions[k].Upstream != abi.None {
			continue
		}
		if err := b.killed(&b.module.functions[h.Functions[k].Function]); err != nil {
			return nil, err
		}
		for i := range b.in.N {
			r := abi.Record{Timestamp: b.in.Timestamp(i)}
			if b.in.KeyOffs != nil {
				r.Key = b.in.Key(i)
			}
			if b.in.ValueOffs != nil {
				r.Value = b.in.Value(i)
			}
			b.run(number, k, r)
		}
	}
	b.finish(number)
	return &b.effects, nil
}

func (b *fakeBox) killed(f *fakeFunction) error {
	if f.kill == nil {
		return nil
	}
	var values [][]byte
	for i := range b.in.N {
		values = append(values, b.in.Value(i))
	}
	return b.die(f.kill(int(b.module.calls.Load()), values))
}

func (b *fakeBox) die(e *host.Error) error {
	if e == nil {
		return nil
	}
	b.dead = e.Kind.Poisoned()
	return e
}

// run passes a record through function k of a handle and those behind it.
func (b *fakeBox) run(number uint32, k int, r abi.Record) {
	h := b.handles[number]
	b.module.functions[h.Functions[k].Function].each(r, func(r abi.Record) { b.out(number, k, r) })
}

func (b *fakeBox) out(number uint32, k int, r abi.Record) {
	h := b.handles[number]
	if b.module.functions[h.Functions[k].Function].kind == abi.FunctionTimestamp {
		b.effects.Watermark, b.effects.HasWatermark = max(b.effects.Watermark, r.Timestamp), true
	}
	for _, o := range h.Functions[k].Outputs {
		b.builders[number<<16|o.Number].Append(r)
	}
	for next := k + 1; next < len(h.Functions); next++ {
		if h.Functions[next].Upstream == uint32(k) {
			b.run(number, next, r)
		}
	}
}

func (b *fakeBox) finish(number uint32) {
	for _, f := range b.handles[number].Functions {
		for _, o := range f.Outputs {
			id := number<<16 | o.Number
			w := b.builders[id]
			if w.Len() == 0 {
				continue
			}
			if len(b.memory[id]) < w.Size() {
				b.memory[id] = abi.AlignedBytes(2 * w.Size())
			}
			e := host.Emit{Output: o.Number, Bytes: w.Encode(b.memory[id])}
			w.Reset()
			if err := e.Batch.Parse(e.Bytes); err != nil {
				panic(err)
			}
			b.effects.Emits = append(b.effects.Emits, e)
		}
	}
}

func (b *fakeBox) Keyed(number uint32, verb abi.Verb, _ *abi.CallHeader, g *abi.GroupsWriter) (*host.Effects, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	groups := readGroups(g.Bytes())
	f := &b.module.functions[b.handles[number].Functions[0].Function]
	if f.kill != nil {
		var values [][]byte
		for _, g := range groups {
			values = append(values, g.input...)
		}
		if err := b.die(f.kill(int(b.module.calls.Load()), values)); err != nil {
			return nil, err
		}
	}
	for i, g := range groups {
		switch verb {
		case abi.VerbAccumulate:
			acc := g.accumulator
			for _, v := range g.input {
				acc = f.fold(acc, v)
			}
			b.effects.Reply = appendPut(b.effects.Reply, i, acc)
		case abi.VerbResult:
			f.result(&g.Group, g.accumulator, func(r abi.Record) { b.out(number, 0, r) })
		}
	}
	b.finish(number)
	return &b.effects, nil
}

// readGroup is one group of a keyed call, as a guest reads it.
type readGroup struct {
	abi.Group
	accumulator []byte
	input       [][]byte
}

func readGroups(p []byte) []readGroup {
	le := leUint32
	var out []readGroup
	n := le(p[4:])
	p = p[le(p):]
	for range n {
		size := le(p)
		g := readGroup{Group: abi.Group{Flags: le(p[4:]), WindowStart: int64(leUint64(p[8:])), WindowEnd: int64(leUint64(p[16:]))}}
		g.Key = p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le(p[32:])]
		at := abi.GroupHeaderBytes + (le(p[32:])+7)&^7
		for range le(p[36:]) {
			l := p[at:]
			count, tag := int(le(l[12:])), abi.ListTag(l[4])
			offs := l[abi.ListHeaderBytes:]
			data := offs[(4*(count+1)+7)&^7:]
			for i := range count {
				v := data[le(offs[4*i:]):le(offs[4*i+4:])]
				if tag == abi.ListAccumulators {
					g.accumulator = v
				} else {
					g.input = append(g.input, v)
				}
			}
			at += le(l)
		}
		out = append(out, g)
		p = p[size:]
	}
	return out
}

func leUint32(p []byte) uint32 {
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}
func leUint64(p []byte) uint64 { return uint64(leUint32(p)) | uint64(leUint32(p[4:]))<<32 }

// appendPut appends a reply entry that puts a group's accumulator.
func appendPut(dst []byte, group int, acc []byte) []byte {
	put := func(v uint32) { dst = append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	padded := (len(acc) + 7) &^ 7
	put(uint32(abi.ReplyEntryBytes + abi.ReplyActionBytes + padded))
	put(uint32(group))
	put(1)
	put(0)
	put(uint32(abi.ReplyActionBytes + padded))
	put(uint32(abi.ActionPut))
	put(uint32(len(acc)))
	put(0)
	dst = append(dst, acc...)
	return append(dst, make([]byte, padded-len(acc))...)
}

// listSource reads lines that the test gave; a split's data is its index.
type listSource struct {
	splits  [][]string
	stamps  bool // a record's timestamp is its line's number in the split, times 10, plus the split's index times 1000
	ordered bool
	endless bool // the last split never ends, and idles
	repeat  bool // every split begins again when it ends
	poll    func() error
}

func (s *listSource) Bounded() bool { return !s.endless }

func (s *listSource) Columns() abi.Columns {
	if s.stamps {
		return abi.ColumnValues | abi.ColumnTimestamps
	}
	return abi.ColumnValues
}

func (s *listSource) Enumerate(context.Context, int) (connector.Splits, error) {
	out := connector.Splits{Ordered: s.ordered}
	for i := range s.splits {
		out.Splits = append(out.Splits, connector.Split{ID: fmt.Sprintf("list[%d]", i), Data: json.RawMessage(fmt.Sprint(i))})
	}
	return out, nil
}

func (s *listSource) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	var i int
	if err := json.Unmarshal(split.Data, &i); err != nil {
		return nil, err
	}
	return &listReader{source: s, lines: s.splits[i], base: int64(i) * 1000, last: i == len(s.splits)-1}, nil
}

type listReader struct {
	source *listSource
	lines  []string
	at     int
	base   int64
	last   bool
}

func (r *listReader) Poll(b *abi.Builder, most, _ int, now time.Time) (connector.Progress, error) {
	if r.source.poll != nil {
		if err := r.source.poll(); err != nil {
			return connector.Progress{}, err
		}
	}
	if r.source.repeat && r.at == len(r.lines) {
		r.at = 0
	}
	for ; r.at < len(r.lines) && b.Len() < most; r.at++ {
		line := r.lines[r.at]
		b.Append(abi.Record{Timestamp: r.base + 10*int64(r.at), Value: unsafe.Slice(unsafe.StringData(line), len(line))})
	}
	if r.source.repeat {
		return connector.Progress{}, nil
	}
	if r.at == len(r.lines) && r.source.endless && r.last {
		return connector.Progress{Wake: now.Add(time.Hour)}, nil
	}
	return connector.Progress{Done: r.at == len(r.lines), Read: int64(b.Bytes())}, nil
}

func (r *listReader) Close() error { return nil }

// collector is the sink of all tests: it remembers what was written, as "key=value@timestamp" or as rows.
type collector struct {
	cols  abi.Columns
	delay time.Duration // before it is ready for more

	mu        sync.Mutex
	wrote     chan struct{} // capacity 1: told after each write, when it is made
	records   []string
	values    [][]byte
	written   int
	open      int
	committed []connector.Committable
}

func newCollector() *collector {
	return &collector{cols: abi.ColumnValues, wrote: make(chan struct{}, 1)}
}

func (c *collector) Columns(abi.Codec, abi.Codec) (abi.Columns, error) { return c.cols, nil }

func (c *collector) Open(_ context.Context, t connector.SinkTask) (connector.Writer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	return &collectWriter{c: c, task: t}, nil
}

func (c *collector) Commit(_ context.Context, _ string, _ uint64, p []connector.Committable) error {
	c.committed = append(c.committed, p...)
	return nil
}

func (c *collector) Abort(context.Context, string, uint32) error { return nil }

// await waits until n records have been written.
func (c *collector) await(n int) {
	for {
		c.mu.Lock()
		enough := c.written >= n
		c.mu.Unlock()
		if enough {
			return
		}
		<-c.wrote
	}
}

func (c *collector) sorted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.records))
}

type collectWriter struct {
	c    *collector
	task connector.SinkTask
}

func (w *collectWriter) Write(b *abi.Batch, now time.Time) (time.Time, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.written += b.N
	for i := range b.N {
		if b.ValueOffs == nil {
			continue
		}
		v := bytes.Clone(b.Value(i))
		w.c.values = append(w.c.values, v)
		s := string(v)
		if b.KeyOffs != nil {
			s = string(b.Key(i)) + "=" + s
		}
		if b.Timestamps != nil {
			s += fmt.Sprint("@", b.Timestamp(i))
		}
		w.c.records = append(w.c.records, s)
	}
	select {
	case w.c.wrote <- struct{}{}:
	default:
	}
	if w.c.delay > 0 {
		return now.Add(w.c.delay), nil
	}
	return time.Time{}, nil
}

func (w *collectWriter) Prepare(context.Context) ([]connector.Committable, error) {
	return []connector.Committable{{Data: json.RawMessage(fmt.Sprint(w.task.Subtask))}}, nil
}

func (w *collectWriter) Close() error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.open--
	return nil
}

// fakeJobManager gives out splits and remembers reports.
type fakeJobManager struct {
	epoch  graph.Epoch
	splits connector.Splits
	silent atomic.Bool             // requests fail
	refuse func(what string) error // nil: nothing

	mu         sync.Mutex
	changed    *sync.Cond
	given      map[graph.Attempt]int
	answers    map[wire.RequestID]*wire.SplitAssignment
	reports    []*wire.Report
	heartbeats []*wire.Heartbeat
	registered int
}

func newFakeJobManager() *fakeJobManager {
	jm := &fakeJobManager{epoch: 1, given: map[graph.Attempt]int{}, answers: map[wire.RequestID]*wire.SplitAssignment{}}
	jm.changed = sync.NewCond(&jm.mu)
	return jm
}

var errSilent = errors.New("no answer")

func (jm *fakeJobManager) Register(context.Context, *wire.Register) (*wire.Registered, error) {
	if jm.silent.Load() {
		return nil, errSilent
	}
	jm.mu.Lock()
	defer jm.mu.Unlock()
	jm.registered++
	jm.changed.Broadcast()
	return &wire.Registered{Epoch: jm.epoch, Heartbeat: time.Second, Timeout: 3 * time.Second}, nil
}

func (jm *fakeJobManager) Heartbeat(_ context.Context, h *wire.Heartbeat) error {
	if jm.silent.Load() {
		return errSilent
	}
	jm.mu.Lock()
	defer jm.mu.Unlock()
	if h.Epoch != jm.epoch {
		return &wire.Failure{Kind: wire.KindStale, Message: "epoch"}
	}
	jm.heartbeats = append(jm.heartbeats, h)
	return nil
}

func (jm *fakeJobManager) Report(_ context.Context, r *wire.Report) error {
	if jm.silent.Load() {
		return errSilent
	}
	jm.mu.Lock()
	defer jm.mu.Unlock()
	jm.reports = append(jm.reports, r)
	jm.changed.Broadcast()
	return nil
}

func (jm *fakeJobManager) NextSplit(_ context.Context, n *wire.NextSplit) (*wire.SplitAssignment, error) {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	if jm.refuse != nil {
		if err := jm.refuse(string(n.Request)); err != nil {
			return nil, err
		}
	}
	if a := jm.answers[n.Request]; a != nil {
		return a, nil
	}
	a := &wire.SplitAssignment{Ordered: jm.splits.Ordered, Last: true}
	if next := jm.given[n.Attempt]; next < len(jm.splits.Splits) {
		a.Split, a.Index = &jm.splits.Splits[next], uint32(next)
		a.Last = next+1 == len(jm.splits.Splits)
	}
	jm.given[n.Attempt]++
	jm.answers[n.Request] = a
	return a, nil
}

func (jm *fakeJobManager) Module(context.Context, graph.ModuleID) (io.ReadCloser, error) {
	return nil, errors.New("no modules here")
}

// ends waits until n tasks have ended, and returns their last reports.
func (jm *fakeJobManager) ends(n int) []*wire.Report {
	return jm.await(n, func(r *wire.Report) bool { return r.State != wire.TaskRunning })
}

func (jm *fakeJobManager) running(n int) []*wire.Report {
	return jm.await(n, func(r *wire.Report) bool { return r.State == wire.TaskRunning })
}

func (jm *fakeJobManager) await(n int, wanted func(*wire.Report) bool) []*wire.Report {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	for {
		var out []*wire.Report
		for _, r := range jm.reports {
			if wanted(r) {
				out = append(out, r)
			}
		}
		if len(out) >= n {
			return out
		}
		jm.changed.Wait()
	}
}

// fixture is a TaskManager with fakes around it, and one job.
type fixture struct {
	t      testing.TB
	tm     *TaskManager
	jm     *fakeJobManager
	source *listSource
	sink   *collector            // of the sink "out"
	sinks  map[string]*collector // by the sink's name
	module *fakeModule
	graph  graph.JobGraph
	stop   context.CancelFunc
	done   chan struct{}
}

// newFixture makes a job graph of a source "lines", the operators given, and a sink "out" behind the last.
func newFixture(t testing.TB, source *listSource, module *fakeModule, operators ...graph.Operator) *fixture {
	f := &fixture{t: t, jm: newFakeJobManager(), source: source, sink: newCollector(), module: module, done: make(chan struct{})}
	f.sinks = map[string]*collector{"out": f.sink}
	f.jm.splits, _ = source.Enumerate(t.Context(), 1)
	network := exchange.NewNetwork(nil, exchange.Config{})
	f.tm = New(Config{
		ID: "tm-1", Name: "tm", Slots: 4, Network: network, Log: slog.New(slog.DiscardHandler),
		Connectors: &connector.Registry{
			Sources: map[string]func(map[string]string) (connector.Source, error){"list": func(map[string]string) (connector.Source, error) { return f.source, nil }},
			Sinks:   map[string]func(map[string]string) (connector.Sink, error){"collect": func(c map[string]string) (connector.Sink, error) { return f.sinks[c["name"]], nil }},
		},
	})
	f.tm.start = func(context.Context, *task, graph.Module, *guest) (sandbox, error) { return module.start(), nil }
	f.graph = graph.JobGraph{Name: "test", Parallelism: 1, MaxParallelism: 128, Modules: []graph.Module{{ID: "m"}}}
	ops := append([]graph.Operator{{Name: "lines", Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "list"}, Parallelism: 1, Output: "utf8"}}, operators...)
	if last := ops[len(ops)-1]; last.Kind != abi.OperatorSink {
		ops = append(ops, graph.Operator{Name: "out", Kind: abi.OperatorSink, Parallelism: max(last.Parallelism, 1)})
	}
	for i := range ops {
		if ops[i].Kind == abi.OperatorSink {
			ops[i].Connector = &abi.Connector{Type: "collect", Config: map[string]string{"name": ops[i].Name}}
			if f.sinks[ops[i].Name] == nil {
				f.sinks[ops[i].Name] = newCollector()
			}
		}
		op := &ops[i]
		op.UID = op.Name
		op.Parallelism = max(op.Parallelism, 1)
		for id := range module.functions {
			if fn := &module.functions[id]; fn.name == op.Name {
				op.Function = &graph.FunctionRef{Module: "m", Name: fn.name}
				op.Declared = &abi.Function{ID: uint32(id), Name: fn.name, Kind: fn.kind, Result: fn.result != nil}
				op.Kind = abi.OperatorKind(fn.kind)
			}
		}
		if i > 0 && op.Inputs == nil {
			in := graph.Input{From: i - 1, Partition: graph.Forward, Exchange: graph.Pipelined}
			switch {
			case ops[i-1].Kind == abi.OperatorKey:
				in.Partition = graph.Hash
			case ops[i-1].Parallelism != op.Parallelism:
				in.Partition = graph.Rebalance
			}
			op.Inputs = []graph.Input{in}
		}
	}
	f.graph.Operators = ops
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	go func() {
		defer close(f.done)
		if err := f.tm.Run(ctx, f.jm); err != nil {
			t.Error(err)
		}
	}()
	f.awaitRegistered(1)
	t.Cleanup(func() {
		cancel()
		<-f.done
		network.Close()
		for name, s := range f.sinks {
			if s.open != 0 {
				t.Errorf("%d writers of sink %s are still open", s.open, name)
			}
		}
	})
	return f
}

func (f *fixture) awaitRegistered(n int) {
	f.jm.mu.Lock()
	defer f.jm.mu.Unlock()
	for f.jm.registered < n {
		f.jm.changed.Wait()
	}
}

func (f *fixture) message(attempt graph.Attempt) *wire.Deploy {
	d := &wire.Deploy{
		Header: wire.Header{Epoch: f.jm.epoch, Job: "job", Attempt: attempt}, Graph: f.graph,
		Placement: map[string]wire.TaskManagerID{},
	}
	for _, id := range graph.Expand(&f.graph).Tasks() {
		d.Tasks = append(d.Tasks, wire.TaskDeploy{Task: id, Slot: id.Subtask})
		d.Placement[id.String()] = "tm-1"
	}
	return d
}

// deploy starts the job, and returns how many tasks it has.
func (f *fixture) deploy() int {
	f.t.Helper()
	d := f.message(1)
	if err := f.tm.Deploy(f.t.Context(), d); err != nil {
		f.t.Fatal(err)
	}
	return len(d.Tasks)
}

// run runs the job to its end, which must be a good one.
func (f *fixture) run() []*wire.Report {
	f.t.Helper()
	ends := f.jm.ends(f.deploy())
	for _, r := range ends {
		if r.State != wire.TaskFinished {
			f.t.Fatalf("task %s ended %s: %+v", r.Task, r.State, r.Failure)
		}
	}
	return ends
}

func (f *fixture) cancel() {
	f.t.Helper()
	if err := f.tm.Cancel(f.t.Context(), &wire.Cancel{Header: wire.Header{Epoch: f.jm.epoch, Job: "job", Attempt: 1}}); err != nil {
		f.t.Fatal(err)
	}
}

// Functions that most tests use.
var (
	splitWords = fakeFunction{name: "split", kind: abi.FunctionFlatMap, each: func(r abi.Record, emit func(abi.Record)) {
		for w := range bytes.FieldsSeq(r.Value) {
			emit(abi.Record{Timestamp: r.Timestamp, Key: r.Key, Value: w})
		}
	}}
	byWord = fakeFunction{name: "word", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
		r.Key = r.Value
		emit(r)
	}}
)
