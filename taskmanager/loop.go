package taskmanager

import (
	"context"
	"errors"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// loop runs a chain: one goroutine that takes a batch, brings it through all steps, and never blocks in a write. It
// takes no new batch while an output is full or a sink is not ready; then, and when there is no input, it waits to be
// woken. Between batches it takes its part of checkpoints.
type loop struct {
	chain    *chain
	input    input
	wake     <-chan struct{} // says: look again
	maxDelay time.Duration   // for a record to wait for others before it is sent
	metrics  *taskMetrics
	orders   *orders
	keeper   *keeper // nil: the job takes no checkpoints
	part     func() *checkpoint.Task
	output   output // of the sinks, in parts of checkpoints
	standby  *standby

	timer   *time.Timer
	mark    time.Time // up to which time has been accounted for
	flushed time.Time
	firing  bool // the chain is not done with the last watermark, or with timers
	nudged  bool // wake has been taken
	warming bool // the state takes in more of what was restored
	closed  bool

	overtakeAfter time.Duration  // that a barrier which may overtake has waited
	held          time.Time      // since when one waits for what is due, the zero time: none does
	triggered     *exchange.Mark // by the JobMaster, not taken yet
	taken         checkpoint.ID  // the newest part
	aborted       checkpoint.ID  // the newest that was given up: its trigger may come behind that
	retired       []*guest       // exchanged with the newest part, which is not known to be completed
	trial         *trial         // of those in their place
	stopped       checkpoint.ID  // nothing is processed behind the barrier of this one, 0: it has not come
	last          *capture       // once all input is taken: what the checkpoints have from then on that name the task
}

// Between two batches a task takes in so many entries of what was restored, which takes about 20 ms, and waits at most so
// long for files to be read.
const (
	warmEntries = 128 << 10
	warmWait    = 10 * time.Millisecond
)

// run takes all input through the chain, ends its outputs, and returns what its sinks have prepared and no completed checkpoint has
// committed. It returns early when ctx ends or something fails.
func (l *loop) run(ctx context.Context) ([]connector.Committable, error) {
	l.timer = time.NewTimer(time.Hour)
	defer l.timer.Stop()
	l.mark = time.Now()
	l.flushed = l.mark
	l.chain.room = func() error { return l.room(ctx) }
	for _, g := range l.chain.guests {
		g.room = l.chain.room
	}
	l.chain.time.set(l.mark)
	l.chain.store.SetTime(l.chain.time.ms)
	if err := l.chain.start(); err != nil {
		return nil, l.cause(ctx, err)
	}
	l.firing = l.chain.resumes()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		done, err := l.turn(ctx)
		if err != nil {
			return nil, l.cause(ctx, err)
		}
		l.tried()
		if done {
			l.endTrial()
			return l.end(ctx)
		}
	}
}

// turn does one thing: a wait, a batch, or a part of what a watermark has made due.
func (l *loop) turn(ctx context.Context) (done bool, err error) {
	now := time.Now()
	l.account(now)
	l.chain.time.set(now)
	l.chain.store.SetTime(l.chain.time.ms)
	if err := l.chain.store.Trim(); err != nil {
		return false, stateFailure(err)
	}
	if l.warming, err = l.chain.store.Warm(warmEntries, warmWait); err != nil {
		return false, stateFailure(err)
	}
	if l.woken() {
		if err := l.broken(); err != nil {
			return false, err
		}
		l.obey(now)
	}
	if now.Sub(l.flushed) >= l.maxDelay {
		l.flush(now)
	}
	if l.firing {
		l.input.marks(now)
	}
	m := l.due(now)
	draining := m != nil && m.Drain && l.chain.waiting() // results go before the barrier
	if m != nil && !draining && (!l.firing || l.mayDivide(m)) {
		return false, l.checkpoint(ctx, m)
	}
	if l.stopped != 0 { // until the attempt ends
		l.wait(ctx, time.Time{}, nil)
		return false, nil
	}
	if l.chain.full() {
		l.wait(ctx, sooner(l.flushed.Add(l.maxDelay), l.deadline()), &l.metrics.blockedNs)
		return false, nil
	}
	if ready := l.chain.ready(); ready.After(now) {
		l.flush(now)
		l.wait(ctx, sooner(ready, l.deadline()), &l.metrics.blockedNs)
		return false, nil
	}
	if l.firing {
		l.firing, err = l.chain.advance()
		return false, err
	}
	if l.firing, err = l.chain.tick(now); l.firing || err != nil {
		return false, err
	}
	if draining || l.chain.congested() || l.input.ended() && l.chain.waiting() {
		l.await(ctx, now)
		return false, nil
	}
	if l.input.ended() {
		return true, nil
	}
	idle, again, err := l.input.next(ctx, now)
	if err != nil {
		return false, err
	}
	if idle {
		l.endTrial()
		l.flush(now)
		l.wait(ctx, sooner(sooner(again, l.chain.alarm()), l.deadline()), nil)
		return false, nil
	}
	failpoint.Hit(failpoint.Running)
	l.firing, err = l.chain.advance()
	l.metrics.watermark.Store(l.chain.passed())
	return false, err
}

