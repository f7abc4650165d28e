package graph

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// Whole says whether the operator is over all records that a subtask has, whose input must end.
func (o *Operator) Whole() bool {
	return o.Kind == abi.OperatorMapPartition || o.Kind == abi.OperatorSortPartition
}

// checkWhole checks what only operators over all records of a subtask have, and what they have not.
func checkWhole(path string, o *abi.Operator) error {
	switch {
	case o.Kind != abi.OperatorSortPartition && len(o.Order) > 0:
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

// resolveOrder holds the order of a sortPartition against the keys that it sorts by. Its edge does not deal them out: a subtask sorts
// what it has.
func resolveOrder(path string, g *JobGraph, op *Operator) error {
	if op.Kind != abi.OperatorSortPartition {
		return nil
	}
	in := op.Inputs[0]
	key := g.KeyCodec(in.From, in.Side)
	switch {
	case key == "":
		return faultf(path+".inputs[0]", "%s %q needs the keys that it sorts by, and %s %q sends none (expected a key operator before it)", op.Kind, op.Name, g.Operators[in.From].Kind, g.Operators[in.From].Name)
	case in.Partition != Forward:
		return faultf(path+".inputs[0].partition", "%s (expected forward: the keys are what a subtask sorts by; deal the records out before the key operator)", in.Partition)
	}
	if _, err := field.NewOrder(key, op.Order); err != nil {
		return faultf(path+".order", "%v", err)
	}
	return settle(path+".output", &op.Output, g.Codec(in.From, in.Side))
}
