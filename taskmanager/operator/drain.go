package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Draining is an operator that keeps an accumulator a key and slice of time, and can give them back, for another one like it.
type Draining interface {
	Operator
	// Open is how many slices have accumulators.
	Open() int
	// Drain appends about a batch of accumulators to out, which has PartialColumns, and answers whether there are more. When it
	// has answered no, the operator has seen nothing.
	Drain(out *abi.Builder) (more bool, err error)
}

// Open implements Draining.
func (p *panes) Open() int { return len(p.open) }

// drain is Drain of accumulators that of knows.
func (p *panes) drain(of merging, out *abi.Builder) (more bool, err error) {
	for len(p.open) > 0 && out.Len() < fireRecords && out.Bytes() < fireBytes {
		first := p.open[0]
		if cap(p.once) < chunk {
			p.once = make([]state.Entry, chunk)
		}
		n, next, err := first.table.Scan(first.cursor, p.once[:chunk])
		if err != nil {
			return false, err
		}
		if n == 0 {
			if err := p.drop(); err != nil {
				return false, err
			}
			continue
		}
		first.cursor = next
		for _, e := range p.once[:n] {
			out.Append(abi.Record{
				Timestamp: first.start, Hash: first.table.Hash(e), Key: first.table.Key(e), Value: of.of(first.table, e),
				Partial: abi.NewPartial(1, p.spec.Version),
			})
		}
	}
	return len(p.open) > 0, nil
}

// Drain implements Draining.
func (t *tally) Drain(out *abi.Builder) (bool, error) { return t.drain(t, out) }

// Drain implements Draining.
func (t *aggregates) Drain(out *abi.Builder) (bool, error) { return t.drain(t, out) }

// Drain implements Draining.
func (f *fold) Drain(out *abi.Builder) (bool, error) { return f.drain(f, out) }
