package wasmill

import (
	"encoding/binary"
	"unsafe"
)

// Columns of a batch, one bit a column, in the order in which the sections follow each other.
const (
	columnTimestamps = 1 << 0
	columnKeys       = 1 << 1
	columnValues     = 1 << 2
	columnKinds      = 1 << 3
	columnHashes     = 1 << 4
	columnHeaders    = 1 << 5
	columnKeyNulls   = 1 << 6
	columnValueNulls = 1 << 7
	columnsKnown     = columnValueNulls<<1 - 1
)

const (
	batchHeaderBytes = 32
	recordVersion    = 1
	noTimestamp      = -1 << 63
)

// batch is a view of the records of a call: its slices share the input buffer. A column that is absent is nil.
type batch struct {
	n          int
	timestamps []int64
	keyOffs    []uint32
	valueOffs  []uint32
	kinds      []byte
	headerOffs []uint32
	keys       []byte
	values     []byte
	headers    []byte
}

// parse makes b a view of the encoded batch p. The host wrote it, so the offsets are trusted: what they lead to is
// bounds-checked by Go. False says that p is no batch of this version.
func (b *batch) parse(p []byte) bool {
	le := binary.LittleEndian
	if len(p) < batchHeaderBytes || le.Uint16(p) != recordVersion {
		return false
	}
	cols, n := le.Uint32(p[4:]), int(le.Uint32(p[8:]))
	if cols&^columnsKnown != 0 || int(le.Uint32(p[12:])) != len(p) {
		return false
	}
	s := sections{rest: p[batchHeaderBytes:], columns: cols, ok: true}
	*b = batch{n: n}
	b.timestamps = words[int64](s.column(columnTimestamps, 8*n))
	b.keyOffs = words[uint32](s.column(columnKeys, 4*(n+1)))
	b.valueOffs = words[uint32](s.column(columnValues, 4*(n+1)))
	b.kinds = s.column(columnKinds, n)
	s.column(columnHashes, 8*n)
	b.headerOffs = words[uint32](s.column(columnHeaders, 4*(n+1)))
	s.column(columnKeyNulls, (n+7)/8)
	s.column(columnValueNulls, (n+7)/8)
	b.keys = s.take(int(le.Uint32(p[16:])))
	b.values = s.take(int(le.Uint32(p[20:])))
	b.headers = s.take(int(le.Uint32(p[24:])))
	return s.ok && len(s.rest) == 0
}

// sections walks the sections of a batch.
type sections struct {
	rest    []byte
	columns uint32
	ok      bool
}

func (s *sections) column(bit uint32, n int) []byte {
	if s.columns&bit == 0 {
		return nil
	}
	return s.take(n)
}

func (s *sections) take(n int) []byte {
	if padded := (n + 7) &^ 7; padded <= len(s.rest) && n >= 0 {
		p := s.rest[:n:n]
		s.rest = s.rest[padded:]
		return p
	}
	s.ok = false
	return nil
}

// words views p, whose address is a multiple of 8, as numbers.
func words[T int64 | uint32](p []byte) []T {
	var t T
	if n := len(p) / int(unsafe.Sizeof(t)); n > 0 {
		return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(p))), n)
	}
	return nil
}

// octetsOf views numbers as the bytes that a batch has of them.
func octetsOf[T int64 | uint32](s []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(t)))
}

// aligned returns n bytes whose address is a multiple of 8.
func aligned(n int) []byte {
	w := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), n)
}
