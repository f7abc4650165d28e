package taskmanager

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// wholeStep does something with all records of a subtask, whose input ends. In batch mode they are taken as they come. Else they are
// kept as state until the last has come, and then taken without a snapshot in between: what has begun with them lies in no
// checkpoint, so a job that goes on from one begins with the first of them again.
type wholeStep struct {
	name     string
	kept     *operator.Kept // nil: they are taken as they come
	taker    taker
	chunk    batch // of kept
	taken    bool  // all of them
	received int64 // watermark of the input
	passed   int64 // behind the step
}

// taker is what takes the records.
type taker interface {
	// take takes a batch.
	take(b *batch) error
	// finish does a part of what comes behind the last one, and answers whether there is more. watermark is that of the input.
	finish(watermark int64) (more bool, err error)
	// close frees what is held, finished or not.
	close() error
}

func (s *wholeStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	if s.kept == nil {
		return s.failure(s.taker.take(b))
	}
	return s.failure(s.kept.Add(&b.Batch))
}

func (s *wholeStep) save() error {
	if s.kept == nil {
		return nil
	}
	return s.failure(s.kept.Save())
}

// advance lets no watermark pass but the last.
func (s *wholeStep) advance(watermark int64) (more bool, err error) {
	s.received = watermark
	if watermark != abi.MaxTime || s.passed == abi.MaxTime {
		return false, nil
	}
	if s.kept != nil && !s.taken {
		more, err := s.kept.Next(&s.chunk.Batch)
		if err == nil && more {
			err = s.taker.take(&s.chunk)
		}
		s.taken = !more
		return err == nil, s.failure(err)
	}
	if more, err = s.taker.finish(watermark); more || err != nil {
		return more, s.failure(err)
	}
	if s.kept != nil {
		err = s.kept.Clear()
	}
	s.passed = abi.MaxTime
	return false, s.failure(err)
}

func (s *wholeStep) failure(err error) error {
	if err == nil {
		return nil
	}
	return inOperator(s.name, wire.KindInternal, err)
}

// newWhole makes the step of an operator over all records of a subtask.
func (c *chain) newWhole(s int, op *graph.Operator, h *handle, parts chainParts) (step, error) {
	i := c.plan.operatorIndex(op)
	st := &wholeStep{name: op.Name, received: abi.MinTime, passed: abi.MinTime}
	st.chunk.split, st.chunk.from = abi.None, fmt.Sprintf("the input of %q", op.Name)
	if h != nil {
		st.taker = &partitionMapper{handle: h, header: parts.header(), time: &c.time}
	} else {
		sorter, err := c.newPartitionSorter(s, op, parts)
		if err != nil {
			return nil, unmade(op, err)
		}
		st.taker = sorter
	}
	c.whole = append(c.whole, st)
	if c.plan.graph.Batch {
		return st, nil
	}
	from, to := parts.keyGroups()
	var err error
	st.kept, err = operator.NewKept(op.UID, c.store, c.plan.needs[i]&^abi.ColumnHashes, from, to, c.plan.graph.MaxParallelism)
	return st, unmade(op, err)
}
