package taskmanager

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// keyedStep runs a native keyed operator. It is the operator's guest, too: it makes the calls of a reduce or aggregate,
// and passes on what the guest emits.
type keyedStep struct {
	name     string
	op       operator.Operator
	out      *abi.Builder // of the results that the operator makes itself
	results  batch
	outlet   outlet // of these
	made     int64
	input    *batch // that is being processed
	handle   *handle
	header   abi.CallHeader
	time     *taskTime
	emitter  emitter
	received int64 // watermark of the input
	passed   int64 // behind the operator
	late     int64
	lates    *abi.Builder // late records, nil when nobody takes them
	lateOut  outlet
	lateSet  batch
	metrics  *taskMetrics
}

func (s *keyedStep) save() error { return s.op.Save() }

func (s *keyedStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	hashes, err := b.hashes()
	if err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	s.begin()
	s.input = b
	err = s.op.Process(&b.Batch, hashes, s.out)
	s.input = nil
	return s.end(err)
}

func (s *keyedStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	s.begin()
	more, err := s.op.Fire(watermark, s.out)
	if err = s.end(err); err != nil {
		return false, err
	}
	if !more {
		s.passed = watermark
	}
	return more, nil
}

// begin makes ready for a call of the operator.
func (s *keyedStep) begin() {
	if s.handle != nil {
		s.handle.guest.rest()
	}
	s.out.Reset()
	if s.lates != nil {
		s.lates.Reset()
	}
	s.header.Watermark, s.header.ProcessingTime = s.received, s.time.ms
}

// end passes on what the operator has made.
func (s *keyedStep) end(err error) error {
	if err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	if late := s.op.Late(); late != s.late {
		s.metrics.late.Add(late - s.late)
		s.late = late
	}
	if s.lates != nil && s.lates.Len() > 0 {
		s.lates.View(&s.lateSet.Batch)
		s.lateSet.builder = s.lates
		if err := s.lateOut.emit(&s.lateSet); err != nil {
			return err
		}
	}
	if s.out.Len() == 0 {
		return nil
	}
	s.out.View(&s.results.Batch)
	s.results.builder, s.results.first = s.out, s.made+1
	s.made += int64(s.out.Len())
	return s.outlet.emit(&s.results)
}

// Accumulate implements operator.Guest.
func (s *keyedStep) Accumulate(groups *abi.GroupsWriter) ([]byte, error) {
	effects, err := s.handle.keyed(abi.VerbAccumulate, &s.header, groups)
	if err != nil {
		return nil, err
	}
	return effects.Reply, nil
}

// Result implements operator.Guest.
func (s *keyedStep) Result(groups *abi.GroupsWriter) error {
	effects, err := s.handle.keyed(abi.VerbResult, &s.header, groups)
	if err != nil {
		return err
	}
	return s.emitter.emit(effects)
}

// Retry implements operator.Guest.
func (s *keyedStep) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return s.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		if u.Row < 0 {
			return poisoned{kind: "result", name: u.Name, data: u.Data, key: u.Key, time: u.Time}
		}
		return recordUnit(s.input, &u)
	})
}
