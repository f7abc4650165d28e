package graph

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// MakeBatch makes the job one that runs in batch mode: what is not in one chain is connected by blocking edges, so each chain is a
// stage, which begins when those before it have ended.
func (g *JobGraph) MakeBatch() {
	g.Batch = true
	for i := range g.Operators {
		op := &g.Operators[i]
		if op.broadcastsHint() {
			g.broadcast(op)
		}
		if chains(g, op) {
			continue
		}
		for k := range op.Inputs {
			op.Inputs[k].Exchange = Blocking
		}
	}
}

// broadcast has every subtask of a join have all of the input that lies in a table; the other need not be dealt out by key then.
func (g *JobGraph) broadcast(join *Operator) {
	table := join.Builds()
	join.Inputs[table].Partition = Broadcast
	stays := &join.Inputs[1-table]
	if stays.Partition = Rebalance; g.Operators[stays.From].Parallelism == join.Parallelism {
		stays.Partition = Forward
	}
}

// Keyed says whether the operator takes its input by key.
func (o *Operator) Keyed() bool { return kinds[o.Kind].keyed && !o.Unkeyed() }

// NotBatch says why a job cannot run in batch mode, empty if it can, its sources apart.
func (g *JobGraph) NotBatch() string {
	for i := range g.Operators {
		o := &g.Operators[i]
		if !o.Keyed() || o.Declared == nil {
			continue
		}
		for _, s := range o.Declared.States {
			if s.Scope == abi.ScopeBroadcast { // so would it be
				return fmt.Sprintf("function %q of %q keeps the broadcast state %q beside state of keys", o.Declared.Name, o.Name, s.Name)
			}
			if s.Scope == abi.ScopeOperator { // it would be forgotten with each key
				return fmt.Sprintf("function %q of %q keeps state %q of the operator, beside that of keys", o.Declared.Name, o.Name, s.Name)
			}
		}
	}
	return ""
}

// SourcesBefore lists the sources whose records may reach an operator.
func (g *JobGraph) SourcesBefore(op int) (sources []int) {
	for _, s := range g.Sources() {
		if g.reached(s)[op] {
			sources = append(sources, s)
		}
	}
	return sources
}

// Producers are the tasks whose output a task takes.
func (x *ExecutionGraph) Producers(t TaskID) (all []TaskID) {
	for _, i := range x.Chains[t.Chain].Inputs {
		e := x.Edges[i]
		first, n := e.Partition.Senders(t.Subtask, x.Chains[e.To].Parallelism, x.Chains[e.From].Parallelism)
		for s := range n {
			all = append(all, TaskID{Chain: e.From, Subtask: first + s})
		}
	}
	return all
}

// SlotsAtOnce is how many slots a job in batch mode can make use of: one chain runs at a time.
func (x *ExecutionGraph) SlotsAtOnce() int {
	n := 1
	for _, c := range x.Chains {
		n = max(n, c.Parallelism)
	}
	return n
}
