package abi

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"
)

// Columns says which columns a batch has: one bit a column, in the order in which the sections follow each other.
type Columns uint32

const (
	ColumnTimestamps Columns = 1 << 0 // i64[n], milliseconds
	ColumnKeys       Columns = 1 << 1 // offsets u32[n+1] into the key bytes
	ColumnValues     Columns = 1 << 2 // offsets u32[n+1] into the value bytes
	ColumnKinds      Columns = 1 << 3 // u8[n], see ChangeKind
	ColumnHashes     Columns = 1 << 4 // u64[n], xxhash64 of the key bytes
	ColumnHeaders    Columns = 1 << 5 // offsets u32[n+1] into the header bytes
	ColumnKeyNulls   Columns = 1 << 6 // bitmap, bit i%8 of byte i/8, set: the key is null
	ColumnValueNulls Columns = 1 << 7 // bitmap, set: the value is null

	// ColumnPartials is the host's own, between tasks: no guest sees it, and none may emit it. u64[n], see Partial: the values are
	// accumulators.
	ColumnPartials Columns = 1 << 31

	knownColumns = ColumnValueNulls<<1 - 1 | ColumnPartials
)

// ChangeKind says what a record does to the result it belongs to.
type ChangeKind uint8

const (
	Insert       ChangeKind = 0
	UpdateBefore ChangeKind = 1
	UpdateAfter  ChangeKind = 2
	Delete       ChangeKind = 3
)

// RecordVersion is the version of the batch layout, the first field of its header.
const RecordVersion = 1

// BatchHeaderBytes is the size of a batch's header:
//
//	0 u16 version (1)      4 u32 columns      8 u32 n           12 u32 size, header and padding included
//	2 u16 zero            16 u32 key bytes   20 u32 value bytes 24 u32 header bytes   28 u32 zero
//
// Sections follow in the order of the column bits, then key bytes, value bytes, header bytes; each begins at a multiple
// of 8 and is padded with zeros. All integers are little-endian.
const BatchHeaderBytes = 32

// Batch is a decoded view of one batch: its slices share the bytes given to Parse, so it is valid as long as they are.
// A column that is absent is nil.
type Batch struct {
	N          int
	Columns    Columns
	Timestamps []int64
	KeyOffs    []uint32 // N+1 offsets into Keys
	ValueOffs  []uint32 // N+1 offsets into Values
	Kinds      []byte
	Hashes     []uint64
	HeaderOffs []uint32
	KeyNulls   []byte
	ValueNulls []byte
	Keys       []byte
	Values     []byte
	Headers    []byte
	Partials   []Partial
}

// Partial says of how many records of its key a value is the accumulator (low 32 bits), and of which schema version (16 bits
// above them).
type Partial uint64

// NewPartial is that of an accumulator of n records.
func NewPartial(n uint32, version uint16) Partial { return Partial(uint64(version)<<32 | uint64(n)) }

// Records is of how many records it is, Version its schema version.
func (p Partial) Records() int64  { return int64(uint32(p)) }
func (p Partial) Version() uint16 { return uint16(p >> 32) }

// Key returns the key bytes of record i; the batch must have ColumnKeys.
func (b *Batch) Key(i int) []byte { return b.Keys[b.KeyOffs[i]:b.KeyOffs[i+1]] }

// Value returns the value bytes of record i; the batch must have ColumnValues.
func (b *Batch) Value(i int) []byte { return b.Values[b.ValueOffs[i]:b.ValueOffs[i+1]] }

// Timestamp returns the event time of record i, NoTimestamp when the batch has none.
func (b *Batch) Timestamp(i int) int64 {
	if b.Timestamps == nil {
		return NoTimestamp
	}
	return b.Timestamps[i]
}

