package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// input is where a task's records come from.
type input interface {
	// next takes the next batch, watermark or end through the chain. When nothing is at hand it answers idle, and when to
	// look again if nobody wakes the task before; the zero time for never.
	next(ctx context.Context, now time.Time) (idle bool, again time.Time, err error)
	// ended says that all has been taken.
	ended() bool

	// marks takes barriers and ends that come next, while the chain is still busy with the watermark before them. It moves none.
	marks(now time.Time)
	// barrier is the one that waits for the task's part, nil when none does.
	barrier(now time.Time) *exchange.Mark
	// deadline is when to ask for it again, if nobody wakes the task before; the zero time for never.
	deadline() time.Time
	// trigger is the JobMaster's word of a barrier that nobody brings: all channels have ended, or there are none. It
	// answers whether the task takes its part at once.
	trigger(m exchange.Mark, now time.Time) bool
	// drain sends the maximum watermark ahead of the barrier, if that is this input's to do and not yet done.
	drain() bool
	// state is where a source stands, nil for others.
	state() *checkpoint.SourceState
	// alignment is how long the channels have waited for each other.
	alignment() time.Duration
	// capture begins to hold what the barrier has overtaken, nil when that is nothing.
	capture() *exchange.Capture
	// resume goes on behind the barrier.
	resume()
	// stop says that nothing will be processed behind the barrier; abort that a checkpoint was given up.
	stop(drained bool)
	abort(id checkpoint.ID)
	close() error
}

// gateInput takes from the channels of other tasks.
type gateInput struct {
	gate    *exchange.Gate
	chain   *chain
	merger  *merger
	open    int      // channels that have not ended
	from    []string // by channel, for people
	counted []int64  // records so far, by channel
	batch   batch
	align   *alignment
	take    *exchange.Mark // the barrier waits for the task's part
	blocked []int          // channels to resume behind it
	passed  []int          // channels on which it has overtaken what is in flight
	waited  time.Duration
	stopped bool        // END says nothing about time
	idle    []wire.Idle // channels, in the order in which they became so
	ahead   []int       // channels that end before anything is taken of those behind
	behind  []int
}

// newGateInput takes from a gate whose channels are called names.
func newGateInput(gate *exchange.Gate, names []string, c *chain, a *alignment) *gateInput {
	n := len(names)
	return &gateInput{gate: gate, chain: c, merger: newMerger(n), open: n, from: names, counted: make([]int64, n), align: a}
}

func (in *gateInput) next(_ context.Context, now time.Time) (bool, time.Time, error) {
	e, ok := in.gate.Next()
	if !ok {
		return true, time.Time{}, nil
	}
	switch e.Kind {
	case exchange.Batch:
		err := in.process(&e)
		e.Buffer.Release()
		return false, time.Time{}, err
	case exchange.Watermark:
		in.merger.setIdle(e.Channel, e.Idle)
		in.chain.watermark, in.chain.idle = in.merger.advance(e.Channel, e.Watermark), in.merger.idle()
		for _, a := range in.chain.assigners {
			a.setIdle(e.Channel, e.Idle)
		}
		in.note(e.Channel, e.Idle, now)
	case exchange.End, exchange.Barrier:
		in.mark(&e, now)
	case exchange.Failed:
		return false, time.Time{}, channelFailure(e.Err)
	}
	return false, time.Time{}, nil
}

func (in *gateInput) marks(now time.Time) {
	for in.take == nil { // a capture of what a barrier has overtaken ends at what would be taken here
		e, ok := in.gate.NextMark(in.saysNothing)
		if !ok {
			return
		}
		in.mark(&e, now)
	}
}

// saysNothing says whether the end of a channel moves no watermark: that of the channel is at its end already.
func (in *gateInput) saysNothing(channel int) bool {
	return in.merger.lanes[channel] == abi.MaxTime && len(in.chain.assigners) == 0
}

// mark follows a barrier, or the end of a channel.
func (in *gateInput) mark(e *exchange.Element, now time.Time) {
	if e.Kind == exchange.Barrier {
		in.follow(e.Channel, in.align.barrier(e.Channel, e.Mark, now), now)
		if in.align.active {
			failpoint.Hit(failpoint.Aligning)
		}
		return
	}
	in.open--
	in.endAhead(e.Channel)
	in.follow(e.Channel, in.align.end(e.Channel), now)
	if in.stopped {
		return
	}
	in.chain.watermark, in.chain.idle = in.merger.end(e.Channel), in.merger.idle()
	in.note(e.Channel, false, now)
	for _, a := range in.chain.assigners {
		a.endLane(e.Channel)
	}
}

// first has all of one input taken before anything of the others. They wait with their senders, so these must not wait for the first
// one: what they send lies in files.
func (in *gateInput) first(input int) {
	for channel, of := range in.gate.Inputs() {
		if of == input {
			in.ahead = append(in.ahead, channel)
			continue
		}
		in.behind = append(in.behind, channel)
		in.gate.Pause(channel)
	}
}

