package taskmanager

import (
	"context"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

// A task whose input has ended counts for every checkpoint that is taken while the job goes on, with its last state. Most jobs end
// before there is one, so that is written when a checkpoint asks for it: until then the task, finished for everybody else, holds it.

// settle makes the output durable that the task leaves, behind all that the keeper has still to make so. It follows orders meanwhile:
// the keeper may be at a part whose checkpoint is given up.
func (l *loop) settle(ctx context.Context, s settles) error {
	if l.keeper == nil {
		return s.run(ctx)
	}
	c := capture{settle: s, settled: make(chan error, 1)}
	l.keeper.take(c)
	for {
		select {
		case err := <-c.settled:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		}
		if err := l.broken(); err != nil {
			return err
		}
		l.obey(time.Now())
	}
}

// lastPart is the part of the task from now on, which it gives to the first checkpoint that asks for it.
func (l *loop) lastPart() (*capture, error) {
	frozen, err := l.freeze()
	if err != nil {
		return nil, err
	}
	part := l.part()
	source := l.input.state()
	part.Finished, part.Promised = true, l.chain.promised(l.input.ended())
	part.Skipped, part.Counts = l.metrics.left(), l.metrics.passed(source != nil)
	if source != nil {
		part.Sources = []checkpoint.SourceState{*source}
	}
	return &capture{part: part, frozen: frozen, now: l.chain.time.ms, watermarks: l.chain.store.Watermarks()}, nil
}

// hold waits, when the task has finished, until a checkpoint that names its last part is completed, or ctx ends. It listens once
// the JobMaster has answered that the task has finished: what that has prepared is in the report, not in the part.
func (l *loop) hold(ctx context.Context, reported <-chan struct{}) {
	select {
	case <-reported:
	case <-ctx.Done():
	}
	for given := checkpoint.ID(0); ctx.Err() == nil; {
		for _, o := range l.orders.take() {
			switch {
			case o.trigger != nil && o.trigger.Checkpoint > max(l.taken, l.aborted):
				l.taken, given = o.trigger.Checkpoint, o.trigger.Checkpoint
				l.give(given)
			case o.aborted != 0:
				l.aborted = max(l.aborted, o.aborted)
			case given != 0 && o.completed >= given:
				return
			}
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
	if l.last.frozen != nil {
		l.last.frozen.Release()
	}
}

// give gives the last part to a checkpoint. The keeper has the state from the first time on.
func (l *loop) give(id checkpoint.ID) {
	c := *l.last
	part := *c.part
	c.checkpoint, c.part = id, &part
	l.last.frozen = nil
	l.keeper.take(c)
}
