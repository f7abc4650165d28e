package taskmanager

import (
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// piecewise fires in pieces, some of which call a function.
type piecewise struct {
	handle *handle
	calls  []bool // by piece, those to come
}

func (s *piecewise) process(*batch) error { return nil }

func (s *piecewise) advance(int64) (more bool, err error) {
	if len(s.calls) == 0 {
		return false, nil
	}
	if s.calls[0] {
		groups := &abi.GroupsWriter{}
		groups.Reset()
		_, err = s.handle.keyed(abi.VerbResult, &abi.CallHeader{}, groups)
	}
	s.calls = s.calls[1:]
	return true, err
}

// newTrial is a loop on trial whose chain has a window to fire, piece by piece, and input behind that.
func newTrial(t *testing.T, kill *host.Error, calls ...bool) *loop {
	source := &listSource{splits: [][]string{make([]string, 10)}, endless: true}
	in, _ := subtask(source, nil, 0)
	store, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	module := &fakeModule{functions: []fakeFunction{{kind: abi.FunctionAggregate, kill: func(int, [][]byte) *host.Error { return kill }}}}
	box := module.start()
	h := &handle{guest: &guest{box: box}, functions: abi.Handle{Functions: []abi.HandleFunction{{Upstream: abi.None}}}}
	if err := box.Open(0, &h.functions); err != nil {
		t.Fatal(err)
	}
	c := in.chain
	c.store, c.guests = store, []*guest{h.guest}
	c.nodes = []node{{step: &piecewise{h, calls}, watermark: &c.watermark, seen: abi.MinTime, assigns: true}}
	wake := make(chan struct{})
	close(wake) // nothing is waited for
	l := &loop{
		chain: c, input: in, metrics: newTaskMetrics(&graph.JobGraph{}), wake: wake, orders: &orders{}, timer: time.NewTimer(time.Hour),
		maxDelay: time.Hour, flushed: time.Now(), mark: time.Now(), firing: true,
	}
	l.trial = &trial{over: make(chan struct{}), begun: time.Now(), calls: c.calls()}
	return l
}

// Pieces that only pass over what was put out before the barrier say nothing about guests that they do not call.
func TestATrialLastsUntilAGuestIsCalled(t *testing.T) {
	l := newTrial(t, nil, false, false, true, false)
	for piece, over := range []bool{false, false, true} {
		if _, err := l.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.tried(); (l.trial == nil) != over {
			t.Fatalf("behind piece %d the trial is over: %t (expected %t)", piece, !over, over)
		}
	}
}

// A guest that traps on the first thing that it is called for has not passed.
func TestAGuestThatTrapsOnItsFirstCallHasNotPassed(t *testing.T) {
	l := newTrial(t, &host.Error{Kind: host.KindTrap, Message: "unreachable", Record: abi.None}, false, true)
	if _, err := l.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.tried()
	if _, err := l.turn(t.Context()); err == nil {
		t.Fatal("the guest has not trapped")
	}
	if l.trial == nil {
		t.Error("its trial is over")
	}
}

// A task that has nothing for its guests to do does not wait for it.
func TestATrialEndsWhereNothingIsToBeDone(t *testing.T) {
	l := newTrial(t, nil, false)
	for range 10 {
		if _, err := l.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.tried(); l.trial == nil {
			return
		}
	}
	t.Error("the trial is not over")
}
