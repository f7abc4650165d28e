package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// sourceInput reads splits as the JobMaster gives them out: one after the other, or, of a source whose splits do not end,
// all of the subtask's share in turn.
type sourceInput struct {
	operator  *graph.Operator
	source    connector.Source
	nextSplit func(ctx context.Context) (*wire.SplitAssignment, error)
	chain     *chain
	assigner  *assigner // of the source's own timestamps
	builder   *abi.Builder
	batch     batch
	inTurn    bool // splits do not end
	last      bool // no split is left to ask for
	done      bool
	open      []*openSplit // those at hand
	turn      int          // in open: whose it is
	read      []uint32     // splits that were read to their end
}

// openSplit is a split at hand.
type openSplit struct {
	reader connector.Reader
	index  uint32
	lane   int
	from   string
	first  int64     // number of its next record, from 1
	wake   time.Time // it has nothing before that
}

func newSourceInput(op *graph.Operator, src connector.Source, c *chain, nextSplit func(context.Context) (*wire.SplitAssignment, error)) *sourceInput {
	return &sourceInput{
		operator: op, source: src, nextSplit: nextSplit, chain: c, inTurn: !src.Bounded(),
		assigner: newAssigner(1, op.Watermarks), builder: abi.NewBuilder(src.Columns()),
	}
}

// restore goes on from what the source had promised.
func (in *sourceInput) restore(watermark int64) {
	in.assigner.out, in.chain.watermark = watermark, watermark
}

func (in *sourceInput) barrier(time.Time) *exchange.Mark { return nil }

func (in *sourceInput) deadline() time.Time { return time.Time{} }

func (in *sourceInput) capture() *exchange.Capture { return nil }

func (in *sourceInput) trigger(exchange.Mark, time.Time) bool { return true }

// drain says that no more records will come, though there may be some.
func (in *sourceInput) drain() bool {
	if in.chain.watermark == abi.MaxTime {
		return false
	}
	in.chain.watermark = abi.MaxTime
	return true
}

// state is exact between two batches.
func (in *sourceInput) state() *checkpoint.SourceState {
	s := &checkpoint.SourceState{Operator: in.operator.UID, Done: slices.Clone(in.read), Watermark: in.assigner.out}
	for _, o := range in.open {
		s.Open = append(s.Open, checkpoint.OpenSplit{Index: o.index, Position: o.reader.Position()})
	}
	if failpoint.Planted(failpoint.ForgetPosition) {
		for i := range s.Open {
			s.Open[i].Position = nil
		}
	}
	return s
}

func (in *sourceInput) alignment() time.Duration { return 0 }

func (in *sourceInput) resume() {}

func (in *sourceInput) stop(bool) {}

func (in *sourceInput) abort(checkpoint.ID) {}

func (in *sourceInput) next(ctx context.Context, now time.Time) (bool, time.Time, error) {
	if len(in.open) == 0 || in.inTurn && !in.last {
		in.chain.flush() // the answer may take a while
		return false, time.Time{}, in.begin(ctx)
	}
	failpoint.Hit(failpoint.Reading)
	var again time.Time
	for range in.open {
		if in.turn >= len(in.open) {
			in.turn = 0
		}
		o := in.open[in.turn]
		in.turn++
		if len(in.open) == 1 || !o.wake.After(now) {
			if err := in.poll(o, now); err != nil {
				return false, time.Time{}, err
			}
		}
		if !o.wake.After(now) {
			return false, time.Time{}, nil
		}
		again = sooner(again, o.wake)
	}
	return true, again, nil
}

// poll takes what a split has at hand.
func (in *sourceInput) poll(o *openSplit, now time.Time) error {
	in.builder.Reset()
	p, err := o.reader.Poll(in.builder, batchRecords, batchBytes, now)
	if err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("read %s: %w", o.from, err))
	}
	in.chain.metrics.inputRead.Add(p.Read)
	o.wake = time.Time{}
	if in.builder.Len() > 0 {
		if err := in.take(o); err != nil {
			return err
		}
	} else if !p.Done {
		o.wake = p.Wake
	}
	if p.Done {
		return in.finish(o)
	}
	return nil
}

// finish takes a split that was read to its end out of the account.
func (in *sourceInput) finish(o *openSplit) error {
	in.open = slices.DeleteFunc(in.open, func(other *openSplit) bool { return other == o })
	in.turn-- // it is the next one's, which has moved up
	in.read = append(in.read, o.index)
	if in.inTurn {
		in.assigner.endLane(o.lane)
		for _, behind := range in.chain.assigners {
			behind.endLane(o.lane)
		}
		in.chain.watermark = in.assigner.watermark()
	}
	if err := o.reader.Close(); err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("close %s: %w", o.from, err))
	}
	return nil
}

// begin opens the next split, or ends the input when there is none.
func (in *sourceInput) begin(ctx context.Context) error {
	a, err := in.nextSplit(ctx)
	if err != nil {
		return err
	}
	in.last = a.Last
	if a.Split == nil {
		if in.last = true; len(in.open) == 0 {
			in.done, in.chain.watermark = true, abi.MaxTime
		}
		return nil
	}
	r, err := in.source.Open(ctx, *a.Split)
	if err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("open split %s: %w", a.Split.ID, err))
	}
	in.open = append(in.open, &openSplit{reader: r, index: a.Index, lane: len(in.open), from: "split " + a.Split.ID, first: 1})
	in.beginLane(in.assigner, a)
	for _, behind := range in.chain.assigners {
		in.beginLane(behind, a)
	}
	return nil
}

// beginLane makes the newest split known. Of those that are read in turn none is read before all are open, so none that is
// still to come is overtaken by the watermark.
func (in *sourceInput) beginLane(to *assigner, a *wire.SplitAssignment) {
	if in.inTurn {
		to.beginSplits(len(in.open))
	} else {
		to.beginSplit(a.Ordered, a.Last)
	}
}

func (in *sourceInput) take(o *openSplit) error {
	b := &in.batch
	in.builder.View(&b.Batch)
	b.builder, b.lane, b.split, b.from, b.first = in.builder, o.lane, o.index, o.from, o.first
	in.chain.metrics.in(b.N, in.builder.Bytes())
	in.assigner.observe(o.lane, newest(&b.Batch))
	if err := in.chain.process(b); err != nil {
		return err
	}
	o.first += int64(b.N)
	in.chain.watermark = in.assigner.watermark()
	return nil
}

func (in *sourceInput) ended() bool { return in.done }

func (in *sourceInput) close() error {
	var errs []error
	for _, o := range in.open {
		errs = append(errs, o.reader.Close())
	}
	in.open = nil
	return errors.Join(errs...)
}
