package graph

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// What an operator says of records being folded ahead of the exchange that takes them to it; empty: they are where the result
// is the same to the bit.
const (
	PreAggregateOn  = "on"  // also where it is not: sums of f64 depend on the order in which they are added up
	PreAggregateOff = "off" // never
)

func checkPreAggregate(path string, o *abi.Operator) error {
	switch {
	case o.PreAggregate == "":
		return nil
	case o.PreAggregate != PreAggregateOn && o.PreAggregate != PreAggregateOff:
		return faultf(path, "%q (expected on or off)", o.PreAggregate)
	case !merges(o.Kind):
		return faultf(path, "%q (a %s folds no records: expected of count, sum, aggregates, reduce or aggregate)", o.PreAggregate, o.Kind)
	}
	return nil
}

// merges says whether operators of a kind fold records into accumulators that can be merged.
func merges(kind abi.OperatorKind) bool {
	switch kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate:
		return true
	}
	return false
}

// PreAggregates says whether the records of operator i are folded into accumulators before they are sent to it. If not, and it is
// of a kind whose records could be, why says why.
func (g *JobGraph) PreAggregates(i int) (folds bool, why string) {
	op := &g.Operators[i]
	if !merges(op.Kind) || len(op.Inputs) != 1 || op.Inputs[0].Partition != Hash {
		return false, ""
	}
	switch {
	case g.Batch:
		return false, "in batch mode records are sorted by key instead"
	case g.PreAggregate == PreAggregateOff:
		return false, "the job says so"
	case op.PreAggregate == PreAggregateOff:
		return false, "the operator says so"
	case op.Window != nil && op.Window.Kind != "tumbling" && op.Window.Kind != "sliding":
		return false, fmt.Sprintf("%s windows are not made of slices", op.Window.Kind)
	case op.Window != nil && (op.Window.Trigger != nil || op.Window.Evictor != nil):
		return false, "its window does not fire by its end alone"
	case op.LeavesOut():
		return false, "a record that it traps on must be known"
	case g.taken(i, op.LateSide(0)):
		return false, "its late records go on as they came"
	case op.Declared != nil && !op.Declared.Combine:
		return false, fmt.Sprintf("function %q cannot merge", op.Declared.Name)
	case op.PreAggregate != PreAggregateOn && g.addsFloats(op):
		return false, "a sum of f64 depends on the order"
	}
	return true, ""
}

// taken says whether somebody takes a side output of operator i.
func (g *JobGraph) taken(i, side int) bool {
	return side > 0 && slices.ContainsFunc(g.Operators, func(o Operator) bool {
		return slices.ContainsFunc(o.Inputs, func(in Input) bool { return in.From == i && in.Side == side })
	})
}

// addsFloats says whether a native operator adds up f64.
func (g *JobGraph) addsFloats(op *Operator) bool {
	value := g.Codec(op.Inputs[0].From, op.Inputs[0].Side)
	if op.Kind == abi.OperatorSum {
		return value == abi.CodecF64
	}
	return slices.ContainsFunc(op.Aggregates, func(a abi.Aggregate) bool {
		if a.Kind != abi.AggregateSum && a.Kind != abi.AggregateAvg {
			return false
		}
		over, err := field.Find(value, a.Field)
		return err != nil || over.Type == abi.TypeF64
	})
}

// index is that of an operator of the graph.
func (g *JobGraph) index(op *Operator) int {
	return slices.IndexFunc(g.Operators, func(o Operator) bool { return o.Name == op.Name })
}
