package taskmanager

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// How the steps of a chain are wired: which outputs lead where, and which watermark a step follows.

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
		m.keys = append(m.keys, c.plan.keyFunction(s, out.operator))
	}
	m.made = make([]int64, len(outputs))
	m.copied = c.plan.callsAgain(s)
	return m
}
