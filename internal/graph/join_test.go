package graph

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// joinOf is the manifest of a job that joins words, by the host or by a function.
func joinOf() *abi.Manifest {
	m := wordCount()
	m.Functions = append(m.Functions,
		abi.Function{ID: 3, Name: "other", Kind: abi.FunctionKey, Inputs: []abi.Codec{"utf8"}, Key: "utf8", Output: "i64"},
		abi.Function{ID: 4, Name: "meet", Kind: abi.FunctionJoin, Inputs: []abi.Codec{"utf8", "i64"}, Key: "utf8", Output: "json", Sides: []abi.Codec{"bytes"}})
	m.Operators[3] = abi.Operator{Name: "other", Kind: abi.OperatorKey, Function: "other", Inputs: []abi.Input{{From: "split"}}, Key: "utf8", Output: "i64"}
	m.Operators[4] = abi.Operator{Name: "pairs", UID: "pairs", Kind: abi.OperatorJoin, Inputs: []abi.Input{{From: "word"}, {From: "other"}}, Interval: &abi.Interval{LowerMs: -5, UpperMs: 5}}
	m.Operators = append(m.Operators, abi.Operator{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "pairs"}}})
	return m
}

func TestFaultsOfJoins(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(m *abi.Manifest, o *abi.Operator)
	}{
		{"no bounds", `operator "pairs": operators[4].interval: none, and no window (expected one of them, or it would have to keep every record for ever)`, func(_ *abi.Manifest, o *abi.Operator) { o.Interval = nil }},
		{"bounds that cross", "operator \"pairs\": operators[4].interval: an interval from 6 to 5 ms (expected lower <= upper, and a millisecond that belongs to it)", func(_ *abi.Manifest, o *abi.Operator) { o.Interval.LowerMs = 6 }},
		{"empty bounds", "operator \"pairs\": operators[4].interval: an interval from 4 (exclusive) to 5 ms (exclusive) (expected lower <= upper, and a millisecond that belongs to it)", func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval = &abi.Interval{LowerMs: 4, UpperMs: 5, LowerExclusive: true, UpperExclusive: true}
		}},
		{"huge bounds", "operator \"pairs\": operators[4].interval: an interval from -9223372036854775808 to 5 ms (expected bounds of at most 9007199254740992 ms)", func(_ *abi.Manifest, o *abi.Operator) { o.Interval.LowerMs = -1 << 63 }},
		{"window and bounds", "operator \"pairs\": operators[4].interval: given beside a window (expected one of them)", func(_ *abi.Manifest, o *abi.Operator) { o.Window = &abi.Window{Kind: "tumbling", SizeMs: 1} }},
		{"outer", `operator "pairs": operators[4].outer: "left" of a join by an interval (expected none: only what meets comes out)`, func(_ *abi.Manifest, o *abi.Operator) { o.Outer = "left" }},
		{"one input", `operator "pairs": operators[4].inputs: 1 of a join (expected >= 2)`, func(_ *abi.Manifest, o *abi.Operator) { o.Inputs = o.Inputs[:1] }},
		{"no uid", `operator "pairs": operators[4].uid: empty (expected one: a join keeps state, and the uid is its name across versions of the job)`, func(_ *abi.Manifest, o *abi.Operator) { o.UID = "" }},
		{"no key", `operator "pairs": operators[4].inputs[0]: a join needs keyed input, and key "word" comes by forward (expected a key operator before it)`, func(_ *abi.Manifest, o *abi.Operator) { o.Inputs[0].Partition = "forward" }},
		{"keys of two codecs", `operator "pairs": operators[4].inputs[1]: "other" has keys of codec i64, and "word" of utf8 (expected the same: equal keys are equal bytes)`, func(m *abi.Manifest, _ *abi.Operator) { m.Operators[3].Key, m.Functions[3].Key = "i64", "i64" }},
		{"output", "operator \"pairs\": operators[4].output: row(left: utf8, right: f64) (expected row(left: utf8, right: i64))", func(_ *abi.Manifest, o *abi.Operator) { o.Output = "row(left: utf8, right: f64)" }},
		{"function of another kind", `operator "pairs": operators[4].function: "word" is of kind key (expected join)`, func(_ *abi.Manifest, o *abi.Operator) { o.Function = "word" }},
		{"inputs the wrong way round", `operator "pairs": operators[4].inputs[0]: "other" sends i64, and function "meet" takes utf8`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Function, o.Inputs = "meet", []abi.Input{{From: "other"}, {From: "word"}}
		}},
		{"trap policy", `operator "pairs": operators[4].onTrap: "skip" (a join is native and has no function that could trap)`, func(_ *abi.Manifest, o *abi.Operator) { o.OnTrap = "skip" }},
		{"outer of no kind", `operator "pairs": operators[4].outer: "inner" (expected left, right, full or none)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval, o.Window, o.Outer = nil, &abi.Window{Kind: "tumbling", SizeMs: 1}, "inner"
		}},
		{"window of records", `operator "pairs": operators[4].window.kind: "count" of a join (expected tumbling, sliding or session, which are over when time has passed them, or all)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval, o.Window = nil, &abi.Window{Kind: "count", Count: 3}
		}},
		{"all with a time", `operator "pairs": operators[4].window.lateness: 3ms of a join of all that there is (expected none: no window ends that a record could be late for)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval, o.Window = nil, &abi.Window{Kind: "all", LatenessMs: 3}
		}},
		{"negative window", `operator "pairs": operators[4].window.size: -1ms (expected > 0s)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval, o.Window = nil, &abi.Window{Kind: "tumbling", SizeMs: -1}
		}},
		{"co-group with bounds", `operator "pairs": operators[4].interval: given to a co-group (expected a window)`, func(m *abi.Manifest, o *abi.Operator) {
			m.Functions[4].Kind, o.Function = abi.FunctionCoGroup, "meet"
		}},
		{"outer co-group", `operator "pairs": operators[4].outer: "full" of a co-group (expected none: its function is called with what either input has)`, func(m *abi.Manifest, o *abi.Operator) {
			m.Functions[4].Kind, o.Function, o.Interval, o.Window, o.Outer = abi.FunctionCoGroup, "meet", nil, &abi.Window{Kind: "tumbling", SizeMs: 1}, "full"
		}},
		{"output of an outer join", "operator \"pairs\": operators[4].output: row(left: utf8, right: i64) (expected row(left: utf8, right: i64?))", func(_ *abi.Manifest, o *abi.Operator) {
			o.Interval, o.Window, o.Outer, o.Output = nil, &abi.Window{Kind: "tumbling", SizeMs: 1}, "left", "row(left: utf8, right: i64)"
		}},
		{"bounds of another", "operator \"other\": operators[3].interval: given (a key has none)", func(m *abi.Manifest, _ *abi.Operator) { m.Operators[3].Interval = &abi.Interval{} }},
	} {
		m := joinOf()
		c.spoil(m, &m.Operators[4])
		if _, err := build(m, 1); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nexpected %s", c.name, err, c.want)
		}
	}
}

