package taskmanager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// A plan cuts a chain into steps: what runs one after the other in a task. Functions of one module that follow each other
// are one step, and so one call into the guest. It is pure: the same graph gives the same plan on every TaskManager.
type plan struct {
	graph *graph.JobGraph
	exec  *graph.ExecutionGraph
	chain int
	needs []abi.Columns // by operator: the columns that it needs of its input
	steps []planStep
	entry int // operator whose records come from outside of the steps (a source, a union), -1 without
}

// planStep is one step of a plan.
type planStep struct {
	operators []int  // the head first; a guest's may branch
	upstream  source // output that it takes its records from
	assigns   bool   // a timestamp function is among them
}

// source is one output of an operator.
type source struct{ operator, side int }

// sinkColumns answers which columns the sink operator op needs.
type sinkColumns func(op int) (abi.Columns, error)

func newPlan(g *graph.JobGraph, x *graph.ExecutionGraph, chain int, sinks sinkColumns) (*plan, error) {
	p := &plan{graph: g, exec: x, chain: chain, entry: -1}
	if err := p.need(sinks); err != nil {
		return nil, err
	}
	at := map[int]int{} // operator -> step
	for _, i := range x.Chains[chain].Operators {
		op := &g.Operators[i]
		if op.Kind == abi.OperatorSource || op.Kind == abi.OperatorUnion {
			p.entry = i
			continue
		}
		from := source{op.Inputs[0].From, op.Inputs[0].Side}
		if s, ok := at[from.operator]; ok && p.fuses(s, i, from) {
			p.steps[s].operators = append(p.steps[s].operators, i)
			p.steps[s].assigns = p.steps[s].assigns || op.Kind == abi.OperatorTimestamp
			at[i] = s
			continue
		}
		at[i] = len(p.steps)
		p.steps = append(p.steps, planStep{operators: []int{i}, upstream: from, assigns: op.Kind == abi.OperatorTimestamp})
	}
	return p, nil
}

// fuses says whether operator i, which takes its records from an operator of step s, can be part of that step.
func (p *plan) fuses(s, i int, from source) bool {
	op, head := &p.graph.Operators[i], &p.graph.Operators[p.steps[s].operators[0]]
	switch {
	case op.Function == nil || head.Function == nil || op.Function.Module != head.Function.Module:
		return false
	case op.OnTrap != graph.OnTrapFail && op.OnTrap != "" || head.OnTrap != graph.OnTrapFail && head.OnTrap != "":
		return false // what traps must be known to be its fault
	case isKeyed(op.Kind) || op.Kind == abi.OperatorPartition || from.side != 0:
		return false
	case isKeyed(head.Kind) && !operator.EmitsItself(head.Declared):
		return false
	case op.Kind == abi.OperatorTimestamp && (p.steps[s].assigns || isKeyed(head.Kind)):
		return false // the guest reports one time a call
	}
	return true
}

func isKeyed(kind abi.OperatorKind) bool {
	switch kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate, abi.OperatorProcess, abi.OperatorJoin, abi.OperatorWindow, abi.OperatorRequest, abi.OperatorMapPartition, abi.OperatorSortPartition:
		return true
	}
	return false
}

