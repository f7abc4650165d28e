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
	case g.PreAggregate == PreAggregateOff:
		return false, "the job says so"
	case op.PreAggregate == PreAggregateOff:
		return false, "the operator says so"
	}
	why = g.unfolded(i)
	return why == "", why
}

// Accumulates says whether in batch mode operator i takes its records as they come, with an accumulator for each key in a table,
// and not sorted by key. What may be folded ahead of it is of the same operators, so none of its accumulators comes to one that sorts.
func (g *JobGraph) Accumulates(i int) bool {
	op := &g.Operators[i]
	return g.Batch && merges(op.Kind) && len(op.Inputs) == 1 && op.PreAggregate != PreAggregateOff && g.unfolded(i) == ""
}

// unfolded is why records of an operator that merges accumulators cannot be folded in any order, empty: they can.
func (g *JobGraph) unfolded(i int) string {
	op := &g.Operators[i]
	switch {
	case g.Batch && op.Window != nil && op.Window.Time == "processing":
		return "its windows are of processing time"
	case g.Batch && op.PreAggregate != PreAggregateOn && g.timesDecide(op):
		return "which of equal records comes first is a matter of their times"
	case op.Window != nil && op.Window.Kind != "tumbling" && op.Window.Kind != "sliding":
		return fmt.Sprintf("%s windows are not made of slices", op.Window.Kind)
	case op.Window != nil && (op.Window.Trigger != nil || op.Window.Evictor != nil):
		return "its window does not fire by its end alone"
	case op.LeavesOut():
		return "a record that it traps on must be known"
	case !g.Batch && g.taken(i, op.LateSide(0)): // in batch mode none is
		return "its late records go on as they came"
	case op.Declared != nil && !op.Declared.Combine:
		return fmt.Sprintf("function %q cannot merge", op.Declared.Name)
	case !g.Batch && op.PreAggregate != PreAggregateOn && g.addsFloats(op): // in batch mode sums are exact
		return "a sum of f64 depends on the order"
	}
	return ""
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

// timesDecide says whether an operator's results are a matter of when its records were: of those that are equal by all that its
// aggregates look at, the first or last is kept.
func (g *JobGraph) timesDecide(op *Operator) bool {
	in := op.Inputs[0]
	value := g.Codec(in.From, in.Side)
	list, err := field.NewAggregates(value, op.Aggregates)
	if err != nil {
		return false // it has none
	}
	var alike []*field.Field
	if from := &g.Operators[in.From]; from.Kind == abi.OperatorKey && len(from.Fields) > 0 {
		_, alike, _ = field.KeyCodec(value, from.Fields) // it was found before
	}
	return slices.ContainsFunc(list, func(a field.Aggregate) bool { return a.KeepsRecords() && !a.Total(value, alike) })
}

// index is that of an operator of the graph.
func (g *JobGraph) index(op *Operator) int {
	return slices.IndexFunc(g.Operators, func(o Operator) bool { return o.Name == op.Name })
}
