package taskmanager

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// trapOn is a guest that traps on one value.
func trapOn(value string, kind host.Kind) func(int, [][]byte) *host.Error {
	return func(_ int, values [][]byte) *host.Error {
		for i, v := range values {
			if string(v) == value {
				e := &host.Error{Kind: kind, Message: "unreachable executed", Function: "parse::record", Record: abi.None, Trace: "parse::record\nmain\n"}
				if kind == host.KindFailed {
					e.Record = uint32(i)
				}
				return e
			}
		}
		return nil
	}
}

func numbered(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprint("line ", i+1))
	}
	return lines
}

var copyRecord = func(r abi.Record, emit func(abi.Record)) { emit(r) }

// failed deploys the job and returns the failure of the task that fails; it cancels what is left.
func (f *fixture) failed() *wire.Failure {
	f.t.Helper()
	n := f.deploy()
	for _, r := range f.jm.await(1, func(r *wire.Report) bool { return r.State == wire.TaskFailed }) {
		f.cancel()
		f.jm.ends(n)
		return r.Failure
	}
	return nil
}

func TestRecordThatTrapsIsNamed(t *testing.T) {
	for _, kind := range []host.Kind{host.KindTrap, host.KindFailed, host.KindExit, host.KindBadPointer} {
		t.Run(kind.String(), func(t *testing.T) {
			m := &fakeModule{functions: []fakeFunction{{name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: trapOn("line 12345", kind)}}}
			f := newFixture(t, &listSource{splits: [][]string{numbered(20_000)}}, m, graph.Operator{Name: "parse"})
			got := f.failed()
			if got.Kind != wire.KindGuest || got.Record != "record 12,345 of split list[0]" || got.Operator != "parse" {
				t.Errorf("kind %d, record %q, operator %q", got.Kind, got.Record, got.Operator)
			}
			for _, part := range []string{`operator "parse"`, "unreachable executed", "record 12,345 of split list[0]", `"line 12345"`} {
				if !strings.Contains(got.Message, part) {
					t.Errorf("message %q has no %q", got.Message, part)
				}
			}
			if got.Stack != "parse::record\nmain" {
				t.Errorf("stack %q", got.Stack)
			}
			if n := m.instances.Load(); kind == host.KindFailed && n != 1 || kind != host.KindFailed && n < 10 {
				t.Errorf("%d instances", n)
			}
		})
	}
}

func TestRecordBehindAnExchangeIsCountedInItsChannel(t *testing.T) {
	m := &fakeModule{functions: []fakeFunction{{name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: trapOn("line 2500", host.KindTrap)}}}
	f := newFixture(t, &listSource{splits: [][]string{numbered(3000)}}, m, graph.Operator{Name: "parse"})
	f.graph.Operators[1].Inputs[0].Partition = graph.Rebalance
	if got := f.failed(); got.Record != `record 2,500 of the input from "lines"` {
		t.Errorf("record %q", got.Record)
	}
}

func TestBytesOfTheRecordAreShownEscapedAndCut(t *testing.T) {
	poison := "\x00\xff" + strings.Repeat("x", 100)
	m := &fakeModule{functions: []fakeFunction{{name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: trapOn(poison, host.KindTrap)}}}
	f := newFixture(t, &listSource{splits: [][]string{{"good", poison}}}, m, graph.Operator{Name: "parse"})
	got := f.failed()
	if want := `"\x00\xff` + strings.Repeat("x", 62) + `"... (102 bytes)`; !strings.HasSuffix(got.Message, want) {
		t.Errorf("message %q (expected it to end in %s)", got.Message, want)
	}
}

// A guest that dies once goes on as if nothing had been: every record is there once.
func TestGuestThatDiesOnceLosesNothing(t *testing.T) {
	for name, deaths := range map[string][]int{"once": {2}, "in a row, then halves pass": {2, 3, 6}} {
		t.Run(name, func(t *testing.T) {
			kill := func(call int, _ [][]byte) *host.Error {
				if slices.Contains(deaths, call) {
					return &host.Error{Kind: host.KindTrap, Message: "boom", Record: abi.None}
				}
				return nil
			}
			m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord, kill: kill}}}
			lines := numbered(5000)
			f := newFixture(t, &listSource{splits: [][]string{lines}}, m, graph.Operator{Name: "copy"})
			f.run()
			if !slices.Equal(f.sink.records, lines) {
				t.Errorf("%d records, in another order than they were read or not the same", len(f.sink.records))
			}
			if n := int(m.instances.Load()); n != len(deaths)+1 {
				t.Errorf("%d instances (expected %d)", n, len(deaths)+1)
			}
		})
	}
}

