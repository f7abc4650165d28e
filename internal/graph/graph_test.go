package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// wordCount is the manifest of a small job that uses most kinds of operator.
func wordCount() *abi.Manifest {
	return &abi.Manifest{
		ABI:  1,
		Name: "wordcount",
		Functions: []abi.Function{
			{ID: 0, Name: "split", Kind: abi.FunctionFlatMap, Inputs: []abi.Codec{"utf8"}, Output: "utf8"},
			{ID: 1, Name: "word", Kind: abi.FunctionKey, Inputs: []abi.Codec{"utf8"}, Key: "utf8", Output: "utf8"},
			{ID: 2, Name: "sum", Kind: abi.FunctionReduce, Inputs: []abi.Codec{"utf8"}, Key: "utf8", Output: "utf8"},
		},
		Operators: []abi.Operator{
			{Name: "files", Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "file"}, Output: "utf8"},
			{Name: "split", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "files"}}, Output: "utf8"},
			{Name: "word", Kind: abi.OperatorKey, Function: "word", Inputs: []abi.Input{{From: "split"}}, Key: "utf8", Output: "utf8"},
			{Name: "count", UID: "counts", Kind: abi.OperatorCount, Inputs: []abi.Input{{From: "word"}}, Output: "row(key: utf8, value: i64)"},
			{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "count"}}},
		},
	}
}

func build(m *abi.Manifest, parallelism int) (*JobGraph, error) {
	return FromManifest(m, Module{ID: "m"}, Options{Parallelism: parallelism})
}

