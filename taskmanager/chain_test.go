package taskmanager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

const windowedCounts = "row(start: ms, end: ms, key: utf8, value: i64)"

// windowRows reads rows of windowedCounts as "start key=n".
func windowRows(t *testing.T, c *collector) []string {
	t.Helper()
	s, err := abi.ParseSchema(windowedCounts)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range c.values {
		if err := abi.Validate(s, v); err != nil {
			t.Fatal(err)
		}
		r := s.Row(v)
		out = append(out, fmt.Sprintf("%d %s=%d", r.I64(0), r.Bytes(2), r.I64(3)))
	}
	slices.Sort(out)
	return out
}

// stamped is a source of words whose splits lie a second apart, and what windows of size count in it.
func stamped(splits, lines int, size int64) (*listSource, []string) {
	s := &listSource{stamps: true}
	counts := map[string]int{}
	for i := range splits {
		var split []string
		for k := range lines {
			w := fmt.Sprint("w", (i+k)%5)
			split = append(split, w)
			at := int64(i)*1000 + 10*int64(k)
			counts[fmt.Sprintf("%d %s", at/size*size, w)]++
		}
		s.splits = append(s.splits, split)
	}
	var want []string
	for k, n := range counts {
		want = append(want, fmt.Sprintf("%s=%d", k, n))
	}
	slices.Sort(want)
	return s, want
}

func windowJob(p int, size int64) []graph.Operator {
	return []graph.Operator{
		{Name: "split", Parallelism: p}, {Name: "word", Key: "utf8", Parallelism: p},
		{Name: "counts", Kind: abi.OperatorCount, Window: &abi.Window{Kind: "tumbling", SizeMs: size}, Output: windowedCounts, Parallelism: p},
	}
}

func (f *fixture) late() int64 {
	n := int64(0)
	for _, task := range f.tm.jobs["job"].current.tasks {
		n += task.metrics.late.Load()
	}
	return n
}

// No record is late although subtasks are ahead of each other, in whatever order splits come.
func TestWindowsOverSplitsLoseNothing(t *testing.T) {
	for _, p := range []int{1, 3} {
		for _, ordered := range []bool{true, false} {
			t.Run(fmt.Sprint(p, ordered), func(t *testing.T) {
				source, want := stamped(20, 90, 250)
				source.ordered = ordered
				f := newFixture(t, source, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, windowJob(p, 250)...)
				f.graph.Operators[0].Parallelism = p
				f.graph.Operators[0].Watermarks = &abi.Watermarks{}
				f.graph.Operators[1].Inputs[0].Partition = graph.Forward
				if !ordered {
					slices.Reverse(f.jm.splits.Splits)
				}
				f.run()
				if got := windowRows(t, f.sink); !slices.Equal(got, want) {
					t.Errorf("%d rows (expected %d)", len(got), len(want))
				}
				if n := f.late(); n != 0 {
					t.Errorf("%d late records", n)
				}
			})
		}
	}
}

// Splits without end are all read, however few the subtasks, and no record of one is late because another is ahead.
func TestUnboundedSplitsAreReadInTurn(t *testing.T) {
	for _, p := range []int{1, 2, 3, 4} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			source, _ := stamped(1, 90, 250)
			source.endless, source.splits = true, [][]string{source.splits[0], source.splits[0], source.splits[0]}
			source.each = 7
			f := newFixture(t, source, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, windowJob(p, 250)...)
			f.graph.Operators[0].Parallelism = p
			f.graph.Operators[0].Watermarks = &abi.Watermarks{}
			f.graph.Operators[1].Inputs[0].Partition = graph.Forward
			for i := range f.jm.splits.Splits {
				f.jm.splits.Splits[i].Data = json.RawMessage("0") // all at the same time
			}
			n := f.deploy()
			f.sink.await(15) // five words in each of the windows that are full
			f.cancel()
			f.jm.ends(n)
			for _, row := range windowRows(t, f.sink) {
				if !strings.HasSuffix(row, "=15") {
					t.Errorf("%s (expected 15: five lines of each of three splits)", row)
				}
			}
			if n := f.late(); n != 0 {
				t.Errorf("%d late records", n)
			}
		})
	}
}

// parseTime takes the event time from values "time word", wordOf the key.
var (
	parseTime = fakeFunction{name: "time", kind: abi.FunctionTimestamp, each: func(r abi.Record, emit func(abi.Record)) {
		at, _, _ := bytes.Cut(r.Value, []byte(" "))
		r.Timestamp, _ = strconv.ParseInt(string(at), 10, 64)
		emit(r)
	}}
	wordOf = fakeFunction{name: "word", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
		_, r.Key, _ = bytes.Cut(r.Value, []byte(" "))
		emit(r)
	}}
)

func timedJob(outOfOrder int64) []graph.Operator {
	return []graph.Operator{
		{Name: "time", Watermarks: &abi.Watermarks{OutOfOrderMs: outOfOrder}}, {Name: "word", Key: "utf8"},
		{Name: "counts", Kind: abi.OperatorCount, Window: &abi.Window{Kind: "tumbling", SizeMs: 100}, Output: windowedCounts},
	}
}

