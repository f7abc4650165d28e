package graph

import (
	"errors"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// bids is a job without a function: bids are filtered, keyed and aggregated by their fields.
func bids() *abi.Manifest {
	return &abi.Manifest{
		ABI:  1,
		Name: "bids",
		Operators: []abi.Operator{
			{Name: "events", Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "nexmark"}, Output: "row(bid: row(auction: i64, price: i64, channel: utf8, weight: f64?)?, note: json, at: ms)"},
			{Name: "large", Kind: abi.OperatorFilter, Inputs: []abi.Input{{From: "events"}}, Predicate: &abi.Predicate{Op: ">=", Field: "bid.price", Values: []string{"100"}}},
			{Name: "auction", Kind: abi.OperatorKey, Inputs: []abi.Input{{From: "large"}}, Fields: []string{"bid.auction", "at"}},
			{Name: "totals", UID: "totals", Kind: abi.OperatorAggregates, Inputs: []abi.Input{{From: "auction"}}, Window: &abi.Window{Kind: "tumbling", SizeMs: 1000},
				Aggregates: []abi.Aggregate{{Name: "bids", Kind: "count"}, {Name: "highest", Kind: "max", Field: "bid.price"},
					{Name: "apple", Kind: "sum", Field: "bid.price", Filter: &abi.Predicate{Op: "=", Field: "bid.channel", Values: []string{"Apple"}}}}},
			{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "totals"}}},
		},
	}
}

