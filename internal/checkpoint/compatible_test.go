package checkpoint_test

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

func TestCompatible(t *testing.T) {
	make := func() *graph.JobGraph {
		g := job(2)
		g.Operators[0].Connector = &abi.Connector{Type: "file"}
		g.Operators[1].Key = abi.CodecUTF8
		g.Operators[2].Kind = abi.OperatorProcess
		g.Operators[2].Declared = &abi.Function{States: []abi.State{{Name: "seen", Scope: "keyed", Kind: "map", Key: abi.CodecI64, Codec: abi.CodecI64}}}
		return g
	}
	for _, c := range []struct {
		name   string
		change func(g *graph.JobGraph)
		want   string // "" it is compatible
		drop   bool   // it is, when state may be dropped
	}{
		{"the same", func(*graph.JobGraph) {}, "", false},
		{"other names", func(g *graph.JobGraph) { g.Operators[2].Name = "other" }, "", false},
		{"parallelism", func(g *graph.JobGraph) { g.Operators[2].Parallelism = 5 }, "", false},
		{"another state more", func(g *graph.JobGraph) {
			g.Operators[2].Declared.States = append(g.Operators[2].Declared.States, abi.State{Name: "new", Scope: "keyed", Kind: "value", Codec: abi.CodecI64})
		}, "", false},
		{"key groups", func(g *graph.JobGraph) { g.MaxParallelism = 16 }, "16 key groups (saved with 8)", false},
		{"uid", func(g *graph.JobGraph) { g.Operators[2].UID = "other" }, `process "count" (uid "counts") is saved, and no operator has that uid`, true},
		{"kind", func(g *graph.JobGraph) { g.Operators[2].Kind = abi.OperatorCount }, `operator "count" (uid "counts") is a count (saved by a process)`, false},
		{"window", func(g *graph.JobGraph) { g.Operators[2].Window = &abi.Window{Kind: "tumbling", SizeMs: 10} }, "has tumbling windows of 10 ms (saved with no window)", false},
		{"key codec", func(g *graph.JobGraph) { g.Operators[1].Key = abi.CodecI64 }, "has keys of codec i64 (saved with utf8)", false},
		{"connector", func(g *graph.JobGraph) { g.Operators[0].Connector.Type = "generator" }, "reads from generator", false},
		{"state gone", func(g *graph.JobGraph) { g.Operators[2].Declared.States = nil }, `state "seen"`, true},
		{"state kind", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Kind = "list" }, "is a keyed list (saved as a keyed map)", false},
		{"state codec", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Codec = abi.CodecF64 }, "has codec f64 (saved with i64)", false},
		{"state key", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Key = abi.CodecF64 }, "has keys of codec f64", false},
		{"schema version", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Version = 2 }, `state "seen" of operator "count" (uid "counts") has schema version 2 (it may hold elements of version 0), and the module does not say how to migrate them`, false},
		{"migrates", func(g *graph.JobGraph) {
			s := &g.Operators[2].Declared.States[0]
			s.Version, s.Migrates, s.Codec = 2, true, abi.CodecUTF8
		}, "", false},
		{"migrates from later", func(g *graph.JobGraph) {
			s := &g.Operators[2].Declared.States[0]
			s.Version, s.Migrates, s.Oldest = 2, true, 1
		}, "the module migrates from version 1 on (it may hold elements of version 0)", false},
	} {
		now := make()
		c.change(now)
		err := checkpoint.Compatible(make(), now, false)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v (expected %q)", c.name, err, c.want)
		}
		if err := checkpoint.Compatible(make(), now, true); (err == nil) != (c.drop || c.want == "") {
			t.Errorf("%s, state may be dropped: %v", c.name, err)
		}
	}
}