func TestManifestFaultsAreNamedByPath(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(m *abi.Manifest)
		want  string
	}{
		{"no operators", func(m *abi.Manifest) { m.Operators = nil }, "operators: empty (expected a source, a sink and what lies between)"},
		{"no name", func(m *abi.Manifest) { m.Name = "" }, "name: empty (expected a name)"},
		{"long name", func(m *abi.Manifest) { m.Name = strings.Repeat("n", 129) }, "name: 129 bytes (expected <= 128)"},
		{"name that clears the screen", func(m *abi.Manifest) { m.Name = "a\x1b[2J" }, `name: "a\x1b[2J" (expected printable characters, not '\x1b')`},
		{"name of two lines", func(m *abi.Manifest) { m.Name = "a\nb" }, `name: "a\nb" (expected printable characters, not '\n')`},
		{"name that turns the text", func(m *abi.Manifest) { m.Name = "a\u202eb" }, `name: "a\u202eb" (expected printable characters, not '\u202e')`},
		{"name of other bytes", func(m *abi.Manifest) { m.Name = "a\xff" }, `name: "a\xff" (expected valid UTF-8)`},
		{"operator name", func(m *abi.Manifest) { m.Operators[1].Name = "a\tb" }, `operators[1].name: "a\tb" (expected printable characters, not '\t')`},
		{"long operator name", func(m *abi.Manifest) { m.Operators[1].Name = strings.Repeat("n", 129) }, "operators[1].name: 129 bytes (expected <= 128)"},
		{"function name", func(m *abi.Manifest) { m.Functions[2].Name = "\r" }, `functions[2].name: "\r" (expected printable characters, not '\r')`},
		{"function without name", func(m *abi.Manifest) { m.Functions[0].Name = "" }, "functions[0].name: empty (expected a name)"},
		{"uid", func(m *abi.Manifest) { m.Operators[3].UID = "\x00" }, `operator "count": operators[3].uid: "\x00" (expected printable characters, not '\x00')`},
		{"long uid", func(m *abi.Manifest) { m.Operators[3].UID = strings.Repeat("u", 129) }, "operator \"count\": operators[3].uid: 129 bytes (expected <= 128)"},
		{"operator without name", func(m *abi.Manifest) { m.Operators[1].Name = "" }, "operators[1].name: empty (expected a name)"},
		{"watermarks of a map", func(m *abi.Manifest) { m.Operators[1].Watermarks = &abi.Watermarks{} }, "operator \"split\": operators[1].watermarks: present (a flatMap gives no event times: expected of a source or a timestamp function)"},
		{"negative disorder", func(m *abi.Manifest) { m.Operators[0].Watermarks = &abi.Watermarks{OutOfOrderMs: -5} }, "operator \"files\": operators[0].watermarks.outOfOrder: -5ms (expected >= 0s)"},
		{"negative idleness", func(m *abi.Manifest) { m.Operators[0].Watermarks = &abi.Watermarks{IdleMs: -1500} }, "operator \"files\": operators[0].watermarks.idle: -1.5s (expected > 0s, or none: idle inputs hold the watermark back)"},
		{"watermarks of a guest at a source", func(m *abi.Manifest) { m.Operators[0].Watermarks = &abi.Watermarks{Guest: true} }, "operator \"files\": operators[0].watermarks.guest: true (a source has no function that could report watermarks)"},
		{"name twice", func(m *abi.Manifest) { m.Operators[2].Name = "split" }, `operators[2].name: "split" is taken by operators[1]`},
		{"uid twice", func(m *abi.Manifest) { m.Operators[4].UID = "counts" }, `operator "out": operators[4].uid: "counts" is taken by operators[3]`},
		{"unknown kind", func(m *abi.Manifest) { m.Operators[1].Kind = "smap" }, `operator "split": operators[1].kind: "smap" (expected one of source, map, filter, flatMap, key, timestamp, partition, union, count, sum, aggregates, reduce, aggregate, process, join, request, mapPartition, sortPartition, sample, range, sink)`},
		{"no input", func(m *abi.Manifest) { m.Operators[1].Inputs = nil }, `operator "split": operators[1].inputs: 0 of a flatMap (expected >= 1)`},
		{"source with input", func(m *abi.Manifest) { m.Operators[0].Inputs = []abi.Input{{From: "split"}} }, `operator "files": operators[0].inputs: 1 of a source (expected <= 0)`},
		{"unknown input", func(m *abi.Manifest) { m.Operators[1].Inputs[0].From = "x" }, `operator "split": operators[1].inputs[0].from: "x" is not an operator of this job`},
		{"cycle", func(m *abi.Manifest) {
			m.Operators[1].Inputs[0].From = "loop"
			m.Operators = append(m.Operators, abi.Operator{Name: "loop", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "split"}}, Output: "utf8"})
		}, "operator \"split\": operators[1].inputs: a cycle: split -> loop -> split (expected a graph without one)"},
		{"own input", func(m *abi.Manifest) { m.Operators[1].Inputs[0].From = "split" }, "operator \"split\": operators[1].inputs: a cycle: split -> split (expected a graph without one)"},
		{"no sink", func(m *abi.Manifest) { m.Operators = m.Operators[:4] }, `operators: no sink (expected at least one: the result of "count" goes nowhere)`},
		{"dangling", func(m *abi.Manifest) {
			m.Operators = append(m.Operators, abi.Operator{Name: "lost", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "split"}}, Output: "utf8"})
		}, `operator "lost": operators[5]: its result goes nowhere (expected a sink behind it)`},
		{"sink as input", func(m *abi.Manifest) {
			m.Operators = append(m.Operators, abi.Operator{Name: "behind", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "out"}}})
		}, `operator "out": operators[4]: a sink is the input of another operator (expected of none)`},
		{"migrates without a version", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Functions[0].States = stateful(abi.State{Migrates: true})
		}, `function "split": functions[0].states[0].migrates: true (expected a version above 0: there is none older)`},
		{"oldest without migrating", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Functions[0].States = stateful(abi.State{Version: 3, Oldest: 1})
		}, `function "split": functions[0].states[0].oldest: 1 (expected 0 <= n < version, of a state that migrates)`},
		{"oldest is the newest", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Functions[0].States = stateful(abi.State{Version: 3, Oldest: 3, Migrates: true})
		}, `function "split": functions[0].states[0].oldest: 3 (expected 0 <= n < version, of a state that migrates)`},
		{"another state than the accumulator", func(m *abi.Manifest) {
			_, m.Functions[0].States = stateful(abi.State{Version: 3})
			m.Functions[0].Kind, m.Functions[0].Accumulator = abi.FunctionAggregate, abi.CodecI64
		}, `function "split": functions[0].states[0]: value "total" of codec i64 (expected nothing but the schema of the accumulator: value "accumulator" of codec i64, without ttlMs)`},
		{"the accumulator in another codec", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Functions[0].Accumulator = abi.FunctionAggregate, abi.CodecI64
			m.Functions[0].States = []abi.State{{Name: abi.Accumulator, Scope: "keyed", Kind: "value", Codec: abi.CodecUTF8, Version: 3}}
		}, `function "split": functions[0].states[0]: value "accumulator" of codec utf8 (expected nothing but the schema of the accumulator: value "accumulator" of codec i64, without ttlMs)`},
		{"the oldest accumulator is the newest", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Functions[0].Accumulator = abi.FunctionAggregate, abi.CodecI64
			m.Functions[0].States = []abi.State{{Name: abi.Accumulator, Scope: "keyed", Kind: "value", Codec: abi.CodecI64, Version: 3, Oldest: 3, Migrates: true}}
		}, `function "split": functions[0].states[0].oldest: 3 (expected 0 <= n < version, of a state that migrates)`},
		{"scope of a state", func(m *abi.Manifest) { withState(m, abi.State{Scope: "job"}) }, `function "split": functions[0].states[0].scope: "job" (expected keyed, operator or broadcast)`},
		{"drift of no group", func(m *abi.Manifest) { m.Operators[0].Watermarks = &abi.Watermarks{DriftMs: 5} }, "operator \"files\": operators[0].watermarks.drift: 5ms without a group (expected the name of one)"},
		{"group without drift", func(m *abi.Manifest) { m.Operators[0].Watermarks = &abi.Watermarks{Group: "orders"} },
			`operator "files": operators[0].watermarks.drift: 0s of group "orders" (expected > 0s: how far a split may be ahead)`},
		{"group of times that no source gives", func(m *abi.Manifest) {
			m.Functions[0].Kind, m.Operators[1].Kind = abi.FunctionTimestamp, abi.OperatorTimestamp
			m.Operators[1].Watermarks, m.Operators[1].Inputs[0].Partition = &abi.Watermarks{Group: "orders", DriftMs: 5}, "rebalance"
		}, `operator "split": operators[1].watermarks.group: "orders", and its chain begins with timestamp "split" (expected a source, whose splits can be paused)`},
		{"map of an operator", func(m *abi.Manifest) { withState(m, abi.State{Scope: "operator", Kind: "map"}) },
			`function "split": functions[0].states[0].kind: "map" of the operator's own scope (expected list or union)`},
		{"union of a key", func(m *abi.Manifest) { withState(m, abi.State{Scope: "keyed", Kind: "union"}) },
			`function "split": functions[0].states[0].kind: "union" (expected value, list or map)`},
		{"a list of an operator that ends", func(m *abi.Manifest) { withState(m, abi.State{Scope: "operator", Kind: "list", TTL: 5}) },
			`function "split": functions[0].states[0].ttlMs: 5 of the operator's own scope (expected none: only what a key has ends)`},
		{"a time of a state", func(m *abi.Manifest) { withState(m, abi.State{Scope: "keyed", Kind: "list", TTL: 5, Time: "window"}) },
			`function "split": functions[0].states[0].time: "window" (expected event or processing)`},
		{"the time of a state that stays", func(m *abi.Manifest) { withState(m, abi.State{Scope: "keyed", Kind: "list", Time: "event"}) },
			`function "split": functions[0].states[0].time: "event" without a ttlMs (expected one: it is the time that it is of)`},
		{"event time of the operator", func(m *abi.Manifest) { withState(m, abi.State{Scope: "operator", Kind: "list", TTL: 5, Time: "event"}) },
			`function "split": functions[0].states[0].ttlMs: 5 of the operator's own scope (expected none: only what a key has ends)`},
		{"event time of a window function", func(m *abi.Manifest) {
			withState(m, abi.State{Scope: "keyed", Kind: "value", TTL: 5, Time: "event"})
			m.Functions[0].Kind = abi.FunctionWindow
		}, `function "split": functions[0].states[0].time: "event" of a window function (expected processing: only the states of process functions end by event time)`},
		{"sorted by no keys", func(m *abi.Manifest) {
			m.Operators[2] = abi.Operator{Name: "word", Kind: abi.OperatorSortPartition, UID: "word", Inputs: []abi.Input{{From: "split"}}}
		}, `operator "word": operators[2].inputs[0]: a sortPartition needs the keys that it goes by, and flatMap "split" sends none (expected a key operator before it)`},
		{"sorted by hash", func(m *abi.Manifest) { m.Operators[3].Kind = abi.OperatorSortPartition },
			`operator "count": operators[3].inputs[0].partition: hash (expected forward: the keys are what a subtask goes by; deal the records out before the key operator)`},
		{"sorted in two directions", func(m *abi.Manifest) {
			m.Operators[3] = abi.Operator{Name: "count", Kind: abi.OperatorSortPartition, UID: "count", Order: []string{"asc", "desc"}, Inputs: []abi.Input{{From: "word", Partition: "forward"}}}
		}, `operator "count": operators[3].order: 2 of keys that have 1 fields (expected one, or one for each)`},
		{"direction", func(m *abi.Manifest) {
			m.Operators[3] = abi.Operator{Name: "count", Kind: abi.OperatorSortPartition, UID: "count", Order: []string{"up"}, Inputs: []abi.Input{{From: "word", Partition: "forward"}}}
		}, `operator "count": operators[3].order[0]: "up" (expected asc or desc)`},
		{"ranges without a sample", func(m *abi.Manifest) {
			m.Operators[3] = abi.Operator{Name: "count", Kind: abi.OperatorRange, Inputs: []abi.Input{{From: "word", Partition: "forward"}, {From: "split", Partition: "broadcast"}}}
		}, `operator "count": operators[3].inputs[1]: flatMap "split" (expected a sample of what "word" sends, in the same order)`},
		{"ranges of a part of a sample", func(m *abi.Manifest) {
			m.Operators[3] = abi.Operator{Name: "count", Kind: abi.OperatorSample, Inputs: []abi.Input{{From: "word", Partition: "forward"}}}
			m.Operators[4].Inputs[0].From = "ranged"
			m.Operators = append(m.Operators, abi.Operator{Name: "ranged", Kind: abi.OperatorRange, Inputs: []abi.Input{{From: "word", Partition: "forward"}, {From: "count"}}})
		}, `operator "ranged": operators[5].inputs[1].partition: forward (expected broadcast: every subtask has to know all of the sample)`},
		{"applied to no keys", func(m *abi.Manifest) {
			unkeyed(m, abi.State{Scope: "operator", Kind: "list"})
			m.Functions[0].Applies = true
		}, `function "split": functions[0].applies: true, and "split" has no broadcast state, or no key (expected both: records that are broadcast are applied to keys)`},
		{"hint of a count", func(m *abi.Manifest) { m.Operators[3].Hint = abi.HintSortMerge }, `operator "count": operators[3].hint: "repartitionSortMerge" (a count has none)`},
		{"order of a count", func(m *abi.Manifest) { m.Operators[3].Order = []string{"asc"} }, `operator "count": operators[3].order: given (a count has none)`},
		{"sorted without uid", func(m *abi.Manifest) {
			m.Operators[3] = abi.Operator{Name: "count", Kind: abi.OperatorSortPartition, Inputs: []abi.Input{{From: "word", Partition: "forward"}}}
		}, `operator "count": operators[3].uid: empty (expected one: a sortPartition keeps state, and the uid is its name across versions of the job)`},
		{"left out of a whole", func(m *abi.Manifest) {
			m.Functions[0].Kind = abi.FunctionMapPartition
			m.Operators[1].Kind, m.Operators[1].UID, m.Operators[1].OnTrap = abi.OperatorMapPartition, "split", OnTrapSkip
		}, `operator "split": operators[1].onTrap: "skip" (expected fail: what a function of all records of a subtask has made of them is lost with its instance)`},
		{"state of keys on a stream without key", func(m *abi.Manifest) { unkeyed(m, abi.State{Scope: "keyed", Kind: "list"}) },
			`function "split": functions[0].states[0].scope: keyed, and "split" takes a stream without key (expected operator, or a key operator before it)`},
		{"timers on a stream without key", func(m *abi.Manifest) {
			unkeyed(m, abi.State{Scope: "operator", Kind: "list"})
			m.Functions[0].Timers = true
		}, `function "split": functions[0].timers: true, and "split" takes a stream without key (expected none, or a key operator before it: a timer is a key's)`},
		{"state of an operator without uid", func(m *abi.Manifest) {
			unkeyed(m, abi.State{Scope: "operator", Kind: "union"})
			m.Operators[1].UID = ""
		}, `operator "split": operators[1].uid: empty (expected one: a process keeps state, and the uid is its name across versions of the job)`},
		{"a keyed function without key", func(m *abi.Manifest) {
			unkeyed(m, abi.State{Scope: "operator", Kind: "union"})
			m.Functions[0].Key = "utf8"
		}, `operator "split": operators[1].inputs[0]: a process needs keyed input, and source "files" comes by forward (expected a key operator before it)`},
		{"no uid", func(m *abi.Manifest) { m.Operators[3].UID = "" }, `operator "count": operators[3].uid: empty (expected one: a count keeps state, and the uid is its name across versions of the job)`},
		{"not keyed", func(m *abi.Manifest) { m.Operators[3].Inputs[0].Partition = "rebalance" }, `operator "count": operators[3].inputs[0]: a count needs keyed input, and key "word" comes by rebalance (expected a key operator before it)`},
		{"window of nothing", func(m *abi.Manifest) { m.Operators[3].Window = &abi.Window{Kind: "tumbling"} }, "operator \"count\": operators[3].window.size: 0s (expected > 0s)"},
		{"window of an unknown kind", func(m *abi.Manifest) { m.Operators[3].Window = &abi.Window{Kind: "hopping", SizeMs: 10} },
			`operator "count": operators[3].window.kind: "hopping" (expected tumbling, sliding, session, count or global)`},
		{"sliding window without slide", func(m *abi.Manifest) { m.Operators[3].Window = &abi.Window{Kind: "sliding", SizeMs: 10} },
			"operator \"count\": operators[3].window.slide: 0s of a sliding window (expected one > 0s of a sliding window, and none of another)"},
		{"slide over the size", func(m *abi.Manifest) {
			m.Operators[3].Window = &abi.Window{Kind: "sliding", SizeMs: 10, SlideMs: 11}
		}, "operator \"count\": operators[3].window.slide: 11ms (expected 0s < slide <= 10ms, its size)"},
		{"lateness", func(m *abi.Manifest) {
			m.Operators[3].Window = &abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: -1}
		}, "operator \"count\": operators[3].window.lateness: -1ms (expected >= 0s)"},
		{"late by processing time", func(m *abi.Manifest) {
			m.Operators[3].Window = &abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: 1, Time: "processing"}
		}, "operator \"count\": operators[3].window.lateness: 1ms of windows of processing time (expected none: nothing is late there)"},
		{"time of a window", func(m *abi.Manifest) {
			m.Operators[3].Window = &abi.Window{Kind: "tumbling", SizeMs: 10, Time: "wall"}
		}, `operator "count": operators[3].window.time: "wall" (expected event or processing)`},
		{"window offset", func(m *abi.Manifest) {
			m.Operators[3].Window = &abi.Window{Kind: "tumbling", SizeMs: 1000, OffsetMs: 1000}
		}, "operator \"count\": operators[3].window.offset: 1s (expected -1s < offset < 1s, its size)"},
		{"window on a map", func(m *abi.Manifest) { m.Operators[1].Window = &abi.Window{Kind: "tumbling", SizeMs: 1} }, "operator \"split\": operators[1].window: given (a flatMap has none)"},
		{"unknown function", func(m *abi.Manifest) { m.Operators[1].Function = "splot" }, `operator "split": operators[1].function: "splot" is not in the module's function table`},
		{"function of other kind", func(m *abi.Manifest) { m.Operators[1].Function = "word" }, `operator "split": operators[1].function: "word" is of kind key (expected flatMap)`},
		{"function id", func(m *abi.Manifest) { m.Functions[1].ID = 7 }, "function \"word\": functions[1].id: 7 (expected 1, its index)"},
		{"function on a count", func(m *abi.Manifest) { m.Operators[3].Function = "sum" }, `operator "count": operators[3].function: "sum" (a count is native and has none)`},
		{"sink without connector", func(m *abi.Manifest) { m.Operators[4].Connector = nil }, "operator \"out\": operators[4].connector: none (expected given for a sink)"},
		{"codec", func(m *abi.Manifest) { m.Functions[0].Inputs[0] = "i64" }, `operator "split": operators[1].inputs[0]: "files" sends utf8, and function "split" takes i64`},
		{"keys of another codec", func(m *abi.Manifest) {
			m.Functions[2].Key = "i64"
			m.Operators[3] = abi.Operator{Name: "sum", UID: "sum", Kind: abi.OperatorReduce, Function: "sum", Inputs: []abi.Input{{From: "word"}}, Output: "utf8"}
			m.Operators[4].Inputs[0].From = "sum"
		}, `operator "sum": operators[3].inputs[0]: "word" sends keys of utf8, and function "sum" takes keys of i64`},
		{"keys of another codec than the function's", func(m *abi.Manifest) { m.Operators[2].Key = "i64" }, `operator "word": operators[2].key: i64, and function "word" makes keys of utf8`},
		{"keys of json", func(m *abi.Manifest) { m.Operators[2].Key, m.Functions[1].Key = "json", "json" },
			`operator "word": operators[2].key: codec json: no key, because one value has many spellings (expected bytes, utf8, i64, f64 or row(...))`},
		{"operator parallelism", func(m *abi.Manifest) { m.Operators[3].Parallelism = 40000 }, "operator \"count\": operators[3].parallelism: 40000 (expected 1 <= n <= 32768)"},
		{"side output", func(m *abi.Manifest) { m.Operators[2].Inputs[0].Side = 1 }, `operator "word": operators[2].inputs[0].side: 1 ("split" has 0 side outputs)`},
		{"dead letters of a key by hash", func(m *abi.Manifest) {
			m.Operators[2].OnTrap = OnTrapDeadLetter
			m.Operators = append(m.Operators, abi.Operator{Name: "letters", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"},
				Inputs: []abi.Input{{From: "word", Side: 1, Partition: "hash"}}})
		}, `operator "letters": operators[5].inputs[0].partition: hash behind side output 1 of key "word", whose records have no key (expected forward, rebalance or broadcast)`},
		{"dead letters of a key counted", func(m *abi.Manifest) {
			m.Operators[2].OnTrap = OnTrapDeadLetter
			m.Operators[3].Inputs[0].Side = 1
		}, `operator "count": operators[3].inputs[0]: a count needs keyed input, and key "word" comes by forward (expected a key operator before it)`},
		{"exchange", func(m *abi.Manifest) { m.Operators[3].Inputs[0].Exchange = "blocking" }, "operator \"count\": operators[3].inputs[0].exchange: blocking (expected pipelined: edges are blocking in batch mode, which the submission asks for)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := wordCount()
			tt.spoil(m)
			_, err := build(m, 2)
			var fault *Error
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestNamesMayBeOfAnyScript(t *testing.T) {
	for _, name := range []string{"a", "word count", "слова", "単語 ½ ☃", strings.Repeat("n", 128)} {
		if err := CheckName("name", name); err != nil {
			t.Error(err)
		}
	}
}

func TestParallelismIsBounded(t *testing.T) {
	for _, p := range []int{-1, 0, 32769} {
		if _, err := build(wordCount(), p); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("parallelism: %d (expected 1 <= n <= 32768)", p)) {
			t.Errorf("parallelism %d: got %v", p, err)
		}
	}
	g, err := build(wordCount(), 300)
	if err != nil {
		t.Fatal(err)
	}
	if g.MaxParallelism != 512 {
		t.Errorf("max parallelism of 300: got %d, want 512", g.MaxParallelism)
	}
}

