package abi

import (
	"encoding/binary"
	"math"
)

// A row of n fields, written canonically (equal rows have equal bytes):
//
//	0 null bitmap, bit i%8 of byte i/8 set: field i is null; padded to a multiple of 8
//	  n slots of 8 bytes: bool, i64, f64 and ms in place (little-endian); every other type as u32 offset from the row's
//	  first byte, u32 length; the slot of a null is zero
//	  variable parts in the order of the fields, without gaps, each padded with zeros to a multiple of 8
//
// An empty variable part has the offset where it would begin. A row's length is a multiple of 8.
//
// A list is the same behind a header of ListHeaderSize bytes:
//
//	0 u32 number of elements   4 u32 zero   8 null bitmap, slots, variable parts; offsets from the list's first byte
const ListHeaderSize = 8

// DecimalBytes is the length of a decimal's variable part.
const DecimalBytes = 16

// nullBytes is the size of the null bitmap of n fields.
func nullBytes(n int) int { return (n + 63) / 64 * 8 }

// Row is a view of one row's bytes. They must have come from a RowWriter or have passed Validate: accessors do not check.
// Asking a field for another type than it has gives a wrong value.
type Row struct {
	bytes []byte
	slots int // where the slots begin
}

// Row returns a view of p.
func (s *Schema) Row(p []byte) Row { return Row{bytes: p, slots: nullBytes(len(s.Fields))} }

// Null says whether field i is null.
func (r Row) Null(i int) bool { return r.bytes[i/8]&(1<<(i%8)) != 0 }

// I64 returns field i of type i64 or ms.
func (r Row) I64(i int) int64 { return int64(r.slot(i)) }

// F64 returns field i of type f64.
func (r Row) F64(i int) float64 { return math.Float64frombits(r.slot(i)) }

// Bool returns field i of type bool.
func (r Row) Bool(i int) bool { return r.slot(i) != 0 }

// Bytes returns the variable part of field i: text, bytes, or an encoded decimal, list or row. It shares the row's memory.
func (r Row) Bytes(i int) []byte {
	s := r.slot(i)
	off, end := uint32(s), uint32(s)+uint32(s>>32)
	return r.bytes[off:end:end]
}

// Decimal returns the unscaled number of field i of type decimal, as the two halves of its two's complement.
func (r Row) Decimal(i int) (hi int64, lo uint64) { return decimalOf(r.Bytes(i)) }

// Row returns field i, a nested row of the schema s.
func (r Row) Row(i int, s *Schema) Row { return s.Row(r.Bytes(i)) }

// List returns field i, a list.
func (r Row) List(i int) List { return ListOf(r.Bytes(i)) }

func (r Row) slot(i int) uint64 { return binary.LittleEndian.Uint64(r.bytes[r.slots+8*i:]) }

// List is a view of one list's bytes; its accessors are those of Row, by element.
type List struct {
	bytes []byte
	slots int
	n     int
}

// ListOf returns a view of p, the bytes of one list.
func ListOf(p []byte) List {
	n := int(binary.LittleEndian.Uint32(p))
	return List{bytes: p, slots: ListHeaderSize + nullBytes(n), n: n}
}

// Len returns the number of elements.
func (l List) Len() int { return l.n }

// Null says whether element i is null.
func (l List) Null(i int) bool { return l.bytes[ListHeaderSize+i/8]&(1<<(i%8)) != 0 }

// I64 returns element i of type i64 or ms.
func (l List) I64(i int) int64 { return l.row().I64(i) }

// F64 returns element i of type f64.
func (l List) F64(i int) float64 { return l.row().F64(i) }

// Bool returns element i of type bool.
func (l List) Bool(i int) bool { return l.row().Bool(i) }

// Bytes returns the variable part of element i.
func (l List) Bytes(i int) []byte { return l.row().Bytes(i) }

// Decimal returns the unscaled number of element i.
func (l List) Decimal(i int) (hi int64, lo uint64) { return decimalOf(l.Bytes(i)) }

// Row returns element i, a row of the schema s.
func (l List) Row(i int, s *Schema) Row { return s.Row(l.Bytes(i)) }

// List returns element i, a list.
func (l List) List(i int) List { return ListOf(l.Bytes(i)) }