func TestLimitsFailTheJobAfterOneRetry(t *testing.T) {
	for _, kind := range []host.Kind{host.KindTimeLimit, host.KindStackLimit, host.KindMemoryLimit} {
		t.Run(kind.String(), func(t *testing.T) {
			m := &fakeModule{functions: []fakeFunction{{name: "parse", kind: abi.FunctionMap, each: copyRecord, kill: trapOn("line 7", kind)}}}
			f := newFixture(t, &listSource{splits: [][]string{numbered(100)}}, m, graph.Operator{Name: "parse"})
			got := f.failed()
			if got.Kind != wire.KindGuestLimit || got.Record != "" {
				t.Errorf("kind %d, record %q (expected %d and none)", got.Kind, got.Record, wire.KindGuestLimit)
			}
			if n := m.calls.Load(); n != 2 {
				t.Errorf("%d calls (expected 2)", n)
			}
		})
	}
}

// sumWords folds values into a count, and emits "word:count".
var sumWords = fakeFunction{
	name: "tally", kind: abi.FunctionReduce,
	fold: func(acc, _ []byte) []byte {
		n := 0
		fmt.Sscan(string(acc), &n)
		return fmt.Appendf(nil, "%d", n+1)
	},
	result: func(g *abi.Group, acc []byte, emit func(abi.Record)) {
		emit(abi.Record{Timestamp: g.WindowEnd - 1, Key: g.Key, Value: fmt.Appendf(nil, "%s:%s", g.Key, acc)})
	},
}

func tallyJob(window *abi.Window) []graph.Operator {
	return []graph.Operator{{Name: "split"}, {Name: "word", Key: "utf8"}, {Name: "tally", Window: window}}
}

func (f *fixture) expectTally(want map[string]int64) {
	f.t.Helper()
	var lines []string
	for k, n := range want {
		lines = append(lines, fmt.Sprintf("%s:%d", k, n))
	}
	slices.Sort(lines)
	if got := f.sink.sorted(); !slices.Equal(got, lines) {
		f.t.Errorf("got %d results, beginning with %q (expected %d, %q)", len(got), got[:min(len(got), 5)], len(lines), lines[:min(len(lines), 5)])
	}
}

func TestGuestReduceCounts(t *testing.T) {
	lines, want := words(3, 500)
	f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord, sumWords}}, tallyJob(nil)...)
	f.run()
	f.expectTally(want)
}

func TestGuestReduceThatDiesNowAndThenCountsRight(t *testing.T) {
	lines, want := words(3, 500)
	dying := sumWords
	calls := 0
	dying.kill = func(_ int, values [][]byte) *host.Error {
		if calls++; calls%4 == 0 || len(values) > 700 {
			return &host.Error{Kind: host.KindTrap, Message: "boom", Record: abi.None}
		}
		return nil
	}
	f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord, dying}}, tallyJob(nil)...)
	f.run()
	f.expectTally(want)
}

func TestRecordThatKillsAReduceIsNamed(t *testing.T) {
	dying := sumWords
	dying.kill = trapOn("poison", host.KindTrap)
	lines := [][]string{append(slices.Repeat([]string{"a b c"}, 300), "a poison b")}
	f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord, dying}}, tallyJob(nil)...)
	got := f.failed()
	if got.Record != `record 902 of the input from "word"` || got.Operator != "tally" || !strings.HasSuffix(got.Message, `"poison"`) {
		t.Errorf("record %q, operator %q, message %q", got.Record, got.Operator, got.Message)
	}
}

// What follows a reduce in the same module runs in the same call.
func TestFunctionsBehindAReduceAreFused(t *testing.T) {
	upper := fakeFunction{name: "upper", kind: abi.FunctionMap, each: func(r abi.Record, emit func(abi.Record)) {
		r.Value = bytes.ToUpper(r.Value)
		emit(r)
	}}
	m := &fakeModule{functions: []fakeFunction{splitWords, byWord, sumWords, upper}}
	f := newFixture(t, &listSource{splits: [][]string{{"a b a"}}}, m, append(tallyJob(nil), graph.Operator{Name: "upper"})...)
	f.run()
	if got := f.sink.sorted(); !slices.Equal(got, []string{"A:2", "B:1"}) {
		t.Errorf("got %q", got)
	}
	if n := m.calls.Load(); n != 3+keyChecks {
		t.Errorf("%d calls (expected one to split, one to add, one for the results, and those that check the key)", n)
	}
}