// endAhead takes note that a channel has ended.
func (in *gateInput) endAhead(channel int) {
	i := slices.Index(in.ahead, channel)
	if i < 0 {
		return
	}
	if in.ahead = slices.Delete(in.ahead, i, i+1); len(in.ahead) > 0 {
		return
	}
	for _, c := range in.behind {
		in.gate.Resume(c)
	}
}

// note has a channel shown that is idle now, or is no longer.
func (in *gateInput) note(channel int, idle bool, now time.Time) {
	name := in.from[channel]
	i := slices.IndexFunc(in.idle, func(w wire.Idle) bool { return w.What == name })
	switch {
	case i < 0 == !idle:
		return
	case idle:
		in.idle = append(in.idle, wire.Idle{What: name, Since: now})
	default:
		in.idle = slices.Delete(in.idle, i, i+1)
	}
	in.chain.metrics.setIdle(in.idle)
}

// follow does what the alignment asks for.
func (in *gateInput) follow(channel int, s alignStep, now time.Time) {
	if s.pause {
		in.gate.Pause(channel)
	}
	if s.take != nil {
		in.resume() // behind an older one, which word of this one has overtaken
		in.take, in.blocked, in.passed, in.waited = s.take, s.resume, s.capture, now.Sub(in.align.begun)
		return
	}
	for _, c := range s.resume {
		in.gate.Resume(c)
	}
}

func (in *gateInput) barrier(now time.Time) *exchange.Mark {
	for _, n := range in.gate.Notices() {
		in.follow(n.Channel, in.align.notice(n.Mark, now), now)
	}
	in.follow(0, in.align.look(now), now)
	return in.take
}

func (in *gateInput) deadline() time.Time { return in.align.deadline() }

func (in *gateInput) capture() *exchange.Capture {
	if !in.take.Unaligned {
		in.gate.GiveUpCapture()
		return nil
	}
	return in.gate.Capture(in.take.Checkpoint, in.passed)
}

func (in *gateInput) trigger(m exchange.Mark, now time.Time) bool {
	in.follow(0, in.align.notice(m, now), now)
	return false
}

func (in *gateInput) drain() bool { return false }

func (in *gateInput) state() *checkpoint.SourceState { return nil }

func (in *gateInput) alignment() time.Duration { return in.waited }

func (in *gateInput) resume() {
	for _, c := range in.blocked {
		in.gate.Resume(c)
	}
	in.take, in.blocked, in.passed = nil, nil, nil
}

func (in *gateInput) stop(drained bool) { in.stopped = !drained }

func (in *gateInput) abort(id checkpoint.ID) {
	if id >= in.align.over { // not of one before the barrier that stopped it
		in.stopped = false
	}
	if in.take != nil && in.take.Checkpoint <= id {
		in.resume()
	}
	in.gate.GiveUpCaptureOf(id)
	for _, c := range in.align.abort(id).resume {
		in.gate.Resume(c)
	}
}

func (in *gateInput) process(e *exchange.Element) error {
	if err := in.parse(e); err != nil {
		return err
	}
	return in.chain.process(&in.batch)
}

// parse makes the batch of an element the one at hand.
func (in *gateInput) parse(e *exchange.Element) error {
	b := &in.batch
	encoded := e.Buffer.Bytes()
	if err := b.Parse(encoded); err != nil {
		return refuse(wire.KindChannel, "read batch %d of %s: %v", e.Number, in.from[e.Channel], err)
	}
	b.encoded, b.lane, b.split, b.input = encoded, e.Channel, abi.None, e.Input
	if e.Number == 0 {
		b.lane = noLane
	}
	b.from, b.first = in.from[e.Channel], in.counted[e.Channel]+1
	in.counted[e.Channel] += int64(b.N)
	in.chain.metrics.in(b.N, len(encoded))
	return nil
}

func (in *gateInput) ended() bool { return in.open == 0 }

// close leaves the gate to the task: while it is open, the senders of a task that failed do not fail, too.
func (in *gateInput) close() error { return nil }

// channelFailure is the end of a channel that did not end well.
func channelFailure(err error) error {
	f := failureOf(err)
	if f.Kind != wire.KindInternal {
		return f
	}
	f.Kind = wire.KindChannel
	var broken *exchange.ChannelError
	if errors.As(err, &broken) {
		f.Channel = &wire.Channel{From: broken.From, To: broken.To}
	}
	return f
}

// channelNames are what the channels of an edge are called: the sending operator, and its subtask.
func channelNames(operator string, first, senders int) []string {
	if senders == 1 {
		return []string{fmt.Sprintf("the input from %q", operator)}
	}
	names := make([]string, senders)
	for i := range names {
		names[i] = fmt.Sprintf("the input from %q, subtask %d", operator, first+i)
	}
	return names
}
