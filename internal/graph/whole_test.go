package graph

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
)

func TestWhatPutsOutNothingBeforeItsInputEnds(t *testing.T) {
	window := func(kind, trigger string) Operator {
		w := &abi.Window{Kind: kind}
		if trigger != "" {
			w.Trigger = &abi.Trigger{Kind: trigger}
		}
		return Operator{Kind: abi.OperatorWindow, Window: w}
	}
	for _, c := range []struct {
		name string
		op   Operator
		want string // why
	}{
		{"a function of a partition", Operator{Kind: abi.OperatorMapPartition}, "it takes all records of a subtask"},
		{"a sort of a partition", Operator{Kind: abi.OperatorSortPartition}, "it takes all records of a subtask"},
		{"a join of all", window(abi.WindowAll, ""), "it has no window"},
		{"all records of a key", window("global", abi.TriggerEventTime), "its window has all records of a key, and fires at the end of time"},
		{"all records of a key, by the clock", window("global", abi.TriggerProcessingTime), "its window has all records of a key, and fires at the end of time"},
		{"by count", window("global", abi.TriggerCount), ""},
		{"every minute", window("global", abi.TriggerContinuousEventTime), ""},
		{"by the guest", window("global", abi.TriggerGuest), ""},
		{"windows that end", window("tumbling", abi.TriggerEventTime), ""},
		{"a running count", Operator{Kind: abi.OperatorCount}, ""},
	} {
		why, instead := c.op.AtEnd()
		if why != c.want || (instead == "") != (why == "") {
			t.Errorf("%s: %q, %q (expected %q)", c.name, why, instead, c.want)
		}
	}
}
