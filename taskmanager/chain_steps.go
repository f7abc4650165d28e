package taskmanager

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// How the steps of a chain are made, of what its plan says.

// newStep makes step s, not yet wired to those behind it.
func (c *chain) newStep(s int, parts chainParts) (step, error) {
	op := &c.plan.graph.Operators[c.plan.steps[s].operators[0]]
	var h *handle
	if op.Function != nil {
		var err error
		if h, err = c.newHandle(s, parts.guest); err != nil {
			return nil, err
		}
		h.poison = c.newPoison(c.plan.steps[s].operators[0], parts)
	}
	switch {
	case op.Kind == abi.OperatorSink:
		i := c.plan.steps[s].operators[0]
		sink, task, err := parts.sink(i)
		if err != nil {
			return nil, err
		}
		st := &sinkStep{name: op.Name, sink: sink, task: task, time: &c.time, metrics: c.metrics, taken: c.metrics.sinkIn[i]}
		c.sinks = append(c.sinks, st)
		return st, nil
	case op.Kind == abi.OperatorProcess:
		return c.newProcess(op, h, parts)
	case op.Kind == abi.OperatorJoin:
		return c.newJoin(op, h, parts)
	case op.Kind == abi.OperatorRequest:
		return c.newRequest(op, h, parts)
	case op.Whole():
		return c.newWhole(s, op, h, parts)
	case op.Kind == abi.OperatorSample:
		return c.newSample(op, parts)
	case op.Kind == abi.OperatorRange:
		return c.newRange(op)
	case isKeyed(op.Kind):
		return c.newKeyed(s, op, h, parts)
	case op.Kind == abi.OperatorPartition:
		st := &partitionStep{handle: h, header: parts.header(), time: &c.time, received: abi.MinTime}
		st.header.Parallelism = uint32(c.plan.graph.Receivers(c.plan.operatorIndex(op)))
		return st, nil
	}
	if op.Function == nil {
		return c.newFieldStep(op)
	}
	st := &guestStep{handle: h, header: parts.header(), time: &c.time, input: abi.MinTime, passed: abi.MinTime, assigned: abi.MinTime}
	if c.plan.steps[s].assigns {
		st.assigner = c.newAssigner(s)
	}
	return st, nil
}

// newHandle makes the handle of step s. newGuest is asked for modules that the chain has no guest of yet.
func (c *chain) newHandle(s int, newGuest func(graph.ModuleID) (*guest, error)) (*handle, error) {
	alone := c.plan.graph.Operators[c.plan.steps[s].operators[0]].Whole()
	h, err := c.handleOf(c.plan.function(s).Module, alone, newGuest)
	if err != nil {
		return nil, err
	}
	h.names = c.plan.names(s)
	h.functions, _ = c.plan.handle(s)
	c.newKeyChecks(s, h)
	return h, nil
}

// handleOf makes a handle of a module, of nothing yet; alone: of an instance that has no other.
func (c *chain) handleOf(module graph.ModuleID, alone bool, newGuest func(graph.ModuleID) (*guest, error)) (*handle, error) {
	i := slices.IndexFunc(c.guests, func(g *guest) bool { return g.module == module && !g.alone && !alone })
	if i < 0 {
		g, err := newGuest(module)
		if err != nil {
			return nil, err
		}
		g.alone = alone
		i, c.guests = len(c.guests), append(c.guests, g)
	}
	g := c.guests[i]
	h := &handle{guest: g, number: uint32(len(g.handles) + 1)}
	g.handles = append(g.handles, h)
	return h, nil
}

// newWindowHandles makes the handles of the functions that the window of step s names, in the order of the graph.
func (c *chain) newWindowHandles(s int, newGuest func(graph.ModuleID) (*guest, error)) (all []*handle, err error) {
	op := &c.plan.graph.Operators[c.plan.steps[s].operators[0]]
	for _, f := range op.WindowFunctions {
		h, err := c.handleOf(op.WindowModule, false, newGuest)
		if err != nil {
			return nil, err
		}
		h.names, h.functions = op.Name+": "+f.Name, windowHandle(f)
		all = append(all, h)
	}
	return all, nil
}

func (c *chain) newKeyed(s int, op *graph.Operator, h *handle, parts chainParts) (step, error) {
	key, value := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	st := &keyedStep{folding: folding{handle: h, header: parts.header()}, name: op.Name, time: &c.time, passed: abi.MinTime, metrics: c.metrics, reached: newReached(op, parts)}
	st.clock = op.Window != nil && op.Window.Time == operator.ProcessingWindows
	st.lates = c.lates(op, 0, &st.lateSet)
	final, tells := c.revisions(op, parts)
	window, delay := operator.Once(op.Window, final)
	st.delay = delay
	asked, err := c.newWindowHandles(s, parts.guest)
	if err != nil {
		return nil, err
	}
	if h != nil {
		st.poison = h.poison
	} else {
		st.poison = c.newPoison(c.plan.steps[s].operators[0], parts)
	}
	config := operator.Config{
		UID: op.UID, Kind: op.Kind, Window: window, Key: key, Value: value, Output: op.Output, Function: op.Declared, Aggregates: op.Aggregates,
		Final: final, Exact: c.plan.graph.Batch, Tells: tells, Groups: c.plan.graph.MaxParallelism, Guest: st, Late: st.lates, Calls: st, Asks: st.asks(op, asked),
	}
	make := func() (err error) {
		config.Store = c.store
		if tells && !operator.TellsItself(op.Kind, window, op.Declared) {
			st.told = operator.NewTold(op.UID, window, c.store)
		}
		if st.op, err = operator.New(config); err != nil {
			return err
		}
		st.ticked, _ = st.op.(operator.Ticked)
		st.received, _, err = st.reached.restore(c.store) // the operator knows itself of which keys it has fired to what
		return err
	}
	st.anew = func() error { return c.anew(parts, make) }
	return st, unmade(op, make())
}

