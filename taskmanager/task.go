package taskmanager

import (
	"context"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// task is one subtask of one chain. Its goroutine owns everything but the metrics.
type task struct {
	attempt *attempt
	id      graph.TaskID
	slot    int
	name    string // of its chain
	metrics *taskMetrics
	guests  guestMetrics // what its guests count
	log     *slog.Logger
	wake    chan struct{} // capacity 1
	orders  orders        // of the JobMaster, about checkpoints
	standby standby       // guests of an exchange to come
	restore *wire.TaskRestore
	graph   *graph.JobGraph    // of the attempt, with what was chosen for this task
	gate    *exchange.Gate     // nil for a source
	edges   []*edge            // from the first on until close
	readers []*snapshot.Reader // of what it is restored from, until its state is made
	fetches bool               // some of that is copied to this machine
}

// newTask makes a task and its gate, so that others can send to it. It does not run yet.
func newTask(a *attempt, d wire.TaskDeploy) *task {
	t := &task{
		attempt: a, id: d.Task, slot: d.Slot, name: a.exec.ChainName(a.graph, d.Task.Chain),
		metrics: newTaskMetrics(a.graph, a.exec.Chains[d.Task.Chain].Operators...), wake: make(chan struct{}, 1), restore: d.Restore,
	}
	if t.graph = a.graph; d.Hint != "" {
		t.graph = a.graph.WithHint(a.exec.Chains[d.Task.Chain].Operators[0], d.Hint)
	}
	t.log = a.tm.config.Log.With("job", string(a.key.Job), "attempt", a.key.Attempt, "chain", t.name, "subtask", d.Task.Subtask)
	var inputs []exchange.GateInput
	for _, e := range a.exec.Chains[d.Task.Chain].Inputs {
		first, n := a.senders(e, d.Task.Subtask)
		inputs = append(inputs, exchange.GateInput{Edge: e, First: first, Senders: n, Ended: a.ended(e, first, n)})
	}
	if len(inputs) > 0 {
		t.gate = a.tm.config.Network.Gate(a.key, t.id, inputs, t.wake)
	}
	return t
}

// senders are the subtasks that send to a receiver of an edge: n from first.
func (a *attempt) senders(edge, receiver int) (first, n int) {
	e := a.exec.Edges[edge]
	return e.Partition.Senders(receiver, a.exec.Chains[e.To].Parallelism, a.exec.Chains[e.From].Parallelism)
}

// ended are those of n senders of an edge, from first, that had finished before the attempt began.
func (a *attempt) ended(edge, first, n int) (ended []int) {
	for id := range a.finished {
		if id.Chain == a.exec.Edges[edge].From && first <= id.Subtask && id.Subtask < first+n {
			ended = append(ended, id.Subtask)
		}
	}
	return ended
}

// nudge makes the task look at its orders.
func (t *task) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run is the task's goroutine, from its deployment to its end.
func (t *task) run() {
	defer t.attempt.gone()
	err := t.work(t.attempt.ctx)
	if err == nil {
		return // it has said so, and freed what it had
	}
	t.attempt.release(t)
	if t.attempt.ctx.Err() != nil {
		t.report(&wire.Report{State: wire.TaskCanceled})
	} else {
		f := t.distrust(*failureOf(err))
		f.Subtask = t.id.Subtask
		if f.Operator == "" {
			f.Operator = t.name
		}
		t.log.Error("task failed", "kind", int(f.Kind), "error", f.Message)
		t.report(&wire.Report{State: wire.TaskFailed, Failure: &f})
		// Its channels stay open until the attempt is over: otherwise their other ends would fail, too, and the
		// JobManager might hear of that before it hears of the cause.
		<-t.attempt.ctx.Done()
	}
	t.disconnect()
}

// disconnect closes the task's channels. The task is remembered longer than they are needed.
func (t *task) disconnect() {
	for _, e := range t.edges {
		e.close()
	}
	if t.gate != nil {
		t.gate.Close()
	}
	t.edges, t.gate = nil, nil
}

// report tells the JobMaster of a state of the task. What it returns is closed when that is answered; if the attempt is over, it may
// never be.
func (t *task) report(r *wire.Report) (answered <-chan struct{}) {
	a := t.attempt
	r.Header, r.TaskManager, r.Task, r.Metrics = a.header(), a.tm.config.ID, t.id, t.figures()
	r.Request = a.request(string(r.State), t.id, 0)
	return a.tm.reporter.add(r)
}

func (t *task) figures() wire.TaskMetrics {
	m := wire.TaskMetrics{Job: t.attempt.key.Job, Attempt: t.attempt.key.Attempt, Task: t.id}
	t.metrics.fill(&m)
	return m
}

// work builds the task's chain, runs it to the end of its input, says so, and frees it: its state when no checkpoint will name it
// any more. A panic ends the task and nothing else.
func (t *task) work(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.log.Error("task panicked", "panic", r, "stack", string(debug.Stack()))
			err = refuse(wire.KindInternal, "task %s of chain %s panicked: %v", t.id, t.name, r)
		}
	}()
	failpoint.Hit(failpoint.Deploy)
	defer t.standby.close()
	l, free, err := t.build(ctx)
	defer func() { free() }()
	if err != nil {
		return err
	}
	defer l.close() // again, if all went well
	if err := l.chain.open(ctx); err != nil {
		return err
	}
	t.report(&wire.Report{State: wire.TaskRunning})
	prepared, err := l.run(ctx)
	if err != nil {
		return err
	}
	end := l.release
	if l.keeper == nil {
		end = l.close
	}
	if err := end(); err != nil {
		return err
	}
	t.standby.close()
	t.disconnect()
	t.attempt.release(t)
	answered := t.report(&wire.Report{State: wire.TaskFinished, Prepared: prepared, Holds: l.keeper != nil})
	if l.keeper != nil {
		l.hold(ctx, answered)
	}
	return nil
}

