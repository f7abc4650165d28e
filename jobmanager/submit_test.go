package jobmanager

import (
	"errors"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/blackhole"
	"github.com/wasmill/wasmill/internal/connector/file"
	"github.com/wasmill/wasmill/internal/connector/generator"
	"github.com/wasmill/wasmill/internal/connector/print"
	"github.com/wasmill/wasmill/internal/graph"
)

// What a sink cannot write is refused with the sink's name before the job exists.
func TestSinksAreCheckedAtSubmission(t *testing.T) {
	jm := &JobManager{config: Config{Connectors: &connector.Registry{Sinks: map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink}}}}
	source := graph.Operator{Name: "lines", Kind: abi.OperatorSource, Output: "utf8"}
	key := graph.Operator{Name: "word", Kind: abi.OperatorKey, Key: "utf8", Output: "utf8", Inputs: []graph.Input{{From: 0}}}
	count := graph.Operator{Name: "count", Kind: abi.OperatorCount, Output: "row(key: utf8, value: i64)", Inputs: []graph.Input{{From: 1}}}
	sink := func(name string, from int, config map[string]string) graph.Operator {
		return graph.Operator{Name: name, Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file", Config: config}, Inputs: []graph.Input{{From: from}}}
	}
	tests := []struct {
		name  string
		sinks []graph.Operator
		want  string
		hint  string
	}{
		{"two places", []graph.Operator{sink("a", 0, map[string]string{"path": "/x"}), sink("b", 0, map[string]string{"path": "/x/y"})}, "", ""},
		{"one place", []graph.Operator{sink("a", 0, map[string]string{"path": "/x/"}), sink("b", 0, map[string]string{"path": "/y/../x"})},
			`sink "b": /x: sink "a" writes there, too`, "give each sink a place of its own"},
		{"a place below one that has partitions", []graph.Operator{sink("a", 2, map[string]string{"path": "/x", "partition": "{key}"}), sink("b", 0, map[string]string{"path": "/x/y"})},
			`sink "b": /x/y: sink "a" writes there, too`, "give each sink a place of its own"},
		{"partitions above", []graph.Operator{sink("a", 0, map[string]string{"path": "/x/y"}), sink("b", 2, map[string]string{"path": "/x", "partition": "{key}"})},
			`sink "b": /x: sink "a" writes there, too`, "give each sink a place of its own"},
		{"partitions beside", []graph.Operator{sink("a", 2, map[string]string{"path": "/x", "partition": "{key}"}), sink("b", 0, map[string]string{"path": "/xy"})}, "", ""},
		{"by key, without one", []graph.Operator{sink("a", 0, map[string]string{"path": "/x", "partition": "{key}"})},
			`sink "a": file sink: partition: {key}, but the records have no key`, "key the records before, or leave {key} out"},
		{"by key behind a count", []graph.Operator{sink("a", 2, map[string]string{"path": "/x", "partition": "{key}"})}, "", ""},
	}
	for _, tt := range tests {
		err := jm.checkConnectors(&graph.JobGraph{Operators: append([]graph.Operator{source, key, count}, tt.sinks...)})
		var refused *api.Error
		switch {
		case err == nil && tt.want == "":
		case !errors.As(err, &refused) || refused.Detail != tt.want || refused.Hint != tt.hint:
			t.Errorf("%s: %v (expected %q, hint %q)", tt.name, err, tt.want, tt.hint)
		}
	}
}

// A job's guarantee is the weakest of its connectors', and names those that make it so.
func TestGuaranteeFollowsFromTheConnectors(t *testing.T) {
	jm := &JobManager{config: Config{Connectors: &connector.Registry{
		Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource, "generator": generator.NewSource},
		Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink, "print": print.NewSink, "blackhole": blackhole.NewSink},
	}}}
	path := map[string]string{"path": "/x"}
	op := func(kind abi.OperatorKind, name, connector string, config map[string]string) graph.Operator {
		return graph.Operator{Name: name, Kind: kind, Connector: &abi.Connector{Type: connector, Config: config}}
	}
	files, made := op(abi.OperatorSource, "lines", "file", path), op(abi.OperatorSource, "words", "generator", nil)
	out, shown, none := op(abi.OperatorSink, "out", "file", path), op(abi.OperatorSink, "shown", "print", nil), op(abi.OperatorSink, "none", "blackhole", nil)
	tests := []struct {
		operators []graph.Operator
		want      connector.Guarantee
		because   string
	}{
		{[]graph.Operator{files, out}, connector.ExactlyOnce, ""},
		{[]graph.Operator{made, none, out}, connector.ExactlyOnce, ""},
		{[]graph.Operator{files, made, out, shown}, connector.AtLeastOnce, `sink "shown" (print) is at-least-once`},
	}
	for _, tt := range tests {
		g := &graph.JobGraph{Operators: tt.operators}
		if got := jm.guaranteeOf(g); got.Guarantee != tt.want || strings.Join(got.Because, "; ") != tt.because {
			t.Errorf("guarantee %+v (expected %s because %q)", got, tt.want, tt.because)
		}
		j := &jobMaster{jm: jm, record: jobRecord{Graph: *g, Broken: true}, guarantee: jm.guaranteeOf(g), exec: &graph.ExecutionGraph{}}
		if got := j.plan().Guarantee; got.Guarantee != connector.AtLeastOnce || !strings.HasSuffix(strings.Join(got.Because, "; "), "the job went on from before what it had committed") {
			t.Errorf("guarantee of the plan of a job that went back: %+v", got)
		}
	}
}
