package graph

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// A join that says nothing looks up in a table, if one input is small enough for that; it sorts both otherwise, and what says how it is
// done is done so.
func TestHowAJoinIsDoneIsChosenBySize(t *testing.T) {
	all := &abi.Window{Kind: abi.WindowAll}
	for _, c := range []struct {
		name        string
		op          Operator
		left, right int64
		want        string
	}{
		{"a small right", Operator{Kind: abi.OperatorJoin, Window: all, Outer: abi.OuterFull}, 1_000_000, 2 * smallBuild, abi.HintHashSecond},
		{"a small left", Operator{Kind: abi.OperatorJoin, Window: all}, 2 * smallBuild, 1_000_000, abi.HintHashFirst},
		{"two of a size", Operator{Kind: abi.OperatorJoin, Window: all}, 5, 5, abi.HintHashSecond},
		{"neither small", Operator{Kind: abi.OperatorJoin, Window: all}, 2*smallBuild + 1, 1_000_000, abi.HintSortMerge},
		{"it says", Operator{Kind: abi.OperatorJoin, Window: all, Hint: abi.HintSortMerge}, 1, 1, ""},
		{"in windows", Operator{Kind: abi.OperatorJoin, Window: &abi.Window{Kind: "tumbling"}}, 1, 1, ""},
		{"by an interval", Operator{Kind: abi.OperatorJoin, Interval: &abi.Interval{}}, 1, 1, ""},
		{"a co-group", Operator{Kind: abi.OperatorJoin, Window: all, Declared: &abi.Function{Kind: abi.FunctionCoGroup}}, 1, 1, ""},
		{"traps are left out", Operator{Kind: abi.OperatorJoin, Window: all, OnTrap: OnTrapSkip}, 1, 1, ""},
		{"no join", Operator{Kind: abi.OperatorCount, Window: all}, 1, 1, ""},
	} {
		c.op.Parallelism = 2
		g := &JobGraph{Batch: true, Operators: []Operator{{Name: "left"}, {Name: "right"}, c.op}}
		if got := g.ChooseHint(2, [2]int64{c.left, c.right}); got != c.want {
			t.Errorf("%s: %q (expected %q)", c.name, got, c.want)
		}
		if g.Batch = false; g.ChooseHint(2, [2]int64{c.left, c.right}) != "" {
			t.Errorf("%s: chosen in streaming mode", c.name)
		}
	}
	join := Operator{Kind: abi.OperatorJoin, Window: all, Inputs: []Input{{From: 0}, {From: 1}}}
	g := &JobGraph{Batch: true, Operators: []Operator{{Name: "left"}, {Name: "right"}, join}}
	chosen := g.WithHint(2, abi.HintHashFirst)
	want := `repartitionHashFirst, chosen by how many records there are: "left" is kept in a table, and "right" looked up in it`
	if text := chosen.HintText(2); text != want || chosen.Operators[2].Builds() != 0 {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if g.Operators[2].Hint != "" || g.Operators[2].Chosen {
		t.Error("the job's graph has become another one")
	}
}
