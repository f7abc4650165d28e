package taskmanager

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
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
}

// newGateInput takes from a gate whose channels are called names.
func newGateInput(gate *exchange.Gate, names []string, c *chain) *gateInput {
	n := len(names)
	return &gateInput{gate: gate, chain: c, merger: newMerger(n), open: n, from: names, counted: make([]int64, n)}
}

func (in *gateInput) next(context.Context, time.Time) (bool, time.Time, error) {
	e, ok := in.gate.Next()
	if !ok {
		return true, time.Time{}, nil
	}
	switch e.Kind {
	case exchange.Batch:
		err := in.take(&e)
		e.Buffer.Release()
		return false, time.Time{}, err
	case exchange.Watermark:
		in.chain.watermark = in.merger.advance(e.Channel, e.Watermark)
	case exchange.End:
		in.open--
		in.chain.watermark = in.merger.end(e.Channel)
		for _, a := range in.chain.assigners {
			a.endLane(e.Channel)
		}
	case exchange.Failed:
		return false, time.Time{}, channelFailure(e.Err)
	}
	return false, time.Time{}, nil
}

func (in *gateInput) take(e *exchange.Element) error {
	b := &in.batch
	encoded := e.Buffer.Bytes()
	if err := b.Parse(encoded); err != nil {
		return refuse(wire.KindChannel, "read batch %d of %s: %v", e.Number, in.from[e.Channel], err)
	}
	b.encoded, b.lane, b.split = encoded, e.Channel, abi.None
	b.from, b.first = in.from[e.Channel], in.counted[e.Channel]+1
	in.counted[e.Channel] += int64(b.N)
	in.chain.metrics.in(b.N, len(encoded))
	return in.chain.process(b)
}

func (in *gateInput) ended() bool { return in.open == 0 }

func (in *gateInput) close() error {
	in.gate.Close()
	return nil
}

// channelFailure is the end of a channel that did not end well.
func channelFailure(err error) error {
	f := failureOf(err)
	if f.Kind == wire.KindInternal {
		f.Kind = wire.KindChannel
	}
	return f
}

// channelNames are what the channels of an edge are called: the sending operator, and its subtask.
func channelNames(operator string, senders int) []string {
	if senders == 1 {
		return []string{fmt.Sprintf("the input from %q", operator)}
	}
	names := make([]string, senders)
	for i := range names {
		names[i] = fmt.Sprintf("the input from %q, subtask %d", operator, i)
	}
	return names
}
