package taskmanager

import (
	"context"
	"errors"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/wire"
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
