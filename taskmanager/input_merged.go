package taskmanager

import (
	"context"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// What a sortedInput does for an operator that merges accumulators.

// maxSlices is how many slices of time an operator has open before it counts as full: it finds its way among them.
const maxSlices = 4096

// isFull says whether the table has its part of the memory. It goes to no disk: what is sorted is written and read once.
func (in *sortedInput) isFull() bool {
	return in.full > 0 && in.chain.store.Size() >= in.full || in.merges.op.(operator.Draining).Open() > maxSlices
}

// empty has what is in the table sorted.
func (in *sortedInput) empty(ctx context.Context) error {
	in.drains = true
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		in.drawn.Reset()
		var err error
		if more, err = in.merges.op.(operator.Draining).Drain(in.drawn); err != nil {
			return stateFailure(err)
		}
		if in.drawn.Len() == 0 {
			continue
		}
		var b abi.Batch
		in.drawn.View(&b)
		if err := in.sort(&b, b.Hashes, 0); err != nil {
			return err
		}
	}
	return in.head.renew()
}
