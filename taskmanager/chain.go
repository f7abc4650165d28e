package taskmanager

import (
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/keysort"
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

// calls is how often functions of the guests were called.
func (c *chain) calls() (n int64) {
	for _, g := range c.guests {
		n += g.calls
	}
	return n
}
