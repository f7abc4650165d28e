package taskmanager

import (
	"context"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
)

func TestLateAbortOfAnOlderCheckpointLeavesAStopAlone(t *testing.T) {
	network := exchange.NewNetwork(nil, exchange.Config{})
	defer network.Close()
	for _, c := range []struct {
		aborted checkpoint.ID
		stopped bool
	}{{3, true}, {4, false}, {5, false}} {
		in := &gateInput{gate: network.Gate(exchange.Attempt{}, graph.TaskID{}, nil, nil), align: newAlignment(make([]bool, 1), 0)}
		in.align.over = 4 // the barrier that stops
		in.stop(false)
		in.abort(c.aborted)
		if in.stopped != c.stopped {
			t.Errorf("checkpoint %d given up: stopped %v (expected %v)", c.aborted, in.stopped, c.stopped)
		}
	}
}

func TestTriggerBehindItsAbortIsLeftOut(t *testing.T) {
	l := &loop{input: &sourceInput{}, orders: &orders{}, keeper: &keeper{}}
	l.orders.give(order{aborted: 4})
	l.orders.give(order{trigger: &exchange.Mark{Checkpoint: 4, Stop: true}})
	if l.obey(time.Time{}); l.triggered != nil {
		t.Errorf("takes part in checkpoint %d, which was given up", l.triggered.Checkpoint)
	}
	l.orders.give(order{trigger: &exchange.Mark{Checkpoint: 5}})
	if l.obey(time.Time{}); l.triggered == nil {
		t.Error("takes no part in the next one")
	}
}

type alarmStep struct {
	step
	ticked int
}

func (s *alarmStep) wake() time.Time { return time.Unix(1, 0) }

func (s *alarmStep) tick(time.Time) (bool, error) {
	s.ticked++
	return false, nil
}

// What a timer does behind the barrier would be done again by who goes on from the checkpoint.
func TestTimersRestBehindTheBarrierThatStops(t *testing.T) {
	store, err := state.New(state.Config{Groups: 1, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := &alarmStep{}
	c := &chain{nodes: []node{{step: s}}, store: store}
	l := &loop{
		chain: c, input: &sourceInput{chain: c}, orders: &orders{}, metrics: newTaskMetrics(nil), wake: make(chan struct{}),
		maxDelay: time.Hour, flushed: time.Now(), stopped: 4,
	}
	over, cancel := context.WithCancel(t.Context())
	cancel() // it waits for nothing else
	done, err := l.turn(over)
	if err != nil || done || s.ticked != 0 {
		t.Errorf("done %v, ticked %d times, error %v", done, s.ticked, err)
	}
}

// A subtask whose splits hold its watermark back holds it back for whoever goes on, also where others had promised more. One whose
// input has ended holds back nobody.
func TestASubtaskThatHasPromisedNothingSaysSo(t *testing.T) {
	c := &chain{promises: []*assigner{{operator: "times", out: abi.MinTime}}}
	for ended, want := range map[bool]int64{false: abi.MinTime, true: abi.MaxTime} {
		if got := c.promised(ended); len(got) != 1 || got["times"] != want {
			t.Errorf("%v is stored, input ended: %v (expected %d)", got, ended, want)
		}
	}
	c.goOn(map[string]int64{"times": 7, "others": 9})
	if out := c.promises[0].out; out != 7 {
		t.Errorf("it goes on from %d (expected 7)", out)
	}
}
