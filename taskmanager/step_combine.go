package taskmanager

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// combineStep stands before an edge, and folds records before they are sent. The edge drains it whenever it sends what it has,
// so nothing is held back behind a watermark or barrier, or for longer than records wait in a batch.
type combineStep struct {
	folding
	name string // of the operator that the records go to
	op   *operator.Combiner
	edge *edge
	time *taskTime
	out  *abi.Builder // accumulators
	sent batch        // the same
}

// foldRecords is how many records are folded at a time.
const foldRecords = 4096

// newCombineStep makes what stands before edge index, and has the edge drain it.
func (c *chain) newCombineStep(index int, e *edge, parts chainParts) error {
	to := c.plan.exec.Edges[index].ToOperator
	op := &c.plan.graph.Operators[to]
	s := &combineStep{name: op.Name, edge: e, time: &c.time, out: abi.NewBuilder(operator.PartialColumns(op.Kind, op.Window))}
	s.header = parts.header()
	var folder operator.Folder
	if op.Function != nil {
		var err error
		folder = s
		if s.handle, err = c.newHandleAhead(op, parts.guest); err != nil {
			return err
		}
	}
	_, value := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	made, err := operator.NewCombiner(operator.Config{
		UID: op.UID, Kind: op.Kind, Window: op.Window, Value: value, Function: op.Declared, Aggregates: op.Aggregates, Exact: c.plan.graph.Batch,
	}, folder, e.remote())
	if err != nil {
		return fmt.Errorf("operator %q: %w", op.Name, err)
	}
	s.op, e.ahead = made, s
	return nil
}

// newHandleAhead makes the handle of what the guest of a reduce or aggregate is called for before its records are sent: nothing is
// emitted there.
func (c *chain) newHandleAhead(op *graph.Operator, newGuest func(graph.ModuleID) (*guest, error)) (*handle, error) {
	h, err := c.handleOf(op.Function.Module, false, newGuest)
	if err != nil {
		return nil, err
	}
	h.names, h.functions = op.Name, abi.Handle{Functions: []abi.HandleFunction{{Function: op.Declared.ID, Upstream: abi.None}}}
	return h, nil
}

func (s *combineStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	if s.op.Passes(b.N) {
		s.drain()
		return s.edge.process(b)
	}
	hashes, err := b.hashes()
	if err != nil {
		return err
	}
	if s.handle != nil {
		s.handle.guest.rest()
	}
	s.header.Watermark, s.header.ProcessingTime = s.edge.seen, s.time.ms
	s.input = b
	defer func() { s.input = nil }()
	for lo := 0; lo < b.N; lo += foldRecords {
		if s.op.Full() {
			s.drain()
		}
		if err := s.op.Fold(&b.Batch, lo, min(lo+foldRecords, b.N), hashes); err != nil {
			return inOperator(s.name, wire.KindInternal, err)
		}
	}
	return nil
}

// drain sends on what is held back.
func (s *combineStep) drain() {
	if s.op.Len() == 0 {
		return
	}
	s.out.Reset()
	s.op.Drain(s.out)
	s.out.View(&s.sent.Batch)
	s.edge.deal(&s.sent, s.sent.Hashes)
}

// advance implements step. The watermark is the edge's.
func (s *combineStep) advance(int64) (bool, error) { return false, nil }