// need settles which columns every operator needs of its input, from the sinks up.
func (p *plan) need(sinks sinkColumns) error {
	p.needs = make([]abi.Columns, len(p.graph.Operators))
	const carried = abi.ColumnTimestamps | abi.ColumnKinds | abi.ColumnHeaders
	for i := len(p.graph.Operators) - 1; i >= 0; i-- {
		op := &p.graph.Operators[i]
		behind := abi.Columns(0)
		for side := range 1 + op.Sides() {
			behind |= p.wanted(source{i, side})
		}
		letters, told := p.wantedOfLetters(i)
		switch op.Kind {
		case abi.OperatorSource:
		case abi.OperatorUnion:
			p.needs[i] = behind
		case abi.OperatorMap, abi.OperatorFilter, abi.OperatorFlatMap:
			p.needs[i] = abi.ColumnValues | behind&(carried|abi.ColumnKeys)
		case abi.OperatorPartition:
			p.needs[i] = abi.ColumnValues | behind
		case abi.OperatorKey:
			p.needs[i] = abi.ColumnValues | behind&carried
		case abi.OperatorTimestamp:
			p.needs[i] = abi.ColumnValues | behind&(carried|abi.ColumnKeys)&^abi.ColumnTimestamps | letters&abi.ColumnTimestamps
		case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate, abi.OperatorWindow:
			p.needs[i] = operator.Columns(op.Kind, op.Window)
			if late := op.LateSide(0); late > 0 {
				p.needs[i] |= p.wanted(source{i, late}) &^ abi.ColumnHashes
			}
			p.needs[i] |= letters & abi.ColumnTimestamps
		case abi.OperatorProcess, abi.OperatorJoin:
			if op.Unkeyed() {
				p.needs[i] = abi.ColumnValues | abi.ColumnTimestamps
				break
			}
			p.needs[i] = abi.ColumnKeys | abi.ColumnHashes | abi.ColumnValues | abi.ColumnTimestamps
		case abi.OperatorSample:
			p.needs[i] = abi.ColumnKeys
		case abi.OperatorRange:
			p.needs[i] = abi.ColumnKeys | abi.ColumnValues | behind
		case abi.OperatorMapPartition:
			p.needs[i] = abi.ColumnValues | abi.ColumnTimestamps
		case abi.OperatorSortPartition:
			p.needs[i] = abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps | behind&carried
		case abi.OperatorRequest:
			p.needs[i] = abi.ColumnValues | abi.ColumnTimestamps
			if p.graph.KeyCodec(op.Inputs[0].From, op.Inputs[0].Side) != "" {
				p.needs[i] |= abi.ColumnKeys
			}
		case abi.OperatorSink:
			cols, err := sinks(i)
			if err != nil {
				return err
			}
			p.needs[i] = cols
		default:
			return fmt.Errorf("operator %q is of kind %s, which this version does not run", op.Name, op.Kind)
		}
		if told && len(op.Inputs) > 0 && op.Kind != abi.OperatorKey && p.graph.KeyCodec(op.Inputs[0].From, op.Inputs[0].Side) != "" {
			p.needs[i] |= abi.ColumnKeys // a letter tells the key
		}
	}
	return nil
}

// wantedOfLetters is the columns that are needed of the dead letters of an operator, and whether anyone takes them.
func (p *plan) wantedOfLetters(i int) (cols abi.Columns, told bool) {
	dead := p.graph.Operators[i].DeadSide()
	if dead == 0 {
		return 0, false
	}
	told = slices.ContainsFunc(p.graph.Operators, func(o graph.Operator) bool {
		return slices.ContainsFunc(o.Inputs, func(in graph.Input) bool { return in.From == i && in.Side == dead })
	})
	return p.wanted(source{i, dead}), told
}

// needsOf is the columns that an operator needs of one of its inputs.
func (p *plan) needsOf(op, input int) abi.Columns {
	if input == 1 && p.graph.Operators[op].Broadcasts() { // records of no key
		return abi.ColumnValues | abi.ColumnTimestamps
	}
	if input == 1 && p.graph.Operators[op].Kind == abi.OperatorRange { // a sample
		return abi.ColumnValues
	}
	return p.needs[op]
}

// wanted is the columns that are needed of an output, by anyone. A key hash is made of the key on the way.
func (p *plan) wanted(out source) abi.Columns {
	cols := abi.Columns(0)
	for i := range p.graph.Operators {
		for k, in := range p.graph.Operators[i].Inputs {
			if in.From != out.operator || in.Side != out.side {
				continue
			}
			cols |= p.needsOf(i, k)
			if in.Partition == graph.Hash {
				cols |= abi.ColumnKeys
			}
		}
	}
	return cols &^ abi.ColumnHashes
}

// takers are the steps and edges that take an output. A step that is fused with the operator is not among them.
func (p *plan) takers(out source) (steps, edges []int) {
	for s, st := range p.steps {
		if st.upstream == out {
			steps = append(steps, s)
		}
	}
	for _, e := range p.exec.Chains[p.chain].Outputs {
		if edge := p.exec.Edges[e]; edge.FromOperator == out.operator && edge.Side == out.side {
			edges = append(edges, e)
		}
	}
	return steps, edges
}

// names is what a step is called: "split -> word".
func (p *plan) names(s int) string {
	var names []string
	for _, i := range p.steps[s].operators {
		names = append(names, p.graph.Operators[i].Name)
	}
	return strings.Join(names, " -> ")
}

// function is what a step calls in a guest, nil: it calls none.
func (p *plan) function(s int) *graph.FunctionRef {
	return p.graph.Operators[p.steps[s].operators[0]].Function
}