// build makes the chain, its state and its input; nothing but the keeper is started. free is called when the task has
// ended, whatever the error.
func (t *task) build(ctx context.Context) (l *loop, free func(), err error) {
	a := t.attempt
	free = func() {}
	var k *keeper
	if a.checkpoints != nil {
		r, kept, err := t.open(ctx)
		if err != nil {
			return nil, free, err
		}
		ctx, cancel := context.WithCancel(ctx)
		k = kept
		k.start(ctx)
		free = func() {
			cancel()
			k.close()
			r.close()
			_ = k.store.Close()
		}
	}
	l, err = t.buildLoop()
	if err != nil {
		return nil, free, err
	}
	l.orders, l.keeper, l.part, l.standby = &t.orders, k, t.part, &t.standby
	return l, free, nil
}

// open opens what the task is restored from, and makes its keeper.
func (t *task) open(ctx context.Context) (*restored, *keeper, error) {
	a := t.attempt
	store, err := a.tm.config.OpenStore(ctx, a.checkpoints.Store)
	if err != nil {
		return nil, nil, refuse(wire.KindIO, "open checkpoint store %s: %v", a.checkpoints.Store, err)
	}
	k := &keeper{store: store, on: a.tm.config.Files, dir: filepath.Join(a.tm.config.StateDir, string(a.key.Job)), ack: t.acknowledge, nudge: t.nudge, log: t.log}
	k.from, k.to = a.keyGroups(t.id)
	k.name = func(n int) string { return checkpoint.FileName(a.key.Attempt, t.id, n) }
	k.inFlight = func(id checkpoint.ID) string { return checkpoint.InFlightName(a.key.Attempt, id, t.id) }
	k.lanes, _, _ = t.lanes()
	r := &restored{}
	if t.restore != nil {
		failpoint.Hit(failpoint.Restoring)
		if r, err = t.origin(store, k.dir).open(ctx, a.checkpoints.Restored, t.restore.Files); err != nil {
			store.Close()
			return nil, nil, err
		}
		t.fetches = r.fetching != nil
		k.files = t.restore.Files
		if err = t.regain(ctx, store); err != nil {
			r.close()
			store.Close()
			return nil, nil, err
		}
	}
	t.readers = r.readers
	return r, k, nil
}

// part is the task's part of a checkpoint, without what changes.
func (t *task) part() *checkpoint.Task { return &checkpoint.Task{Task: t.id} }

// acknowledge tells the JobMaster of the task's part until it has heard.
func (t *task) acknowledge(ctx context.Context, id checkpoint.ID, part *checkpoint.Task, declined *wire.Failure) {
	a := t.attempt
	m := &wire.Acknowledge{Header: a.header(), TaskManager: a.tm.config.ID, Checkpoint: id, Part: part, Task: t.id, Declined: declined}
	m.Request = a.request("acknowledge", t.id, int(id))
	err := insist(ctx, func() error {
		try, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		return a.jm.Acknowledge(try, m)
	})
	if err != nil && ctx.Err() == nil && !isStale(err) {
		t.log.Warn("acknowledgement refused", "checkpoint", id, "error", err)
	}
}

func (t *task) buildLoop() (*loop, error) {
	a := t.attempt
	p, err := newPlan(t.graph, a.exec, t.id.Chain, a.sinkColumns)
	if err != nil {
		return nil, err
	}
	lanes := 1
	if t.gate != nil {
		lanes = t.gate.Channels()
	}
	c, err := newChain(p, lanes, t, t.metrics)
	if err != nil {
		return nil, err
	}
	if t.restore != nil {
		c.goOn(t.restore.Promised)
	}
	in, err := t.input(c)
	if err != nil {
		return nil, err
	}
	return &loop{chain: c, input: in, wake: t.wake, maxDelay: a.tm.config.MaxDelay, overtakeAfter: a.alignTimeout(), metrics: t.metrics}, nil
}

func (t *task) input(c *chain) (input, error) {
	a := t.attempt
	if t.gate == nil {
		i := a.exec.Chains[t.id.Chain].Operators[0]
		op := &a.graph.Operators[i]
		src, err := a.tm.config.Connectors.Source(op.Connector, op.Output)
		if err != nil {
			return nil, inOperator(op.Name, wire.KindInput, err)
		}
		s := &splits{task: t, operator: i}
		made := newSourceInput(op, src, c, s.next)
		made.assigner.patience = a.graph.Patience(i)
		made.aligned = made.align()
		t.metrics.aligned.Store(made.aligned)
		if t.restore != nil {
			made.restore(t.restore.Watermark)
		}
		return made, nil
	}
	var names []string
	for _, e := range a.exec.Chains[t.id.Chain].Inputs {
		first, n := a.senders(e, t.id.Subtask)
		names = append(names, channelNames(a.graph.Operators[a.exec.Edges[e].FromOperator].Name, first, n)...)
	}
	_, _, ordered := t.lanes()
	in := newGateInput(t.gate, names, c, newAlignment(ordered, a.alignTimeout()))
	if first := t.graph.Operators[a.exec.Chains[t.id.Chain].Operators[0]].First(); t.graph.Batch && first >= 0 {
		in.first(first)
	}
	if sorts(t.graph, a.exec.Chains[t.id.Chain]) {
		return t.newSortedInput(in, c), nil
	}
	return in, nil
}