// Operators may come in any order in a manifest; in a job graph inputs come first.
func TestInputsComeFirst(t *testing.T) {
	m := wordCount()
	for i, j := 0, len(m.Operators)-1; i < j; i, j = i+1, j-1 {
		m.Operators[i], m.Operators[j] = m.Operators[j], m.Operators[i]
	}
	g, err := build(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, op := range g.Operators {
		for _, in := range op.Inputs {
			if in.From >= i {
				t.Errorf("operator %d %q takes from %d", i, op.Name, in.From)
			}
		}
	}
}

func TestExpandCutsAtHashEdges(t *testing.T) {
	g, err := build(wordCount(), 2)
	if err != nil {
		t.Fatal(err)
	}
	x := Expand(g)
	want := &ExecutionGraph{
		Chains: []Chain{
			{Operators: []int{0, 1, 2}, Parallelism: 2, Outputs: []int{0}},
			{Operators: []int{3, 4}, Parallelism: 2, Inputs: []int{0}},
		},
		Edges:   []Edge{{From: 0, To: 1, FromOperator: 2, ToOperator: 3, Partition: Hash, Exchange: Pipelined, PreAggregates: true}},
		Regions: [][]int{{0, 1}},
	}
	if !reflect.DeepEqual(x, want) {
		t.Errorf("got  %+v\nwant %+v", x, want)
	}
	if got := x.ChainName(g, 0); got != "files -> split -> word" {
		t.Errorf("chain name: got %q", got)
	}
	if got := fmt.Sprint(x.Tasks()); got != "[0.0 0.1 1.0 1.1]" {
		t.Errorf("tasks: got %s", got)
	}
	if x.SlotsNeeded() != 2 {
		t.Errorf("slots: got %d, want 2", x.SlotsNeeded())
	}
}

// A chain branches where two operators take the same forwarded output, and a union begins a new one.
func TestExpandBranchesAndUnions(t *testing.T) {
	m := wordCount()
	m.Operators = append(m.Operators,
		abi.Operator{Name: "again", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "files"}}, Output: "utf8"},
		abi.Operator{Name: "both", Kind: abi.OperatorUnion, Inputs: []abi.Input{{From: "again"}, {From: "split"}}, Output: "utf8"},
		abi.Operator{Name: "print", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "both"}}},
	)
	g, err := build(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	x := Expand(g)
	var names []string
	for c := range x.Chains {
		names = append(names, x.ChainName(g, c))
	}
	want := []string{"files -> split -> word -> again", "count -> out", "both -> print"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("chains: got %q, want %q", names, want)
	}
	if got := x.Downstream(g, 0, 0, 0); len(got) != 2 {
		t.Errorf("downstream of files: got %v, want two operators", got)
	}
	if len(x.Chains[2].Inputs) != 2 || x.Edges[x.Chains[2].Inputs[0]].Input != 0 || x.Edges[x.Chains[2].Inputs[1]].Input != 1 {
		t.Errorf("inputs of the union: %v of %+v", x.Chains[2].Inputs, x.Edges)
	}
}

