package graph_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

func TestNotExchangeable(t *testing.T) {
	was := graph.JobGraph{
		Name: "job", Params: map[string]string{"limit": "3"}, Parallelism: 2, MaxParallelism: 128,
		Modules: []graph.Module{{ID: "old", Metered: "old-m", Manifest: "manifest"}, {ID: "lib"}},
		Operators: []graph.Operator{
			{Name: "lines", UID: "l", Kind: abi.OperatorSource, Parallelism: 2, Connector: &abi.Connector{Type: "file", Config: map[string]string{"path": "/in"}}, Output: abi.CodecUTF8},
			{Name: "parse", UID: "p", Kind: abi.OperatorKey, Parallelism: 2, Key: abi.CodecUTF8, Function: &graph.FunctionRef{Module: "old", Name: "parse"},
				Declared: &abi.Function{ID: 1, Name: "parse", Kind: abi.FunctionKey, Output: abi.CodecUTF8}, Inputs: []graph.Input{{Partition: graph.Forward}}},
			{Name: "seen", UID: "s", Kind: abi.OperatorProcess, Parallelism: 2, Function: &graph.FunctionRef{Module: "lib", Name: "seen"},
				Declared: &abi.Function{ID: 2, Name: "seen", States: []abi.State{{Name: "a", Scope: "keyed", Kind: "value"}, {Name: "b", Scope: "keyed", Kind: "list"}}},
				Inputs:   []graph.Input{{From: 1, Partition: graph.Hash}}},
			{Name: "out", UID: "o", Kind: abi.OperatorSink, Parallelism: 2, Connector: &abi.Connector{Type: "file", Config: map[string]string{"path": "/out"}}, Inputs: []graph.Input{{From: 2, Partition: graph.Forward}}},
		},
	}
	for _, c := range []struct {
		name   string
		change func(g *graph.JobGraph)
		want   string // empty: it can be exchanged
	}{
		{"nothing", func(*graph.JobGraph) {}, ""},
		{"module", func(g *graph.JobGraph) { *g = withModule(*g, 0, "new") }, ""},
		{"other module", func(g *graph.JobGraph) { *g = withModule(*g, 1, "new") }, ""},
		{"parameter", func(g *graph.JobGraph) { g.Params = map[string]string{"limit": "4", "more": "x"} }, ""},
		{"number and name of a function", func(g *graph.JobGraph) {
			g.Operators[1].Declared.ID, g.Operators[1].Declared.Name, g.Operators[1].Function.Name = 7, "parse2", "parse2"
		}, ""},
		{"name of an operator", func(g *graph.JobGraph) { g.Operators[2].Name = "known" }, `operator "seen" (uid "s") is a process called "known" (uid "s")`},
		{"uid", func(g *graph.JobGraph) { g.Operators[2].UID = "x" }, `uid "x"`},
		{"kind", func(g *graph.JobGraph) { g.Operators[1].Kind = abi.OperatorMap }, `is a map`},
		{"key groups", func(g *graph.JobGraph) { g.MaxParallelism = 64 }, "64 key groups instead of 128"},
		{"operator gone", func(g *graph.JobGraph) { g.Operators = g.Operators[:3] }, "3 operators instead of 4"},
		{"module more", func(g *graph.JobGraph) { g.Modules = append(g.Modules, graph.Module{ID: "third"}) }, "3 modules instead of 2"},
		{"function of another module", func(g *graph.JobGraph) { g.Operators[1].Function.Module = "lib" }, `operator "parse": other module`},
		{"parallelism", func(g *graph.JobGraph) { g.Operators[2].Parallelism = 1 }, `operator "seen": other parallelism`},
		{"edge", func(g *graph.JobGraph) { g.Operators[2].Inputs[0].Partition = graph.Rebalance }, `operator "seen": other inputs`},
		{"side", func(g *graph.JobGraph) { g.Operators[3].Inputs[0].Side = 1 }, `operator "out": other inputs`},
		{"source", func(g *graph.JobGraph) { g.Operators[0].Connector.Config["path"] = "/in2" }, `operator "lines": other connector`},
		{"sink", func(g *graph.JobGraph) { g.Operators[3].Connector.Config["path"] = "/out2" }, `operator "out": other connector`},
		{"window", func(g *graph.JobGraph) { g.Operators[2].Window = &abi.Window{SizeMs: 1} }, "other window"},
		{"watermarks", func(g *graph.JobGraph) { g.Operators[0].Watermarks = &abi.Watermarks{} }, "other watermarks"},
		{"key codec", func(g *graph.JobGraph) { g.Operators[1].Key = abi.CodecI64 }, `operator "parse": other key`},
		{"output codec", func(g *graph.JobGraph) { g.Operators[0].Output = abi.CodecJSON }, `operator "lines": other output`},
		{"fields of a key", func(g *graph.JobGraph) { g.Operators[1].Fields = []string{"user"} }, "other fields"},
		{"predicate", func(g *graph.JobGraph) {
			g.Operators[1].Predicate = &abi.Predicate{Op: "<", Field: "price", Values: []string{"3"}}
		}, "other predicate"},
		{"outer join", func(g *graph.JobGraph) { g.Operators[2].Outer = "full" }, "other outer"},
		{"what a state may hold", func(g *graph.JobGraph) { g.Operators[2].Oldest = map[string]int{"a": 1} }, ""},
		{"trap policy", func(g *graph.JobGraph) { g.Operators[1].OnTrap = "skip" }, "other onTrap"},
		{"value codec of a function", func(g *graph.JobGraph) { g.Operators[1].Declared.Output = abi.CodecJSON }, `operator "parse": other codecs or states`},
		{"accumulator", func(g *graph.JobGraph) { g.Operators[2].Declared.Accumulator = abi.CodecI64 }, "other codecs or states"},
		{"schema version", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Version = 2 }, "other codecs or states"},
		{"time that it is of", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].Time = "event" }, "other codecs or states"},
		{"time to live", func(g *graph.JobGraph) { g.Operators[2].Declared.States[0].TTL = 5 }, "other codecs or states"},
		{"state more", func(g *graph.JobGraph) {
			g.Operators[2].Declared.States = append(g.Operators[2].Declared.States, abi.State{Name: "c"})
		}, "other codecs or states"},
		{"order of states", func(g *graph.JobGraph) {
			s := g.Operators[2].Declared.States
			s[0], s[1] = s[1], s[0]
		}, "other codecs or states"},
		{"function gone", func(g *graph.JobGraph) { g.Operators[2].Declared, g.Operators[2].Function = nil, nil }, "other module"},
	} {
		is := clone(t, was)
		c.change(&is)
		why := graph.NotExchangeable(&was, &is)
		if text := strings.Join(why, "; "); c.want == "" && text != "" || !strings.Contains(text, c.want) || c.want != "" && text == "" {
			t.Errorf("%s: %q (expected %q)", c.name, text, c.want)
		}
		if len(why) > 0 && strings.HasPrefix(c.want, "operator") && len(why) != 1 {
			t.Errorf("%s: %q (expected one cause)", c.name, why)
		}
	}
}

func clone(t *testing.T, g graph.JobGraph) (c graph.JobGraph) {
	t.Helper()
	p, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(p, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// withModule names another module in the place of one.
func withModule(g graph.JobGraph, i int, id graph.ModuleID) graph.JobGraph {
	for k := range g.Operators {
		if f := g.Operators[k].Function; f != nil && f.Module == g.Modules[i].ID {
			f.Module = id
		}
	}
	g.Modules[i] = graph.Module{ID: id, Metered: id, Manifest: id}
	return g
}