// handle is the functions of a step as the guest composes them, with an output number for each output that is taken,
// and those outputs in the order of their numbers.
func (p *plan) handle(s int) (abi.Handle, []source) {
	var h abi.Handle
	var outputs []source
	index := map[int]uint32{}
	for k, i := range p.steps[s].operators {
		op := &p.graph.Operators[i]
		f := abi.HandleFunction{Function: op.Declared.ID, Upstream: abi.None}
		if k > 0 {
			f.Upstream = index[op.Inputs[0].From]
		}
		index[i] = uint32(k)
		for side := range 1 + op.Sides() {
			out := source{i, side}
			if _, late := op.LateInput(side); side > 0 && (late || side == op.DeadSide()) {
				continue // the host's own
			}
			if steps, edges := p.takers(out); len(steps)+len(edges) > 0 {
				f.Outputs = append(f.Outputs, abi.HandleOutput{Tag: uint32(side), Number: uint32(len(outputs)), Columns: p.wantedOutside(out)})
				outputs = append(outputs, out)
			}
		}
		h.Functions = append(h.Functions, f)
	}
	return h, outputs
}

// windowHandle is a function that the window of an operator names, by itself: it emits nothing.
func windowHandle(f *abi.Function) abi.Handle {
	return abi.Handle{Functions: []abi.HandleFunction{{Function: f.ID, Upstream: abi.None}}}
}

// wantedOutside is wanted, but for takers that are fused with the operator.
func (p *plan) wantedOutside(out source) abi.Columns {
	cols := abi.Columns(0)
	steps, edges := p.takers(out)
	for _, s := range steps {
		cols |= p.needs[p.steps[s].operators[0]]
	}
	for _, e := range edges {
		cols |= p.needsOf(p.exec.Edges[e].ToOperator, p.exec.Edges[e].Input)
		if p.exec.Edges[e].Partition == graph.Hash {
			cols |= abi.ColumnKeys
		}
	}
	return cols &^ abi.ColumnHashes
}

// codecs are those of the key and value of an output; the key's is empty for records without a key.
func codecs(g *graph.JobGraph, out source) (key, value abi.Codec) {
	return g.KeyCodec(out.operator, out.side), g.Codec(out.operator, out.side)
}

// stepOf is the step that an operator is in, -1 for one outside of the chain or the chain's entry.
func (p *plan) stepOf(op int) int {
	for s := range p.steps {
		for _, i := range p.steps[s].operators {
			if i == op {
				return s
			}
		}
	}
	return -1
}

// behindTimestamp says whether the records that operator op of step s puts out have their timestamps from that step.
func (p *plan) behindTimestamp(s, op int) bool {
	for p.steps[s].assigns {
		if p.graph.Operators[op].Kind == abi.OperatorTimestamp {
			return true
		}
		if op == p.steps[s].operators[0] {
			return false
		}
		op = p.graph.Operators[op].Inputs[0].From
	}
	return false
}

// aheads are the operators whose guests are called for records that are folded behind the chain's steps, in the order of its edges.
func (p *plan) aheads() (operators []*graph.Operator) {
	for _, i := range p.exec.Chains[p.chain].Outputs {
		if e := p.exec.Edges[i]; e.PreAggregates && p.graph.Operators[e.ToOperator].Function != nil {
			operators = append(operators, &p.graph.Operators[e.ToOperator])
		}
	}
	return operators
}

// callsAgain says whether a step behind s calls the same module.
func (p *plan) callsAgain(s int) bool {
	module := p.graph.Operators[p.steps[s].operators[0]].Function.Module
	for _, op := range p.aheads() {
		if op.Function.Module == module && p.isBehind(p.stepOf(op.Inputs[0].From), s) {
			return true
		}
	}
	for t := s + 1; t < len(p.steps); t++ {
		f := p.graph.Operators[p.steps[t].operators[0]].Function
		if f == nil || f.Module != module {
			continue
		}
		if p.isBehind(t, s) {
			return true
		}
	}
	return false
}

// isBehind says whether step t takes what comes of step s, or is it.
func (p *plan) isBehind(t, s int) bool {
	for ; t >= 0; t = p.stepOf(p.steps[t].upstream.operator) {
		if t == s {
			return true
		}
	}
	return false
}

// operatorIndex is the index of an operator of the graph.
func (p *plan) operatorIndex(op *graph.Operator) int {
	for i := range p.graph.Operators {
		if &p.graph.Operators[i] == op {
			return i
		}
	}
	return -1
}
