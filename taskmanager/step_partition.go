package taskmanager

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// partitionStep asks a partition function which subtask each record goes to. The edges behind it deal them out.
type partitionStep struct {
	handle    *handle
	header    abi.CallHeader // its parallelism is the receivers'
	time      *taskTime
	received  int64 // watermark of the input
	groups    abi.GroupsWriter
	values    [][]byte
	targets   []uint32
	outlet    outlet
	part      batch        // of one that has killed the guest
	collected *abi.Builder // that part is of
}

func (s *partitionStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	s.header.Watermark, s.header.ProcessingTime, s.header.Split = s.received, s.time.ms, b.split
	targets, err := s.ask(&b.Batch, 0, b.N)
	if err == nil {
		b.targets = targets
		err = s.outlet.emit(b)
		b.targets = nil
		return err
	}
	return s.handle.retry(err, b.N, func(lo, hi int) error { return s.pass(b, lo, hi) }, func(i int) poisoned {
		u := operator.Unit{Row: i, Data: recordBytes(&b.Batch, i)}
		if b.KeyOffs != nil {
			u.Key = b.Key(i)
		}
		return recordUnit(b, &u)
	})
}

// pass is process for the records from lo up to hi of a batch that has killed the guest.
func (s *partitionStep) pass(b *batch, lo, hi int) error {
	targets, err := s.ask(&b.Batch, lo, hi)
	if err != nil {
		return err
	}
	if s.collected == nil || s.collected.Columns() != b.Columns {
		s.collected = abi.NewBuilder(b.Columns)
	}
	s.collected.Reset()
	s.collected.AppendRange(&b.Batch, lo, hi, b.Hashes)
	s.part.lane, s.part.input, s.part.split, s.part.from, s.part.first = b.lane, b.input, b.split, b.from, b.first+int64(lo)
	s.collected.View(&s.part.Batch)
	s.part.builder, s.part.targets = s.collected, targets
	return s.outlet.emit(&s.part)
}

// ask has the function answer for the records from lo up to hi. The answer is valid until the next call.
func (s *partitionStep) ask(b *abi.Batch, lo, hi int) ([]uint32, error) {
	s.values = s.values[:0]
	for i := lo; i < hi; i++ {
		s.values = append(s.values, b.Value(i))
	}
	var timestamps []int64
	if b.Timestamps != nil {
		timestamps = b.Timestamps[lo:hi]
	}
	s.groups.Reset()
	s.groups.Begin(abi.Group{})
	s.groups.List(abi.ListInput0, 0, len(s.values), timestamps, s.values)
	s.groups.EndGroup()
	effects, err := s.handle.keyed(abi.VerbPartition, &s.header, &s.groups)
	if err != nil {
		return nil, err
	}
	if s.targets, err = targetsOf(effects.Reply, len(s.values), s.header.Parallelism, s.targets[:0]); err != nil {
		return nil, err
	}
	return s.targets, nil
}

// targetsOf appends what the reply to a partition call answers for n records to targets.
func targetsOf(reply []byte, n int, receivers uint32, targets []uint32) ([]uint32, error) {
	problem := func(format string, args ...any) ([]uint32, error) {
		return nil, &operator.ReplyError{Problem: fmt.Sprintf(format, args...)}
	}
	if len(reply) == 0 {
		return problem("the partition function answered nothing for %d records", n)
	}
	entry, more, err := abi.NextReplyEntry(reply)
	if err != nil {
		return problem("%v", err)
	}
	action, rest, err := abi.NextAction(entry.Actions)
	switch {
	case err != nil:
		return problem("%v", err)
	case entry.Group != 0 || len(more) > 0 || action.Op != abi.ActionPartition || len(rest) > 0:
		return problem("the partition function answered op %d for group %d (expected one partition for group 0)", action.Op, entry.Group)
	case len(action.Value) != 4*n:
		return problem("the partition function answered %d bytes for %d records (expected 4 each)", len(action.Value), n)
	}
	for i := range n {
		to := binary.LittleEndian.Uint32(action.Value[4*i:])
		if to >= receivers {
			return problem("the partition function answered subtask %d (expected 0 <= subtask < %d)", int32(to), receivers)
		}
		targets = append(targets, to)
	}
	return targets, nil
}

func (s *partitionStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	return false, nil
}
