package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	inTurn    bool         // splits do not end
	last      bool         // no split is left to ask for
	done      bool         // and all were read to their end
	open      []*openSplit // those at hand
	turn      int          // in open: whose it is
	read      []uint32     // splits that were read to their end
	aligned   *aligned     // nil: the source is of no group
	look      time.Time    // when a split may have become idle, the zero time: none will
}

// openSplit is a split at hand.
type openSplit struct {
	reader connector.Reader
	index  uint32
	lane   int
	from   string
	first  int64     // number of its next record, from 1
	wake   time.Time // it has nothing before that
	quiet  time.Time // since when it has been caught up; the zero time: it is not
	paused time.Time // since when it waits for slower sources of its group; the zero time: it does not

	promised map[string]int64 // what it goes on from, see checkpoint.OpenSplit
}

func newSourceInput(op *graph.Operator, src connector.Source, c *chain, nextSplit func(context.Context) (*wire.SplitAssignment, error)) *sourceInput {
	in := &sourceInput{
		operator: op, source: src, nextSplit: nextSplit, chain: c, inTurn: !src.Bounded(),
		assigner: newAssigner(1, op.Watermarks), builder: abi.NewBuilder(src.Columns()),
	}
	in.assigner.operator = op.UID
	return in
}

// restore goes on from what the source had promised. It is told of with the first split.
func (in *sourceInput) restore(watermark int64) { in.assigner.out = watermark }

func (in *sourceInput) marks(time.Time) {}

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

// state is exact between two batches. A subtask without input left holds nobody back who goes on with less or more of them;
// one that is drained has input left, and its records are not late by themselves.
func (in *sourceInput) state() *checkpoint.SourceState {
	s := &checkpoint.SourceState{Operator: in.operator.UID, Done: slices.Clone(in.read), Watermark: in.assigner.out}
	if in.done {
		s.Watermark = abi.MaxTime
	}
	for _, o := range in.open {
		s.Open = append(s.Open, checkpoint.OpenSplit{Index: o.index, Position: o.reader.Position(), Promised: in.promisedOf(o)})
	}
	if failpoint.Planted(failpoint.ForgetPosition) {
		for i := range s.Open {
			s.Open[i].Position = nil
		}
	}
	return s
}

// promisedOf is what was promised of a split, nil: nothing.
func (in *sourceInput) promisedOf(o *openSplit) (by map[string]int64) {
	for a := range in.assigners() {
		if w := a.promised(o.lane); w > abi.MinTime {
			if by == nil {
				by = map[string]int64{}
			}
			by[a.operator] = w
		}
	}
	return by
}

// assigners are those whose lanes are the splits.
func (in *sourceInput) assigners() iter.Seq[*assigner] {
	return func(yield func(*assigner) bool) {
		if !yield(in.assigner) {
			return
		}
		for _, behind := range in.chain.assigners {
			if !yield(behind) {
				return
			}
		}
	}
}

func (in *sourceInput) alignment() time.Duration { return 0 }

func (in *sourceInput) resume() {}

func (in *sourceInput) stop(bool) {}

func (in *sourceInput) abort(checkpoint.ID) {}

func (in *sourceInput) next(ctx context.Context, now time.Time) (bool, time.Time, error) {
	defer in.measure()
	if len(in.open) == 0 || in.inTurn && !in.last {
		in.chain.flush() // the answer may take a while
		return false, time.Time{}, in.begin(ctx)
	}
	failpoint.Hit(failpoint.Reading)
	if in.chain.metrics.held.Load() && in.chain.metrics.dealt.Load() {
		in.release()
		return false, time.Time{}, nil
	}
	if in.rest(now) {
		return false, time.Time{}, nil
	}
	var again time.Time
	for range in.open {
		if in.turn >= len(in.open) {
			in.turn = 0
		}
		o := in.open[in.turn]
		in.turn++
		if in.ahead(o, now) {
			continue
		}
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
	changed := in.rest(now)
	return !changed, sooner(again, in.look), nil
}

// poll takes what a split has at hand.
func (in *sourceInput) poll(o *openSplit, now time.Time) error {
	in.builder.Reset()
	p, err := o.reader.Poll(in.builder, batchRecords, batchBytes, now)
	if err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("read %s: %w", o.from, err))
	}
	in.chain.metrics.inputRead.Add(p.Read)
	if len(p.Bad) > 0 && in.chain.badInput == nil {
		return inOperator(in.operator.Name, wire.KindInput, unreadable(&p.Bad[0]))
	}
	o.wake = time.Time{}
	if in.builder.Len() > 0 || !p.CaughtUp || !in.inTurn {
		in.rouse(o)
	} else if o.quiet.IsZero() {
		o.quiet, in.look = now, now
	}
	if in.builder.Len() > 0 {
		if err := in.take(o); err != nil {
			return err
		}
	} else if !p.Done && len(p.Bad) == 0 {
		o.wake = p.Wake
	}
	for i := range p.Bad {
		if err := in.chain.badInput.leaveOut(&p.Bad[i]); err != nil {
			return err
		}
	}
	if p.Done {
		return in.finish(o)
	}
	return nil
}

