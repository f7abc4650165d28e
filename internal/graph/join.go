package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// checkJoin checks what says which records of a join meet.
func checkJoin(path string, o *abi.Operator) error {
	switch {
	case o.Kind != abi.OperatorJoin && o.Interval != nil:
		return faultf(path+".interval", "given (a %s has none)", o.Kind)
	case o.Kind != abi.OperatorJoin && o.Outer != "":
		return faultf(path+".outer", "%q (a %s has none)", o.Outer, o.Kind)
	case o.Kind != abi.OperatorJoin && o.Hint != "":
		return faultf(path+".hint", "%q (a %s has none)", o.Hint, o.Kind)
	case o.Kind != abi.OperatorJoin:
		return nil
	case o.Hint != "" && (o.Window == nil || o.Window.Kind != abi.WindowAll):
		return faultf(path+".hint", "%q of a join that has a window or an interval (expected none: hints are for joins of all that there is)", o.Hint)
	case o.Interval != nil && o.Window != nil:
		return faultf(path+".interval", "given beside a window (expected one of them)")
	case o.Window != nil:
		return checkWindowJoin(path, o)
	case o.Interval == nil:
		return faultf(path+".interval", "none, and no window (expected one of them, or it would have to keep every record for ever)")
	case o.Outer != "":
		return faultf(path+".outer", "%q of a join by an interval (expected none: only what meets comes out)", o.Outer)
	}
	if o.Interval.LowerMs < -maxBound || o.Interval.UpperMs > maxBound {
		return faultf(path+".interval", "%s (expected bounds of at most %d ms)", o.Interval, maxBound)
	}
	if lower, upper := o.Interval.Bounds(); lower > upper || o.Interval.LowerMs > o.Interval.UpperMs {
		return faultf(path+".interval", "%s (expected lower <= upper, and a millisecond that belongs to it)", o.Interval)
	}
	return nil
}

// checkWindowJoin checks a join in windows, whose window is one that others may have, too.
func checkWindowJoin(path string, o *abi.Operator) error {
	switch o.Window.Kind {
	case "tumbling", "sliding", "session", abi.WindowAll:
	default:
		return faultf(path+".window.kind", "%q of a join (expected tumbling, sliding or session, which are over when time has passed them, or all)", o.Window.Kind)
	}
	switch o.Outer {
	case "", abi.OuterLeft, abi.OuterRight, abi.OuterFull:
		return checkHint(path+".hint", o)
	}
	return faultf(path+".outer", "%q (expected left, right, full or none)", o.Outer)
}

// checkHint checks how a join is to be done. Of an input of which every subtask has all, none knows what meets nothing anywhere.
func checkHint(path string, o *abi.Operator) error {
	first := o.Outer == abi.OuterLeft || o.Outer == abi.OuterFull
	second := o.Outer == abi.OuterRight || o.Outer == abi.OuterFull
	switch o.Hint {
	case "", abi.HintSortMerge, abi.HintHashFirst, abi.HintHashSecond:
		return nil
	case abi.HintBroadcastFirst:
		if !first {
			return nil
		}
		return broadcastOuter(path, o, abi.HintHashFirst, abi.HintBroadcastSecond, second)
	case abi.HintBroadcastSecond:
		if !second {
			return nil
		}
		return broadcastOuter(path, o, abi.HintHashSecond, abi.HintBroadcastFirst, first)
	}
	return faultf(path, "%q (expected %s, %s, %s, %s, %s or none)", o.Hint, abi.HintBroadcastFirst, abi.HintBroadcastSecond, abi.HintHashFirst, abi.HintHashSecond, abi.HintSortMerge)
}

func broadcastOuter(path string, o *abi.Operator, hash, other string, both bool) error {
	if both {
		other = abi.HintSortMerge
	}
	return faultf(path, "%q of a %s outer join (expected %s or %s: what meets nothing comes out, and a subtask that has all of an input does not know what the others have met)",
		o.Hint, o.Outer, hash, other)
}

// Builds is the input of a join whose records lie in a table, in batch mode, before those of the other come; -1: both are sorted.
func (o *Operator) Builds() int {
	switch o.Hint {
	case abi.HintHashFirst, abi.HintBroadcastFirst:
		return 0
	case abi.HintHashSecond, abi.HintBroadcastSecond:
		return 1
	}
	return -1
}

// broadcastsHint says whether the input that lies in a table does so in every subtask, as a whole.
func (o *Operator) broadcastsHint() bool {
	return o.Hint == abi.HintBroadcastFirst || o.Hint == abi.HintBroadcastSecond
}

// smallBuild is how many records an input has in a subtask, at most, whose table is looked up for less than what sorting the other input costs.
// Beyond what a cache holds it is not: 100,000 records cost more than the sort, 30,000 half of it, 10,000 a third.
const smallBuild = 1 << 15

