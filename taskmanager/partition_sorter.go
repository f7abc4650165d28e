package taskmanager

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/taskmanager/keysort"
)

// partitionSorter puts out the records of a subtask in the order of their keys, those of one key by time. What does not fit in memory
// lies in sorted runs. Records go through it under other keys, whose bytes have the order of their own.
type partitionSorter struct {
	order  *field.Order
	sorter *keysort.Sorter
	sorted *keysort.Sorted // once all are there
	keyed  batch           // records under the keys that they are sorted by
	keys   []byte
	offs   []uint32
	hashes []uint64
	out    *abi.Builder
	result batch
	outlet outlet
	made   int64
}

func (c *chain) newPartitionSorter(s int, op *graph.Operator, parts chainParts) (*partitionSorter, error) {
	i := c.plan.operatorIndex(op)
	key, _ := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	order, err := field.NewOrder(key, op.Order)
	if err != nil {
		return nil, err
	}
	p := &partitionSorter{order: order, out: abi.NewBuilder(c.plan.wanted(source{i, 0}) &^ abi.ColumnKeys)}
	p.sorter = keysort.New(parts.sorting(s, c.plan.needs[i]|abi.ColumnKeys|abi.ColumnHashes))
	p.result.split, p.result.from = abi.None, fmt.Sprintf("the output of %q", op.Name)
	return p, nil
}

// take sorts a batch in. The sorter goes by a hash before it compares keys: here that is the beginning of the key.
func (p *partitionSorter) take(b *batch) error {
	p.keys, p.offs, p.hashes = p.keys[:0], append(p.offs[:0], 0), p.hashes[:0]
	for i := range b.N {
		at := len(p.keys)
		var ok bool
		if p.keys, ok = p.order.Append(p.keys, b.Key(i)); !ok {
			return keyError(b, i)
		}
		var begin [8]byte
		copy(begin[:], p.keys[at:])
		p.offs, p.hashes = append(p.offs, uint32(len(p.keys))), append(p.hashes, binary.BigEndian.Uint64(begin[:]))
	}
	k := b.Batch
	k.Keys, k.KeyOffs, k.Hashes, k.KeyNulls = p.keys, p.offs, p.hashes, nil
	k.Columns = k.Columns&^abi.ColumnKeyNulls | abi.ColumnHashes
	return stateFailure(p.sorter.Add(&k, p.hashes, 0))
}

// finish puts out the next batch.
func (p *partitionSorter) finish(int64) (more bool, err error) {
	if p.sorted == nil {
		if p.sorted, err = p.sorter.Sorted(); err != nil {
			return false, stateFailure(err)
		}
	}
	p.out.Reset()
	for more = true; more && p.out.Len() < batchRecords && p.out.Bytes() < batchBytes; {
		var r keysort.Record
		if r, more, err = p.sorted.Next(); err != nil {
			return false, stateFailure(err)
		}
		if more {
			p.out.AppendRange(r.Batch, r.Row, r.Row+1, r.Batch.Hashes)
		}
	}
	if p.out.Len() == 0 {
		return false, p.close()
	}
	p.out.View(&p.result.Batch)
	p.result.builder, p.result.first = p.out, p.made+1
	p.made += int64(p.out.Len())
	if err := p.outlet.emit(&p.result); err != nil || more {
		return more, err
	}
	return false, p.close()
}

func (p *partitionSorter) close() error {
	if p.sorted != nil {
		_ = p.sorted.Close() // it was only read
		p.sorted = nil
	}
	return p.sorter.Close()
}
