package savepoint_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
)

// Entries are given as what they are: by the codecs that their file names, or those of the graph for native operators.
func TestSamplesAreReadable(t *testing.T) {
	word := abi.AppendI64Key(nil, 42)
	key := abi.AppendI64Key(nil, 7)
	g := graph.JobGraph{MaxParallelism: 4, Operators: []graph.Operator{
		{Name: "key", UID: "key", Kind: abi.OperatorKey, Key: abi.CodecI64, Output: abi.CodecF64},
		{Name: "c", UID: "c", Kind: abi.OperatorCount, Window: &abi.Window{Kind: "tumbling", SizeMs: 1000}, Inputs: []graph.Input{{}}},
		{Name: "s", UID: "s", Kind: abi.OperatorSum, Inputs: []graph.Input{{}}},
		{Name: "r", UID: "r", Kind: abi.OperatorReduce, Inputs: []graph.Input{{}}, Declared: &abi.Function{Accumulator: abi.CodecJSON}},
		{Name: "p", UID: "p", Kind: abi.OperatorProcess, Inputs: []graph.Input{{}}},
		{Name: "o", UID: "o", Kind: abi.OperatorProcess, Inputs: []graph.Input{{}},
			Declared: &abi.Function{States: []abi.State{{Name: "held", Scope: abi.ScopeOperator, Kind: "list", Codec: abi.CodecI64, Version: 1}}}},
	}}
	p := func(name string, kind uint8, value abi.Codec) snapshot.State {
		return snapshot.State{Operator: "p", Name: name, Kind: kind, Key: abi.CodecI64, Value: value}
	}
	subbed, versioned := p("map", 4, abi.CodecUTF8), p("value", 2, abi.CodecI64)
	subbed.SubKey, versioned.Version = abi.CodecI64, 2
	for name, c := range map[string]struct {
		state snapshot.State
		entry snapshot.Entry
		want  string
	}{
		"window of a count":     {snapshot.State{Operator: "c", Name: "result", Kind: 1}, snapshot.Entry{Namespace: 5000, Key: key, Value: word}, `{"group":2,"start":"1970-01-01T00:00:05Z","end":"1970-01-01T00:00:06Z","key":7,"value":42}`},
		"sum":                   {snapshot.State{Operator: "s", Name: "result", Kind: 1}, snapshot.Entry{Key: key, Value: abi.AppendF64Key(nil, 1.5)}, `{"group":2,"key":7,"value":1.5}`},
		"accumulator":           {snapshot.State{Operator: "r", Name: "accumulator", Kind: 2}, snapshot.Entry{Key: key, Value: []byte("[1]")}, `{"group":2,"key":7,"value":[1]}`},
		"value that ends":       {p("seen", 2, abi.CodecUTF8), snapshot.Entry{Key: key, Value: []byte("x"), Expiry: 1000}, `{"group":2,"key":7,"value":"x","expires":"1970-01-01T00:00:01Z"}`},
		"value of its version":  {versioned, snapshot.Entry{Key: key, Value: word, Version: 2}, `{"group":2,"key":7,"value":42,"version":2}`},
		"value of an older one": {versioned, snapshot.Entry{Key: key, Value: word, Version: 1}, `{"group":2,"key":7,"value":{"hex":"2a00000000000000"},"version":1}`},
		"map":                   {subbed, snapshot.Entry{Key: snapshot.JoinKey(nil, key, word), Value: []byte("x")}, `{"group":2,"key":7,"subKey":42,"value":"x"}`},
		"list":                  {p("list", 3, abi.CodecI64), snapshot.Entry{Key: snapshot.JoinKey(nil, key, []byte{9}), Value: word}, `{"group":2,"key":7,"value":42}`},
		"timer":                 {p("$event-timers", 5, ""), snapshot.Entry{Namespace: 5000, Key: key}, `{"group":2,"time":"1970-01-01T00:00:05Z","key":7}`},
		"list of an operator": {snapshot.State{Operator: "o", Name: snapshot.OwnPrefix + snapshot.ListName("held")},
			snapshot.Entry{Group: snapshot.Own, Key: snapshot.OwnKey(0, 4), Value: snapshot.AppendElement(nil, 1, word)}, `{"group":0,"subtask":0,"value":42,"version":1}`},
		"operator that was left": {snapshot.State{Operator: "gone", Name: "n", Kind: 2}, snapshot.Entry{Key: key, Value: word}, ""},
	} {
		if c.entry.Namespace == 0 {
			c.entry.Namespace = math.MinInt64
		}
		if c.entry.Op = snapshot.Put; c.entry.Group != snapshot.Own {
			c.entry.Group = 2
		}
		var content bytes.Buffer
		w := snapshot.NewWriter(&content, []snapshot.State{c.state})
		w.SetName("files/1.snap")
		if err := w.Add(&c.entry); err != nil {
			t.Fatal(err)
		}
		info, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		s := blob.NewMemory()
		put(t, s, "files/1.snap", content.Bytes())
		m := &checkpoint.Manifest{Job: "j", Checkpoint: 7, Graph: g}
		m.Tasks = []checkpoint.Task{{Files: []checkpoint.File{{Name: "files/1.snap", Size: info.Size, Checksum: info.Checksum, To: 4}}}}
		r, err := savepoint.InspectManifest(t.Context(), s, m, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, o := range r.Operators {
			if len(o.States) > 0 {
				sample, err := json.Marshal(o.States[0].Sample[0])
				if err != nil {
					t.Error(err)
				}
				got = string(sample)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s\nexpected %s", name, got, c.want)
		}
	}
}
