package taskmanager

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// parsing is a job whose only function dies of a line, and leaves it out.
func parsing(t *testing.T, lines []string, poison string, kind host.Kind, policy string) (*fixture, *fakeModule) {
	m := &fakeModule{functions: []fakeFunction{{name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: trapOn(poison, kind)}}}
	ops := []graph.Operator{{Name: "parse", OnTrap: policy}, {Name: "out", Kind: abi.OperatorSink}}
	if policy == graph.OnTrapDeadLetter {
		ops = append(ops, graph.Operator{Name: "letters", Kind: abi.OperatorSink, Inputs: []graph.Input{{From: 1, Side: 1, Partition: graph.Forward, Exchange: graph.Pipelined}}})
	}
	return newFixture(t, &listSource{splits: [][]string{lines}}, m, ops...), m
}

// Whatever a record does to its function, it is left out alone, and counted.
func TestPoisonIsLeftOut(t *testing.T) {
	for _, kind := range []host.Kind{host.KindTrap, host.KindFailed, host.KindExit, host.KindBadPointer, host.KindRefused, host.KindOutputLimit} {
		for _, policy := range []string{graph.OnTrapSkip, graph.OnTrapDeadLetter} {
			lines := numbered(3000)
			f, _ := parsing(t, lines, "line 1234", kind, policy)
			ends := f.run()
			if want := slices.Delete(slices.Clone(lines), 1233, 1234); !slices.Equal(f.sink.records, want) {
				t.Errorf("%s, %s: %d records (expected %d)", kind, policy, len(f.sink.records), len(want))
			}
			if got := ends[0].Metrics.Skipped; len(got) != 1 || got["parse"] != 1 {
				t.Errorf("%s, %s: skipped %v (expected one of parse)", kind, policy, got)
			}
			if policy == graph.OnTrapDeadLetter && len(f.sinks["letters"].values) != 1 {
				t.Errorf("%s: %d letters (expected 1)", kind, len(f.sinks["letters"].values))
			}
		}
	}
}

// Time, stack and memory that run out are blamed on no record: they fail the job after one retry, whatever the policy.
func TestLimitsAreNoPoison(t *testing.T) {
	for _, kind := range []host.Kind{host.KindTimeLimit, host.KindStackLimit, host.KindMemoryLimit} {
		for _, policy := range []string{graph.OnTrapSkip, graph.OnTrapDeadLetter} {
			f, m := parsing(t, numbered(100), "line 7", kind, policy)
			if got := f.failed(); got.Kind != wire.KindGuestLimit || got.Record != "" {
				t.Errorf("%s, %s: kind %d, record %q (expected %d and none)", kind, policy, got.Kind, got.Record, wire.KindGuestLimit)
			}
			if n := m.calls.Load(); n != 2 {
				t.Errorf("%s, %s: %d calls (expected 2)", kind, policy, n)
			}
			if len(f.sink.records) > 0 {
				t.Errorf("%s, %s: %d records came out", kind, policy, len(f.sink.records))
			}
		}
	}
}

// A letter has the record's bytes, cut where it would become larger than a record may be, and a cause that is UTF-8.
func TestLettersAreRecords(t *testing.T) {
	schema, err := abi.ParseSchema(graph.LetterCodec)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 1000, abi.MaxRecordBytes - 1} {
		poison := strings.Repeat("\xff", size)
		f, _ := parsing(t, []string{"good", poison, "good"}, poison, host.KindTrap, graph.OnTrapDeadLetter)
		f.run()
		if len(f.sinks["letters"].values) != 1 {
			t.Fatalf("%d letters (expected 1)", len(f.sinks["letters"].values))
		}
		p := f.sinks["letters"].values[0]
		aligned := abi.AlignedBytes(len(p))
		copy(aligned, p)
		if err := abi.Validate(schema, aligned); err != nil || len(p) > abi.MaxRecordBytes {
			t.Fatalf("a letter of %d bytes about %d: %v", len(p), size, err)
		}
		row := schema.Row(aligned)
		if string(row.Bytes(0)) != "record" || !row.Null(1) || !utf8.Valid(row.Bytes(2)) || !strings.Contains(string(row.Bytes(2)), `operator "parse": trap in parse::record`) {
			t.Errorf("%d bytes: unit %q, cause %q", size, row.Bytes(0), row.Bytes(2))
		}
		if got := string(row.Bytes(3)); !strings.HasPrefix(poison, got) || size-len(got) > 5*maxCauseBytes {
			t.Errorf("%d bytes: the letter has %d of them", size, len(got))
		}
	}
}