// Those that a key function has left out have no key to be sent by.
func TestDeadLettersOfAKeyFunctionHaveNoKey(t *testing.T) {
	for sinks, want := range map[int]Partition{2: Forward, 1: Rebalance} {
		m := wordCount()
		m.Operators[2].OnTrap = OnTrapDeadLetter
		m.Operators = append(m.Operators, abi.Operator{Name: "letters", Kind: abi.OperatorSink, Parallelism: sinks,
			Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "word", Side: 1}}})
		g, err := build(m, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Operators[5].Inputs[0].Partition; got != want || g.Codec(2, 1) != LetterCodec || g.KeyCodec(2, 1) != "" {
			t.Errorf("to %d sinks: %s, codec %s (expected %s, %s)", sinks, got, g.Codec(2, 1), want, LetterCodec)
		}
		if got := g.Operators[3].Inputs[0].Partition; got != Hash {
			t.Errorf("to the count: %s (expected hash)", got)
		}
	}
}

// What a source cannot read goes where it says; a native operator has nothing that it could leave out.
func TestSourcesHaveDeadLetters(t *testing.T) {
	m := wordCount()
	m.Operators[0].OnTrap = OnTrapDeadLetter
	m.Operators = append(m.Operators, abi.Operator{Name: "letters", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "files", Side: 1}}})
	g, err := build(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	if g.Codec(0, 1) != LetterCodec || g.KeyCodec(0, 1) != "" || g.Codec(0, 0) != "utf8" || !g.Operators[0].LeavesOut() {
		t.Errorf("codecs %s, %s (expected utf8, %s)", g.Codec(0, 0), g.Codec(0, 1), LetterCodec)
	}
	m.Operators[3].OnTrap = OnTrapSkip
	if _, err := build(m, 2); err == nil || err.Error() != `operator "count": operators[3].onTrap: "skip" (a count is native and has no function that could trap)` {
		t.Errorf("a count: %v", err)
	}
}

