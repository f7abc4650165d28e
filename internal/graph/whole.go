package graph

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// Whole says whether the operator is over all records that a subtask has, whose input must end.
func (o *Operator) Whole() bool {
	return o.Kind == abi.OperatorMapPartition || o.Kind == abi.OperatorSortPartition
}

// AtEnd says why an operator puts nothing out before its inputs have ended, empty if it does, and what has it do so.
func (o *Operator) AtEnd() (why, instead string) {
	w := o.Window
	switch {
	case o.Whole():
		return "it takes all records of a subtask", "use windows"
	case w == nil:
	case w.Kind == abi.WindowAll:
		return "it has no window", "give the join a window"
	case w.Kind == "global" && w.Trigger != nil && (w.Trigger.Kind == abi.TriggerEventTime || w.Trigger.Kind == abi.TriggerProcessingTime):
		return "its window has all records of a key, and fires at the end of time", "use windows that end, or another trigger"
	}
	return "", ""
}

// checkWhole checks what only operators over all records of a subtask have, and what they have not.
func checkWhole(path string, o *abi.Operator) error {
	switch {
	case !ordered(o.Kind) && len(o.Order) > 0:
		return faultf(path+".order", "given (a %s has none)", o.Kind)
	case o.Kind == abi.OperatorMapPartition && o.OnTrap != "" && o.OnTrap != OnTrapFail:
		return faultf(path+".onTrap", "%q (expected fail: what a function of all records of a subtask has made of them is lost with its instance)", o.OnTrap)
	}
	for i, by := range o.Order {
		if by != abi.Ascending && by != abi.Descending {
			return faultf(fmt.Sprintf("%s.order[%d]", path, i), "%q (expected asc or desc)", by)
		}
	}
	return nil
}

// ordered says whether operators of a kind go by the order of keys.
func ordered(kind abi.OperatorKind) bool {
	return kind == abi.OperatorSortPartition || kind == abi.OperatorSample || kind == abi.OperatorRange
}

// Deals says whether the operator says of each record who gets it.
func (o *Operator) Deals() bool {
	return o.Kind == abi.OperatorPartition || o.Kind == abi.OperatorRange
}

// resolveOrder holds the order of an operator against the keys that it goes by. Its edge does not deal them out: a subtask takes
// what it has.
func resolveOrder(path string, g *JobGraph, op *Operator) error {
	if !ordered(op.Kind) {
		return nil
	}
	in := op.Inputs[0]
	key := g.KeyCodec(in.From, in.Side)
	switch {
	case key == "":
		return faultf(path+".inputs[0]", "a %s needs the keys that it goes by, and %s %q sends none (expected a key operator before it)", op.Kind, g.Operators[in.From].Kind, g.Operators[in.From].Name)
	case in.Partition != Forward:
		return faultf(path+".inputs[0].partition", "%s (expected forward: the keys are what a subtask goes by; deal the records out before the key operator)", in.Partition)
	}
	if _, err := field.NewOrder(key, op.Order); err != nil {
		return faultf(path+".order", "%v", err)
	}
	if op.Kind == abi.OperatorSample {
		return settle(path+".output", &op.Output, abi.CodecBytes)
	}
	if err := resolveSample(path, g, op); err != nil {
		return err
	}
	return settle(path+".output", &op.Output, g.Codec(in.From, in.Side))
}

// resolveSample sees that a range operator has a sample of its own keys, in its own order.
func resolveSample(path string, g *JobGraph, op *Operator) error {
	if op.Kind != abi.OperatorRange {
		return nil
	}
	in := op.Inputs[1]
	of := &g.Operators[in.From]
	switch {
	case of.Kind != abi.OperatorSample || of.Inputs[0].From != op.Inputs[0].From || !slices.Equal(of.Order, op.Order):
		return faultf(path+".inputs[1]", "%s %q (expected a sample of what %q sends, in the same order)", of.Kind, of.Name, g.Operators[op.Inputs[0].From].Name)
	case in.Partition != Broadcast:
		return faultf(path+".inputs[1].partition", "%s (expected broadcast: every subtask has to know all of the sample)", in.Partition)
	}
	return nil
}

// NotStreaming says why a job cannot run in streaming mode, empty if it can.
func (g *JobGraph) NotStreaming() string {
	for i := range g.Operators {
		if o := &g.Operators[i]; o.Kind == abi.OperatorRange {
			return fmt.Sprintf("%q deals records out by ranges of a sample, which takes all of them first", o.Name)
		}
	}
	return ""
}

// First is the input of which the operator takes all before it takes anything of the other, in batch mode; -1: it takes them as they come.
func (o *Operator) First() int {
	if o.Kind == abi.OperatorRange {
		return 1
	}
	return o.Builds()
}
