package graph

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// folded is wordCount whose operator is another one, over rows.
func folded(change func(o *abi.Operator, f *abi.Function)) *abi.Manifest {
	m := wordCount()
	const row = "row(n: i64, x: f64)"
	m.Functions[0].Output, m.Functions[1].Inputs[0], m.Functions[1].Output = row, row, row
	m.Operators[1].Output, m.Operators[2].Output = row, row
	m.Functions[2] = abi.Function{ID: 2, Name: "sum", Kind: abi.FunctionAggregate, Inputs: []abi.Codec{row}, Key: "utf8", Output: row, Accumulator: "i64", Combine: true}
	m.Operators[3].Output = ""
	change(&m.Operators[3], &m.Functions[2])
	return m
}

// Records are folded where that changes nothing that anybody sees.
func TestWhatIsPreAggregated(t *testing.T) {
	aggregates := func(list ...abi.Aggregate) func(*abi.Operator, *abi.Function) {
		return func(o *abi.Operator, _ *abi.Function) { o.Kind, o.Aggregates = abi.OperatorAggregates, list }
	}
	guest := func(o *abi.Operator, _ *abi.Function) { o.Kind, o.Function = abi.OperatorAggregate, "sum" }
	windowed := func(w abi.Window) func(*abi.Operator, *abi.Function) {
		return func(o *abi.Operator, _ *abi.Function) { o.Window = &w }
	}
	for _, c := range []struct {
		name   string
		change func(o *abi.Operator, f *abi.Function)
		job    string
		folds  bool
		why    string
	}{
		{"count", func(*abi.Operator, *abi.Function) {}, "", true, ""},
		{"count, by the job", func(*abi.Operator, *abi.Function) {}, PreAggregateOff, false, "the job says so"},
		{"count, by itself", func(o *abi.Operator, _ *abi.Function) { o.PreAggregate = PreAggregateOff }, "", false, "the operator says so"},
		{"tumbling", windowed(abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: 5}), "", true, ""},
		{"sliding", windowed(abi.Window{Kind: "sliding", SizeMs: 10, SlideMs: 5, Time: "processing"}), "", true, ""},
		{"sessions", windowed(abi.Window{Kind: "session", GapMs: 10}), "", false, "session windows are not made of slices"},
		{"windows of records", windowed(abi.Window{Kind: "count", Count: 10}), "", false, "count windows are not made of slices"},
		{"aggregates", aggregates(abi.Aggregate{Name: "n", Kind: "sum", Field: "n"}, abi.Aggregate{Name: "x", Kind: "max", Field: "x"}), "", true, ""},
		{"a sum of f64", aggregates(abi.Aggregate{Name: "x", Kind: "sum", Field: "x"}), "", false, "a sum of f64 depends on the order"},
		{"an average of f64", aggregates(abi.Aggregate{Name: "x", Kind: "avg", Field: "x"}), "", false, "a sum of f64 depends on the order"},
		{"a sum of f64 that may be", func(o *abi.Operator, f *abi.Function) {
			aggregates(abi.Aggregate{Name: "x", Kind: "sum", Field: "x"})(o, f)
			o.PreAggregate = PreAggregateOn
		}, "", true, ""},
		{"a guest that merges", guest, "", true, ""},
		{"a guest that does not", func(o *abi.Operator, f *abi.Function) {
			guest(o, f)
			f.Combine = false
		}, "", false, `function "sum" cannot merge`},
		{"a guest whose traps are left out", func(o *abi.Operator, f *abi.Function) {
			guest(o, f)
			o.OnTrap = OnTrapSkip
		}, "", false, "a record that it traps on must be known"},
	} {
		g, err := FromManifest(folded(c.change), Module{ID: "m"}, Options{Parallelism: 2, PreAggregate: c.job})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if folds, why := g.PreAggregates(3); folds != c.folds || why != c.why {
			t.Errorf("%s: %v, %q (expected %v, %q)", c.name, folds, why, c.folds, c.why)
		}
		if x := Expand(g); x.Edges[0].PreAggregates != c.folds {
			t.Errorf("%s: the edge says %v", c.name, x.Edges[0].PreAggregates)
		}
		if _, why := g.PreAggregates(1); why != "" {
			t.Errorf("a flatMap: %q", why)
		}
	}
}

