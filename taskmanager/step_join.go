package taskmanager

import (
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// joinStep runs a join. It makes the calls of its function, and passes on what that emits, or the results of a join that has
// none.
type joinStep struct {
	reached
	name     string
	op       operator.Join
	results  batch // of a join without function, collected in its builder
	outlet   outlet
	made     int64
	input    *batch // that is being processed
	handle   *handle
	header   abi.CallHeader
	time     *taskTime
	emitter  emitter
	anew     func() error // makes op again, with empty state
	received int64        // watermark of the input
	passed   int64        // behind the operator
	delay    int64        // that of keyedStep
	late     int64
	clock    bool         // these are of processing time
	room     func() error // waits until the outputs of the task take more
	lates    [2]batch     // late records by input, collected in the builder; without one nobody takes them
	lateOut  [2]outlet
	metrics  *taskMetrics
}

func (s *joinStep) save() error {
	if err := s.op.Save(); err != nil {
		return err
	}
	return s.reached.save(s.received, nil)
}

func (s *joinStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	hashes, err := b.hashes()
	if err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	s.begin(b.input)
	s.input = b
	err = s.op.Process(&b.Batch, hashes, s.time.ms, b.input)
	s.input = nil
	return s.end(err)
}

// At the end of time, windows of processing time fire, too: there is nobody who would wait for them.
func (s *joinStep) advance(watermark int64) (more bool, err error) {
	watermark = max(watermark, s.received)
	s.received = watermark
	watermark = delayed(watermark, s.delay)
	if !s.clock || watermark == abi.MaxTime {
		more, err = s.fire(watermark)
	}
	s.midway = more
	if !more && err == nil {
		s.passed = watermark
	}
	return more, err
}

func (s *joinStep) fire(watermark int64) (bool, error) {
	s.begin(0)
	more, err := s.op.Fire(watermark)
	return more, s.end(err)
}

func (s *joinStep) wake() time.Time {
	if s.clock {
		if at, ok := s.op.Due(); ok {
			return time.UnixMilli(at + 1)
		}
	}
	return time.Time{}
}

func (s *joinStep) tick(now time.Time) (bool, error) { return s.fire(now.UnixMilli() - 1) }

// renew implements keyedHead.
func (s *joinStep) renew() error {
	s.passed = abi.MinTime // anew sets received
	s.late = 0
	if err := s.anew(); err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	return nil
}

// begin makes ready for a call of the operator.
func (s *joinStep) begin(input int) {
	if s.handle != nil {
		s.handle.guest.rest()
	}
	s.header.Watermark, s.header.ProcessingTime, s.header.Input = s.received, s.time.ms, uint32(input)
}

// end passes on what is left.
func (s *joinStep) end(err error) error {
	if err == nil {
		err = s.pass()
	}
	if err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	if late := s.op.Late(); late != s.late {
		s.metrics.late.Add(late - s.late)
		s.late = late
	}
	for i := range s.lates {
		if err := drain(&s.lates[i], &s.lateOut[i]); err != nil {
			return err
		}
	}
	return nil
}

// drain passes on what a batch's builder has collected.
func drain(b *batch, to *outlet) error {
	if b.builder == nil || b.builder.Len() == 0 {
		return nil
	}
	b.builder.View(&b.Batch)
	defer b.builder.Reset()
	return to.emit(b)
}

func (s *joinStep) pass() error {
	if s.results.builder == nil {
		return nil
	}
	s.results.first = s.made + 1
	s.made += int64(s.results.builder.Len())
	return drain(&s.results, &s.outlet)
}

// Pass implements operator.Joiner.
func (s *joinStep) Pass() error {
	if err := s.pass(); err != nil {
		return err
	}
	return s.room()
}

// Join implements operator.Joiner.
func (s *joinStep) Join(groups *abi.GroupsWriter, kind abi.ChangeKind) error {
	effects, err := s.handle.keyed(abi.VerbJoin, &s.header, groups)
	if err != nil {
		return err
	}
	if err := s.emitter.emitAs(effects, kind); err != nil {
		return err
	}
	return s.room()
}

// CoGroup implements operator.Joiner.
func (s *joinStep) CoGroup(groups *abi.GroupsWriter, rest *operator.Rest, kind abi.ChangeKind) error {
	effects, err := s.handle.keyedWith(abi.VerbJoin, &s.header, groups, rest)
	if err != nil {
		return err
	}
	if err := s.emitter.emitAs(effects, kind); err != nil {
		return err
	}
	return s.room()
}

// Retry implements operator.Joiner.
func (s *joinStep) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return s.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		if u.Row < 0 {
			return poisoned{kind: "result", name: u.Name, data: u.Data, key: u.Key, time: u.Time, skip: u.Skip}
		}
		return recordUnit(s.input, &u)
	})
}
