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
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// sortPrefix begins the names of directories in that of a job where tasks sort what does not fit in memory.
const sortPrefix = "sort-"

// sortMemory is what a task sorts in when the memory of state has no limit.
const sortMemory = 64 << 20

// sortedInput is the input of a keyed operator in batch mode. It takes everything from the gate, sorts it by key, and gives it to
// the operator some whole keys at a time: behind them time ends, for these keys, and what is remembered of them is forgotten. So
// nothing is late, each result is final, and the operator holds a few keys, or one.
//
// Of an operator that merges accumulators, records are not sorted: it takes them as they come, and time ends behind the last. Only
// what its table cannot hold is sorted: the accumulators of all keys, each time that it is full.
type sortedInput struct {
	*gateInput
	sorter *keysort.Sorter
	sorted *keysort.Sorted // once all has come
	head   keyedHead
	merges *keyedStep   // the head, if it takes records as they come; else nil
	full   int64        // bytes of its table at which that is full; 0: never
	drawn  *abi.Builder // from the table
	drains bool         // it has been full
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
	first := c.plan.steps[0].operators[0]
	made := &sortedInput{gateInput: in, head: c.nodes[0].step.(keyedHead)}
	cols := c.plan.needs[first] | abi.ColumnKeys | abi.ColumnHashes
	if op := &c.plan.graph.Operators[first]; c.plan.graph.Accumulates(first) {
		cols = operator.PartialColumns(op.Kind, op.Window)
		made.merges, made.drawn = c.nodes[0].step.(*keyedStep), abi.NewBuilder(cols)
		made.full = t.attempt.budget(t.slot) / state.Rounds
	}
	made.share, made.sorter = newShare(cols, in.gate), keysort.New(t.sorting(inputSorting, cols))
	return made
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

// marks leaves ends to take: there are no barriers in batch mode.
func (in *sortedInput) marks(time.Time) {}

func (in *sortedInput) next(ctx context.Context, now time.Time) (bool, time.Time, error) {
	if in.open > 0 {
		return in.take(ctx, now)
	}
	if in.merges != nil && !in.drains {
		in.done, in.chain.watermark = true, abi.MaxTime
		return false, time.Time{}, nil
	}
	if in.sorted == nil {
		var err error
		if in.merges != nil {
			err = in.empty(ctx)
		}
		if err != nil {
			return false, time.Time{}, err
		}
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
func (in *sortedInput) take(ctx context.Context, _ time.Time) (bool, time.Time, error) {
	e, ok := in.gate.Next()
	if !ok {
		return true, time.Time{}, nil
	}
	switch e.Kind {
	case exchange.Batch:
		defer e.Buffer.Release()
		if in.merges == nil {
			return false, time.Time{}, in.keep(&e)
		}
		if err := in.process(&e); err != nil || !in.isFull() {
			return false, time.Time{}, err
		}
		return false, time.Time{}, in.empty(ctx)
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
	return in.sort(&b.Batch, hashes, uint32(e.Channel))
}

func (in *sortedInput) sort(b *abi.Batch, hashes []uint64, lane uint32) error {
	in.turned = append(in.turned[:0], hashes...)
	turn(in.turned)
	return stateFailure(in.sorter.Add(b, in.turned, lane))
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

// sorts says whether the chain's input is sorted: that of a keyed operator in batch mode.
func sorts(g *graph.JobGraph, c graph.Chain) bool {
	head := &g.Operators[c.Operators[0]]
	return g.Batch && head.Keyed() && head.Builds() < 0
}
