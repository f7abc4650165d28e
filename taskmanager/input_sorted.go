package taskmanager

import (
	"context"
	"fmt"
	"math/bits"
	"path/filepath"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/keysort"
)

// sortPrefix begins the names of directories in that of a job where tasks sort what does not fit in memory.
const sortPrefix = "sort-"

// sortMemory is what a task sorts in when the memory of state has no limit.
const sortMemory = 64 << 20

// sortedInput is the input of a keyed operator in batch mode. It takes everything from the gate, sorts it by key, and gives it to
// the operator some whole keys at a time: behind them time ends, for these keys, and what is remembered of them is forgotten. So
// nothing is late, each result is final, and the operator holds a few keys, or one.
type sortedInput struct {
	*gateInput
	sorter *keysort.Sorter
	sorted *keysort.Sorted // once all has come
	head   keyedHead
	share  *share
	turned []uint64 // the hashes of a batch
	done   bool
}

// keyedHead is the step of a chain's keyed operator.
type keyedHead interface {
	step
	// renew makes the operator one that has seen nothing.
	renew() error
}

// newSortedInput sorts what comes by a gate.
func (t *task) newSortedInput(in *gateInput, c *chain) *sortedInput {
	cols := c.plan.needs[c.plan.steps[0].operators[0]] | abi.ColumnKeys | abi.ColumnHashes
	return &sortedInput{
		gateInput: in, head: c.nodes[0].step.(keyedHead), share: newShare(cols, in.gate), sorter: keysort.New(t.sorting(inputSorting, cols)),
	}
}

// inputSorting stands for the step that a task's input is sorted for.
const inputSorting = -1

// sorting is what a step sorts records with.
func (t *task) sorting(step int, cols abi.Columns) keysort.Config {
	a := t.attempt
	memory := int(a.budget(t.slot) / 2) // the operators have the other half
	if memory == 0 {
		memory = sortMemory
	}
	name := fmt.Sprintf("%s%d-%d-%s", sortPrefix, a.key.Epoch, a.key.Attempt, t.id)
	if step != inputSorting {
		name += fmt.Sprintf("-%d", step)
	}
	return keysort.Config{Columns: cols, Memory: memory, Check: a.space().Check, Dir: filepath.Join(a.dir(), name)}
}

func (in *sortedInput) ended() bool { return in.done }

func (in *sortedInput) next(ctx context.Context, now time.Time) (bool, time.Time, error) {
	if in.open > 0 {
		return in.take(ctx, now)
	}
	if in.sorted == nil {
		var err error
		if in.sorted, err = in.sorter.Sorted(); err != nil {
			return false, time.Time{}, stateFailure(err)
		}
		in.chain.watermark = abi.MinTime
	}
	more, err := in.share.fill(in.sorted)
	if err != nil {
		return false, time.Time{}, stateFailure(err)
	}
	if err := in.share.each(func(input int, rows *abi.Builder) error { return in.pass(input, rows) }); err != nil {
		return false, time.Time{}, err
	}
	if in.share.whole {
		err = in.endOfTime(ctx)
	}
	if !more && err == nil {
		in.done, in.chain.watermark = true, abi.MaxTime
	}
	return false, time.Time{}, err
}

// take has the next element sorted. Watermarks say nothing here.
func (in *sortedInput) take(_ context.Context, _ time.Time) (bool, time.Time, error) {
	e, ok := in.gate.Next()
	if !ok {
		return true, time.Time{}, nil
	}
	switch e.Kind {
	case exchange.Batch:
		defer e.Buffer.Release()
		return false, time.Time{}, in.keep(&e)
	case exchange.End:
		in.open--
	case exchange.Failed:
		return false, time.Time{}, channelFailure(e.Err)
	}
	return false, time.Time{}, nil
}

func (in *sortedInput) keep(e *exchange.Element) error {
	b := &in.batch
	if err := in.parse(e); err != nil {
		return err
	}
	hashes, err := b.hashes()
	if err != nil {
		return err
	}
	in.turned = append(in.turned[:0], hashes...)
	turn(in.turned)
	return stateFailure(in.sorter.Add(&b.Batch, in.turned, uint32(e.Channel)))
}

// pass gives records of one input to the operator.
func (in *sortedInput) pass(input int, rows *abi.Builder) error {
	b := &in.batch
	*b = batch{hashed: b.hashed, split: abi.None, input: input, from: "the sorted input", first: 1, builder: rows}
	rows.View(&b.Batch)
	turn(b.Hashes)
	return in.chain.process(b)
}

// turn swaps the halves of hashes. A table looks for a key where the first bits of its hash say: the keys of a share, neighbours by their
// hashes, would all be looked for in one place. So they are sorted by the other half.
func turn(hashes []uint64) {
	for i, h := range hashes {
		hashes[i] = bits.RotateLeft64(h, 32)
	}
}

// endOfTime has everything that waits for time in the keys at hand happen, and forgets them.
func (in *sortedInput) endOfTime(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := in.head.advance(abi.MaxTime)
		if err != nil {
			return err
		}
		if !more {
			return in.head.renew()
		}
	}
}

func (in *sortedInput) close() error {
	if in.sorted != nil {
		_ = in.sorted.Close() // it was only read
	}
	return in.sorter.Close()
}

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

// sorts says whether the chain's input is sorted: that of a keyed operator in batch mode.
func sorts(g *graph.JobGraph, c graph.Chain) bool {
	head := &g.Operators[c.Operators[0]]
	return g.Batch && head.Keyed() && head.Builds() < 0
}
