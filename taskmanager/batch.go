package taskmanager

import (
	"errors"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
)

// batch is records on their way through a chain. Who made it owns it; it is valid while those it is passed to run.
type batch struct {
	abi.Batch
	encoded []byte       // the same records encoded, nil when they are not
	builder *abi.Builder // that the records were collected in, nil when there is none
	lane    int          // channel that they came by, for watermarks; 0 behind an operator that makes records of its own; or noLane
	input   int          // of the chain's head that they came by
	split   uint32       // number of the split that they come from, abi.None behind an exchange
	from    string       // what they are counted in: "split a.txt[0:100]"
	first   int64        // number there of the first record, from 1
	hashed  []uint64     // memory for hashes
	targets []uint32     // by record the subtask that it goes to, as a partition function said; nil elsewhere
}

// noLane is the lane of records that were in flight when the checkpoint was taken that the task goes on from: who sends on a
// channel now may be behind them, so they say nothing about time.
const noLane = -1

var errNoKeys = errors.New("partition by key: the records have no key")

// hashes are the key hashes of the records: those that came with the batch, or computed here, once.
func (b *batch) hashes() ([]uint64, error) {
	if b.Hashes != nil {
		return b.Hashes, nil
	}
	if b.KeyOffs == nil {
		return nil, errNoKeys
	}
	if cap(b.hashed) < b.N {
		b.hashed = make([]uint64, max(b.N, 2*cap(b.hashed)))
	}
	h := b.hashed[:b.N]
	start := b.KeyOffs[0]
	for i, end := range b.KeyOffs[1:] {
		h[i] = xxhash.Sum64(b.Keys[start:end])
		start = end
	}
	b.Hashes = h
	return h, nil
}
