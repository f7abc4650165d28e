package taskmanager

import (
	"fmt"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/keysort"
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// chain is the running form of a plan: its steps, wired. One goroutine, the task's, uses it.
type chain struct {
	plan      *plan
	lanes     int     // channels of the input, 1 for a source
	entry     outlet  // where the task's input goes
	badInput  *poison // what becomes of input that is no record, nil: the job fails
	watermark int64   // of the task's input
	idle      bool    // nothing is to be expected of the input for now
	nodes     []node  // every step, those upstream first
	guests    []*guest
	edges     []*edge
	sinks     []*sinkStep
	assigners []*assigner // those whose lanes are the input's
	promises  []*assigner // those of timestamp functions, whose watermarks are kept
	requests  []*requestStep
	whole     []*wholeStep
	store     state.Store
	room      func() error // waits until the outputs take more; see loop.room
	midway    step         // that has done a part of what is due, nil: none
	time      taskTime
	metrics   *taskMetrics
}

// taskTime is the time of the batch at hand, asked of the clock once a batch.
type taskTime struct {
	now time.Time
	ms  int64
}

func (t *taskTime) set(now time.Time) { t.now, t.ms = now, now.UnixMilli() }

// node is a step and the watermark before it.
type node struct {
	step      step
	watermark *int64
	seen      int64
	assigns   bool // the watermark behind it moves by itself
	resumes   bool // it goes on with what a snapshot lay in the middle of
}

// chainParts is what a chain needs made for it.
type chainParts interface {
	guest(module graph.ModuleID) (*guest, error)
	edge(index int, cols abi.Columns, m *taskMetrics) (*edge, error)
	sink(op int) (connector.Sink, connector.SinkTask, error)
	store() (state.Store, error)
	bounded() bool          // every source of the job ends
	header() abi.CallHeader // of every call
	requester(op *graph.Operator) (*requester, error)
	keyGroups() (from, to graph.KeyGroup) // that the task owns
	warn(operator, text string)
	sorting(step int, cols abi.Columns) keysort.Config // of records that a step sorts
}

// newChain wires the plan's steps. Nothing is opened yet.
func newChain(p *plan, lanes int, parts chainParts, m *taskMetrics) (*chain, error) {
	c := &chain{plan: p, lanes: lanes, watermark: abi.MinTime, metrics: m}
	var err error
	if c.store, err = parts.store(); err != nil {
		return nil, err
	}
	if p.entry >= 0 {
		c.badInput = c.newPoison(p.entry, parts)
	}
	for s := range p.steps {
		st, err := c.newStep(s, parts)
		if err != nil {
			return nil, err
		}
		r, ok := st.(interface{ resumes() bool })
		c.nodes = append(c.nodes, node{step: st, resumes: ok && r.resumes(), watermark: c.mark(p.steps[s].upstream), seen: abi.MinTime, assigns: p.steps[s].assigns})
	}
	edges := map[int]*edge{}
	for _, i := range p.exec.Chains[p.chain].Outputs {
		e := p.exec.Edges[i]
		made, err := parts.edge(i, p.needsOf(e.ToOperator, e.Input), m)
		if err != nil {
			return nil, err
		}
		edges[i] = made
		if e.PreAggregates {
			if err := c.newCombineStep(i, made, parts); err != nil {
				return nil, err
			}
		}
		made.source = c.idleMark(source{e.FromOperator, e.Side})
		c.edges = append(c.edges, made)
		c.nodes = append(c.nodes, node{step: made, watermark: c.mark(source{e.FromOperator, e.Side}), seen: abi.MinTime})
	}
	c.wire(edges)
	return c, nil
}

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
		Final: final, Tells: tells, Groups: c.plan.graph.MaxParallelism, Guest: st, Late: st.lates, Calls: st, Asks: st.asks(op, asked),
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

// mark is the watermark of an output.
func (c *chain) mark(out source) *int64 {
	s := c.plan.stepOf(out.operator)
	if s < 0 {
		return &c.watermark
	}
	switch st := c.nodes[s].step.(type) {
	case *keyedStep:
		return &st.passed
	case *processStep:
		return &st.passed
	case *joinStep:
		return &st.passed
	case *requestStep:
		return &st.passed
	case *wholeStep:
		return &st.passed
	case *sampleStep:
		return &st.passed
	case *rangeStep:
		return &st.received
	case *partitionStep:
		return &st.received
	case *fieldStep:
		return &st.received
	case *guestStep:
		if c.plan.behindTimestamp(s, out.operator) {
			return &st.assigned
		}
		return &st.passed
	}
	panic(fmt.Sprintf("operator %d has no output", out.operator))
}

// idleMark says whether an output is idle. Operators are when their input is; a timestamp function is by its own strategy, and
// a request operator when it waits for nothing, too.
func (c *chain) idleMark(out source) func() bool {
	s := c.plan.stepOf(out.operator)
	if s < 0 {
		return func() bool { return c.idle }
	}
	switch st := c.nodes[s].step.(type) {
	case *requestStep:
		return st.idle
	case *guestStep:
		if c.plan.behindTimestamp(s, out.operator) && (slices.Contains(c.assigners, st.assigner) || st.assigner.patience == 0) {
			return func() bool { return st.assigner.idle }
		}
	}
	return c.idleMark(c.plan.steps[s].upstream)
}

// wire connects every output with the steps that take it.
func (c *chain) wire(edges map[int]*edge) {
	if c.plan.entry >= 0 {
		c.entry = c.outlet(source{c.plan.entry, 0}, edges)
	} else {
		c.entry = outlet{steps: []step{c.nodes[0].step}}
	}
	if c.badInput != nil && c.badInput.letters != nil {
		c.badInput.out = c.outlet(source{c.plan.entry, c.plan.graph.Operators[c.plan.entry].DeadSide()}, edges)
	}
	for s := range c.plan.steps {
		head := c.plan.steps[s].operators[0]
		c.wirePoison(s, edges)
		switch st := c.nodes[s].step.(type) {
		case *guestStep:
			st.emitter = c.emitter(s, edges)
		case *partitionStep:
			st.outlet = c.outlet(source{head, 0}, edges)
		case *fieldStep:
			st.outlet = c.outlet(source{head, 0}, edges)
			st.columns = c.plan.wanted(source{head, 0})
		case *processStep:
			st.emitter = c.emitter(s, edges)
			st.emitter.out.split = abi.None
		case *sampleStep:
			st.outlet = c.outlet(source{head, 0}, edges)
		case *rangeStep:
			st.outlet = c.outlet(source{head, 0}, edges)
		case *wholeStep:
			switch taker := st.taker.(type) {
			case *partitionMapper:
				taker.emitter = c.emitter(s, edges)
				taker.emitter.out.split = abi.None
			case *partitionSorter:
				taker.outlet = c.outlet(source{head, 0}, edges)
			}
		case *requestStep:
			st.emitter = c.emitter(s, edges)
			st.emitter.out.split = abi.None
			st.inputIdle = c.idleMark(c.plan.steps[s].upstream)
		case *joinStep:
			for i := range st.lateOut {
				st.lateOut[i] = c.outlet(source{head, c.plan.graph.Operators[head].LateSide(i)}, edges)
			}
			if st.handle == nil {
				st.outlet = c.outlet(source{head, 0}, edges)
				break
			}
			st.emitter = c.emitter(s, edges)
			st.emitter.out.split = abi.None
		case *keyedStep:
			st.outlet = c.outlet(source{head, 0}, edges)
			cols := c.plan.wanted(source{head, 0})
			if st.told != nil {
				cols |= abi.ColumnKeys | abi.ColumnTimestamps
			}
			st.out = abi.NewBuilder(cols)
			st.results.split, st.results.from = abi.None, fmt.Sprintf("the output of %q", st.name)
			if st.lates != nil {
				st.lateOut = c.outlet(source{head, c.plan.graph.Operators[head].LateSide(0)}, edges)
			}
			if st.handle != nil {
				st.emitter = c.emitter(s, edges)
				st.emitter.out.split = abi.None
			}
		}
	}
}

func (c *chain) outlet(out source, edges map[int]*edge) outlet {
	var o outlet
	steps, indices := c.plan.takers(out)
	for _, s := range steps {
		o.steps = append(o.steps, c.nodes[s].step)
	}
	for _, i := range indices {
		o.steps = append(o.steps, edges[i].head())
	}
	return o
}

func (c *chain) emitter(s int, edges map[int]*edge) emitter {
	var m emitter
	_, outputs := c.plan.handle(s)
	for _, out := range outputs {
		m.outlets = append(m.outlets, c.outlet(out, edges))
		m.from = append(m.from, fmt.Sprintf("the output of %q", c.plan.graph.Operators[out.operator].Name))
	}
	m.made = make([]int64, len(outputs))
	m.copied = c.plan.callsAgain(s)
	return m
}

// start has the steps that want to begin, before the first batch.
func (c *chain) start() error {
	for i := range c.nodes {
		if s, ok := c.nodes[i].step.(starter); ok {
			if err := s.start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// process takes a batch of the task's input through all steps.
func (c *chain) process(b *batch) error { return c.entry.emit(b) }

// advance takes watermarks as far as they go. While it answers more, the chain takes no input and is to be asked again.
func (c *chain) advance() (more bool, err error) {
	for i := range c.nodes {
		n := &c.nodes[i]
		watermark := *n.watermark
		if watermark == n.seen && !n.assigns && !n.resumes {
			continue
		}
		if more, err := n.step.advance(watermark); more || err != nil {
			c.midway = n.step
			return more, err
		}
		n.seen, n.resumes = watermark, false
	}
	for _, e := range c.edges {
		e.idle = e.source() // not before all that the watermarks bring about
	}
	c.midway = nil
	return false, nil
}

// resumes says that what a snapshot lay in the middle of is to be brought to its end, before there is input.
func (c *chain) resumes() bool {
	return slices.ContainsFunc(c.nodes, func(n node) bool { return n.resumes })
}

// divisible says that a snapshot may lie between two calls of advance: what has been put out can be told from the state.
func (c *chain) divisible() bool {
	_, whole := c.midway.(*wholeStep)
	return !whole
}

// passed is the watermark behind the whole chain: the smallest of its outputs.
func (c *chain) passed() int64 {
	if len(c.edges) == 0 {
		return c.watermark
	}
	least := abi.MaxTime
	for _, e := range c.edges {
		least = min(least, e.seen)
	}
	return least
}

// flush sends what the edges have collected.
func (c *chain) flush() {
	for _, e := range c.edges {
		e.flush()
	}
}

// full says that an output takes nothing more for now.
func (c *chain) full() bool {
	for _, e := range c.edges {
		if e.full() {
			return true
		}
	}
	return false
}

// broken is why an output takes nothing more for ever.
func (c *chain) broken() error {
	for _, e := range c.edges {
		if err := e.broken(); err != nil {
			return err
		}
	}
	return nil
}

// delivered says whether the receivers have all that was sent, its end included.
func (c *chain) delivered() bool {
	for _, e := range c.edges {
		if !e.delivered() {
			return false
		}
	}
	return true
}

// ready is when the sinks take more.
func (c *chain) ready() time.Time {
	var at time.Time
	for _, s := range c.sinks {
		if s.ready.After(at) {
			at = s.ready
		}
	}
	return at
}

// fuel is what the guests have used.
func (c *chain) fuel() int64 {
	n := int64(0)
	for _, g := range c.guests {
		n += g.fuel()
	}
	return n
}