// revisions says of an operator that may have newer results for those that it has put out whether only the last ones count, or
// else whether each is told as the change that it is.
func (c *chain) revisions(op *graph.Operator, parts chainParts) (final, tells bool) {
	if !op.Revises() {
		return false, false
	}
	index := c.plan.operatorIndex(op)
	if parts.bounded() && (c.plan.graph.Batch || !c.plan.graph.TellsUpdates(index)) {
		return true, false
	}
	return false, c.plan.wanted(source{index, 0})&abi.ColumnKinds != 0
}

// lates is what takes the late records of an input of an operator, nil: nobody does. They go on in set.
func (c *chain) lates(op *graph.Operator, input int, set *batch) *abi.Builder {
	late := op.LateSide(input)
	if late == 0 {
		return nil
	}
	out := source{c.plan.operatorIndex(op), late}
	if steps, edges := c.plan.takers(out); len(steps)+len(edges) == 0 {
		return nil
	}
	set.split, set.from = abi.None, fmt.Sprintf("the late records of %q", op.Name)
	return abi.NewBuilder(c.plan.wanted(out))
}

func (c *chain) newJoin(op *graph.Operator, h *handle, parts chainParts) (step, error) {
	st := &joinStep{name: op.Name, handle: h, header: parts.header(), time: &c.time, passed: abi.MinTime, metrics: c.metrics, reached: newReached(op, parts)}
	st.room = func() error { return c.room() }
	st.clock = op.Window != nil && (op.Window.Time == operator.ProcessingWindows || op.Window.Kind == abi.WindowAll)
	final, tells := c.revisions(op, parts)
	window, delay := operator.Once(op.Window, final)
	st.delay = delay
	config := operator.JoinConfig{
		UID: op.UID, Interval: op.Interval, Window: window, Tells: tells, Outer: op.Outer, Output: op.Output, Function: op.Declared, Groups: c.plan.graph.MaxParallelism, Joiner: st,
	}
	if build := op.Builds(); c.plan.graph.Batch && build >= 0 {
		config.Hash, config.Build = true, build
	}
	for i, in := range op.Inputs {
		config.Key, config.Values[i] = codecs(c.plan.graph, source{in.From, in.Side})
		st.lates[i].builder = c.lates(op, i, &st.lates[i])
		config.Late[i] = st.lates[i].builder
	}
	if h == nil {
		st.results.builder = abi.NewBuilder(c.plan.wanted(source{c.plan.operatorIndex(op), 0}))
		st.results.split, st.results.from = abi.None, fmt.Sprintf("the output of %q", op.Name)
	}
	config.Results = st.results.builder
	make := func() (err error) {
		config.Store = c.store
		if st.op, err = operator.NewJoin(config); err != nil {
			return err
		}
		st.received, _, err = st.reached.restore(c.store) // the operator knows itself of which keys it has fired to what
		return err
	}
	st.anew = func() error { return c.anew(parts, make) }
	return st, unmade(op, make())
}

func (c *chain) newProcess(op *graph.Operator, h *handle, parts chainParts) (step, error) {
	key, _ := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	st := &processStep{name: op.Name, unkeyed: op.Unkeyed(), broadcasts: op.Broadcasts(), handle: h, header: parts.header(), time: &c.time, passed: abi.MinTime, reached: newReached(op, parts)}
	make := func() (err error) {
		st.op, err = operator.NewProcess(operator.ProcessConfig{
			UID: op.UID, Key: key, Unkeyed: st.unkeyed, Function: op.Declared, Store: c.store, Calls: st,
			Share: operator.Share{Subtask: int(st.header.Subtask), Parallelism: int(st.header.Parallelism), Groups: c.plan.graph.MaxParallelism},
		})
		if err != nil {
			return err
		}
		st.received, st.further, err = st.reached.restore(c.store)
		return err
	}
	st.anew = func() error { return c.anew(parts, make) }
	return st, unmade(op, make())
}

// unmade says which operator cannot be made.
func unmade(op *graph.Operator, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("operator %q: %w", op.Name, err)
}

// anew gives the chain empty state, and makes its keyed operator again.
func (c *chain) anew(parts chainParts, make func() error) error {
	err := c.store.Close()
	if err == nil {
		c.store, err = parts.store()
	}
	if err != nil {
		return err
	}
	c.store.SetTime(c.time.ms)
	return make()
}

// newAssigner makes the assigner of step s. Behind a keyed operator records have no channel any more, and one lane.
func (c *chain) newAssigner(s int) *assigner {
	var strategy *abi.Watermarks
	uid := ""
	for _, i := range c.plan.steps[s].operators {
		if op := &c.plan.graph.Operators[i]; op.Kind == abi.OperatorTimestamp {
			strategy, uid = op.Watermarks, op.UID
		}
	}
	made := func(lanes int) *assigner {
		a := newAssigner(lanes, strategy)
		a.operator = uid
		c.promises = append(c.promises, a)
		return a
	}
	for i := c.plan.steps[s].upstream.operator; ; {
		at := c.plan.stepOf(i)
		if at < 0 {
			a := made(c.lanes)
			c.assigners = append(c.assigners, a)
			return a
		}
		switch c.nodes[at].step.(type) {
		case *keyedStep, *processStep, *joinStep, *requestStep, *wholeStep:
			return made(1)
		}
		i = c.plan.steps[at].upstream.operator
	}
}
