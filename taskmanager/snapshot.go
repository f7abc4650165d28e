package taskmanager

import (
	"context"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a task does for a checkpoint, on its own goroutine, between two batches.

// obey follows the JobMaster's orders.
func (l *loop) obey(now time.Time) {
	for _, o := range l.orders.take() {
		if o.trigger != nil && o.trigger.Checkpoint > max(l.taken, l.aborted) && l.keeper != nil {
			if own := *o.trigger; l.input.trigger(own, now) { // other tasks have the order's
				l.triggered = &own
			}
		}
		if o.completed != 0 {
			l.completed(o.completed)
		}
		if o.aborted != 0 && failpoint.Planted(failpoint.DropPreparedAborted) {
			l.output.sets = nil
		}
		if o.aborted != 0 {
			l.aborted = max(l.aborted, o.aborted)
			if l.keeper != nil {
				l.keeper.abort(o.aborted)
			}
			l.input.abort(o.aborted)
			if l.triggered != nil && l.triggered.Checkpoint <= o.aborted {
				l.triggered = nil
			}
			if l.stopped != 0 && l.stopped <= o.aborted {
				l.stopped = 0 // the job goes on
			}
		}
	}
}

// due is the barrier of the checkpoint to take part in now. One that may overtake, and waits for the chain to come to the
// end of what a watermark has made due, becomes an unaligned one in the end.
func (l *loop) due(now time.Time) *exchange.Mark {
	m := l.input.barrier(now)
	if m == nil {
		m = l.triggered
	}
	switch {
	case m == nil || !l.firing || !m.MayOvertake:
		l.held = time.Time{}
	case l.held.IsZero():
		l.held = now
	case !now.Before(l.deadline()):
		m.Unaligned, m.MayOvertake = true, false
	}
	return m
}

// deadline is when to look for a barrier again, if nobody wakes the task before; the zero time for never.
func (l *loop) deadline() time.Time {
	if l.held.IsZero() {
		return l.input.deadline()
	}
	return sooner(l.held.Add(l.overtakeAfter), l.input.deadline())
}

// checkpoint takes the task's part and sends the barrier on.
func (l *loop) checkpoint(ctx context.Context, m *exchange.Mark) error {
	if m.Drain && l.input.drain() { // the maximum watermark goes first
		var err error
		l.firing, err = l.chain.advance()
		return err
	}
	begun := time.Now()
	l.triggered = nil
	l.chain.flush()
	l.completed(m.Base)
	settle, err := l.prepare(ctx, m.Checkpoint)
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.SyncSnapshot)
	frozen, err := l.freeze()
	if err != nil {
		return err
	}
	part := l.part()
	source := l.input.state()
	part.Prepared, part.Promised = l.output.all(), l.chain.promised(l.input.ended() && !l.chain.waiting())
	part.Skipped, part.Counts = l.metrics.left(), l.metrics.passed(source != nil)
	if source != nil {
		part.Sources = []checkpoint.SourceState{*source}
	}
	for _, e := range l.chain.edges {
		e.barrier(*m)
	}
	if len(l.chain.edges) > 0 && source != nil {
		failpoint.Hit(failpoint.BarrierFlight)
	}
	part.Unaligned = m.Unaligned
	inFlight := l.input.capture()
	part.Figures.AlignNs, part.Figures.SyncNs = int64(l.input.alignment()), int64(time.Since(begun))
	l.taken = m.Checkpoint
	if m.Stop {
		l.stopped = m.Checkpoint
		l.input.stop(m.Drain)
	}
	c := capture{checkpoint: m.Checkpoint, part: part, settle: settle, frozen: frozen, now: l.chain.time.ms, watermarks: l.chain.store.Watermarks(), inFlight: inFlight}
	if m.Exchange != 0 {
		if err := l.exchange(m.Exchange, begun); err != nil {
			c.release()
			return err
		}
		c.trial = l.trial
	}
	l.input.resume()
	l.keeper.take(c)
	return nil
}

// completed lets go of what is kept until a checkpoint is completed.
func (l *loop) completed(id checkpoint.ID) {
	l.output.completed(id)
	if len(l.retired) > 0 && id >= l.taken {
		release(l.retired)
		l.retired = nil
	}
}

// prepare ends the output of the sinks, for a checkpoint. It counts when all of it is settled.
func (l *loop) prepare(ctx context.Context, id checkpoint.ID) (settle settles, err error) {
	for _, s := range l.chain.sinks {
		prepared, one, err := s.prepare(ctx)
		if err != nil {
			return nil, err
		}
		l.output.add(id, prepared)
		if one != nil {
			settle = append(settle, one)
		}
	}
	return settle, nil
}

// settles are what makes the output of a task's sinks durable.
type settles []connector.Settle

func (s settles) run(ctx context.Context) error {
	for _, settle := range s {
		if err := settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// freeze takes what has changed in the chain's state.
func (l *loop) freeze() (state.Frozen, error) {
	for i := range l.chain.nodes {
		if s, ok := l.chain.nodes[i].step.(saver); ok {
			if err := s.save(); err != nil {
				return nil, err
			}
		}
	}
	return l.chain.store.Freeze()
}

// promised is what the chain's timestamp functions have promised, by uid, also that they have promised nothing. Without input
// left they hold nobody back.
func (c *chain) promised(ended bool) map[string]int64 {
	if len(c.promises) == 0 {
		return nil
	}
	all := make(map[string]int64, len(c.promises))
	for _, a := range c.promises {
		all[a.operator] = a.out
		if ended {
			all[a.operator] = abi.MaxTime
		}
	}
	return all
}

// goOn has the timestamp functions go on from what all subtasks had promised: which of them has read what comes next does not
// tell who will.
func (c *chain) goOn(promised map[string]int64) {
	for _, a := range c.promises {
		if w, told := promised[a.operator]; told && !failpoint.Planted(failpoint.FiredAgain) {
			a.out = w
		}
	}
}

// sooner is the earlier of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// alarm is when a step wants to be ticked, the zero time for never.
func (c *chain) alarm() (at time.Time) {
	for i := range c.nodes {
		if s, ok := c.nodes[i].step.(clocked); ok {
			at = sooner(at, s.wake())
		}
	}
	return at
}

// tick tells the steps that want to know that it is now.
func (c *chain) tick(now time.Time) (more bool, err error) {
	for i := range c.nodes {
		s, ok := c.nodes[i].step.(clocked)
		if !ok {
			continue
		}
		if at := s.wake(); at.IsZero() || at.After(now) {
			continue
		}
		if more, err := s.tick(now); more || err != nil {
			c.midway = c.nodes[i].step
			return more, err
		}
	}
	c.midway = nil
	return false, nil
}