func TestOutputsOfJoins(t *testing.T) {
	m := joinOf()
	g, err := build(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	if o := &g.Operators[4]; o.Output != "row(left: utf8, right: i64)" || o.Sides() != 2 || g.KeyCodec(4, 0) != "utf8" {
		t.Errorf("output %s, %d sides, key %s", o.Output, o.Sides(), g.KeyCodec(4, 0))
	}
	m.Operators[4].Function, m.Operators[4].OnTrap, m.Operators[4].Output = "meet", "deadLetter", "json"
	if g, err = build(m, 2); err != nil {
		t.Fatal(err)
	}
	o := &g.Operators[4]
	for side, want := range []abi.Codec{"json", "bytes", "utf8", "i64", LetterCodec} {
		if got := g.Codec(4, side); got != want {
			t.Errorf("output %d has codec %s (expected %s)", side, got, want)
		}
	}
	if o.LateSide(0) != 2 || o.LateSide(1) != 3 || o.LateSide(2) != 0 || o.DeadSide() != 4 {
		t.Errorf("late %d, %d, %d, dead %d", o.LateSide(0), o.LateSide(1), o.LateSide(2), o.DeadSide())
	}
	for c, want := range map[abi.Codec]abi.Codec{"utf8": "utf8", "i64": "i64", "bytes": "bytes", "me/own": "bytes", "row(a: i64)": "row(a: i64)"} {
		if got := PairCodec(c, "f64", ""); got != "row(left: "+want+", right: f64)" {
			t.Errorf("pairs of %s are %s", c, got)
		}
	}
}
