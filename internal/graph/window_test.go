package graph

import (
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// windowsOf is the manifest of a job with a window function, and functions that its window may name.
func windowsOf() *abi.Manifest {
	m := wordCount()
	in := []abi.Codec{"utf8"}
	m.Functions = append(m.Functions,
		abi.Function{ID: 3, Name: "all", Kind: abi.FunctionWindow, Inputs: in, Key: "utf8", Output: "utf8"},
		abi.Function{ID: 4, Name: "full", Kind: abi.FunctionTrigger, Inputs: in},
		abi.Function{ID: 5, Name: "odd", Kind: abi.FunctionEvict, Inputs: in},
		abi.Function{ID: 6, Name: "pause", Kind: abi.FunctionGap, Inputs: in},
		abi.Function{ID: 7, Name: "folded", Kind: abi.FunctionWindow, Inputs: in, Key: "utf8", Accumulator: "i64", Output: "utf8"})
	m.Operators[3] = abi.Operator{Name: "windows", UID: "w", Kind: abi.OperatorWindow, Function: "all", Inputs: []abi.Input{{From: "word"}}, Output: "utf8",
		Window: &abi.Window{Kind: "tumbling", SizeMs: 1000}}
	m.Operators[4].Inputs[0].From = "windows"
	return m
}

func TestFaultsOfWindows(t *testing.T) {
	const at = `operator "windows": operators[3].window`
	trigger := func(t abi.Trigger) func(*abi.Manifest, *abi.Operator) {
		return func(_ *abi.Manifest, o *abi.Operator) { o.Window.Trigger = &t }
	}
	evictor := func(e abi.Evictor) func(*abi.Manifest, *abi.Operator) {
		return func(_ *abi.Manifest, o *abi.Operator) { o.Window.Evictor = &e }
	}
	window := func(w abi.Window) func(*abi.Manifest, *abi.Operator) {
		return func(_ *abi.Manifest, o *abi.Operator) { o.Window = &w }
	}
	state := func(s abi.State) func(*abi.Manifest, *abi.Operator) {
		return func(m *abi.Manifest, o *abi.Operator) { m.Functions[3].States = []abi.State{s} }
	}
	for _, c := range []struct {
		want  string
		spoil func(*abi.Manifest, *abi.Operator)
	}{
		{at + ": none (expected one: a window function has results of windows)", func(_ *abi.Manifest, o *abi.Operator) { o.Window = nil }},
		{`function "folded": functions[7].pulls: of a window (expected a window function over all records: only that asks for those that did not come with a call)`, func(m *abi.Manifest, _ *abi.Operator) { m.Functions[7].Pulls = true }},
		{at + ".trigger: none of a global window, which has no end (expected one, or it would never have a result)", window(abi.Window{Kind: "global"})},
		{at + ".trigger: none of a global window, which has no end (expected one, or it would never have a result)", window(abi.Window{Kind: "global", Trigger: &abi.Trigger{Kind: abi.TriggerNever}})},
		{at + ": a global window with a time (expected nothing of time: it has no end)", window(abi.Window{Kind: "global", SizeMs: 5, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 1}})},
		{at + ".lateness: 5ms of a global window (expected none: it has no end that a record could be late for)", window(abi.Window{Kind: "global", LatenessMs: 5})},
		{at + ".lateness: 5ms of windows of records (expected none: nothing is late for them)", window(abi.Window{Kind: "count", Count: 3, LatenessMs: 5})},
		{at + `.gap: "pause" of a tumbling window (expected none: only sessions have one)`, func(_ *abi.Manifest, o *abi.Operator) { o.Window.Gap = "pause" }},
		{at + `.gap: 5ms beside the function "pause" (expected one of the two)`, window(abi.Window{Kind: "session", Gap: "pause", GapMs: 5})},
		{at + `.gap: "full" is of kind trigger (expected gap)`, window(abi.Window{Kind: "session", Gap: "full"})},
		{at + `.gap: "none" is not in the module's function table`, window(abi.Window{Kind: "session", Gap: "none"})},
		{at + `.kind: session, and function "all" keeps the state "n" of a window (expected state of the key: sessions become one)`, func(m *abi.Manifest, o *abi.Operator) {
			m.Functions[3].States = []abi.State{{Name: "n", Scope: abi.ScopeWindow, Kind: "value", Codec: "i64"}}
			o.Window = &abi.Window{Kind: "session", GapMs: 5}
		}},
		{at + ": windows of records with a trigger or evictor (expected none: their count is one. A global window takes both)", window(abi.Window{Kind: "count", Count: 3, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 1}})},
		{at + ".trigger.kind: never of a tumbling window (expected one that fires, or the window would never have a result)", trigger(abi.Trigger{Kind: abi.TriggerNever})},
		{at + `.trigger.kind: "often" (expected eventTime, processingTime, count, continuousEventTime, continuousProcessingTime, delta or guest)`, trigger(abi.Trigger{Kind: "often"})},
		{at + ".trigger.count: 0 (expected >= 1)", trigger(abi.Trigger{Kind: abi.TriggerCount})},
		{at + ".trigger.count: 2 of a trigger eventTime (expected none)", trigger(abi.Trigger{Kind: abi.TriggerEventTime, Count: 2})},
		{at + ".trigger.every: -1s (expected > 0s)", trigger(abi.Trigger{Kind: abi.TriggerContinuousEventTime, EveryMs: -1000})},
		{at + ".trigger.every: 1s of a trigger count (expected none)", trigger(abi.Trigger{Kind: abi.TriggerCount, Count: 1, EveryMs: 1000})},
		{at + `.trigger.threshold: "" (expected a number >= 0)`, trigger(abi.Trigger{Kind: abi.TriggerDelta})},
		{at + `.trigger.threshold: "-1" (expected a number >= 0)`, trigger(abi.Trigger{Kind: abi.TriggerDelta, Threshold: "-1"})},
		{at + `.trigger.threshold: "2" of a trigger count (expected none)`, trigger(abi.Trigger{Kind: abi.TriggerCount, Count: 1, Threshold: "2"})},
		{at + `.trigger.field: "value" is of type utf8 (expected i64, f64 or ms)`, trigger(abi.Trigger{Kind: abi.TriggerDelta, Threshold: "2"})},
		{at + `.trigger.function: "" of a trigger guest (expected that of a trigger guest, and none of another)`, trigger(abi.Trigger{Kind: abi.TriggerGuest})},
		{at + `.trigger.function: "odd" is of kind evict (expected trigger)`, trigger(abi.Trigger{Kind: abi.TriggerGuest, Function: "odd"})},
		{at + ".trigger.kind: delta of a session (expected another: sessions that become one have no last result in common)", window(abi.Window{Kind: "session", GapMs: 5, Trigger: &abi.Trigger{Kind: abi.TriggerDelta, Threshold: "1"}})},
		{at + ".trigger.kind: eventTime of windows of processing time (expected one of processing time: event time says nothing about them)", window(abi.Window{Kind: "tumbling", SizeMs: 5, Time: "processing", Trigger: &abi.Trigger{Kind: abi.TriggerEventTime}})},
		{at + ".evictor: of a count, which keeps no records (expected a window function over all records)", func(_ *abi.Manifest, o *abi.Operator) {
			o.Kind, o.Function, o.Output, o.Window.Evictor = abi.OperatorCount, "", "", &abi.Evictor{Kind: abi.EvictCount, Count: 1}
		}},
		{at + `.evictor: of the window function "folded", which has an accumulator and keeps no records (expected one over all records)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Function, o.Window.Evictor = "folded", &abi.Evictor{Kind: abi.EvictCount, Count: 1}
		}},
		{at + `.evictor.kind: "some" (expected count, time, delta or guest)`, evictor(abi.Evictor{Kind: "some"})},
		{at + ".evictor.count: -1 (expected >= 1)", evictor(abi.Evictor{Kind: abi.EvictCount, Count: -1})},
		{at + ".evictor.keep: 0s (expected > 0s)", evictor(abi.Evictor{Kind: abi.EvictTime})},
		{at + ".evictor.keep: 5ms of an evictor count (expected none)", evictor(abi.Evictor{Kind: abi.EvictCount, Count: 1, KeepMs: 5})},
		{at + `.evictor.threshold: "x" (expected a number >= 0)`, evictor(abi.Evictor{Kind: abi.EvictDelta, Threshold: "x"})},
		{at + `.evictor.field: "speed" of values that are utf8 (expected values that are rows)`, evictor(abi.Evictor{Kind: abi.EvictDelta, Threshold: "1", Field: "speed"})},
		{at + `.evictor.function: "full" is of kind trigger (expected evict)`, evictor(abi.Evictor{Kind: abi.EvictGuest, Function: "full"})},
		{`function "all": functions[3].states[0].kind: list of scope window (expected value)`, state(abi.State{Name: "n", Scope: abi.ScopeWindow, Kind: "list", Codec: "i64"})},
		{`function "all": functions[3].states[0].scope: "operator" (expected keyed or window)`, state(abi.State{Name: "n", Scope: abi.ScopeOperator, Kind: "list", Codec: "i64"})},
		{`function "all": functions[3].states[0].ttlMs: 5 of scope window (expected none: it ends with the window)`, state(abi.State{Name: "n", Scope: abi.ScopeWindow, Kind: "value", Codec: "i64", TTL: 5})},
		{`function "full": functions[4].states[0].scope: "keyed" (expected window: what a trigger keeps is of one window)`, func(m *abi.Manifest, _ *abi.Operator) {
			m.Functions[4].States = []abi.State{{Name: "n", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}
		}},
		{at + `: "word" sends utf8, and function "full" takes i64`, func(m *abi.Manifest, o *abi.Operator) {
			m.Functions[4].Inputs = []abi.Codec{"i64"}
			o.Window.Trigger = &abi.Trigger{Kind: abi.TriggerGuest, Function: "full"}
		}},
		{at + ".size: -1s (expected > 0s)", func(_ *abi.Manifest, o *abi.Operator) { o.Window.SizeMs = -1000 }},
	} {
		m := windowsOf()
		c.spoil(m, &m.Operators[3])
		if _, err := build(m, 2); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

// What a window names is found again in the graph.
func TestWindowsNameFunctions(t *testing.T) {
	m := windowsOf()
	m.Operators[3].Window = &abi.Window{Kind: "session", Gap: "pause", Trigger: &abi.Trigger{Kind: abi.TriggerGuest, Function: "full"}, Evictor: &abi.Evictor{Kind: abi.EvictGuest, Function: "odd"}}
	g, err := build(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	o := &g.Operators[3]
	var names []string
	for _, f := range o.WindowFunctions {
		names = append(names, f.Name)
	}
	if want := []string{"pause", "full", "odd"}; !slices.Equal(names, want) || o.WindowModule != "m" {
		t.Errorf("functions %q of module %q (expected %q of m)", names, o.WindowModule, want)
	}
}
