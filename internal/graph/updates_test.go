package graph

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// A result is told each time that it changes if a sink behind it says so, and only then; sinks that want both are refused.
func TestUpdatesAreToldWhereASinkWritesThem(t *testing.T) {
	all := map[string]string{"updates": "all"}
	m := wordCount()
	g, err := build(m, 1)
	if err != nil || g.TellsUpdates(3) {
		t.Errorf("%v, and a sink that says nothing has updates told", err)
	}
	m.Operators[4].Connector.Config = all
	if g, err = build(m, 1); err != nil || !g.TellsUpdates(3) || !g.TellsUpdates(0) {
		t.Errorf("%v, or a sink with updates has none told", err)
	}
	m.Operators = append(m.Operators, abi.Operator{Name: "copy", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "count"}}})
	want := `operator "copy": operators[5].connector.config.updates: not given, but given as all of sink "out" (expected the same of both: they write the results of "count")`
	if _, err = build(m, 1); err == nil || err.Error() != want {
		t.Errorf("%v (expected %s)", err, want)
	}
	m.Operators[5].Connector.Type = "print"
	if _, err = build(m, 1); err != nil {
		t.Errorf("a print sink beside: %v", err)
	}
	m.Operators[5] = abi.Operator{Name: "lines", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "split"}}}
	if _, err = build(m, 1); err != nil {
		t.Errorf("a sink before what changes: %v", err)
	}
}

// Windows that have several results of a key are told from those whose results stand for themselves.
func TestWindowsThatRevise(t *testing.T) {
	tumbling := func(lateness int64, trigger *abi.Trigger) abi.Window {
		return abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: lateness, Trigger: trigger}
	}
	count, steps, clock := &abi.Trigger{Kind: abi.TriggerCount, Count: 2}, &abi.Trigger{Kind: abi.TriggerContinuousEventTime, EveryMs: 2}, &abi.Trigger{Kind: abi.TriggerContinuousProcessingTime, EveryMs: 2}
	evictor := &abi.Evictor{Kind: abi.EvictCount, Count: 1}
	for name, c := range map[string]struct {
		window abi.Window
		want   bool
	}{
		"by its end":                    {tumbling(0, nil), false},
		"late records":                  {tumbling(5, nil), true},
		"by its end, as a trigger says": {tumbling(0, &abi.Trigger{Kind: abi.TriggerEventTime}), false},
		"late records of that":          {tumbling(5, &abi.Trigger{Kind: abi.TriggerEventTime}), true},
		"purged":                        {tumbling(5, &abi.Trigger{Kind: abi.TriggerEventTime, Purging: true}), false},
		"counted":                       {tumbling(0, count), true},
		"counted and evicted":           {abi.Window{Kind: "tumbling", SizeMs: 10, Trigger: count, Evictor: evictor}, true},
		"counted sessions":              {abi.Window{Kind: "session", GapMs: 10, Trigger: count}, true},
		"counted sessions, evicted":     {abi.Window{Kind: "session", GapMs: 10, Trigger: count, Evictor: evictor}, false},
		"counted without end":           {abi.Window{Kind: "global", Trigger: count}, true},
		"counted and evicted, no end":   {abi.Window{Kind: "global", Trigger: count, Evictor: evictor}, false},
		"steps and evicted, no end":     {abi.Window{Kind: "global", Trigger: steps, Evictor: evictor}, false},
		"counts":                        {abi.Window{Kind: "count", Count: 3}, false},
		"steps":                         {tumbling(0, steps), true},
		"steps of sessions":             {abi.Window{Kind: "session", GapMs: 10, Trigger: steps}, true},
		"steps without end":             {abi.Window{Kind: "global", Trigger: steps}, true},
		"steps of another clock":        {tumbling(0, clock), true},
		"steps of sessions' other":      {abi.Window{Kind: "session", GapMs: 10, Trigger: clock}, true},
		"steps of the clock":            {abi.Window{Kind: "session", GapMs: 10, Time: "processing", Trigger: clock}, true},
	} {
		for _, kind := range []abi.OperatorKind{abi.OperatorWindow, abi.OperatorSum} {
			if got := (&Operator{Kind: kind, Window: &c.window}).Revises(); got != c.want {
				t.Errorf("%s, %s: %v (expected %v)", name, kind, got, c.want)
			}
		}
	}
	late, now := tumbling(5, nil), tumbling(0, nil)
	if !(&Operator{Kind: abi.OperatorJoin, Window: &late}).Revises() || (&Operator{Kind: abi.OperatorJoin, Window: &now}).Revises() {
		t.Error("a join in windows revises without late records, or does not with them")
	}
}