// mayDivide says whether a barrier may lie in the middle of what a watermark has made due. An end by draining has all of that before
// it.
func (l *loop) mayDivide(m *exchange.Mark) bool {
	return !m.Drain && l.chain.divisible()
}

// await waits for answers to requests. Barriers need not: what has no answer is state.
func (l *loop) await(ctx context.Context, now time.Time) {
	l.endTrial()
	l.flush(now)
	l.wait(ctx, sooner(l.chain.alarm(), l.deadline()), &l.metrics.blockedNs)
}

// room waits until the outputs take more. A batch of which guests make so much that it is halved asks for it between the
// halves: otherwise all of it would lie in memory.
func (l *loop) room(ctx context.Context) error {
	for l.chain.full() {
		l.wait(ctx, time.Time{}, &l.metrics.blockedNs)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return l.broken()
}

// broken is why nothing that the task does counts any more.
func (l *loop) broken() error {
	if err := l.chain.broken(); err != nil {
		return channelFailure(err)
	}
	if l.keeper != nil {
		return l.keeper.broken()
	}
	return nil
}

// woken says whether somebody has woken the task since it was last asked.
func (l *loop) woken() bool {
	was := l.nudged
	l.nudged = false
	select {
	case <-l.wake:
		return true
	default:
		return was
	}
}

// cause is what an error comes from: being cancelled makes others fail.
func (l *loop) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// end follows the last record and watermark. It returns when the receivers have everything: until then a channel can
// break, and who reports that it has finished is not asked again.
func (l *loop) end(ctx context.Context) ([]connector.Committable, error) {
	settle, err := l.prepare(ctx, l.taken+1)
	if err == nil {
		err = l.settle(ctx, settle)
	}
	if err == nil && l.keeper != nil {
		l.last, err = l.lastPart()
	}
	if err != nil {
		return nil, l.cause(ctx, err)
	}
	for _, e := range l.chain.edges {
		e.end()
	}
	l.metrics.watermark.Store(abi.MaxTime)
	l.account(time.Now())
	for !l.chain.delivered() {
		if err := l.broken(); err != nil {
			return nil, l.cause(ctx, err)
		}
		l.wait(ctx, time.Time{}, nil)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	l.obey(time.Now()) // a checkpoint may have committed some of it meanwhile
	return l.output.all(), nil
}

func (l *loop) flush(now time.Time) {
	l.chain.flush()
	l.flushed = now
}

// wait blocks until the task is woken, cancelled, or until has come; the zero time never comes. The time goes to account,
// unless that is nil.
func (l *loop) wait(ctx context.Context, until time.Time, account interface{ Add(int64) int64 }) {
	begun := time.Now()
	l.account(begun)
	if l.warming {
		until = begun
	}
	var timer <-chan time.Time
	if !until.IsZero() {
		l.timer.Reset(max(until.Sub(begun), 0))
		timer = l.timer.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-l.wake:
		l.nudged = true
	}
	l.mark = time.Now()
	if account != nil {
		account.Add(int64(l.mark.Sub(begun)))
	}
}

// account counts the time since the last mark as busy.
func (l *loop) account(now time.Time) {
	l.metrics.busyNs.Add(int64(now.Sub(l.mark)))
	l.metrics.fuel.Store(l.chain.fuel())
	l.mark = now
}

// close frees all that the loop holds. It may be called again.
func (l *loop) close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.release(), l.chain.store.Close())
}

// release frees all but the state.
func (l *loop) release() error {
	release(l.retired)
	l.retired = nil
	return errors.Join(l.input.close(), l.chain.release())
}

// release frees what the chain holds, but for its channels and its state.
func (c *chain) release() error {
	var errs []error
	for _, s := range c.requests {
		s.requester.close()
	}
	release(c.guests)
	for _, s := range c.sinks {
		errs = append(errs, s.close())
	}
	for _, s := range c.whole {
		errs = append(errs, s.taker.close())
	}
	c.requests, c.guests, c.sinks, c.whole = nil, nil, nil, nil
	return errors.Join(errs...)
}