func TestKeyGroupsPartitionTheKeySpace(t *testing.T) {
	for _, maxP := range []int{1, 7, 128, 32768} {
		for _, p := range []int{1, 2, 3, 5, 127, 128} {
			if p > maxP {
				continue
			}
			next := KeyGroup(0)
			for s := range p {
				from, to := KeyGroupsOf(s, p, maxP)
				if from != next {
					t.Fatalf("subtask %d of %d: from %d, want %d", s, p, from, next)
				}
				for g := from; g < to; g++ {
					if got := SubtaskOf(g, p, maxP); got != s {
						t.Fatalf("group %d of %d with parallelism %d: subtask %d, want %d", g, maxP, p, got, s)
					}
				}
				next = to
			}
			if int(next) != maxP {
				t.Errorf("parallelism %d: groups end at %d, want %d", p, next, maxP)
			}
		}
	}
}

// The graph crosses the wire as JSON, and both ends must expand it alike.
func TestGraphSurvivesJSON(t *testing.T) {
	g, err := build(wordCount(), 3)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var back JobGraph
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(Expand(g), Expand(&back)) || !reflect.DeepEqual(g, &back) {
		t.Errorf("the graph changed:\n%+v\n%+v", g, &back)
	}
}

// stateful is what a function has to be to have a state.
func stateful(s abi.State) (abi.FunctionKind, []abi.State) {
	s.Name, s.Scope, s.Kind, s.Codec = "total", "keyed", "value", abi.CodecI64
	return abi.FunctionProcess, []abi.State{s}
}