// Of window functions and joins, too, sinks that want each result and sinks that want the last are refused together.
func TestSinksAgreeAboutWindowsThatRevise(t *testing.T) {
	m := wordCount()
	m.Functions = append(m.Functions, abi.Function{ID: 3, Name: "all", Kind: abi.FunctionWindow, Key: "utf8", Inputs: []abi.Codec{"utf8"}, Output: "utf8"})
	m.Operators[3].Kind, m.Operators[3].Function = abi.OperatorWindow, "all"
	m.Operators[3].Window = &abi.Window{Kind: "tumbling", SizeMs: 10, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 2}}
	m.Operators[4].Connector.Config = map[string]string{"updates": "all"}
	m.Operators = append(m.Operators, abi.Operator{Name: "copy", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "count"}}})
	want := `operator "copy": operators[5].connector.config.updates: not given, but given as all of sink "out" (expected the same of both: they write the results of "count")`
	if _, err := build(m, 1); err == nil || err.Error() != want {
		t.Errorf("%v (expected %s)", err, want)
	}
	m.Operators[3].Window.Trigger.Purging = true
	if _, err := build(m, 1); err != nil {
		t.Errorf("results that stand for themselves: %v", err)
	}
}

// In batch mode every edge is blocking, and what was one chain is.
func TestBatchModeBlocksBetweenChains(t *testing.T) {
	g, err := build(wordCount(), 3)
	if err != nil {
		t.Fatal(err)
	}
	streaming := Expand(g)
	g.MakeBatch()
	x := Expand(g)
	if len(x.Chains) != len(streaming.Chains) || len(x.Regions) != len(x.Chains) || x.SlotsAtOnce() != 3 {
		t.Errorf("%d chains, %d regions, %d slots (expected %d, each a region, 3)", len(x.Chains), len(x.Regions), x.SlotsAtOnce(), len(streaming.Chains))
	}
	for _, e := range x.Edges {
		if e.Exchange != Blocking {
			t.Errorf("edge %+v (expected a blocking one)", e)
		}
	}
	if from := x.Producers(TaskID{Chain: 1, Subtask: 2}); len(from) != 3 || from[1] != (TaskID{Chain: 0, Subtask: 1}) {
		t.Errorf("task 1.2 takes from %v", from)
	}
}

// What a keyed operator keeps beside its keys would be forgotten with them: such a job does not run in batch mode.
func TestStateBesideKeysIsNotOfBatchMode(t *testing.T) {
	g, err := build(wordCount(), 1)
	if err != nil || g.NotBatch() != "" {
		t.Fatalf("%v, %s", err, g.NotBatch())
	}
	m := wordCount()
	m.Functions = append(m.Functions, abi.Function{ID: 3, Name: "count", Kind: abi.FunctionProcess, Key: "utf8", Inputs: []abi.Codec{"utf8"}, Output: "row(key: utf8, value: i64)",
		States: []abi.State{{Name: "all", Scope: abi.ScopeOperator, Kind: "list", Codec: "i64"}}})
	m.Operators[3].Kind, m.Operators[3].Function = abi.OperatorProcess, "count"
	if g, err = build(m, 1); err != nil {
		t.Fatal(err)
	}
	if want := `function "count" of "count" keeps state "all" of the operator, beside that of keys`; g.NotBatch() != want {
		t.Errorf("%q (expected %q)", g.NotBatch(), want)
	}
}
