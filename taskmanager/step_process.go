package taskmanager

import (
	"cmp"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// processStep runs a process function. It makes the operator's calls, and passes on what the guest emits.
type processStep struct {
	reached
	name       string
	unkeyed    bool // the input has no keys
	broadcasts bool // nor have records of input 1, which is broadcast
	op         *operator.Process
	handle     *handle
	header     abi.CallHeader
	time       *taskTime
	emitter    emitter
	effects    *host.Effects // of the last call
	input      *batch        // that is being processed, nil while timers fire
	anew       func() error  // makes op again, with empty state
	received   int64         // watermark of the input
	passed     int64         // behind the operator
	further    []ahead       // whose timers are to fire before all else, to where they had come
}

func (s *processStep) start() error {
	s.begin(0)
	return s.failure(s.op.Begin())
}

func (s *processStep) save() error {
	err := s.op.Save()
	if err == nil && !s.unkeyed {
		err = s.reached.save(s.received, s.further)
	}
	return s.failure(err)
}

func (s *processStep) process(b *batch) (err error) {
	if b.N == 0 {
		return nil
	}
	var hashes []uint64
	if !s.unkeyed && !(s.broadcasts && b.input == 1) {
		if hashes, err = b.hashes(); err != nil {
			return inOperator(s.name, wire.KindInternal, err)
		}
	}
	s.begin(b.input)
	s.input = b
	err = s.op.Process(&b.Batch, hashes, b.input)
	s.input = nil
	return s.failure(err)
}

// resumes says whether the step has something to bring to its end before there is input.
func (s *processStep) resumes() bool { return s.reached.resumes() || len(s.further) > 0 }

func (s *processStep) advance(watermark int64) (bool, error) {
	if len(s.further) > 0 {
		return true, s.catchUp()
	}
	watermark = max(watermark, s.received)
	s.received = watermark
	s.begin(0)
	more, err := s.op.Fire(operator.EventTime, watermark)
	if err != nil {
		return false, s.failure(err)
	}
	s.midway = more
	if !more {
		s.passed = watermark
	}
	return more, nil
}

// catchUp fires timers of key groups that had come further than the others.
func (s *processStep) catchUp() error {
	s.begin(0)
	of := s.further[0]
	s.header.Watermark = of.watermark
	more, err := s.op.FireOf(of.watermark, of.from, of.to)
	if err == nil && !more {
		s.further = s.further[1:]
	}
	return s.failure(err)
}

func (s *processStep) wake() time.Time { return s.op.Next() }

func (s *processStep) tick(now time.Time) (bool, error) {
	s.begin(0)
	more, err := s.op.Fire(operator.ProcessingTime, now.UnixMilli())
	return more, s.failure(err)
}

// renew implements keyedHead.
func (s *processStep) renew() error {
	s.passed = abi.MinTime // anew sets received
	if err := s.anew(); err != nil {
		return inOperator(s.name, wire.KindInternal, err)
	}
	return nil
}

func (s *processStep) begin(input int) {
	s.handle.guest.rest()
	s.header.Watermark, s.header.ProcessingTime, s.header.Input = s.received, s.time.ms, uint32(input)
}

func (s *processStep) failure(err error) error {
	if err == nil {
		return nil
	}
	return inOperator(s.name, wire.KindInternal, err)
}

// Call implements operator.Calls.
func (s *processStep) Call(verb abi.Verb, groups *abi.GroupsWriter, overlay *operator.Overlay) ([]byte, error) {
	effects, err := s.handle.keyedWith(verb, &s.header, groups, overlay)
	if err != nil {
		return nil, err
	}
	s.effects = effects
	return effects.Reply, nil
}

// Emit implements operator.Calls.
func (s *processStep) Emit(kind abi.ChangeKind) error { return s.emitter.emitAs(s.effects, kind) }

// Retry implements operator.Calls.
func (s *processStep) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return s.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		if u.Row < 0 {
			return poisoned{kind: cmp.Or(u.Kind, "timer"), name: u.Name, data: u.Data, key: u.Key, time: u.Time, skip: u.Skip}
		}
		return recordUnit(s.input, &u)
	})
}

// Room implements operator.Roomy.
func (s *processStep) Room() error { return s.handle.guest.room() }
