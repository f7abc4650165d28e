package taskmanager

import (
	"context"
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

// sourceInput reads splits, one after the other, as the JobMaster gives them out.
type sourceInput struct {
	operator  *graph.Operator
	source    connector.Source
	nextSplit func(ctx context.Context) (*wire.SplitAssignment, error)
	chain     *chain
	assigner  *assigner        // of the source's own timestamps
	reader    connector.Reader // of the split at hand, nil between splits
	builder   *abi.Builder
	batch     batch
	done      bool
	open      uint32   // index of the split at hand
	read      []uint32 // splits that were read to their end
}

func newSourceInput(op *graph.Operator, src connector.Source, c *chain, nextSplit func(context.Context) (*wire.SplitAssignment, error)) *sourceInput {
	return &sourceInput{
		operator: op, source: src, nextSplit: nextSplit, chain: c,
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
	if in.reader != nil {
		s.Open = []checkpoint.OpenSplit{{Index: in.open, Position: in.reader.Position()}}
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
	if in.reader == nil {
		in.chain.flush() // the answer may take a while
		return false, time.Time{}, in.begin(ctx)
	}
	failpoint.Hit(failpoint.Reading)
	in.builder.Reset()
	p, err := in.reader.Poll(in.builder, batchRecords, batchBytes, now)
	if err != nil {
		return false, time.Time{}, inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("read %s: %w", in.batch.from, err))
	}
	in.chain.metrics.inputRead.Add(p.Read)
	if in.builder.Len() > 0 {
		if err := in.take(); err != nil {
			return false, time.Time{}, err
		}
	}
	switch {
	case p.Done:
		err := in.reader.Close()
		in.reader = nil
		in.read = append(in.read, in.open)
		if err != nil {
			return false, time.Time{}, inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("close %s: %w", in.batch.from, err))
		}
	case in.builder.Len() == 0 && p.Wake.After(now):
		return true, p.Wake, nil
	}
	return false, time.Time{}, nil
}

// begin opens the next split, or ends the input when there is none.
func (in *sourceInput) begin(ctx context.Context) error {
	a, err := in.nextSplit(ctx)
	if err != nil {
		return err
	}
	if a.Split == nil {
		in.done, in.chain.watermark = true, abi.MaxTime
		return nil
	}
	r, err := in.source.Open(ctx, *a.Split)
	if err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("open split %s: %w", a.Split.ID, err))
	}
	in.reader, in.open = r, a.Index
	in.batch.split, in.batch.from, in.batch.first = a.Index, "split "+a.Split.ID, 1
	last := a.Last || !in.source.Bounded() // a split that does not end is the last one here, whatever others are given
	in.assigner.beginSplit(a.Ordered, last)
	for _, behind := range in.chain.assigners {
		behind.beginSplit(a.Ordered, last)
	}
	return nil
}

func (in *sourceInput) take() error {
	b := &in.batch
	in.builder.View(&b.Batch)
	b.builder = in.builder
	in.chain.metrics.in(b.N, in.builder.Bytes())
	in.assigner.observe(0, newest(&b.Batch))
	if err := in.chain.process(b); err != nil {
		return err
	}
	b.first += int64(b.N)
	in.chain.watermark = in.assigner.watermark()
	return nil
}

func (in *sourceInput) ended() bool { return in.done }

func (in *sourceInput) close() error {
	if in.reader == nil {
		return nil
	}
	r := in.reader
	in.reader = nil
	return r.Close()
}