// Parse checks p, one whole batch, and sets b to a view of it. It allocates nothing. p must begin at an address that is
// a multiple of 8 (use AlignedBytes); every offset, length and padding byte count is checked, so that accessors of b
// cannot panic afterwards.
func (b *Batch) Parse(p []byte) error {
	if len(p) < BatchHeaderBytes {
		return fmt.Errorf("batch: %d bytes (expected >= %d)", len(p), BatchHeaderBytes)
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(p)))%8 != 0 {
		return fmt.Errorf("batch: address is not a multiple of 8")
	}
	le := binary.LittleEndian
	if v := le.Uint16(p); v != RecordVersion {
		return fmt.Errorf("batch.version: %d (expected %d)", v, RecordVersion)
	}
	cols := Columns(le.Uint32(p[4:]))
	if unknown := cols &^ knownColumns; unknown != 0 {
		return fmt.Errorf("batch.columns: unknown column bit %d", bits.TrailingZeros32(uint32(unknown)))
	}
	n, size := int(le.Uint32(p[8:])), int(le.Uint32(p[12:]))
	keyBytes, valueBytes, headerBytes := int(le.Uint32(p[16:])), int(le.Uint32(p[20:])), int(le.Uint32(p[24:]))
	if size != len(p) {
		return fmt.Errorf("batch.size: %d (have %d bytes)", size, len(p))
	}
	l := layoutOf(cols, n, keyBytes, valueBytes, headerBytes)
	if l.size != size {
		return fmt.Errorf("batch.size: %d (columns %#x, n %d need %d)", size, uint32(cols), n, l.size)
	}
	*b = Batch{N: n, Columns: cols}
	if cols&ColumnTimestamps != 0 {
		b.Timestamps = view[int64](p, l.at[0], n)
	}
	if cols&ColumnKeys != 0 {
		b.KeyOffs = view[uint32](p, l.at[1], n+1)
		b.Keys = p[l.keys : l.keys+keyBytes : l.keys+keyBytes]
		if err := checkOffsets("keys", b.KeyOffs, keyBytes); err != nil {
			return err
		}
	}
	if cols&ColumnValues != 0 {
		b.ValueOffs = view[uint32](p, l.at[2], n+1)
		b.Values = p[l.values : l.values+valueBytes : l.values+valueBytes]
		if err := checkOffsets("values", b.ValueOffs, valueBytes); err != nil {
			return err
		}
	}
	if cols&ColumnKinds != 0 {
		b.Kinds = p[l.at[3] : l.at[3]+n]
		for i, k := range b.Kinds {
			if ChangeKind(k) > Delete {
				return fmt.Errorf("batch.kinds[%d]: %d (expected 0 <= kind <= %d)", i, k, Delete)
			}
		}
	}
	if cols&ColumnHashes != 0 {
		b.Hashes = view[uint64](p, l.at[4], n)
	}
	if cols&ColumnHeaders != 0 {
		b.HeaderOffs = view[uint32](p, l.at[5], n+1)
		b.Headers = p[l.headers : l.headers+headerBytes : l.headers+headerBytes]
		if err := checkOffsets("headers", b.HeaderOffs, headerBytes); err != nil {
			return err
		}
	}
	if cols&ColumnKeyNulls != 0 {
		b.KeyNulls = p[l.at[6] : l.at[6]+(n+7)/8]
	}
	if cols&ColumnValueNulls != 0 {
		b.ValueNulls = p[l.at[7] : l.at[7]+(n+7)/8]
	}
	if cols&ColumnPartials != 0 {
		b.Partials = view[Partial](p, l.at[partialsAt], n)
	}
	return nil
}

func checkOffsets(section string, offs []uint32, size int) error {
	prev := uint32(0)
	if offs[0] != 0 {
		return fmt.Errorf("batch.%s.offsets[0]: %d (expected 0)", section, offs[0])
	}
	for i, o := range offs {
		if o < prev {
			return fmt.Errorf("batch.%s.offsets[%d]: %d (expected >= %d)", section, i, o, prev)
		}
		prev = o
	}
	if int(prev) != size {
		return fmt.Errorf("batch.%s.offsets[%d]: %d (expected %d, the section's length)", section, len(offs)-1, prev, size)
	}
	return nil
}

// layout is where each section of a batch begins.
type layout struct {
	at                    [partialsAt + 1]int // per column bit, behind them the host's own
	keys, values, headers int
	size                  int
}

const partialsAt = 8

func layoutOf(cols Columns, n, keyBytes, valueBytes, headerBytes int) layout {
	var l layout
	at := BatchHeaderBytes
	place := func(bit int, size int) {
		if cols&(1<<bit) != 0 {
			l.at[bit] = at
			at += pad8(size)
		}
	}
	place(0, 8*n)
	place(1, 4*(n+1))
	place(2, 4*(n+1))
	place(3, n)
	place(4, 8*n)
	place(5, 4*(n+1))
	place(6, (n+7)/8)
	place(7, (n+7)/8)
	if cols&ColumnPartials != 0 {
		l.at[partialsAt] = at
		at += 8 * n
	}
	l.keys = at
	at += pad8(keyBytes)
	l.values = at
	at += pad8(valueBytes)
	l.headers = at
	at += pad8(headerBytes)
	l.size = at
	return l
}

func view[T int64 | uint32 | uint64 | Partial](p []byte, at, n int) []T {
	if n == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&p[at])), n)
}

// AlignedBytes returns n zero bytes whose address is a multiple of 8.
func AlignedBytes(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	w := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), n)
}
