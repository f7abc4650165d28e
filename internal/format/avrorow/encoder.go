package avrorow

import (
	"encoding/binary"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// appendField writes field i of a row.
func appendField(dst []byte, s *abi.Schema, r abi.Row, i int) []byte {
	f := &s.Fields[i]
	if f.Nullable {
		if r.Null(i) {
			return append(dst, 0) // branch 0
		}
		dst = append(dst, 2) // branch 1
	}
	return appendValue(dst, r, i, f)
}

// values are what rows and lists have in common.
type values interface {
	Bool(i int) bool
	I64(i int) int64
	F64(i int) float64
	Bytes(i int) []byte
	Decimal(i int) (hi int64, lo uint64)
}

func appendValue[V values](dst []byte, of V, i int, f *abi.Field) []byte {
	switch f.Type {
	case abi.TypeBool:
		if of.Bool(i) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case abi.TypeI64, abi.TypeMs:
		return binary.AppendVarint(dst, of.I64(i))
	case abi.TypeF64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(of.F64(i)))
	case abi.TypeDecimal:
		hi, lo := of.Decimal(i)
		at := len(dst)
		dst = scalar.AppendDecimalBytes(append(dst, 0), hi, lo)
		dst[at] = byte(2 * (len(dst) - at - 1)) // at most 16
		return dst
	case abi.TypeList:
		return appendList(dst, abi.ListOf(of.Bytes(i)), f.Elem)
	case abi.TypeRow:
		row := f.Row.Row(of.Bytes(i))
		for i := range f.Row.Fields {
			dst = appendField(dst, f.Row, row, i)
		}
		return dst
	}
	return append(binary.AppendVarint(dst, int64(len(of.Bytes(i)))), of.Bytes(i)...)
}

// appendList writes a list as one block.
func appendList(dst []byte, l abi.List, elem *abi.Field) []byte {
	if l.Len() == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(l.Len()))
	for i := range l.Len() {
		if elem.Nullable {
			if l.Null(i) {
				dst = append(dst, 0)
				continue
			}
			dst = append(dst, 2)
		}
		dst = appendValue(dst, l, i, elem)
	}
	return append(dst, 0)
}
