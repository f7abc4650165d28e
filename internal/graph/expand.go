package graph

import (
	"slices"
	"strings"
)

// Expand cuts a job graph into chains. An operator joins the chain of the one before it when it takes its only input from
// it, forwarded and pipelined, at the same parallelism and in the same slots, and neither is to be apart; so a chain may
// branch, and everything else is an edge.
func Expand(g *JobGraph) *ExecutionGraph {
	x := &ExecutionGraph{}
	chainOf := make([]int, len(g.Operators))
	for i := range g.Operators {
		op := &g.Operators[i]
		if chains(g, op) {
			c := chainOf[op.Inputs[0].From]
			chainOf[i] = c
			x.Chains[c].Operators = append(x.Chains[c].Operators, i)
			continue
		}
		chainOf[i] = len(x.Chains)
		x.Chains = append(x.Chains, Chain{Operators: []int{i}, Parallelism: op.Parallelism, SlotGroup: op.SlotGroup})
	}
	for i := range g.Operators {
		op := &g.Operators[i]
		if x.Chains[chainOf[i]].Operators[0] != i {
			continue
		}
		for k, in := range op.Inputs {
			e := Edge{
				From: chainOf[in.From], To: chainOf[i], FromOperator: in.From, Side: in.Side, ToOperator: i, Input: k,
				Partition: in.Partition, Exchange: in.Exchange,
			}
			e.PreAggregates, _ = g.PreAggregates(i)
			x.Chains[e.From].Outputs = append(x.Chains[e.From].Outputs, len(x.Edges))
			x.Chains[e.To].Inputs = append(x.Chains[e.To].Inputs, len(x.Edges))
			x.Edges = append(x.Edges, e)
		}
	}
	x.Regions = regions(x)
	return x
}

func chains(g *JobGraph, op *Operator) bool {
	if len(op.Inputs) != 1 {
		return false
	}
	in := op.Inputs[0]
	from := &g.Operators[in.From]
	return in.Partition == Forward && in.Exchange == Pipelined && from.Parallelism == op.Parallelism &&
		from.SlotGroup == op.SlotGroup && op.Chaining == "" && from.Chaining != ChainAlone
}

// What an operator says of its chain; empty: it joins the one before it where it can.
const (
	ChainBegin = "begin" // it begins one
	ChainAlone = "alone" // it is one
)

// regions groups the chains that pipelined edges connect, each region and all of them in ascending order.
func regions(x *ExecutionGraph) [][]int {
	root := make([]int, len(x.Chains))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	for _, e := range x.Edges {
		if e.Exchange == Pipelined {
			a, b := find(e.From), find(e.To)
			root[max(a, b)] = min(a, b)
		}
	}
	var out [][]int
	at := map[int]int{}
	for i := range x.Chains {
		r := find(i)
		k, seen := at[r]
		if !seen {
			k = len(out)
			at[r] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// Tasks lists every subtask of every chain, chain by chain.
func (x *ExecutionGraph) Tasks() []TaskID {
	var tasks []TaskID
	for c, chain := range x.Chains {
		for s := range chain.Parallelism {
			tasks = append(tasks, TaskID{Chain: c, Subtask: s})
		}
	}
	return tasks
}

// SlotsNeeded is how many slots a job takes: a slot holds one subtask of every chain of a group, so it is the largest
// parallelism of each group.
func (x *ExecutionGraph) SlotsNeeded() int {
	n := 0
	for _, g := range x.SlotGroups() {
		n += g.Slots
	}
	return n
}

// SlotGroup is chains whose tasks share slots.
type SlotGroup struct {
	Name   string
	Slots  int // that it takes
	Chains []int
}

// SlotGroups lists the groups in the order of their first chains.
func (x *ExecutionGraph) SlotGroups() (groups []SlotGroup) {
	for c, chain := range x.Chains {
		i := slices.IndexFunc(groups, func(g SlotGroup) bool { return g.Name == chain.SlotGroup })
		if i < 0 {
			i, groups = len(groups), append(groups, SlotGroup{Name: chain.SlotGroup})
		}
		groups[i].Slots, groups[i].Chains = max(groups[i].Slots, chain.Parallelism), append(groups[i].Chains, c)
	}
	return groups
}

// ChainName names a chain by its operators: "files -> split -> word".
func (x *ExecutionGraph) ChainName(g *JobGraph, chain int) string {
	var names []string
	for _, i := range x.Chains[chain].Operators {
		names = append(names, g.Operators[i].Name)
	}
	return strings.Join(names, " -> ")
}

// Downstream lists the operators of the chain that take the given output of operator op inside the chain.
func (x *ExecutionGraph) Downstream(g *JobGraph, chain, op, side int) []int {
	var out []int
	for _, i := range x.Chains[chain].Operators[1:] {
		if in := g.Operators[i].Inputs[0]; in.From == op && in.Side == side {
			out = append(out, i)
		}
	}
	return out
}

// Sources lists the operators that are sources.
func (g *JobGraph) Sources() []int { return g.ofKind("source") }

// Sinks lists the operators that are sinks.
func (g *JobGraph) Sinks() []int { return g.ofKind("sink") }

func (g *JobGraph) ofKind(kind string) []int {
	var out []int
	for i, op := range g.Operators {
		if string(op.Kind) == kind {
			out = append(out, i)
		}
	}
	return slices.Clip(out)
}