// ChooseHint says how a join of batch mode is done that leaves that to the host, when all that it takes is there: sent is how many records
// its inputs have, at most. Empty: operator i is none. An input cannot be broadcast then: the other has been dealt out by key already.
func (g *JobGraph) ChooseHint(i int, sent [2]int64) string {
	o := &g.Operators[i]
	if !g.Batch || o.Kind != abi.OperatorJoin || o.Hint != "" || o.Window == nil || o.Window.Kind != abi.WindowAll || o.LeavesOut() ||
		o.Declared != nil && o.Declared.Kind == abi.FunctionCoGroup {
		return ""
	}
	switch small := smallBuild * int64(o.Parallelism); {
	case sent[1] <= sent[0] && sent[1] <= small:
		return abi.HintHashSecond
	case sent[0] <= sent[1] && sent[0] <= small:
		return abi.HintHashFirst
	}
	return abi.HintSortMerge
}

// WithHint is the graph with a join that is done as the host has chosen.
func (g *JobGraph) WithHint(i int, hint string) *JobGraph {
	made := *g
	made.Operators = slices.Clone(g.Operators)
	made.Operators[i].Hint, made.Operators[i].Chosen = hint, true
	return &made
}

// HintText is how a join that has a hint is done, for people; empty for all else.
func (g *JobGraph) HintText(i int) string {
	o := &g.Operators[i]
	build, hint := o.Builds(), o.Hint
	if o.Chosen {
		hint += ", chosen by how many records there are"
	}
	switch {
	case o.Hint == "":
		return ""
	case !g.Batch:
		return hint + ", which says nothing in streaming mode"
	case build < 0:
		return hint
	}
	return fmt.Sprintf("%s: %q is kept in a table, and %q looked up in it", hint, g.Operators[o.Inputs[build].From].Name, g.Operators[o.Inputs[1-build].From].Name)
}

// checkCoGroup checks what only the function of a join can say: a co-group has all that lies in a window.
func checkCoGroup(path string, o *abi.Operator, f *abi.Function) error {
	switch {
	case f == nil || f.Kind != abi.FunctionCoGroup:
		return nil
	case o.Interval != nil:
		return faultf(path+".interval", "given to a co-group (expected a window)")
	case o.Hint != "" && o.Hint != abi.HintSortMerge:
		return faultf(path+".hint", "%q of a co-group (expected none or %s: its function is called with all that either input has of a key)", o.Hint, abi.HintSortMerge)
	case o.Outer != "":
		return faultf(path+".outer", "%q of a co-group (expected none: its function is called with what either input has)", o.Outer)
	}
	return nil
}

// maxBound bounds the ends of intervals, so that times can be added to them.
const maxBound = int64(1) << 53

// checkTogether holds the inputs of an operator that has two against each other, and a join's output against both.
func checkTogether(path string, g *JobGraph, o *Operator) error {
	if !kinds[o.Kind].keyed || len(o.Inputs) < 2 || o.Unkeyed() || o.Broadcasts() {
		return nil
	}
	a, b := g.KeyCodec(o.Inputs[0].From, o.Inputs[0].Side), g.KeyCodec(o.Inputs[1].From, o.Inputs[1].Side)
	if a != b {
		return faultf(path+".inputs[1]", "%q has keys of codec %s, and %q of %s (expected the same: equal keys are equal bytes)",
			g.Operators[o.Inputs[1].From].Name, b, g.Operators[o.Inputs[0].From].Name, a)
	}
	if o.Kind != abi.OperatorJoin || o.Function != nil {
		return nil
	}
	want := PairCodec(g.Codec(o.Inputs[0].From, o.Inputs[0].Side), g.Codec(o.Inputs[1].From, o.Inputs[1].Side), o.Outer)
	if o.Output == "" {
		o.Output = want
	}
	if !pairs(o.Output, want) {
		return faultf(path+".output", "%s (expected %s)", o.Output, want)
	}
	return nil
}

// PairCodec is the codec of what a join without function makes of values of two codecs. A side that may be missing is null then.
func PairCodec(left, right abi.Codec, outer string) abi.Codec {
	l, r := fieldOf(left), fieldOf(right)
	if outer == abi.OuterRight || outer == abi.OuterFull {
		l += "?"
	}
	if outer == abi.OuterLeft || outer == abi.OuterFull {
		r += "?"
	}
	return "row(left: " + l + ", right: " + r + ")"
}

// fieldOf is the type of a field that holds a value of a codec: its own, or bytes.
func fieldOf(c abi.Codec) abi.Codec {
	switch c {
	case abi.CodecUTF8, abi.CodecI64, abi.CodecF64, abi.CodecJSON:
		return c
	}
	if _, err := abi.ParseSchema("row(value: " + c + ")"); err != nil || !strings.HasPrefix(string(c), "row(") {
		return abi.CodecBytes
	}
	return c
}

// pairs says whether a codec is want, whatever the names of its two fields.
func pairs(is, want abi.Codec) bool {
	a, err := abi.ParseSchema(is)
	b, _ := abi.ParseSchema(want) // it was made here
	if err != nil || len(a.Fields) != 2 {
		return false
	}
	for i := range a.Fields {
		a.Fields[i].Name = b.Fields[i].Name
	}
	return a.Codec() == b.Codec()
}
