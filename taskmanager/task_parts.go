package taskmanager

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// A task is what its chain asks for its parts (chainParts).

// sinkColumns are those that the sink operator op needs.
func (a *attempt) sinkColumns(op int) (abi.Columns, error) {
	o := &a.graph.Operators[op]
	sink, err := a.tm.config.Connectors.Sink(o.Connector)
	if err != nil {
		return 0, inOperator(o.Name, wire.KindInput, err)
	}
	key, value := codecs(a.graph, source{o.Inputs[0].From, o.Inputs[0].Side})
	cols, err := sink.Columns(key, value)
	if err != nil {
		return 0, inOperator(o.Name, wire.KindInput, err)
	}
	return cols, nil
}

func (t *task) sink(op int) (connector.Sink, connector.SinkTask, error) {
	a := t.attempt
	o := &a.graph.Operators[op]
	sink, err := a.tm.config.Connectors.Sink(o.Connector)
	if err != nil {
		return nil, connector.SinkTask{}, inOperator(o.Name, wire.KindInput, err)
	}
	key, value := codecs(a.graph, source{o.Inputs[0].From, o.Inputs[0].Side})
	return sink, connector.SinkTask{
		Job: string(a.key.Job), Attempt: uint32(a.key.Attempt), Subtask: t.id.Subtask, Parallelism: o.Parallelism,
		Key: key, Value: value, Ran: a.ran, Print: a.tm.config.Print,
	}, nil
}

func (t *task) edge(index int, cols abi.Columns, m *taskMetrics) (*edge, error) {
	a := t.attempt
	e := a.exec.Edges[index]
	first, n := e.Partition.Receivers(t.id.Subtask, a.exec.Chains[e.From].Parallelism, a.exec.Chains[e.To].Parallelism)
	if e.Exchange == graph.Blocking {
		return t.blockingEdge(index, n, cols, m)
	}
	var senders []*exchange.Sender
	for i := range n {
		to := graph.TaskID{Chain: e.To, Subtask: first + i}
		addr, err := a.address(to)
		if err != nil {
			return nil, err
		}
		senders = append(senders, a.tm.config.Network.Sender(a.key, index, t.id, to, addr, t.wake))
	}
	made := newEdge(a.tm.config.Network, e.Partition, t.id.Subtask, senders, cols, a.graph.MaxParallelism, m)
	t.edges = append(t.edges, made)
	return made, nil
}

func (t *task) guest(module graph.ModuleID) (*guest, error) {
	return t.guestOf(t.attempt.graph, module)
}

// guestOf makes the guest of a module as a graph has it.
func (t *task) guestOf(job *graph.JobGraph, module graph.ModuleID) (*guest, error) {
	for _, mod := range job.Modules {
		if mod.ID != module {
			continue
		}
		g := &guest{module: module, params: job.Params}
		g.start = func(ctx context.Context) (sandbox, error) { return t.attempt.tm.start(ctx, t, mod, g) }
		return g, nil
	}
	return nil, refuse(wire.KindModule, "load module %.12s: the job does not name it", module)
}

// store makes the state that the chain goes on with.
func (t *task) store() (state.Store, error) {
	a := t.attempt
	c := state.Config{Groups: a.graph.MaxParallelism, Budget: a.budget(t.slot)}
	c.From, c.To = a.keyGroups(t.id)
	c.Restored, t.readers = t.readers, nil
	c.Dir = filepath.Join(a.dir(), fmt.Sprintf("%s%d-%d-%s", spillPrefix, a.key.Epoch, a.key.Attempt, t.id))
	c.Space = a.space()
	return a.tm.config.NewState(c)
}

// dir is where tasks of the job keep files on this machine.
func (a *attempt) dir() string { return filepath.Join(a.tm.config.StateDir, string(a.key.Job)) }

// space is what they may take.
func (a *attempt) space() *spill.Space {
	return &spill.Space{Disk: a.tm.disk, Dir: a.dir(), Quota: a.tm.config.State.Quota}
}

// spillPrefix begins the names of the directories in that of a job where its tasks keep what does not fit in memory.
const spillPrefix = "spill-"

