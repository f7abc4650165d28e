package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// A disk that is slow holds up the acknowledgement, and not the records.
func TestOutputIsSettledBesideTheTask(t *testing.T) {
	x := newTaggingOf(t, 1, nil)
	settling, durable := make(chan struct{}), make(chan struct{})
	x.sink.settle = func(context.Context) error {
		close(settling)
		<-durable
		return nil
	}
	x.trigger(1, 0)
	<-settling
	x.source.give("a")
	x.expect("a/old/old")
	x.jm.mu.Lock()
	if n := len(x.jm.acks); n != 0 {
		t.Errorf("%d parts are acknowledged whose output is not durable", n)
	}
	x.jm.mu.Unlock()
	close(durable)
	x.jm.acknowledged(1, x.tasks)
	x.end()
}

// Later parts name the output too that is lost, so none of them is acknowledged, and the task fails.
func TestOutputThatIsNotDurableFailsTheTask(t *testing.T) {
	x := newTaggingOf(t, 1, nil)
	settled := 0
	x.sink.settle = func(context.Context) error {
		if settled++; settled == 2 {
			return errors.New("the disk is gone")
		}
		return nil
	}
	x.trigger(1, 0)
	x.jm.acknowledged(1, x.tasks)
	x.trigger(2, 0)
	failed := x.jm.await(1, func(r *wire.Report) bool { return r.State == wire.TaskFailed })[0]
	if f := failed.Failure; f.Kind != wire.KindIO || f.Operator != "out" || f.Message != `operator "out": the disk is gone` {
		t.Errorf("the task failed: %+v", f)
	}
	x.jm.mu.Lock()
	if n := len(x.jm.acks); n != 1 || x.jm.acks[0].Checkpoint != 1 {
		t.Errorf("%d answers (expected that of checkpoint 1)", n)
	}
	x.jm.mu.Unlock()
	x.end()
}

// Nothing is acknowledged behind a part whose output is lost, though its own is not.
func TestNothingIsAcknowledgedBehindLostOutput(t *testing.T) {
	nudged := 0
	k := &keeper{nudge: func() { nudged++ }}
	k.ack = func(context.Context, checkpoint.ID, *checkpoint.Task, *wire.Failure) {
		t.Error("a part is acknowledged")
	}
	lost := errors.New("lost")
	k.keep(t.Context(), capture{checkpoint: 1, part: &checkpoint.Task{}, settle: settles{func(context.Context) error { return lost }}})
	k.keep(t.Context(), capture{checkpoint: 2, part: &checkpoint.Task{}, settle: settles{func(context.Context) error { return nil }}})
	last := capture{settled: make(chan error, 1)}
	k.keep(t.Context(), last)
	if err := <-last.settled; err != lost || k.broken() != lost || nudged != 1 {
		t.Errorf("the last output: %v, broken: %v, the task was told %d times", err, k.broken(), nudged)
	}
}

// hanging is a store that does not answer while it hangs.
type hanging struct {
	blob.Store
	hangs func() bool
	put   chan struct{} // one hangs
	gone  chan struct{} // it does no more
}

func (s *hanging) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if !s.hangs() {
		return s.Store.Put(ctx, name, r, size)
	}
	s.put <- struct{}{}
	<-ctx.Done()
	close(s.gone)
	return ctx.Err()
}

// ending is a task at its end, whose keeper is not done with what came before.
type ending struct {
	*loop
	t     *testing.T
	gate  *exchange.Gate
	wakes chan<- struct{}
	store *hanging
	state state.Store
	acks  []*checkpoint.Task
	over  chan error // of settle
}

