package keysort

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// bucket has the records whose hashes begin with the same bits, in the order in which they came.
type bucket struct {
	pages []page
	open  *abi.Builder // of the next page
	lanes []uint32     // of the records in open
	n     int          // records
}

// page is some records of a bucket, and by which lane each came.
type page struct {
	abi.Batch
	lanes []uint32
}

// Bounds of a page: it has less than what a bucket may have, as each bucket has one that is not full.
const (
	pageBytes = 16 << 10
	pageRows  = 512
)

// add takes rows of a batch, and answers how many bytes more the bucket has: as pages are made.
func (k *bucket) add(b *abi.Batch, rows []uint32, hashes []uint64, lane uint32) (bytes int, err error) {
	k.open.AppendRows(b, rows, hashes)
	for range rows {
		k.lanes = append(k.lanes, lane)
	}
	k.n += len(rows)
	if k.open.Len() < pageRows && k.open.Bytes() < pageBytes {
		return 0, nil
	}
	return k.close()
}

// close makes a page of what is open.
func (k *bucket) close() (bytes int, err error) {
	if k.open.Len() == 0 {
		return 0, nil
	}
	room := abi.AlignedBytes(k.open.Size())
	p := page{lanes: slices.Clone(k.lanes)}
	if err := p.Parse(k.open.Encode(room)); err != nil {
		return 0, fmt.Errorf("sort by key: %w", err)
	}
	k.pages = append(k.pages, p)
	k.open.Reset()
	k.lanes = k.lanes[:0]
	return len(room) + 4*p.N, nil
}

// clear forgets all.
func (k *bucket) clear() {
	clear(k.pages)
	k.pages, k.n = k.pages[:0], 0
}