// Accumulators have a schema version like states: 0, unless their function declares one.
func TestAccumulatorsAreCompatible(t *testing.T) {
	graphOf := func(codec abi.Codec, schema ...abi.State) *graph.JobGraph {
		g := job(2)
		g.Operators[0].Connector = &abi.Connector{Type: "file"}
		o := &g.Operators[2]
		o.Kind, o.Declared = abi.OperatorAggregate, &abi.Function{Kind: abi.FunctionAggregate, Accumulator: codec}
		for _, s := range schema {
			s.Name, s.Scope, s.Kind, s.Codec = abi.Accumulator, "keyed", "value", codec
			o.Declared.States = append(o.Declared.States, s)
		}
		return g
	}
	const named = `state "accumulator" of operator "count" (uid "counts") `
	now := graphOf(abi.CodecI64)
	for _, step := range []struct {
		next  *graph.JobGraph
		holds int    // the oldest version afterwards, -1: none but that declared
		want  string // "" it is compatible
	}{
		{graphOf(abi.CodecI64), -1, ""},
		{graphOf(abi.CodecUTF8), 0, named + "has codec utf8 (saved with i64): give it a higher schema version"},
		{graphOf(abi.CodecUTF8, abi.State{Version: 2}), 0, named + "has schema version 2 (it may hold elements of version 0), and the module does not say how"},
		{graphOf(abi.CodecUTF8, abi.State{Version: 2, Migrates: true, Oldest: 1}), 0, named + "has schema version 2, and the module migrates from version 1 on"},
		{graphOf(abi.CodecUTF8, abi.State{Version: 2, Migrates: true}), 0, ""},
		{graphOf(abi.CodecUTF8), 0, named + "has schema version 0 (saved with 2"},
		{graphOf(abi.CodecF64, abi.State{Version: 3, Migrates: true, Oldest: 2}), 0, "migrates from version 2 on (it may hold elements of version 0)"},
		{graphOf(abi.CodecF64, abi.State{Version: 3, Migrates: true}), 0, ""},
	} {
		err := checkpoint.Compatible(now, step.next, true)
		if step.want != "" {
			if err == nil || !strings.Contains(err.Error(), step.want) {
				t.Errorf("%v (expected %s)", err, step.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkpoint.Inherit(now, step.next)
		if holds, older := step.next.Operators[2].Oldest[abi.Accumulator]; older != (step.holds >= 0) || older && holds != step.holds {
			t.Errorf("%+v: holds %v", step.next.Operators[2].Declared, step.next.Operators[2].Oldest)
		}
		now = step.next
	}
}

// What a state may hold is remembered over any number of versions: elements that nobody touches keep theirs.
func TestOldVersionsAreRemembered(t *testing.T) {
	graphOf := func(version, oldest int, migrates bool) *graph.JobGraph {
		g := job(2)
		g.Operators[0].Connector = &abi.Connector{Type: "file"}
		g.Operators[2].Kind = abi.OperatorProcess
		g.Operators[2].Declared = &abi.Function{States: []abi.State{
			{Name: "total", Scope: "keyed", Kind: "value", Codec: abi.CodecI64, Version: version, Oldest: oldest, Migrates: migrates},
		}}
		return g
	}
	now := graphOf(1, 0, false)
	for _, step := range []struct {
		version, oldest int
		migrates        bool
		holds           int    // the oldest version afterwards, -1: none but that declared
		want            string // "" it is compatible
	}{
		{1, 0, false, -1, ""},
		{0, 0, false, 0, "has schema version 0 (saved with 1, and versions only grow)"},
		{2, 0, true, 1, ""},
		{2, 0, false, 0, "it may hold elements of version 1"},
		{2, 0, true, 1, ""},
		{3, 2, true, 0, "migrates from version 2 on (it may hold elements of version 1)"},
		{3, 1, true, 1, ""},
		{2, 0, true, 0, "has schema version 2 (saved with 3"},
		{7, 0, true, 1, ""},
	} {
		next := graphOf(step.version, step.oldest, step.migrates)
		err := checkpoint.Compatible(now, next, false)
		if step.want != "" {
			if err == nil || !strings.Contains(err.Error(), step.want) {
				t.Errorf("%+v: %v", step, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
		checkpoint.Inherit(now, next)
		if holds, older := next.Operators[2].Oldest["total"]; older != (step.holds >= 0) || older && holds != step.holds {
			t.Errorf("%+v: holds %v", step, next.Operators[2].Oldest)
		}
		now = next
	}
}

func TestUnseal(t *testing.T) {
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "a", Checkpoint: 3}
	data, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	unseal := func(data, manifest []byte) (*checkpoint.Manifest, error) {
		s, err := checkpoint.DecodeSeal(data)
		if err != nil {
			return nil, err
		}
		return s.Unseal(s.All()[0], manifest)
	}
	if got, err := unseal((&checkpoint.Seal{Job: "a", Checkpoint: 3, Sum: sum}).Encode(), data); err != nil || got.Checkpoint != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, seal := range map[string][]byte{
		"of another manifest": (&checkpoint.Seal{Job: "a", Checkpoint: 3, Sum: checkpoint.Sum(nil)}).Encode(),
		"of another job":      (&checkpoint.Seal{Job: "b", Checkpoint: 3, Sum: sum}).Encode(),
		"cut":                 []byte("{"), "empty": nil,
	} {
		if _, err := unseal(seal, data); err == nil {
			t.Errorf("a seal %s is taken", name)
		}
	}
}

// What a job has gone on without may lie in its files for long: nobody may take it for state of now.
func TestStateThatWasLeftBehindIsTakenByNobody(t *testing.T) {
	graphOf := func(uid string, states ...string) *graph.JobGraph {
		g := job(2)
		g.Operators[0].Connector = &abi.Connector{Type: "file"}
		o := &g.Operators[2]
		o.Kind, o.UID, o.Declared = abi.OperatorProcess, uid, &abi.Function{}
		for _, name := range states {
			o.Declared.States = append(o.Declared.States, abi.State{Name: name, Scope: "keyed", Kind: "value", Codec: abi.CodecI64, Version: 1})
		}
		return g
	}
	now := graphOf("first", "a", "b")
	for _, step := range []struct {
		next *graph.JobGraph
		want string // "" it is compatible
	}{
		{graphOf("first", "a"), ""},
		{graphOf("first", "a", "b"), `operator "count" (uid "first") declares the state "b", which was left behind`},
		{graphOf("second", "b"), ""},
		{graphOf("first", "a"), `operator "count" has the uid "first", whose state was left behind`},
		{graphOf("second", "b", "a"), ""},
		{graphOf("third"), ""},
		{graphOf("first"), `has the uid "first"`},
		{graphOf("second"), `has the uid "second"`},
	} {
		err := checkpoint.Compatible(now, step.next, true)
		if step.want != "" {
			if err == nil || !strings.Contains(err.Error(), step.want) {
				t.Errorf("%v (expected %s)", err, step.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkpoint.Inherit(now, step.next)
		now = step.next
	}
}

// Keys that are fields of other names are other keys, whatever their codec; of a key that a function makes nobody knows.
func TestKeysOfOtherFields(t *testing.T) {
	keyed := func(fields ...string) *graph.JobGraph {
		g := job(2)
		g.Operators[0].Connector = &abi.Connector{Type: "file"}
		g.Operators[1].Kind, g.Operators[1].Key, g.Operators[1].Fields = abi.OperatorKey, abi.CodecI64, fields
		g.Operators[2].Kind = abi.OperatorCount
		return g
	}
	for _, c := range []struct {
		was, is *graph.JobGraph
		want    string
	}{
		{keyed("auction"), keyed("auction"), ""},
		{keyed("auction"), keyed("bidder"), "has the keys bidder (saved with auction)"},
		{keyed("auction", "bidder"), keyed("bidder", "auction"), "has the keys bidder, auction (saved with auction, bidder)"},
		{keyed("auction"), keyed(), ""},
		{keyed(), keyed("auction"), ""},
	} {
		err := checkpoint.Compatible(c.was, c.is, true)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v to %v: %v (expected %q)", c.was.Operators[1].Fields, c.is.Operators[1].Fields, err, c.want)
		}
	}
}
