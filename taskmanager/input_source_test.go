package taskmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// positioned gives the readers of a listSource positions.
type positioned struct{ *listReader }

func (r positioned) Position() json.RawMessage { return json.RawMessage(fmt.Sprint(r.at)) }

type positionedSource struct{ *listSource }

func (s positionedSource) Open(ctx context.Context, split connector.Split) (connector.Reader, error) {
	r, err := s.listSource.Open(ctx, split)
	if err != nil {
		return nil, err
	}
	l := r.(*listReader)
	if split.Position != nil {
		err = json.Unmarshal(split.Position, &l.at)
	}
	return positioned{l}, err
}

// nowhere takes records to nobody.
type nowhere struct{ step }

func (nowhere) process(*batch) error { return nil }

// subtask makes the input of one that is given these splits, the first of them as they stood before.
func subtask(source *listSource, open []checkpoint.OpenSplit, splits ...uint32) (*sourceInput, *assigner) {
	behind := newAssigner(1, &abi.Watermarks{OutOfOrderMs: 5})
	behind.operator = "times"
	c := &chain{watermark: abi.MinTime, assigners: []*assigner{behind}, entry: outlet{steps: []step{nowhere{}}}, metrics: newTaskMetrics(nil)}
	op := &graph.Operator{Name: "in", UID: "in", Watermarks: &abi.Watermarks{OutOfOrderMs: 10}}
	asked := 0
	in := newSourceInput(op, positionedSource{source}, c, func(context.Context) (*wire.SplitAssignment, error) {
		a := &wire.SplitAssignment{Last: asked+1 >= len(splits)}
		if asked < len(splits) {
			i := splits[asked]
			a.Index, a.Split = i, &connector.Split{ID: fmt.Sprint(i), Data: json.RawMessage(fmt.Sprint(i))}
			for _, o := range open {
				if o.Index == i {
					a.Split.Position, a.Promised = o.Position, o.Promised
				}
			}
		}
		asked++
		return a, nil
	})
	return in, behind
}

// turns has the input do so many things.
func turns(t *testing.T, in *sourceInput, n int) {
	t.Helper()
	for range n {
		if _, _, err := in.next(t.Context(), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// A subtask whose split is not the last of its source promises nothing, until it hears that the others are given out: then at once.
func TestEventTimeGoesOnWhenAllSplitsAreGivenOut(t *testing.T) {
	lines, newest := make([]string, batchRecords+1), int64(batchRecords-1)*10 // of the first batch
	in, behind := subtask(&listSource{splits: [][]string{lines, lines}, stamps: true}, nil, 0, 1)
	turns(t, in, 2)
	behind.observe(0, newest)
	m := in.chain.metrics
	if w := in.chain.watermark; w != abi.MinTime || behind.watermark() != abi.MinTime || !m.held.Load() {
		t.Fatalf("watermark %d, %d, held %t, while another split may begin before (expected none, held)", w, behind.watermark(), m.held.Load())
	}
	m.dealt.Store(true)
	turns(t, in, 1)
	if w := in.chain.watermark; w != newest-11 || behind.watermark() != newest-6 || m.held.Load() {
		t.Errorf("watermark %d, %d, held %t (expected %d, %d, not held)", w, behind.watermark(), m.held.Load(), newest-11, newest-6)
	}
}

// A split goes on from what was promised of it, with whoever reads it now, also if it shows nothing more.
func TestARestoredSplitKeepsItsWatermark(t *testing.T) {
	lines := make([]string, 50)
	source := &listSource{splits: [][]string{lines[:10], lines[:20]}, stamps: true, endless: true} // up to 90, and 1000 to 1190
	in, behind := subtask(source, nil, 0, 1)
	turns(t, in, 4)
	behind.observe(0, 90)
	behind.observe(1, 1190)
	s := in.state()
	want := []map[string]int64{{"in": 79, "times": 84}, {"in": 1179, "times": 1184}}
	for i, o := range s.Open {
		if !maps.Equal(o.Promised, want[o.Index]) {
			t.Errorf("split %d has promised %v (expected %v)", i, o.Promised, want[o.Index])
		}
	}
	if s.Watermark != 79 || len(s.Open) != 2 {
		t.Fatalf("state %+v (expected two splits, and 79)", s)
	}
	alone, behind := subtask(source, s.Open, 1) // at another parallelism
	alone.restore(s.Watermark)
	if turns(t, alone, 1); alone.chain.watermark != 1179 || behind.watermark() != 1184 {
		t.Errorf("watermarks %d and %d (expected 1179 and 1184)", alone.chain.watermark, behind.watermark())
	}
	both, behind := subtask(source, s.Open, 1, 0)
	both.restore(s.Watermark)
	if turns(t, both, 1); both.chain.watermark != 79 || behind.watermark() != abi.MinTime {
		t.Errorf("watermarks %d and %d before the second split is open (expected 79 and none)", both.chain.watermark, behind.watermark())
	}
	if turns(t, both, 1); both.chain.watermark != 79 || behind.watermark() != 84 {
		t.Errorf("watermarks %d and %d (expected 79 and 84)", both.chain.watermark, behind.watermark())
	}
}

// A subtask that has no split left to read says so, and one that was drained does not.
func TestASubtaskWithoutInputHoldsNobodyBack(t *testing.T) {
	source := &listSource{splits: [][]string{make([]string, 10)}, stamps: true}
	in, _ := subtask(source, nil, 0)
	turns(t, in, 2)
	if !in.drain() || in.drain() {
		t.Error("a drained input is drained twice, or not at all")
	}
	if w := in.state().Watermark; w != 79 {
		t.Errorf("drained, it promises %d (expected 79)", w)
	}
	turns(t, in, 1)
	if w := in.state().Watermark; !in.ended() || w != abi.MaxTime {
		t.Errorf("ended: %v, it promises %d (expected the end of time)", in.ended(), w)
	}
	idle, _ := subtask(source, nil)
	idle.restore(50)
	if !idle.drain() || idle.chain.watermark != abi.MaxTime {
		t.Error("an input that has not begun is not drained")
	}
	if turns(t, idle, 1); idle.state().Watermark != abi.MaxTime {
		t.Errorf("without a split it promises %d (expected the end of time)", idle.state().Watermark)
	}
}
