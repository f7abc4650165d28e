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

// Revises says whether an operator may have a newer result for one that it has put out: of a key, or of a key in a window.
func (o *Operator) Revises() bool {
	switch o.Kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate:
		return o.Window == nil || revises(o.Window)
	case abi.OperatorWindow:
		return revises(o.Window)
	case abi.OperatorJoin:
		return o.Window != nil && o.Window.LatenessMs > 0
	}
	return false
}

// revises says whether a window may have several results of which each takes the place of the one before. Those of a purging
// trigger do not, nor those of windows that are what their records are, and so another one each time: of so many records, and global
// ones that elements leave. Sessions with an evictor are folded only where their end has a result.
func revises(w *abi.Window) bool {
	t := w.Trigger
	switch {
	case w.Kind == "global" && w.Evictor != nil:
		return false
	case t == nil:
		return w.LatenessMs > 0
	case t.Purging || t.Kind == abi.TriggerNever:
		return false
	}
	clock := w.Time
	if clock == "" {
		clock = "event"
	}
	switch {
	case clock == "event" && t.Kind == abi.TriggerEventTime, clock == "processing" && t.Kind == abi.TriggerProcessingTime:
		return w.LatenessMs > 0
	case clock == "event" && t.Kind == abi.TriggerContinuousEventTime, clock == "processing" && t.Kind == abi.TriggerContinuousProcessingTime:
		return true
	}
	return w.Kind != "session" || w.Evictor == nil
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