func newEnding(t *testing.T) *ending {
	e := &ending{t: t, store: &hanging{Store: blob.NewMemory(), put: make(chan struct{}, 1), gone: make(chan struct{})}, over: make(chan error, 1)}
	var err error
	if e.state, err = state.New(state.Config{Groups: 4, To: 4}); err != nil {
		t.Fatal(err)
	}
	k := &keeper{store: e.store, on: durable.OS, dir: t.TempDir(), to: 4, log: slog.Default(), lanes: []checkpoint.Lane{{Operator: "o"}}, nudge: func() {}}
	k.name = func(n int) string { return fmt.Sprintf("files/%d.snap", n) }
	k.inFlight = func(id checkpoint.ID) string { return fmt.Sprintf("inflight/%d.snap", id) }
	k.ack = func(_ context.Context, _ checkpoint.ID, part *checkpoint.Task, declined *wire.Failure) {
		if declined != nil {
			t.Errorf("declined: %s", declined.Message)
		}
		e.acks = append(e.acks, part)
	}
	wake := make(chan struct{}, 1)
	network := exchange.NewNetwork(nil, exchange.Config{})
	t.Cleanup(network.Close)
	e.wakes, e.gate = wake, network.Gate(exchange.Attempt{}, graph.TaskID{}, []exchange.GateInput{{Senders: 1}}, wake)
	in := &gateInput{gate: e.gate, align: newAlignment(make([]bool, 1), 0)}
	e.loop = &loop{chain: &chain{}, input: in, orders: &orders{}, keeper: k, wake: wake, metrics: newTaskMetrics(nil)}
	ctx, cancel := context.WithCancel(t.Context())
	k.start(ctx)
	t.Cleanup(func() {
		cancel()
		k.close()
		e.state.Close()
	})
	return e
}

// part gives the keeper what has changed, for a checkpoint.
func (e *ending) part(id checkpoint.ID, inFlight *exchange.Capture) {
	e.t.Helper()
	if err := e.state.SetOwn("o", "own", fmt.Append(nil, id)); err != nil {
		e.t.Fatal(err)
	}
	f, err := e.state.Freeze()
	if err != nil {
		e.t.Fatal(err)
	}
	e.keeper.take(capture{checkpoint: id, part: &checkpoint.Task{}, frozen: partial{f}, inFlight: inFlight})
	synctest.Wait()
}

// settles begins to settle, and sees whether that is over.
func (e *ending) settles(over bool) {
	e.t.Helper()
	go func() { e.over <- e.settle(e.t.Context(), settles{func(context.Context) error { return nil }}) }()
	e.isOver(over)
}

func (e *ending) isOver(want bool) {
	e.t.Helper()
	synctest.Wait()
	select {
	case err := <-e.over:
		if err != nil || !want {
			e.t.Errorf("the task's output is settled: %v (expected that it waits: %t)", err, !want)
		}
	default:
		if want {
			e.t.Fatal("the end of the task waits")
		}
	}
}

// abort says that a checkpoint was given up.
func (e *ending) abort(id checkpoint.ID) {
	e.orders.give(order{aborted: id})
	e.wakes <- struct{}{}
}

// The end of a task waits for parts whose checkpoints may be completed, and not for one that is given up: neither for a store that does
// not answer, nor for what is in flight. What was not written is in the next part.
func TestTheEndDoesNotWaitForWhatIsGivenUp(t *testing.T) {
	for _, inFlight := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newEnding(t)
			hangs := !inFlight
			e.store.hangs = func() bool { return hangs }
			captured := e.gate.Capture(1, []int{0})
			e.part(1, captured)
			if hangs {
				<-e.store.put
			}
			e.part(2, nil)
			e.settles(false)
			hangs = false
			e.abort(1)
			e.isOver(true)
			if n := len(e.acks); n != 1 {
				t.Errorf("%d parts are acknowledged (expected that of checkpoint 2)", n)
			}
			if lanes, _ := captured.Lanes(); len(lanes) != 0 {
				t.Error("what was in flight is not freed")
			}
			e.part(3, nil)
			if n := len(e.acks); n != 2 || len(e.acks[1].Files) != 3 {
				t.Errorf("%d parts are acknowledged (expected those of checkpoints 2 and 3, the last with 3 files)", n)
			}
		})
	}
}

// Before the end a part of a checkpoint that is given up is written on, as the next one has it.
func TestWhatIsGivenUpIsWrittenOnBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnding(t)
		e.store.hangs = func() bool { return true }
		e.part(1, nil)
		<-e.store.put
		e.abort(1)
		e.obey(time.Now())
		synctest.Wait()
		select {
		case <-e.store.gone:
			t.Error("the part is written no further")
		default:
		}
		e.settles(true)
	})
}

// Files are folded for parts to come.
func TestTheEndDoesNotWaitForFilesToBeFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnding(t)
		given := 0
		e.store.hangs = func() bool { return len(e.acks) == given } // all parts are acknowledged: it is a fold
		for len(e.store.put) == 0 {
			if given++; given > 100 {
				t.Fatal("nothing is folded")
			}
			e.part(checkpoint.ID(given), nil)
		}
		e.settles(true)
	})
}
