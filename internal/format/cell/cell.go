// Package cell has what the decoders of binary formats share: values before they are a row, where in it they stand, and what keeps
// one from being a row. It knows no format.
package cell

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Cell is a value: null, in place, or a part.
type Cell struct {
	Null bool
	Bits uint64
	Part []byte
}

// Fault is a value of a file that is no row of the schema.
type Fault struct {
	Path    string // "items[3].price", empty when it is about the row itself
	Problem string
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return f.Problem
	}
	return f.Path + ": " + f.Problem
}

// maxScratch bounds the nested rows and lists of one row while it is made.
const maxScratch = 16 * abi.MaxRecordBytes

// Maker makes one row after the other. After a fault it goes on, so that its decoder finds the end of the value: what it makes then
// is nothing. It keeps its memory.
type Maker struct {
	path    []place
	fault   *Fault
	scratch []byte // nested rows, lists and decimals
	json    jsonrow.Decoder
}

// place is a field, or an element of a list.
type place struct {
	name  string
	index int
}

// Reset begins a row.
func (m *Maker) Reset() { m.path, m.fault, m.scratch = m.path[:0], nil, m.scratch[:0] }

// Enter says that what comes belongs to a field, until Leave.
func (m *Maker) Enter(name string) { m.path = append(m.path, place{name: name}) }

// EnterElement says that what comes belongs to an element of a list, until Leave.
func (m *Maker) EnterElement(i int) { m.path = append(m.path, place{index: i}) }

// Leave ends a field or element.
func (m *Maker) Leave() { m.path = m.path[:len(m.path)-1] }

// Misfit notes what keeps the value from being a row, if nothing has before.
func (m *Maker) Misfit(format string, args ...any) Cell {
	if m.fault == nil {
		f := &Fault{Problem: fmt.Sprintf(format, args...)}
		for _, at := range m.path {
			switch {
			case at.name == "":
				f.Path += fmt.Sprintf("[%d]", at.index)
			case f.Path != "":
				f.Path += "." + at.name
			default:
				f.Path = at.name
			}
		}
		m.fault = f
	}
	return Cell{}
}

// Finish appends the row, which is a cell, to dst, or says why there is none.
func (m *Maker) Finish(dst []byte, row Cell) ([]byte, *Fault) {
	if m.fault == nil && len(row.Part) > abi.MaxRecordBytes {
		m.Misfit("a row of %d bytes (expected <= %d)", len(row.Part), abi.MaxRecordBytes)
	}
	if m.fault != nil {
		return dst, m.fault
	}
	return append(dst, row.Part...), nil
}

// Null is null as one of the field.
func (m *Maker) Null(f *abi.Field) Cell {
	if !f.Nullable {
		return m.Misfit("null (expected a value)")
	}
	return Cell{Null: true}
}

// Set sets field i of a row, which is f.
func Set(w *abi.RowWriter, i int, f *abi.Field, c Cell) {
	switch {
	case c.Null:
		w.SetNull(i)
	case f.Type.Variable():
		w.SetBytes(i, c.Part)
	default:
		w.SetI64(i, int64(c.Bits))
	}
}

// Row is the row that has been set.
func (m *Maker) Row(w *abi.RowWriter) Cell {
	if m.fault != nil {
		return Cell{}
	}
	return m.keep(w.AppendTo)
}

// MaxElements bounds a list: more have no room in a record.
const MaxElements = abi.MaxRecordBytes / 8

// List is the list of these cells, which are elements of elem.
func (m *Maker) List(w *abi.ListWriter, cells []Cell, elem *abi.Field) Cell {
	if m.fault != nil {
		return Cell{}
	}
	w.Reset(len(cells))
	for i, c := range cells {
		switch {
		case c.Null:
			w.SetNull(i)
		case elem.Type.Variable():
			w.SetBytes(i, c.Part)
		default:
			w.SetI64(i, int64(c.Bits))
		}
	}
	return m.keep(w.AppendTo)
}

// keep writes a row or list to scratch. What parts of it were made before stays where it was, if scratch moves.
func (m *Maker) keep(appendTo func([]byte) []byte) Cell {
	from := len(m.scratch)
	if from > maxScratch {
		return m.Misfit("larger than a record may be")
	}
	m.scratch = appendTo(m.scratch)
	return Cell{Part: m.scratch[from:]}
}

// Whole is a whole number as one of the field: i64, ms, f64 or decimal.
func (m *Maker) Whole(f *abi.Field, n int64) Cell {
	switch f.Type {
	case abi.TypeF64:
		return Cell{Bits: math.Float64bits(float64(n))}
	case abi.TypeDecimal:
		return m.Decimal(f, scalar.DecimalOf(n>>63, uint64(n)), 0)
	}
	return Cell{Bits: uint64(n)}
}

// Decimal is a number with scale digits behind its point as one of the field.
func (m *Maker) Decimal(f *abi.Field, v scalar.Decimal, scale int) Cell {
	v, ok := v.Rescale(f.Scale - scale)
	if !ok || !v.Fits(f.Precision) {
		return m.Misfit("does not fit a number of %d digits, %d of them behind the point", f.Precision, f.Scale)
	}
	from := len(m.scratch)
	hi, lo := v.Halves()
	m.scratch = abi.AppendDecimal(m.scratch, hi, lo)
	return Cell{Part: m.scratch[from:]}
}

// DecimalBytes is the same of a big-endian two's complement.
func (m *Maker) DecimalBytes(f *abi.Field, p []byte, scale int) Cell {
	v, ok := scalar.DecimalOfBytes(p)
	if !ok {
		return m.Misfit("a decimal of %d bytes", len(p))
	}
	return m.Decimal(f, v, scale)
}

// Bytes is text or bytes as one of the field: utf8, json or bytes.
func (m *Maker) Bytes(f *abi.Field, p []byte) Cell {
	switch f.Type {
	case abi.TypeUTF8:
		if !utf8.Valid(p) {
			return m.Misfit("not UTF-8")
		}
	case abi.TypeJSON:
		if err := m.json.Valid(p); err != nil {
			return m.Misfit("not JSON: %v", err)
		}
	}
	return Cell{Part: p}
}

// Milliseconds of a time in units of which a millisecond has so many.
func Milliseconds(n, per int64) int64 {
	if n%per < 0 {
		return n/per - 1
	}
	return n / per
}

// DayMillis are those of a day.
const DayMillis = 24 * 60 * 60 * 1000
