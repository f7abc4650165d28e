package graph

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// TellsUpdates says whether operator op is to put out a result each time that it changes, also where all input ends: a sink
// behind it writes each change.
func (g *JobGraph) TellsUpdates(op int) bool {
	for _, i := range g.sinksBehind(op) {
		if g.writesUpdates(i) {
			return true
		}
	}
	return false
}

func (g *JobGraph) writesUpdates(sink int) bool {
	return g.Operators[sink].Connector.Config[abi.OptionUpdates] == abi.UpdatesAll
}

// sinksBehind lists the sinks that what an operator puts out may reach.
func (g *JobGraph) sinksBehind(op int) (sinks []int) {
	reached := g.reached(op)
	for _, i := range g.Sinks() {
		if reached[i] {
			sinks = append(sinks, i)
		}
	}
	return sinks
}

// reached are the operators that what one puts out may reach.
func (g *JobGraph) reached(op int) map[int]bool {
	reached := map[int]bool{op: true}
	for i := op + 1; i < len(g.Operators); i++ { // inputs come before
		for _, in := range g.Operators[i].Inputs {
			reached[i] = reached[i] || reached[in.From]
		}
	}
	return reached
}

// Revises says whether an operator may have a newer result for one that it has put out.
func (o *Operator) Revises() bool {
	switch o.Kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate:
		return o.Window == nil || o.Window.LatenessMs > 0 && o.Window.Trigger == nil // what a trigger brings about stands for itself
	}
	return false
}

// checkUpdates refuses file sinks behind one operator of which some want each change of its results and some the last: it
// puts out the one or the other.
func (b *builder) checkUpdates(g *JobGraph) error {
	for i := range g.Operators {
		if !g.Operators[i].Revises() {
			continue
		}
		all, last := -1, -1
		for _, s := range g.sinksBehind(i) {
			switch {
			case g.writesUpdates(s):
				all = s
			case g.Operators[s].Connector.Type == "file":
				last = s
			}
		}
		if all >= 0 && last >= 0 {
			return faultf(fmt.Sprintf("operators[%d].connector.config.%s", b.index[g.Operators[last].Name], abi.OptionUpdates),
				"not given, but given as all of sink %q (expected the same of both: they write the results of %q)", g.Operators[all].Name, g.Operators[i].Name)
		}
	}
	return nil
}