// withState makes the first function one with a state.
func withState(m *abi.Manifest, s abi.State) {
	s.Name, s.Codec = "s", "utf8"
	m.Functions[0].Kind, m.Functions[0].States = abi.FunctionProcess, []abi.State{s}
}

// unkeyed makes the first operator behind the source a process function without key that has a state.
func unkeyed(m *abi.Manifest, s abi.State) {
	withState(m, s)
	m.Operators[1].Kind, m.Operators[1].UID = abi.OperatorProcess, "split"
}

func TestProcessFunctionsWithoutKey(t *testing.T) {
	m := wordCount()
	unkeyed(m, abi.State{Scope: "operator", Kind: "union"})
	g, err := build(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	if op := &g.Operators[1]; !op.Unkeyed() || g.KeyCodec(1, 0) != "" {
		t.Errorf("unkeyed %t, keys of codec %q (expected none)", op.Unkeyed(), g.KeyCodec(1, 0))
	}
	m = wordCount()
	m.Functions[0].Kind, m.Operators[1].Kind = abi.FunctionProcess, abi.OperatorProcess
	if _, err := build(m, 2); err != nil {
		t.Errorf("one that keeps nothing needs no uid: %v", err)
	}
}

// A join of all that there is may be done in several ways, in batch mode; not those that would lose what meets nothing.
func TestJoinHints(t *testing.T) {
	joined := func(hint, outer, window string) *abi.Manifest {
		m := wordCount()
		m.Operators = append(m.Operators[:3:3],
			abi.Operator{Name: "met", UID: "met", Kind: abi.OperatorJoin, Hint: hint, Outer: outer, Window: &abi.Window{Kind: window}, Inputs: []abi.Input{{From: "word"}, {From: "word"}}},
			abi.Operator{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "met"}}})
		if window != abi.WindowAll {
			m.Operators[3].Window.SizeMs = 1000
		}
		return m
	}
	for _, c := range []struct{ hint, outer, window, want string }{
		{abi.HintHashFirst, "", "tumbling", `operator "met": operators[3].hint: "repartitionHashFirst" of a join that has a window or an interval (expected none: hints are for joins of all that there is)`},
		{"fast", "", abi.WindowAll, `operator "met": operators[3].hint: "fast" (expected broadcastHashFirst, broadcastHashSecond, repartitionHashFirst, repartitionHashSecond, repartitionSortMerge or none)`},
		{abi.HintBroadcastFirst, abi.OuterLeft, abi.WindowAll, `operator "met": operators[3].hint: "broadcastHashFirst" of a left outer join (expected repartitionHashFirst or broadcastHashSecond: what meets nothing comes out, and a subtask that has all of an input does not know what the others have met)`},
		{abi.HintBroadcastSecond, abi.OuterFull, abi.WindowAll, `operator "met": operators[3].hint: "broadcastHashSecond" of a full outer join (expected repartitionHashSecond or repartitionSortMerge: what meets nothing comes out, and a subtask that has all of an input does not know what the others have met)`},
	} {
		if _, err := build(joined(c.hint, c.outer, c.window), 2); err == nil || err.Error() != c.want {
			t.Errorf("%s %s:\ngot  %v\nwant %s", c.hint, c.outer, err, c.want)
		}
	}
	for _, c := range []struct {
		hint, outer string
		want        [2]Partition
		first       int
	}{
		{"", abi.OuterFull, [2]Partition{Hash, Hash}, -1},
		{abi.HintSortMerge, "", [2]Partition{Hash, Hash}, -1},
		{abi.HintHashSecond, abi.OuterFull, [2]Partition{Hash, Hash}, 1},
		{abi.HintBroadcastFirst, abi.OuterRight, [2]Partition{Broadcast, Forward}, 0},
		{abi.HintBroadcastSecond, abi.OuterLeft, [2]Partition{Forward, Broadcast}, 1},
	} {
		g, err := build(joined(c.hint, c.outer, abi.WindowAll), 2)
		if err != nil {
			t.Fatal(err)
		}
		met := &g.Operators[3]
		if met.Inputs[0].Partition != Hash || met.Inputs[1].Partition != Hash {
			t.Errorf("%s in streaming mode: %+v", c.hint, met.Inputs)
		}
		if g.MakeBatch(); met.Inputs[0].Partition != c.want[0] || met.Inputs[1].Partition != c.want[1] || met.First() != c.first {
			t.Errorf("%s: %+v, input %d first", c.hint, met.Inputs, met.First())
		}
	}
}

