package abi

import (
	"encoding/binary"
	"unsafe"
)

// Builder collects records column by column and encodes them as one batch. It keeps its memory between batches: after
// it has grown to its working size, appending and encoding allocate nothing. One goroutine at a time.
type Builder struct {
	cols       Columns
	timestamps []int64
	keyOffs    []uint32
	valueOffs  []uint32
	kinds      []byte
	hashes     []uint64
	headerOffs []uint32
	keys       []byte
	values     []byte
	headers    []byte
	partials   []Partial
	n          int
}

// NewBuilder returns a builder of batches that have the columns cols. Null bitmaps are not built here.
func NewBuilder(cols Columns) *Builder {
	b := &Builder{cols: cols &^ (ColumnKeyNulls | ColumnValueNulls)}
	b.Reset()
	return b
}

// Record is one record to append. Fields whose column the builder lacks are ignored.
type Record struct {
	Timestamp int64
	Kind      ChangeKind
	Hash      uint64
	Key       []byte
	Value     []byte
	Headers   []byte
	Partial   Partial
}

// Append copies r into the batch.
func (b *Builder) Append(r Record) {
	if b.cols&ColumnTimestamps != 0 {
		b.timestamps = append(b.timestamps, r.Timestamp)
	}
	if b.cols&ColumnKeys != 0 {
		b.keys = append(b.keys, r.Key...)
		b.keyOffs = append(b.keyOffs, uint32(len(b.keys)))
	}
	if b.cols&ColumnValues != 0 {
		b.values = append(b.values, r.Value...)
		b.valueOffs = append(b.valueOffs, uint32(len(b.values)))
	}
	if b.cols&ColumnKinds != 0 {
		b.kinds = append(b.kinds, byte(r.Kind))
	}
	if b.cols&ColumnHashes != 0 {
		b.hashes = append(b.hashes, r.Hash)
	}
	if b.cols&ColumnHeaders != 0 {
		b.headers = append(b.headers, r.Headers...)
		b.headerOffs = append(b.headerOffs, uint32(len(b.headers)))
	}
	if b.cols&ColumnPartials != 0 {
		b.partials = append(b.partials, r.Partial)
	}
	b.n++
}

// Values returns the value bytes collected so far, for the value of one more record to be written behind them in place:
// AppendValue takes what comes of it. In between the builder must not be used.
func (b *Builder) Values() []byte { return b.values }

// AppendValue appends a record whose value is what values has more than Values returned. Of the other columns the builder
// may have timestamps only.
func (b *Builder) AppendValue(values []byte, timestamp int64) {
	b.values = values
	b.valueOffs = append(b.valueOffs, uint32(len(values)))
	if b.cols&ColumnTimestamps != 0 {
		b.timestamps = append(b.timestamps, timestamp)
	}
	b.n++
}

// Columns returns the columns of the batches it builds.
func (b *Builder) Columns() Columns { return b.cols }

// Len returns how many records the batch has so far.
func (b *Builder) Len() int { return b.n }

// Size returns how many bytes Encode will need.
func (b *Builder) Size() int {
	return layoutOf(b.cols, b.n, len(b.keys), len(b.values), len(b.headers)).size
}

// Reset drops the records and keeps the memory.
func (b *Builder) Reset() {
	b.n = 0
	b.timestamps, b.kinds, b.hashes = b.timestamps[:0], b.kinds[:0], b.hashes[:0]
	b.keys, b.values, b.headers = b.keys[:0], b.values[:0], b.headers[:0]
	b.keyOffs = append(b.keyOffs[:0], 0)
	b.valueOffs = append(b.valueOffs[:0], 0)
	b.headerOffs = append(b.headerOffs[:0], 0)
	b.partials = b.partials[:0]
}

// Reshape has the builder, which is empty, build batches with other columns.
func (b *Builder) Reshape(cols Columns) { b.cols = cols &^ (ColumnKeyNulls | ColumnValueNulls) }

// Encode writes the batch to dst, which must have at least Size bytes, and returns the part it used.
func (b *Builder) Encode(dst []byte) []byte {
	l := layoutOf(b.cols, b.n, len(b.keys), len(b.values), len(b.headers))
	dst = dst[:l.size]
	le := binary.LittleEndian
	clear(dst[:BatchHeaderBytes])
	le.PutUint16(dst, RecordVersion)
	le.PutUint32(dst[4:], uint32(b.cols))
	le.PutUint32(dst[8:], uint32(b.n))
	le.PutUint32(dst[12:], uint32(l.size))
	le.PutUint32(dst[16:], uint32(len(b.keys)))
	le.PutUint32(dst[20:], uint32(len(b.values)))
	le.PutUint32(dst[24:], uint32(len(b.headers)))
	if b.cols&ColumnTimestamps != 0 {
		section(dst, l.at[0], bytesOf(b.timestamps))
	}
	if b.cols&ColumnKeys != 0 {
		section(dst, l.at[1], bytesOf(b.keyOffs))
	}
	if b.cols&ColumnValues != 0 {
		section(dst, l.at[2], bytesOf(b.valueOffs))
	}
	if b.cols&ColumnKinds != 0 {
		section(dst, l.at[3], b.kinds)
	}
	if b.cols&ColumnHashes != 0 {
		section(dst, l.at[4], bytesOf(b.hashes))
	}
	if b.cols&ColumnHeaders != 0 {
		section(dst, l.at[5], bytesOf(b.headerOffs))
	}
	if b.cols&ColumnPartials != 0 {
		section(dst, l.at[partialsAt], bytesOf(b.partials))
	}
	section(dst, l.keys, b.keys)
	section(dst, l.values, b.values)
	section(dst, l.headers, b.headers)
	return dst
}

// section copies src to dst[at:] and zeroes its padding.
func section(dst []byte, at int, src []byte) {
	n := copy(dst[at:], src)
	clear(dst[at+n : at+pad8(n)])
}

func bytesOf[T int64 | uint32 | uint64 | Partial](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
