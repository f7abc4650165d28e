package taskmanager

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// fakeJobManager gives out splits and remembers reports.
type fakeJobManager struct {
	epoch    graph.Epoch
	splits   connector.Splits
	silent   atomic.Bool             // requests fail
	refuse   func(what string) error // nil: nothing
	onTheWay chan struct{}           // until it is closed, answers to registrations do not arrive; nil: they do; guarded by mu

	mu         sync.Mutex
	changed    *sync.Cond
	given      map[graph.Attempt]int
	answers    map[wire.RequestID]*wire.SplitAssignment
	reports    []*wire.Report
	acks       []*wire.Acknowledge
	heartbeats []*wire.Heartbeat
	over       map[graph.JobID]bool // jobs that have ended
	registered int
	session    uint64 // of the next registration
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
	jm.registered++
	jm.changed.Broadcast()
	answer := &wire.Registered{Epoch: jm.epoch, Heartbeat: time.Second, Timeout: 3 * time.Second, Session: jm.session}
	onTheWay := jm.onTheWay
	jm.mu.Unlock()
	if onTheWay != nil {
		<-onTheWay
	}
	return answer, nil
}

func (jm *fakeJobManager) Heartbeat(_ context.Context, h *wire.Heartbeat) (*wire.Noted, error) {
	if jm.silent.Load() {
		return nil, errSilent
	}
	jm.mu.Lock()
	defer jm.mu.Unlock()
	if h.Epoch != jm.epoch {
		return nil, &wire.Failure{Kind: wire.KindStale, Message: "epoch"}
	}
	jm.heartbeats = append(jm.heartbeats, h)
	n := &wire.Noted{}
	for _, id := range h.Kept {
		if jm.over[id] {
			n.Over = append(n.Over, id)
		}
	}
	return n, nil
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

func (jm *fakeJobManager) Acknowledge(_ context.Context, a *wire.Acknowledge) error {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	jm.acks = append(jm.acks, a)
	jm.changed.Broadcast()
	return nil
}

// acknowledged waits until n parts of a checkpoint have come.
func (jm *fakeJobManager) acknowledged(id checkpoint.ID, n int) {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	for jm.parts(id) < n {
		jm.changed.Wait()
	}
}

// parts counts the parts of a checkpoint. jm.mu is held.
func (jm *fakeJobManager) parts(id checkpoint.ID) (n int) {
	for _, a := range jm.acks {
		if a.Checkpoint == id && a.Part != nil {
			n++
		}
	}
	return n
}
