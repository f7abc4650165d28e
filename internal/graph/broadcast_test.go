package graph

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// ruledOf is the manifest of a job whose words meet rules that are broadcast.
func ruledOf() *abi.Manifest {
	m := wordCount()
	m.Functions = append(m.Functions, abi.Function{ID: 3, Name: "apply", Kind: abi.FunctionProcess, Inputs: []abi.Codec{"utf8", "utf8"}, Key: "utf8", Output: "utf8",
		States: []abi.State{{Name: "rules", Scope: abi.ScopeBroadcast, Kind: "map", Codec: "utf8", Key: "utf8"}, {Name: "seen", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}})
	m.Operators[3] = abi.Operator{Name: "apply", UID: "apply", Kind: abi.OperatorProcess, Function: "apply", Inputs: []abi.Input{{From: "word"}, {From: "split", Partition: "broadcast"}}, Output: "utf8"}
	m.Operators[4] = abi.Operator{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "apply"}}}
	return m
}

func TestFaultsOfBroadcasts(t *testing.T) {
	const place = `function "apply": functions[3].states[0]`
	for _, c := range []struct {
		name, want string
		spoil      func(m *abi.Manifest, f *abi.Function, o *abi.Operator)
	}{
		{"one input", `operator "apply": operators[3].inputs: 1 (expected 2: its state "rules" is changed by records of the second, which is broadcast)`, func(_ *abi.Manifest, _ *abi.Function, o *abi.Operator) { o.Inputs = o.Inputs[:1] }},
		{"rules by key", `operator "apply": operators[3].inputs[1].partition: hash (expected broadcast: every subtask has a copy of state "rules", which the same records have to change)`, func(_ *abi.Manifest, _ *abi.Function, o *abi.Operator) {
			o.Inputs[1] = abi.Input{From: "word"}
		}},
		{"rules dealt out", `operator "apply": operators[3].inputs[1]: a process needs keyed input, and flatMap "split" comes by rebalance (expected a key operator before it)`, func(_ *abi.Manifest, _ *abi.Function, o *abi.Operator) {
			o.Inputs[1].Partition = "rebalance"
		}},
		{"words broadcast", `operator "apply": operators[3].inputs[0].partition: broadcast (expected another: its records are dealt out to the subtasks, those of the second input are broadcast)`, func(_ *abi.Manifest, _ *abi.Function, o *abi.Operator) {
			o.Inputs[0].Partition = "broadcast"
		}},
		{"no uid", `operator "apply": operators[3].uid: empty (expected one: a process keeps state, and the uid is its name across versions of the job)`, func(_ *abi.Manifest, _ *abi.Function, o *abi.Operator) { o.UID = "" }},
		{"a list", place + `.kind: "list" of a broadcast state (expected map)`, func(_ *abi.Manifest, f *abi.Function, _ *abi.Operator) { f.States[0].Kind = "list" }},
		{"ttl", place + `.ttlMs: 5 of a broadcast state (expected none: only what a key has ends)`, func(_ *abi.Manifest, f *abi.Function, _ *abi.Operator) { f.States[0].TTL = 5 }},
		{"no key codec", place + `.key: "" of a map (expected the codec of a map's keys, and of no other)`, func(_ *abi.Manifest, f *abi.Function, _ *abi.Operator) { f.States[0].Key = "" }},
		{"scope", place + `.scope: "global" (expected keyed, operator or broadcast)`, func(_ *abi.Manifest, f *abi.Function, _ *abi.Operator) { f.States[0].Scope = "global" }},
		{"state of keys without keys", `function "apply": functions[3].states[1].scope: keyed, and "apply" takes a stream without key (expected operator, or a key operator before it)`, func(_ *abi.Manifest, f *abi.Function, o *abi.Operator) {
			f.Key, o.Inputs[0].Partition = "", "rebalance"
		}},
	} {
		m := ruledOf()
		c.spoil(m, &m.Functions[3], &m.Operators[3])
		if _, err := build(m, 2); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nexpected %s", c.name, err, c.want)
		}
	}
}

// What comes of a broadcast has the keys of the other input, if that has any.
func TestKeysBehindABroadcast(t *testing.T) {
	m := ruledOf()
	g, err := build(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	if key := g.KeyCodec(3, 0); key != "utf8" || g.Operators[3].Unkeyed() {
		t.Errorf("keys of codec %q, without key: %v", key, g.Operators[3].Unkeyed())
	}
	if why := g.NotBatch(); why != `function "apply" of "apply" keeps the broadcast state "rules" beside state of keys` {
		t.Error(why)
	}
	m.Functions[3].Key, m.Functions[3].States = "", m.Functions[3].States[:1]
	m.Operators[3].Inputs[0].Partition = "rebalance"
	if g, err = build(m, 2); err != nil {
		t.Fatal(err)
	}
	if key := g.KeyCodec(3, 0); key != "" || !g.Operators[3].Unkeyed() {
		t.Errorf("keys of codec %q, without key: %v", key, g.Operators[3].Unkeyed())
	}
}
