package taskmanager

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// joinStep runs a join. It makes the calls of its function, and passes on what that emits, or the results of a join that has
// none.
type joinStep struct {
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
	received int64 // watermark of the input
	passed   int64 // behind the operator
	late     int64
	lates    [2]batch // late records by input, collected in the builder; without one nobody takes them
	lateOut  [2]outlet
	metrics  *taskMetrics
}

func (s *joinStep) save() error { return s.op.Save() }

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
	err = s.op.Process(&b.Batch, hashes, b.input)
	s.input = nil
	return s.end(err)
}

func (s *joinStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	s.begin(0)
	more, err := s.op.Fire(watermark)
	if err = s.end(err); err != nil {
		return false, err
	}
	if !more {
		s.passed = watermark
	}
	return more, nil
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
		err = s.Pass()
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

// Pass implements operator.Joiner.
func (s *joinStep) Pass() error {
	if s.results.builder == nil {
		return nil
	}
	s.results.first = s.made + 1
	s.made += int64(s.results.builder.Len())
	return drain(&s.results, &s.outlet)
}

// Join implements operator.Joiner.
func (s *joinStep) Join(groups *abi.GroupsWriter) error {
	effects, err := s.handle.keyed(abi.VerbJoin, &s.header, groups)
	if err != nil {
		return err
	}
	return s.emitter.emit(effects)
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