// unreadable is the failure of a job whose input is not what its source was told.
func unreadable(bad *connector.BadRecord) error {
	return &connector.Error{
		Op: bad.Where, Err: fmt.Errorf("%w: %s", bad.Err, excerpt(bad.Bytes)),
		Hint: "mend the input or the source's schema, or have the source leave out what it cannot read: OnTrap(Skip) or OnTrap(DeadLetter)",
	}
}

// finish takes a split that was read to its end out of the account.
func (in *sourceInput) finish(o *openSplit) error {
	in.open = slices.DeleteFunc(in.open, func(other *openSplit) bool { return other == o })
	if !o.paused.IsZero() {
		in.showPaused()
	}
	in.turn-- // it is the next one's, which has moved up
	in.read = append(in.read, o.index)
	if in.inTurn {
		for a := range in.assigners() {
			a.endLane(o.lane)
		}
		in.chain.watermark, in.chain.idle = in.assigner.watermark(), in.assigner.idle
		in.showIdle()
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
		in.last = true
		in.release()
		if len(in.open) == 0 {
			in.done, in.chain.watermark, in.chain.idle = true, abi.MaxTime, false
		}
		return nil
	}
	r, err := in.source.Open(ctx, *a.Split)
	if err != nil {
		return inOperator(in.operator.Name, wire.KindIO, fmt.Errorf("open split %s: %w", a.Split.ID, err))
	}
	o := &openSplit{reader: r, index: a.Index, lane: len(in.open), from: "split " + a.Split.ID, first: 1, promised: a.Promised}
	if failpoint.Planted(failpoint.ForgetPromised) || failpoint.Planted(failpoint.FiredAgain) {
		o.promised = nil
	}
	in.open = append(in.open, o)
	held := false
	for to := range in.assigners() {
		in.beginLane(to, a)
		held = held || to.held && to.strategy != nil
	}
	in.chain.metrics.held.Store(held)
	in.chain.watermark, in.chain.idle = in.assigner.watermark(), in.assigner.idle
	return nil
}

// release lets the watermark go that was held for splits that nobody read: all are given out by now, most of them to others,
// whose watermarks count where the subtasks come together.
func (in *sourceInput) release() {
	for a := range in.assigners() {
		a.held = false
	}
	in.chain.metrics.held.Store(false)
	in.chain.watermark = in.assigner.watermark()
}

// dealt tells tasks that hold their watermarks that no split is left which nobody reads. The JobMaster says so with the answer to a
// heartbeat.
func (tm *TaskManager) dealt(all []wire.Dealt) {
	for _, d := range all {
		for _, t := range tm.tasks() {
			if t.attempt.key.Job == d.Job && t.attempt.key.Attempt == d.Attempt && t.id == d.Task && !t.metrics.dealt.Swap(true) {
				t.nudge()
			}
		}
	}
}

// beginLane makes the newest split known. Of those that are read in turn none is read, and nothing is said of what was promised
// of some, before all are open: so none that is still to come is overtaken by the watermark.
func (in *sourceInput) beginLane(to *assigner, a *wire.SplitAssignment) {
	if in.inTurn {
		to.beginSplits(len(in.open), a.Last)
	} else {
		to.beginSplit(a.Ordered, a.Last)
	}
	for _, o := range in.open {
		if w, said := o.promised[to.operator]; said {
			to.resumeLane(o.lane, w)
		}
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
