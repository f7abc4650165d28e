package taskmanager

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/keysort"
)

// share is the records of some whole keys, or a part of those of one.
type share struct {
	whole  bool           // behind it another key begins, or nothing
	inputs []int          // by lane
	all    *abi.Builder   // in their order
	lanes  []uint32       // of all
	turns  []*abi.Builder // the records of turn i, all of one input; see each
	next   keysort.Record // that did not belong to the share before
	held   bool           // there is one
}

// Bounds of a share. A larger key is given in parts.
const (
	shareRecords = 4096
	shareBytes   = 256 << 10
)

func newShare(cols abi.Columns, gate *exchange.Gate) *share {
	return &share{all: abi.NewBuilder(cols), inputs: gate.Inputs()}
}

// fill takes the next records, and answers whether more follow.
func (s *share) fill(from *keysort.Sorted) (more bool, err error) {
	s.all.Reset()
	s.lanes = s.lanes[:0]
	for {
		if !s.held {
			if s.next, s.held, err = from.Next(); err != nil {
				return false, err
			}
		}
		full := s.all.Len() >= shareRecords || s.all.Bytes() >= shareBytes
		same := s.held && s.next.Again
		if !s.held || full && (!same || s.all.Len() >= 2*shareRecords || s.all.Bytes() >= 2*shareBytes) {
			s.whole = !same
			return s.held, nil
		}
		s.all.AppendRange(s.next.Batch, s.next.Row, s.next.Row+1, s.next.Batch.Hashes)
		s.lanes = append(s.lanes, s.next.Lane)
		s.held = false
	}
}

// each gives out the records input by input. Of two inputs, the records of a key keep their order: its first ones of one input,
// then those of the other that follow, and so on; those of all keys that have one turn go together.
func (s *share) each(pass func(input int, rows *abi.Builder) error) error {
	if s.inputs[len(s.inputs)-1] == 0 {
		return pass(0, s.all)
	}
	var b abi.Batch
	s.all.View(&b)
	for _, t := range s.turns {
		t.Reset()
	}
	turn := 0
	for i := range b.N {
		input := s.inputs[s.lanes[i]]
		switch {
		case i == 0 || string(b.Key(i)) != string(b.Key(i-1)):
			turn = input
		case input != turn%2:
			turn++
		}
		for len(s.turns) <= turn {
			s.turns = append(s.turns, abi.NewBuilder(s.all.Columns()))
		}
		s.turns[turn].AppendRange(&b, i, i+1, b.Hashes)
	}
	for i, t := range s.turns {
		if t.Len() == 0 {
			continue
		}
		if err := pass(i%2, t); err != nil {
			return err
		}
	}
	return nil
}