func TestCodecsOfFieldsAreSettled(t *testing.T) {
	g, err := build(bids(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := g.Operators[2].Key, abi.Codec("row(auction: i64?, at: ms)"); got != want {
		t.Errorf("key %s (expected %s)", got, want)
	}
	if got, want := g.Operators[1].Output, g.Operators[0].Output; got != want {
		t.Errorf("filter puts out %s (expected %s)", got, want)
	}
	if got, want := g.Operators[3].Output, abi.Codec("row(start: ms, end: ms, auction: i64?, at: ms, bids: i64, highest: i64?, apple: i64?)"); got != want {
		t.Errorf("results %s (expected %s)", got, want)
	}
	if got := g.Operators[3].Inputs[0].Partition; got != Hash {
		t.Errorf("partition %s behind a key of fields (expected hash)", got)
	}
	m := bids()
	m.Operators[2].Fields = []string{"at"}
	m.Operators[3].Window = nil
	m.Operators[3].Aggregates = []abi.Aggregate{{Name: "best", Kind: "top", Field: "bid.price", N: 3}}
	if g, err = build(m, 1); err != nil {
		t.Fatal(err)
	}
	if got, want := g.Operators[3].Output, abi.Codec("row(at: ms, rank: i64, best: "+string(g.Operators[0].Output)+")"); got != want {
		t.Errorf("results %s (expected %s)", got, want)
	}
}

func TestFaultsOfFieldsAreNamedByPath(t *testing.T) {
	aggregate := func(a abi.Aggregate) func(m *abi.Manifest) {
		return func(m *abi.Manifest) { m.Operators[3].Aggregates[1] = a }
	}
	predicate := func(p abi.Predicate) func(m *abi.Manifest) {
		return func(m *abi.Manifest) { m.Operators[1].Predicate = &p }
	}
	const codec = "row(bid: row(auction: i64, price: i64, channel: utf8, weight: f64?)?, note: json, at: ms)"
	for _, c := range []struct {
		name  string
		spoil func(m *abi.Manifest)
		want  string
	}{
		{"unknown key", func(m *abi.Manifest) { m.Operators[2].Fields[0] = "bid.seller" }, `operator "auction": operators[2].fields[0]: no field "bid.seller" in ` + codec},
		{"key of json", func(m *abi.Manifest) { m.Operators[2].Fields = []string{"note"} }, `operator "auction": operators[2].fields: codec "row(note: json)": field note is json: no key, because one value has many spellings`},
		{"key of a row", func(m *abi.Manifest) { m.Operators[2].Fields = []string{"bid"} }, `operator "auction": operators[2].fields[0]: "bid" is a row (expected bool, i64, f64, ms, utf8, bytes or decimal)`},
		{"key twice", func(m *abi.Manifest) { m.Operators[2].Fields = []string{"at", "at"} }, `operator "auction": operators[2].fields: at, at (expected fields of different names)`},
		{"another key codec", func(m *abi.Manifest) { m.Operators[2].Key = "utf8" }, `operator "auction": operators[2].key: utf8 (expected row(auction: i64?, at: ms))`},
		{"key without anything", func(m *abi.Manifest) { m.Operators[2].Fields = nil }, `operator "auction": operators[2].function: "" is not in the module's function table`},
		{"fields of a filter", func(m *abi.Manifest) { m.Operators[1].Fields = []string{"at"} }, `operator "large": operators[1].fields: given (a filter has none)`},
		{"predicate of a sink", func(m *abi.Manifest) { m.Operators[4].Predicate = m.Operators[1].Predicate }, `operator "out": operators[4].predicate: given (a sink has none)`},
		{"aggregates of a key", func(m *abi.Manifest) { m.Operators[2].Aggregates = m.Operators[3].Aggregates }, `operator "auction": operators[2].aggregates: given (a key has none)`},
		{"trap", func(m *abi.Manifest) { m.Operators[2].OnTrap = "skip" }, `operator "auction": operators[2].onTrap: "skip" (a key is native and has no function that could trap)`},
		{"no uid", func(m *abi.Manifest) { m.Operators[3].UID = "" }, `operator "totals": operators[3].uid: empty (expected one: a aggregates keeps state, and the uid is its name across versions of the job)`},
		{"not keyed", func(m *abi.Manifest) {
			m.Operators[3].Inputs[0].From = "large"
			m.Operators[4].Inputs = append(m.Operators[4].Inputs[:0], abi.Input{From: "totals"})
		},
			`operator "auction": operators[2]: its result goes nowhere (expected a sink behind it)`},
		{"operation", predicate(abi.Predicate{Op: "like", Field: "at"}), `operator "large": operators[1].predicate.op: "like" (expected =, !=, <, <=, >, >=, in, null, notNull, and, or)`},
		{"constant", predicate(abi.Predicate{Op: "<", Field: "at", Values: []string{"noon"}}), `operator "large": operators[1].predicate.values[0]: "noon" is no ms`},
		{"constants", predicate(abi.Predicate{Op: "<", Field: "at", Values: []string{"1", "2"}}), `operator "large": operators[1].predicate.values: 2 of < (expected one)`},
		{"none of", predicate(abi.Predicate{Op: "in", Field: "at"}), `operator "large": operators[1].predicate.values: none of in (expected at least one)`},
		{"deep", predicate(abi.Predicate{Op: "and", Of: []abi.Predicate{{Op: "or", Of: []abi.Predicate{{Op: "=", Field: "x"}}}}}), `operator "large": operators[1].predicate.of[0].of[0].field: no field "x" in ` + codec},
		{"empty and", predicate(abi.Predicate{Op: "and"}), `operator "large": operators[1].predicate.of: none of and (expected at least one)`},
		{"of a row", predicate(abi.Predicate{Op: "=", Field: "bid", Values: []string{"1"}}), `operator "large": operators[1].predicate.field: "bid" is row (expected bool, i64, f64, ms, utf8 or bytes)`},
		{"no aggregates", func(m *abi.Manifest) { m.Operators[3].Aggregates = nil }, `operator "totals": operators[3].aggregates: none (expected at least one)`},
		{"kind", aggregate(abi.Aggregate{Name: "x", Kind: "median", Field: "at"}), `operator "totals": operators[3].aggregates[1].kind: "median" (expected count, sum, min, max, avg, countDistinct, minBy, maxBy, first, last, top or bottom)`},
		{"no name", aggregate(abi.Aggregate{Kind: "count"}), `operator "totals": operators[3].aggregates[1].name: "" (expected 1 to 255 bytes)`},
		{"type", aggregate(abi.Aggregate{Name: "x", Kind: "sum", Field: "bid.channel"}), `operator "totals": operators[3].aggregates[1].field: "channel" is utf8, and sum takes i64, f64`},
		{"no field", aggregate(abi.Aggregate{Name: "x", Kind: "sum"}), `operator "totals": operators[3].aggregates[1].field: none is named, and the values are ` + codec + ` (expected the name of a field)`},
		{"filter", aggregate(abi.Aggregate{Name: "x", Kind: "count", Filter: &abi.Predicate{Op: "=", Field: "at", Values: []string{"a"}}}), `operator "totals": operators[3].aggregates[1].filter.values[0]: "a" is no ms`},
		{"n", aggregate(abi.Aggregate{Name: "x", Kind: "top", Field: "at"}), `operator "totals": operators[3].aggregates[1].n: 0 (expected 1 <= n <= 1000)`},
		{"n of count", aggregate(abi.Aggregate{Name: "x", Kind: "count", N: 2}), `operator "totals": operators[3].aggregates[1].n: 2 of count (expected none)`},
		{"ties of a sum", aggregate(abi.Aggregate{Name: "x", Kind: "max", Field: "at", Then: []string{"at"}}), `operator "totals": operators[3].aggregates[1].then[0]: "at" of max (expected none)`},
		{"ties without a field", aggregate(abi.Aggregate{Name: "x", Kind: "first", Then: []string{"at"}}), `operator "totals": operators[3].aggregates[1].then[0]: "at" without a field before it (expected one: the order of records is all that counts)`},
		{"unknown ties", aggregate(abi.Aggregate{Name: "x", Kind: "maxBy", Field: "at", Then: []string{"at", "none"}}), `operator "totals": operators[3].aggregates[1].then[1]: no field "none" in ` + codec},
		{"ties by json", aggregate(abi.Aggregate{Name: "x", Kind: "maxBy", Field: "at", Then: []string{"bid.channel", "note"}}), `operator "totals": operators[3].aggregates[1].then[1]: "note" is json (expected i64, f64, ms, utf8, bytes)`},
		{"top beside others", aggregate(abi.Aggregate{Name: "x", Kind: "top", Field: "at", N: 2}), `operator "totals": operators[3].aggregates[1].kind: top beside 2 others (expected it alone: it has several results)`},
		{"one name twice", aggregate(abi.Aggregate{Name: "bids", Kind: "count"}), `operator "totals": operators[3].output: empty, and the results are no row: codec "row(start: ms, end: ms, auction: i64?, at: ms, bids: i64, bids: i64, apple: i64?)": field "bids" stands twice (expected one that gives their fields other names)`},
		{"another output", func(m *abi.Manifest) { m.Operators[3].Output = "row(a: i64)" }, `operator "totals": operators[3].output: row(a: i64) (expected row(start: ms, end: ms, auction: i64?, at: ms, bids: i64, highest: i64?, apple: i64?), under names of your own)`},
	} {
		m := bids()
		c.spoil(m)
		_, err := build(m, 2)
		var fault *Error
		if !errors.As(err, &fault) || fault.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}

// Counts and sums have rows of a key and a number, and windows their times before them; another codec is told of before the job runs.
func TestRowsOfCountsAndSums(t *testing.T) {
	of := func(kind abi.OperatorKind, w *abi.Window, output abi.Codec) *abi.Manifest {
		m := bids()
		m.Operators = append(m.Operators[:1:1],
			abi.Operator{Name: "split", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "events"}}, Output: "f64"},
			abi.Operator{Name: "word", Kind: abi.OperatorKey, Function: "word", Inputs: []abi.Input{{From: "split"}}, Key: "row(a: i64, b: utf8?)", Output: "f64"},
			abi.Operator{Name: "totals", UID: "totals", Kind: kind, Inputs: []abi.Input{{From: "word"}}, Window: w, Output: output},
			m.Operators[4])
		m.Functions = []abi.Function{{ID: 0, Name: "split", Kind: abi.FunctionFlatMap}, {ID: 1, Name: "word", Kind: abi.FunctionKey, Key: "row(a: i64, b: utf8?)"}}
		return m
	}
	global := &abi.Window{Kind: "global", Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 3}}
	tumbling, counted := &abi.Window{Kind: "tumbling", SizeMs: 5}, &abi.Window{Kind: "count", Count: 5}
	const key, times, expected = "row(a: i64, b: utf8?)", "start: ms, end: ms, ", `operator "totals": operators[3].output: `
	for _, c := range []struct {
		kind         abi.OperatorKind
		window       *abi.Window
		output, want abi.Codec
	}{
		{abi.OperatorCount, nil, "", "row(key: " + key + ", value: i64)"},
		{abi.OperatorSum, nil, "row(k: " + key + ", sum: f64)", "row(k: " + key + ", sum: f64)"},
		{abi.OperatorSum, tumbling, "", "row(" + times + "key: " + key + ", value: f64)"},
		{abi.OperatorCount, counted, "", "row(key: " + key + ", value: i64)"},
		{abi.OperatorCount, global, "", "row(key: " + key + ", value: i64)"},
		{abi.OperatorCount, global, "row(from: ms, to: ms, key: " + key + ", n: i64)", "row(from: ms, to: ms, key: " + key + ", n: i64)"},

		{abi.OperatorCount, nil, "row(key: utf8, value: i64)", expected + "row(key: utf8, value: i64) (expected row(key: " + key + ", value: i64), under names of your own)"},
		{abi.OperatorSum, nil, "row(key: " + key + ", value: i64)", expected + "row(key: " + key + ", value: i64) (expected row(key: " + key + ", value: f64), under names of your own)"},
		{abi.OperatorCount, tumbling, "row(key: " + key + ", value: i64)",
			expected + "row(key: " + key + ", value: i64) (expected row(" + times + "key: " + key + ", value: i64), under names of your own)"},
		{abi.OperatorCount, counted, "row(from: ms, to: ms, key: " + key + ", n: i64)",
			expected + "row(from: ms, to: ms, key: " + key + ", n: i64) (expected row(key: " + key + ", value: i64), under names of your own)"},
		{abi.OperatorCount, global, "row(key: " + key + ")", expected + "row(key: " + key + ") (expected row(key: " + key + ", value: i64), under names of your own)"},
		{abi.OperatorCount, nil, "utf8", expected + `codec "utf8": not a row (expected row(key: ` + key + ", value: i64), under names of your own)"},
	} {
		g, err := build(of(c.kind, c.window, c.output), 2)
		if err != nil && err.Error() != string(c.want) || err == nil && g.Operators[3].Output != c.want {
			t.Errorf("%s, window %v, output %q:\n got %v\nwant %s", c.kind, c.window, c.output, err, c.want)
		}
	}
}