// budget is the memory of one task's state: the tasks of a slot that keep any have equal parts.
func (a *attempt) budget(slot int) int64 {
	if a.tm.config.State.Budget == 0 || a.graph.Batch { // where a slot holds one task at a time
		return a.tm.config.State.Budget
	}
	a.tm.mu.Lock()
	defer a.tm.mu.Unlock()
	n := int64(0)
	for _, t := range a.tasks {
		if t.slot == slot && a.keepsState(t.id.Chain) {
			n++
		}
	}
	return max(a.tm.config.State.Budget/max(n, 1), 1)
}

func (a *attempt) keepsState(chain int) bool {
	for _, i := range a.exec.Chains[chain].Operators {
		switch a.graph.Operators[i].Kind {
		case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate, abi.OperatorProcess, abi.OperatorJoin,
			abi.OperatorWindow, abi.OperatorMapPartition, abi.OperatorSortPartition:
			return true
		}
	}
	return false
}

// removeSpills removes what tasks of an earlier process have left.
func (tm *TaskManager) removeSpills() {
	if tm.config.StateDir == "" {
		return
	}
	var left []string
	for _, prefix := range []string{spillPrefix, outputPrefix, sortPrefix} {
		found, _ := filepath.Glob(filepath.Join(tm.config.StateDir, "*", prefix+"*")) // the pattern is well-formed
		left = append(left, found...)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			tm.config.Log.Warn("remove what is left of an earlier process", "directory", dir, "error", err)
		}
	}
}

// warn writes a line to the job's log.
func (t *task) warn(operator, text string) { t.logGuest(operator, abi.LogWarn, text) }

func (t *task) keyGroups() (from, to graph.KeyGroup) { return t.attempt.keyGroups(t.id) }

func (t *task) bounded() bool { return t.attempt.bounded }

func (t *task) header() abi.CallHeader {
	return abi.CallHeader{
		Watermark: abi.MinTime, Split: abi.None, Subtask: uint32(t.id.Subtask),
		Parallelism: uint32(t.attempt.exec.Chains[t.id.Chain].Parallelism), Attempt: uint32(t.attempt.key.Attempt),
	}
}

// instantiate starts a guest of a module, which is fetched and compiled first if this process has not got it.
func (tm *TaskManager) instantiate(ctx context.Context, t *task, m graph.Module, g *guest) (sandbox, error) {
	mod, err := tm.load(ctx, t.attempt.jm, m.Metered)
	if err != nil {
		return nil, err
	}
	i, err := mod.Instantiate(ctx, host.InstanceConfig{
		Params: g.params, ManifestID: string(m.Manifest), CallLimit: tm.config.CallLimit,
		Seed: xxhash.Sum64String(fmt.Sprintf("%s/%s", t.attempt.key.Job, t.id)),
		Log: func(level abi.LogLevel, text string) {
			if !g.checking {
				t.logGuest(g.running, level, text)
			}
		},
		Metric: func(kind abi.MetricKind, name string, value int64) {
			if !g.checking {
				t.guests.apply(kind, name, value)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// load returns a module of this process. Compiling takes seconds and cannot be stopped, but a cancelled task need not
// wait for it: the module is there for the next one then.
func (tm *TaskManager) load(ctx context.Context, jm JobManager, metered graph.ModuleID) (*host.Module, error) {
	type answer struct {
		module *host.Module
		err    error
	}
	loaded := make(chan answer, 1)
	tm.loads.Go(func() {
		m, err := tm.config.Engine.Load(ctx, string(metered), func(ctx context.Context) ([]byte, error) {
			return fetch(ctx, jm, metered)
		})
		loaded <- answer{m, err}
	})
	select {
	case a := <-loaded:
		return a.module, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetch asks the JobManager for the bytes of a module. That it does not answer says nothing about the module.
func fetch(ctx context.Context, jm JobManager, metered graph.ModuleID) ([]byte, error) {
	r, err := jm.Module(ctx, metered)
	if err != nil {
		return nil, fetchFailure(metered, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fetchFailure(metered, err)
	}
	return b, nil
}

func fetchFailure(metered graph.ModuleID, err error) error {
	f := failureOf(err)
	if f.Kind == wire.KindInternal {
		f = refuse(wire.KindIO, "fetch module %.12s: %v", metered, err)
	}
	return f
}

// open starts the guests and opens the sinks.
func (c *chain) open(ctx context.Context) error {
	for _, g := range c.guests {
		g.ctx = ctx
		if err := g.open(); err != nil {
			return err
		}
	}
	for _, s := range c.sinks {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	return nil
}