// In batch mode the same operators take their records as they come, but for what the order may show in; each of them whose records are folded
// ahead is one of these.
func TestWhatAccumulatesInBatchMode(t *testing.T) {
	aggregate := func(kind, field string) func(*abi.Operator, *abi.Function) {
		return func(o *abi.Operator, _ *abi.Function) {
			o.Kind, o.Aggregates = abi.OperatorAggregates, []abi.Aggregate{{Name: "a", Kind: kind, Field: field}}
		}
	}
	window := func(w abi.Window) func(*abi.Operator, *abi.Function) {
		return func(o *abi.Operator, _ *abi.Function) { o.Window = &w }
	}
	also := func(say string, change func(*abi.Operator, *abi.Function)) func(*abi.Operator, *abi.Function) {
		return func(o *abi.Operator, f *abi.Function) {
			change(o, f)
			o.PreAggregate = say
		}
	}
	count := func(*abi.Operator, *abi.Function) {}
	guest := func(o *abi.Operator, _ *abi.Function) { o.Kind, o.Function = abi.OperatorAggregate, "sum" }
	for _, c := range []struct {
		name              string
		change            func(o *abi.Operator, f *abi.Function)
		job               string
		accumulates, fold bool
		why               string
	}{
		{"count", count, "", true, true, ""},
		{"count, the job folds nothing ahead", count, PreAggregateOff, true, false, "the job says so"},
		{"count, by time", also(PreAggregateOff, count), "", false, false, "the operator says so"},
		{"a guest that merges", guest, "", true, true, ""},
		{"a guest that does not", func(o *abi.Operator, f *abi.Function) {
			guest(o, f)
			f.Combine = false
		}, "", false, false, `function "sum" cannot merge`},
		{"tumbling", window(abi.Window{Kind: "tumbling", SizeMs: 10}), "", true, true, ""},
		{"of processing time", window(abi.Window{Kind: "tumbling", SizeMs: 10, Time: "processing"}), "", false, false, "its windows are of processing time"},
		{"sessions", window(abi.Window{Kind: "session", GapMs: 10}), "", false, false, "session windows are not made of slices"},
		{"max", aggregate("max", "x"), "", true, true, ""},
		{"maxBy", aggregate("maxBy", "x"), "", false, false, "which of equal records comes first is a matter of their times"},
		{"maxBy, whichever", also(PreAggregateOn, aggregate("maxBy", "x")), "", true, true, ""},
		{"a sum of f64", aggregate("sum", "x"), "", true, true, ""},
	} {
		g, err := FromManifest(folded(c.change), Module{ID: "m"}, Options{Parallelism: 2, PreAggregate: c.job})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if g.Accumulates(3) {
			t.Errorf("%s: not in batch mode, and accumulates", c.name)
		}
		g.MakeBatch()
		folds, why := g.PreAggregates(3)
		if got := g.Accumulates(3); got != c.accumulates || folds != c.fold || why != c.why {
			t.Errorf("%s: accumulates %v, folds %v, %q (expected %v, %v, %q)", c.name, got, folds, why, c.accumulates, c.fold, c.why)
		}
		if g.Accumulates(1) {
			t.Errorf("%s: so does a flatMap", c.name)
		}
	}
}