func TestTimestampFunctionDrivesWindows(t *testing.T) {
	lines := [][]string{{"10 a", "150 a", "90 a", "260 b", "120 a", "5 a", "300 c"}, {"190 late", "220 b"}}
	f := newFixture(t, &listSource{splits: lines, ordered: true}, &fakeModule{functions: []fakeFunction{parseTime, wordOf}}, timedJob(100)...)
	f.run()
	want := []string{"0 a=3", "100 a=2", "200 b=2", "300 c=1"}
	if got := windowRows(t, f.sink); !slices.Equal(got, want) || f.late() != 1 {
		t.Errorf("got %q, %d late (expected %q, 1)", got, f.late(), want)
	}
}

// A function that assigns timestamps behind another one is a second call of the same instance.
func TestSecondTimestampFunctionIsAStepOfItsOwn(t *testing.T) {
	later := parseTime
	later.name = "later"
	later.each = func(r abi.Record, emit func(abi.Record)) {
		parseTime.each(r, func(r abi.Record) {
			r.Timestamp += 1000
			emit(r)
		})
	}
	m := &fakeModule{functions: []fakeFunction{parseTime, later, wordOf}}
	ops := slices.Insert(timedJob(0), 1, graph.Operator{Name: "later", Watermarks: &abi.Watermarks{}})
	f := newFixture(t, &listSource{splits: [][]string{{"10 a", "20 a", "150 b"}}}, m, ops...)
	f.run()
	if got, want := windowRows(t, f.sink), []string{"1000 a=2", "1100 b=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q (expected %q)", got, want)
	}
	if m.calls.Load() != 2+keyChecks || m.instances.Load() != 1 {
		t.Errorf("%d calls of %d instances (expected 2 of one, and those that check the key)", m.calls.Load(), m.instances.Load())
	}
}

func TestBranchesUnionsAndBroadcasts(t *testing.T) {
	forward := func(from int) graph.Input {
		return graph.Input{From: from, Partition: graph.Forward, Exchange: graph.Pipelined}
	}
	upper := fakeFunction{name: "upper", kind: abi.FunctionMap, each: func(r abi.Record, emit func(abi.Record)) {
		r.Value = bytes.ToUpper(r.Value)
		emit(r)
	}}
	broadcast := graph.Input{From: 1, Partition: graph.Broadcast, Exchange: graph.Pipelined}
	m := &fakeModule{functions: []fakeFunction{splitWords, upper}}
	f := newFixture(t, &listSource{splits: [][]string{{"a b", "c"}}}, m,
		graph.Operator{Name: "split", Inputs: []graph.Input{forward(0)}},
		graph.Operator{Name: "upper", Inputs: []graph.Input{forward(1)}},
		graph.Operator{Name: "both", Kind: abi.OperatorUnion, Inputs: []graph.Input{forward(1), forward(2)}},
		graph.Operator{Name: "all", Kind: abi.OperatorSink, Parallelism: 2, Inputs: []graph.Input{broadcast}},
		graph.Operator{Name: "lower", Kind: abi.OperatorSink, Inputs: []graph.Input{forward(1)}},
		graph.Operator{Name: "out", Kind: abi.OperatorSink, Inputs: []graph.Input{forward(3)}},
	)
	f.run()
	for sink, want := range map[string][]string{
		"out": {"A", "B", "C", "a", "b", "c"}, "lower": {"a", "b", "c"}, "all": {"a", "a", "b", "b", "c", "c"},
	} {
		if got := f.sinks[sink].sorted(); !slices.Equal(got, want) {
			t.Errorf("sink %s has %q (expected %q)", sink, got, want)
		}
	}
	if n := m.calls.Load(); n != 1 {
		t.Errorf("%d calls for one batch (expected 1)", n)
	}
}

// The guest is told to send only what somebody needs.
func TestColumnsThatNobodyNeedsAreNotSent(t *testing.T) {
	source, _ := stamped(1, 1, 1)
	for name, c := range map[string]struct {
		operators []graph.Operator
		want      abi.Columns
	}{
		"count":          {countJob(1), abi.ColumnKeys},
		"windowed count": {windowJob(1, 10), abi.ColumnKeys | abi.ColumnTimestamps},
		"reduce":         {tallyJob(nil), abi.ColumnKeys | abi.ColumnValues},
		"sink":           {[]graph.Operator{{Name: "split"}}, abi.ColumnValues},
	} {
		f := newFixture(t, source, &fakeModule{functions: []fakeFunction{splitWords, byWord, sumWords}}, c.operators...)
		x := graph.Expand(&f.graph)
		p, err := newPlan(&f.graph, x, 0, func(int) (abi.Columns, error) { return abi.ColumnValues, nil })
		if err != nil {
			t.Fatal(err)
		}
		h, outputs := p.handle(0)
		last := h.Functions[len(h.Functions)-1]
		if len(outputs) != 1 || len(last.Outputs) != 1 || last.Outputs[0].Columns != c.want {
			t.Errorf("%s: outputs %+v (expected one of columns %#x)", name, last.Outputs, uint32(c.want))
		}
	}
}