// Input that is no record fails the job, or is left out and counted as the source says, alone.
func TestBadInput(t *testing.T) {
	lines := numbered(3000)
	lines[0], lines[1233], lines[1234], lines[2999] = "bad", "bad", "bad", "bad"
	for _, policy := range []string{graph.OnTrapFail, graph.OnTrapSkip, graph.OnTrapDeadLetter} {
		m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
		ops := []graph.Operator{{Name: "copy"}, {Name: "out", Kind: abi.OperatorSink}}
		if policy == graph.OnTrapDeadLetter {
			ops = append(ops, graph.Operator{Name: "letters", Kind: abi.OperatorSink, Inputs: []graph.Input{{From: 0, Side: 1, Partition: graph.Forward, Exchange: graph.Pipelined}}})
		}
		f := newFixture(t, &listSource{splits: [][]string{lines}, bad: "bad", each: 700}, m, ops...)
		f.graph.Operators[0].OnTrap = policy
		if policy == graph.OnTrapFail {
			got := f.failed()
			if want := `operator "lines": line 0: no record: "bad"`; got.Kind != wire.KindInput || got.Message != want || got.Hint == "" {
				t.Errorf("failure %+v (expected %s, with a hint)", got, want)
			}
			continue
		}
		ends := f.run()
		good := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "bad" })
		if !slices.Equal(f.sink.records, good) {
			t.Errorf("%s: %d records (expected %d)", policy, len(f.sink.records), len(good))
		}
		if got := ends[0].Metrics.Skipped; len(got) != 1 || got["lines"] != 4 {
			t.Errorf("%s: skipped %v (expected four of lines)", policy, got)
		}
		if policy == graph.OnTrapDeadLetter {
			schema, _ := abi.ParseSchema(graph.LetterCodec)
			var told []string
			for _, p := range f.sinks["letters"].values {
				row := schema.Row(p)
				told = append(told, string(row.Bytes(0))+"|"+string(row.Bytes(2))+"|"+string(row.Bytes(3)))
			}
			if want := []string{"input|line 0: no record|bad", "input|line 1233: no record|bad", "input|line 1234: no record|bad", "input|line 2999: no record|bad"}; !slices.Equal(told, want) {
				t.Errorf("letters %q (expected %q)", told, want)
			}
		}
	}
}

// A letter has the key of what it tells of, and its event time: so letters can be counted by key and window.
func TestLettersHaveKeyAndTime(t *testing.T) {
	schema, err := abi.ParseSchema(graph.LetterCodec)
	if err != nil {
		t.Fatal(err)
	}
	source, all := stamped(1, 100, 100)
	byLetter := fakeFunction{name: "letter", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
		p := abi.AlignedBytes(len(r.Value))
		copy(p, r.Value)
		r.Key = schema.Row(p).Bytes(1)
		emit(r)
	}}
	for name, operators := range map[string][]graph.Operator{
		"map":       {{Name: "word", Key: "utf8"}, {Name: "parse", OnTrap: graph.OnTrapDeadLetter}},
		"aggregate": {{Name: "word", Key: "utf8"}, {Name: "tally", OnTrap: graph.OnTrapDeadLetter}},
	} {
		poison := trapOn("w3", host.KindTrap)
		fold := sumWords
		fold.kill = poison
		m := &fakeModule{functions: []fakeFunction{byWord, {name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: poison}, fold, byLetter}}
		operators = append(operators,
			graph.Operator{Name: "letter", Key: "utf8", Inputs: []graph.Input{{From: 2, Side: 1, Partition: graph.Forward, Exchange: graph.Pipelined}}},
			graph.Operator{Name: "counts", Kind: abi.OperatorCount, Window: &abi.Window{Kind: "tumbling", SizeMs: 100}, Output: windowedCounts},
			graph.Operator{Name: "letters", Kind: abi.OperatorSink},
			graph.Operator{Name: "out", Kind: abi.OperatorSink, Inputs: []graph.Input{{From: 2, Partition: graph.Forward, Exchange: graph.Pipelined}}})
		f := newFixture(t, source, m, operators...)
		f.graph.Operators[0].Watermarks = &abi.Watermarks{}
		f.run()
		want := slices.DeleteFunc(slices.Clone(all), func(line string) bool { return !strings.Contains(line, " w3=") })
		if got := windowRows(t, f.sinks["letters"]); !slices.Equal(got, want) || len(want) < 10 {
			t.Errorf("%s: letters %q (expected %q)", name, got, want)
		}
	}
}
