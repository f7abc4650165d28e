package taskmanager

import (
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// keyedStep runs a native keyed operator. It is the operator's guest, too, and passes on what that emits.
type keyedStep struct {
	folding
	reached
	name     string
	op       operator.Operator
	out      *abi.Builder // of the results that the operator makes itself
	results  batch
	outlet   outlet // of these
	made     int64
	time     *taskTime
	emitter  emitter
	anew     func() error // makes op again, with empty state
	received int64        // watermark of the input
	passed   int64        // behind the operator
	late     int64
	delay    int64           // milliseconds that a window waits behind its end for late records, with its only result
	told     *operator.Told  // says what change a result is, nil: nobody asks, or none changes
	clock    bool            // windows are of processing time
	ticked   operator.Ticked // the operator, if the clock is its own matter
	effects  *host.Effects   // of the last call of a window function
	poison   *poison         // what becomes of what functions of the window trap on; nil: the job fails
	lates    *abi.Builder    // late records, nil when nobody takes them
	lateOut  outlet
	lateSet  batch
	metrics  *taskMetrics
}

func (s *keyedStep) save() error {
	if err := s.op.Save(); err != nil {
		return err
	}
	return s.reached.save(s.received, nil)
}

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
	err = s.op.Process(&b.Batch, hashes, s.time.ms, s.out)
	s.input = nil
	return s.end(err)
}

// At the end of time, windows of processing time fire, too: there is nobody who would wait for them.
func (s *keyedStep) advance(watermark int64) (more bool, err error) {
	watermark = max(watermark, s.received)
	s.received = watermark
	watermark = delayed(watermark, s.delay)
	if !s.clock || watermark == abi.MaxTime || s.ticked != nil {
		more, err = s.fire(watermark)
	}
	s.midway = more
	if more || err != nil {
		return more, err
	}
	s.passed = watermark
	if s.told != nil {
		err = s.told.Forget(watermark)
	}
	return false, err
}

// delayed is a watermark for windows that wait so long behind their end; the end of time waits for nothing.
func delayed(watermark, by int64) int64 {
	if watermark == abi.MaxTime || watermark < abi.MinTime+by {
		return watermark
	}
	return watermark - by
}

func (s *keyedStep) fire(watermark int64) (bool, error) {
	s.begin()
	more, err := s.op.Fire(watermark, s.out)
	return more, s.end(err)
}

func (s *keyedStep) wake() time.Time {
	if s.ticked != nil {
		if at, ok := s.ticked.Next(); ok {
			return time.UnixMilli(at)
		}
		return time.Time{}
	}
	if s.clock {
		if at, ok := s.op.Due(); ok {
			return time.UnixMilli(at + 1)
		}
	}
	return time.Time{}
}

func (s *keyedStep) tick(now time.Time) (bool, error) {
	if s.ticked == nil {
		return s.fire(now.UnixMilli() - 1)
	}
	s.begin()
	more, err := s.ticked.Tick(now.UnixMilli(), s.out)
	return more, s.end(err)
}

// renew implements keyedHead.
func (s *keyedStep) renew() error {
	s.passed = abi.MinTime // anew sets received
	s.late = 0
	if err := s.anew(); err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	return nil
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
	if s.told != nil {
		hashes, err := s.results.hashes()
		if err == nil {
			err = s.told.Mark(&s.results.Batch, hashes)
		}
		if err != nil {
			return inOperator(s.name, wire.KindInternal, err)
		}
	}
	s.results.builder, s.results.first = s.out, s.made+1
	s.made += int64(s.out.Len())
	return s.outlet.emit(&s.results)
}

// Result implements operator.Guest.
func (s *keyedStep) Result(groups *abi.GroupsWriter, kind abi.ChangeKind) error {
	effects, err := s.handle.keyed(abi.VerbResult, &s.header, groups)
	if err != nil {
		return err
	}
	return s.emitter.emitAs(effects, kind)
}
