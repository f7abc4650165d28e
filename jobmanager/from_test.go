package jobmanager

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// The JobManager's working directory is nothing that its clients know.
func TestAPlaceIsNotRelative(t *testing.T) {
	for place, fine := range map[string]bool{"/data/savepoint": true, "s3://bucket/savepoint": true, "savepoint": false, "../savepoint": false} {
		jm := &JobManager{config: Config{OpenStore: func(context.Context, string) (blob.Store, error) { return nil, errors.New("opened") }}}
		_, err := jm.beginAt(t.Context(), &api.Submit{From: place}, nil)
		var refused *api.Error
		if relative := err != nil && strings.HasPrefix(err.Error(), "from: "+place+" is relative (expected an absolute path"); relative == fine ||
			relative && (!errors.As(err, &refused) || refused.Kind != api.KindInvalid || refused.Hint == "") {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// What a job that has failed leaves may hold records in flight. A graph in which they cannot get where they were going is
// refused before a job is made of it.
func TestGoingOnWithRecordsInFlightNeedsTheirWay(t *testing.T) {
	g := func(sources int, way graph.Partition) *graph.JobGraph {
		return &graph.JobGraph{Name: "job", MaxParallelism: 8, Operators: []graph.Operator{
			{Name: "in", UID: "in", Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "file"}, Parallelism: sources, Output: abi.CodecUTF8},
			{Name: "parse", UID: "parse", Kind: abi.OperatorMap, Parallelism: 2, Output: abi.CodecUTF8, Declared: &abi.Function{},
				Inputs: []graph.Input{{Partition: way, Exchange: graph.Pipelined}}},
			{Name: "out", UID: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Parallelism: 2,
				Inputs: []graph.Input{{From: 1, Partition: graph.Forward, Exchange: graph.Pipelined}}},
		}}
	}
	place := t.TempDir()
	store, err := blob.OpenDir(place)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "job", Checkpoint: 7, Graph: *g(1, graph.Rebalance), Tasks: []checkpoint.Task{
		{Task: graph.TaskID{Chain: 1}, InFlight: &checkpoint.InFlight{Lanes: []checkpoint.Lane{{Operator: "parse", Batches: 1, Bytes: 100}}}},
	}}
	data, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		checkpoint.SavepointManifest: data, checkpoint.SealName: (&checkpoint.Seal{Job: "job", Checkpoint: 7, Sum: sum}).Encode(),
	} {
		if err := store.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	jm := &JobManager{config: Config{OpenStore: func(context.Context, string) (blob.Store, error) { return blob.OpenDir(place) }}}
	if _, err := jm.beginAt(t.Context(), &api.Submit{From: place}, g(3, graph.Rebalance)); err != nil {
		t.Fatalf("with more sources: %v", err)
	}
	var refused *api.Error
	_, err = jm.beginAt(t.Context(), &api.Submit{From: place}, g(2, graph.Forward))
	if !errors.As(err, &refused) || refused.Kind != api.KindConflict || !strings.Contains(err.Error(), `in flight to operator "parse"`) || refused.Hint == "" {
		t.Errorf("as one chain: %v (expected that records are in flight to parse)", err)
	}
}