// row lets the slot accessors of Row do the work: offsets are from the list's first byte.
func (l List) row() Row { return Row{bytes: l.bytes, slots: l.slots} }

func decimalOf(p []byte) (hi int64, lo uint64) {
	le := binary.LittleEndian
	return int64(le.Uint64(p[8:])), le.Uint64(p)
}

// AppendDecimal appends a decimal's variable part: the unscaled number, as the two halves of its two's complement.
func AppendDecimal(dst []byte, hi int64, lo uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, lo), uint64(hi))
}

// cells is what rows and lists have in common: slots that are set in any order and written with their null bitmap and
// variable parts.
type cells struct {
	slots []uint64
	parts [][]byte // of variable fields that are not null; the caller's bytes until they are written
	kinds []cell
}

type cell uint8

const (
	cellInPlace cell = iota
	cellNull
	cellVariable
)

func (c *cells) reset(n int) {
	if cap(c.slots) < n {
		c.slots, c.parts, c.kinds = make([]uint64, n), make([][]byte, n), make([]cell, n)
	}
	c.slots, c.parts, c.kinds = c.slots[:n], c.parts[:n], c.kinds[:n]
	clear(c.slots)
	clear(c.parts)
	clear(c.kinds)
}

// SetNull makes field i null.
func (c *cells) SetNull(i int) { c.set(i, cellNull, 0) }

// SetI64 sets field i of type i64 or ms.
func (c *cells) SetI64(i int, v int64) { c.set(i, cellInPlace, uint64(v)) }

// SetF64 sets field i of type f64.
func (c *cells) SetF64(i int, v float64) { c.set(i, cellInPlace, math.Float64bits(v)) }

// SetBool sets field i of type bool.
func (c *cells) SetBool(i int, v bool) {
	bit := uint64(0)
	if v {
		bit = 1
	}
	c.set(i, cellInPlace, bit)
}

// SetBytes sets field i of a variable type to its part: text, bytes, or an encoded decimal, list or row. The bytes are
// not copied before AppendTo.
func (c *cells) SetBytes(i int, b []byte) {
	c.set(i, cellVariable, 0)
	c.parts[i] = b
}

func (c *cells) set(i int, kind cell, slot uint64) {
	c.kinds[i], c.slots[i], c.parts[i] = kind, slot, nil
}

// appendTo writes bitmap, slots and parts behind dst; offsets count from dst[start].
func (c *cells) appendTo(dst []byte, start int) []byte {
	n, nulls := len(c.slots), nullBytes(len(c.slots))
	at := len(dst)
	for range (nulls + 8*n) / 8 {
		dst = binary.LittleEndian.AppendUint64(dst, 0)
	}
	for i, kind := range c.kinds {
		switch slot := c.slots[i]; kind {
		case cellNull:
			dst[at+i/8] |= 1 << (i % 8)
		case cellVariable:
			part := c.parts[i]
			slot = uint64(uint32(len(dst)-start)) | uint64(len(part))<<32
			dst = append(dst, part...)
			dst = appendPad(dst, len(part))
			fallthrough
		default:
			binary.LittleEndian.PutUint64(dst[at+nulls+8*i:], slot)
		}
	}
	return dst
}

// RowWriter writes rows. It keeps its memory: in steady state it allocates nothing. One goroutine at a time.
type RowWriter struct {
	cells
}

// Reset begins a row: nullable fields are null, the others zero, false or empty until they are set. Decimals, lists and
// rows have no empty form: they must be set.
func (w *RowWriter) Reset(s *Schema) {
	w.reset(len(s.Fields))
	for i := range s.Fields {
		switch f := &s.Fields[i]; {
		case f.Nullable:
			w.kinds[i] = cellNull
		case f.Type.Variable():
			w.kinds[i] = cellVariable
		}
	}
}

// AppendTo appends the row to dst. The row stays as it is: set what differs and append the next one.
func (w *RowWriter) AppendTo(dst []byte) []byte { return w.appendTo(dst, len(dst)) }

// ListWriter writes lists, as RowWriter does rows.
type ListWriter struct {
	cells
}

// Reset begins a list of n elements, each of which is to be set.
func (w *ListWriter) Reset(n int) { w.reset(n) }

// AppendTo appends the list to dst.
func (w *ListWriter) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(uint32(len(w.slots))))
	return w.appendTo(dst, start)
}