// A union is of one codec.
func TestUnionOfOneCodec(t *testing.T) {
	m := wordCount()
	m.Operators = append(m.Operators,
		abi.Operator{Name: "again", Kind: abi.OperatorFlatMap, Function: "split", Inputs: []abi.Input{{From: "files"}}, Output: "i64"},
		abi.Operator{Name: "both", Kind: abi.OperatorUnion, Inputs: []abi.Input{{From: "split"}, {From: "again"}}, Output: "utf8"},
		abi.Operator{Name: "print", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "both"}}},
	)
	m.Functions[0].Output = ""
	_, err := build(m, 1)
	want := `"again" sends i64, and "split", the first input, utf8 (expected one codec: map them to the same)`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v (expected %s)", err, want)
	}
}

// An offset before the multiples is the same as one behind them, modulo what lies between two windows.
func TestNegativeOffsets(t *testing.T) {
	const hour, day = int64(3_600_000), int64(86_400_000)
	for _, c := range []struct{ size, slide, offset, want int64 }{
		{day, 0, -8 * hour, 16 * hour},
		{day, 0, 8 * hour, 8 * hour},
		{day, 2 * hour, -3 * hour, hour},
		{day, 2 * hour, -4 * hour, 0},
		{day, 2 * hour, 3 * hour, 3 * hour},
		{5, 0, -1, 4},
		{5, 0, -5, -1},
		{5, 0, 5, -1},
	} {
		m := wordCount()
		said := abi.Window{Kind: "tumbling", SizeMs: c.size, SlideMs: c.slide, OffsetMs: c.offset}
		if c.slide > 0 {
			said.Kind = "sliding"
		}
		m.Operators[3].Window, m.Operators[3].Output = &said, ""
		g, err := build(m, 1)
		switch {
		case c.want < 0 && (err == nil || !strings.Contains(err.Error(), "expected -5ms < offset < 5ms, its size")):
			t.Errorf("%+v: %v", c, err)
		case c.want >= 0 && (err != nil || g.Operators[3].Window.OffsetMs != c.want || said.OffsetMs != c.offset):
			t.Errorf("%+v: %v, the manifest says %d now", c, err, said.OffsetMs)
		}
	}
}