// Records that are kept whole are folded in any order where the key and the fields that decide tell any two of them apart.
func TestWhatIsKeptWholeAccumulatesWhereFieldsDecide(t *testing.T) {
	for _, c := range []struct {
		row         abi.Codec
		key         string // its field; empty: the function's
		kept        abi.Aggregate
		accumulates bool
	}{
		{"row(n: i64, x: utf8?)", "", abi.Aggregate{Kind: "minBy", Field: "n", Then: []string{"x"}}, true},
		{"row(n: i64, x: utf8?)", "", abi.Aggregate{Kind: "top", N: 3, Field: "n", Then: []string{"x"}}, true},
		{"row(n: i64, x: utf8?)", "", abi.Aggregate{Kind: "minBy", Field: "n"}, false},
		{"row(n: i64?, x: ms)", "", abi.Aggregate{Kind: "last", Field: "n", Then: []string{"x"}}, true},
		{"row(n: i64, x: i64?)", "", abi.Aggregate{Kind: "minBy", Field: "n", Then: []string{"x"}}, false}, // null is as large as the largest
		{"row(n: i64, x: f64)", "", abi.Aggregate{Kind: "minBy", Field: "n", Then: []string{"x"}}, false},  // NaNs are equal
		{"row(n: f64)", "", abi.Aggregate{Kind: "maxBy", Field: "n"}, false},
		{"row(n: i64, x: utf8, y: bool)", "", abi.Aggregate{Kind: "minBy", Field: "n", Then: []string{"x"}}, false},
		{"row(n: i64, x: row(n: i64))", "", abi.Aggregate{Kind: "minBy", Field: "x.n", Then: []string{"n"}}, false},
		{"row(n: i64, x: bool)", "x", abi.Aggregate{Kind: "minBy", Field: "n"}, true},
		{"row(n: i64, x: f64)", "x", abi.Aggregate{Kind: "minBy", Field: "n"}, false},
		{"row(n: i64, x: bool, y: utf8)", "x", abi.Aggregate{Kind: "minBy", Field: "n"}, false},
		{"i64", "", abi.Aggregate{Kind: "minBy"}, true},
		{"i64", "", abi.Aggregate{Kind: "first"}, false},
		{"f64", "", abi.Aggregate{Kind: "maxBy"}, false},
	} {
		m := wordCount()
		m.Functions[0].Output, m.Functions[1].Inputs[0], m.Functions[1].Output = c.row, c.row, c.row
		m.Operators[1].Output, m.Operators[2].Output, m.Operators[3].Output = c.row, c.row, ""
		if c.key != "" {
			m.Operators[2].Function, m.Operators[2].Key, m.Operators[2].Fields = "", "", []string{c.key}
		}
		c.kept.Name = "kept"
		m.Operators[3].Kind, m.Operators[3].Aggregates = abi.OperatorAggregates, []abi.Aggregate{c.kept}
		g, err := build(m, 2)
		if err != nil {
			t.Errorf("%s by %s, %s: %v", c.row, c.key, &c.kept, err)
			continue
		}
		g.MakeBatch()
		folds, _ := g.PreAggregates(3)
		if got := g.Accumulates(3); got != c.accumulates || folds != c.accumulates {
			t.Errorf("%s by %s, %s: accumulates %v, folds %v (expected %v)", c.row, c.key, &c.kept, got, folds, c.accumulates)
		}
	}
}

// Late records that somebody takes go on as they came.
func TestLateRecordsAreNotPreAggregated(t *testing.T) {
	m := folded(windowedCount)
	m.Operators = append(m.Operators, abi.Operator{
		Name: "late", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "count", Side: 1}},
	})
	g, err := build(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	if folds, why := g.PreAggregates(3); folds || why != "its late records go on as they came" {
		t.Errorf("%v, %q", folds, why)
	}
}

func windowedCount(o *abi.Operator, _ *abi.Function) {
	o.Window = &abi.Window{Kind: "tumbling", SizeMs: 10}
}

func TestPreAggregationIsRefusedWhereItMeansNothing(t *testing.T) {
	for _, c := range []struct {
		operator int
		say      string
		want     string
	}{
		{1, "on", `operator "split": operators[1].preAggregate: "on" (a flatMap folds no records: expected of count, sum, aggregates, reduce or aggregate)`},
		{3, "yes", `operator "count": operators[3].preAggregate: "yes" (expected on or off)`},
	} {
		m := wordCount()
		m.Operators[c.operator].PreAggregate = c.say
		if _, err := build(m, 1); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	_, err := FromManifest(wordCount(), Module{ID: "m"}, Options{Parallelism: 1, PreAggregate: "on"})
	if err == nil || err.Error() != `preAggregate: "on" (expected off)` {
		t.Errorf("of a job: %v", err)
	}
}

// Whether records are folded before they are sent is a matter of how tasks are made: modules are not exchanged over it in place.
func TestModulesArePreAggregatedAlike(t *testing.T) {
	was, err := build(wordCount(), 1)
	if err != nil {
		t.Fatal(err)
	}
	m := wordCount()
	m.Operators[3].PreAggregate = PreAggregateOff
	is, err := build(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	if why := strings.Join(NotExchangeable(was, is), "; "); why != `operator "count": other pre-aggregation` {
		t.Errorf("got %q", why)
	}
	if why := NotExchangeable(was, was); len(why) > 0 {
		t.Errorf("of the same: %q", why)
	}
}
