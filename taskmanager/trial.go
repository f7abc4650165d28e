package taskmanager

import (
	"context"
	"time"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// exchange has the chain go on with other guests, and returns those that it had.
func (c *chain) exchange(next []*guest) (old []*guest) {
	old, c.guests = c.guests, next
	for i, g := range next {
		g.succeed(old[i])
	}
	for _, s := range c.requests {
		s.renew()
	}
	return old
}

// succeed makes g what the handles of old call: they keep their numbers, names and places, and get g's functions.
func (g *guest) succeed(old *guest) {
	for i, h := range old.handles {
		h.guest, h.functions = g, g.handles[i].functions
	}
	g.handles, g.room, g.spent = old.handles, old.room, old.fuel()
	old.handles = nil
}

// trial is the time from an exchange to the first sign that the new guests can do what the task has for them: a batch, or a piece of
// what is due, for which one of them was called went through, or there was nothing at hand. Until then the task's part of the checkpoint
// is not acknowledged, so that guests that trap at once are never decided for.
type trial struct {
	over  chan struct{} // closed when it is
	begun time.Time     // when the task stopped for the barrier
	took  time.Duration // until the task went on, once it is over
	calls int64         // that the guests had had before
}

// trialLimit is how long a task may be blocked, or have none of its guests called, before these count as good.
const trialLimit = 5 * time.Second

// passed waits until the trial is over, and says how long that took; false: the task has ended in it.
func (t *trial) passed(ctx context.Context) (took time.Duration, ok bool) {
	if t == nil {
		return 0, true
	}
	limit := time.NewTimer(trialLimit)
	defer limit.Stop()
	select {
	case <-t.over:
		return t.took, true
	case <-limit.C:
		return time.Since(t.begun), true
	case <-ctx.Done():
		return 0, false
	}
}

// exchange has the task, which stands still since begun, go on with the guests that were prepared.
func (l *loop) exchange(number uint32, begun time.Time) error {
	next, ok := l.standby.take(number)
	if !ok || len(next) != len(l.chain.guests) {
		return refuse(wire.KindInternal, "exchange modules: nothing is prepared for exchange %d", number)
	}
	if len(next) == 0 {
		return nil
	}
	l.retired = append(l.retired, l.chain.exchange(next)...)
	l.trial = &trial{over: make(chan struct{}), begun: begun, calls: l.chain.calls()}
	failpoint.Hit(failpoint.Exchanged)
	return nil
}

// tried looks, behind a turn that went well, whether a guest was called.
func (l *loop) tried() {
	if t := l.trial; t != nil && l.chain.calls() > t.calls {
		l.endTrial()
	}
}

// endTrial ends the trial, if there is one.
func (l *loop) endTrial() {
	if t := l.trial; t != nil {
		t.took = time.Since(t.begun)
		close(t.over)
		l.trial = nil
	}
}
