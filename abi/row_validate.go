package abi

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// RowError says where a row's bytes break the schema or the canonical form.
type RowError struct {
	Path    string // "items[3].price", empty for the row itself
	Problem string
}

func (e *RowError) Error() string {
	if e.Path == "" {
		return "row: " + e.Problem
	}
	return "row." + e.Path + ": " + e.Problem
}

// Validate checks that p is one row of the schema s in canonical form, so that the accessors of s.Row(p) cannot go wrong
// and equal rows have equal bytes. It allocates nothing for a row that is right. That the bytes of a json field are JSON
// is not checked, only that they are UTF-8.
func Validate(s *Schema, p []byte) error { return validateRow(s, p, false) }

// validateRow checks one row; as part of a key its floats must be in key form too.
func validateRow(s *Schema, p []byte, key bool) error {
	n := len(s.Fields)
	v := cellReader{bytes: p, nulls: 0, slots: nullBytes(n), n: n}
	if err := v.begin(); err != nil {
		return err
	}
	for i := range s.Fields {
		if err := v.field(i, &s.Fields[i], key); err != nil {
			return under(err, s.Fields[i].Name)
		}
	}
	return v.end()
}

func validateList(elem *Field, p []byte, key bool) error {
	if len(p) < ListHeaderSize {
		return broken("list of %d bytes (expected >= %d)", len(p), ListHeaderSize)
	}
	n := int(binary.LittleEndian.Uint32(p))
	if n > len(p) || binary.LittleEndian.Uint32(p[4:]) != 0 {
		return broken("list of %d elements in %d bytes, then %#x (expected 0)", n, len(p), binary.LittleEndian.Uint32(p[4:]))
	}
	v := cellReader{bytes: p, nulls: ListHeaderSize, slots: ListHeaderSize + nullBytes(n), n: n}
	if err := v.begin(); err != nil {
		return err
	}
	for i := range n {
		if err := v.field(i, elem, key); err != nil {
			return under(err, fmt.Sprintf("[%d]", i))
		}
	}
	return v.end()
}

// cellReader walks the slots of a row or list and keeps where the next variable part must begin.
type cellReader struct {
	bytes        []byte
	nulls, slots int // where bitmap and slots begin
	n            int
	next         int
}

func (v *cellReader) begin() error {
	v.next = v.slots + 8*v.n
	if len(v.bytes) < v.next || len(v.bytes)%8 != 0 || len(v.bytes) > MaxRecordBytes {
		return broken("%d bytes (expected %d <= length <= %d, a multiple of 8)", len(v.bytes), v.next, MaxRecordBytes)
	}
	for i := v.n; i < 8*(v.slots-v.nulls); i++ {
		if v.null(i) {
			return broken("null bitmap has bit %d of %d fields", i, v.n)
		}
	}
	return nil
}

func (v *cellReader) end() error {
	if v.next != len(v.bytes) {
		return broken("%d bytes (expected %d)", len(v.bytes), v.next)
	}
	return nil
}

func (v *cellReader) null(i int) bool { return v.bytes[v.nulls+i/8]&(1<<(i%8)) != 0 }

func (v *cellReader) field(i int, f *Field, key bool) error {
	slot := binary.LittleEndian.Uint64(v.bytes[v.slots+8*i:])
	if v.null(i) {
		if !f.Nullable {
			return broken("null (expected a value)")
		}
		if slot != 0 {
			return broken("slot of a null is %#x (expected 0)", slot)
		}
		return nil
	}
	switch f.Type {
	case TypeBool:
		if slot > 1 {
			return broken("bool is %#x (expected 0 or 1)", slot)
		}
	case TypeF64:
		if key && slot != keyFloatBits(math.Float64frombits(slot)) {
			return broken("%#x is no float of a key (expected %#x)", slot, keyFloatBits(math.Float64frombits(slot)))
		}
	case TypeI64, TypeMs:
	default:
		part, err := v.part(slot)
		if err != nil {
			return err
		}
		return validatePart(f, part, key)
	}
	return nil
}

// part returns the variable part that slot names, which must be the next one, followed by zero padding.
func (v *cellReader) part(slot uint64) ([]byte, error) {
	off, n := int(uint32(slot)), int(slot>>32)
	if off != v.next {
		return nil, broken("offset %d (expected %d)", off, v.next)
	}
	if n > len(v.bytes)-off || pad8(n) > len(v.bytes)-off {
		return nil, broken("length %d at %d (the row has %d bytes)", n, off, len(v.bytes))
	}
	v.next = off + pad8(n)
	for _, b := range v.bytes[off+n : v.next] {
		if b != 0 {
			return nil, broken("padding behind %d bytes at %d is not zero", n, off)
		}
	}
	return v.bytes[off : off+n], nil
}

func validatePart(f *Field, p []byte, key bool) error {
	switch f.Type {
	case TypeUTF8, TypeJSON:
		if !utf8.Valid(p) {
			return broken("not UTF-8")
		}
	case TypeDecimal:
		if len(p) != DecimalBytes {
			return broken("decimal of %d bytes (expected %d)", len(p), DecimalBytes)
		}
		if hi, lo := decimalOf(p); !fitsPrecision(hi, lo, f.Precision) {
			return broken("decimal of more than %d digits", f.Precision)
		}
	case TypeList:
		return validateList(f.Elem, p, key)
	case TypeRow:
		return validateRow(f.Row, p, key)
	}
	return nil
}

// fitsPrecision says whether the number has at most precision decimal digits.
func fitsPrecision(hi int64, lo uint64, precision int) bool {
	uhi := uint64(hi)
	if hi < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		uhi, _ = bits.Sub64(0, uhi, borrow)
	}
	limitHi, limitLo := uint64(0), uint64(1)
	for range precision {
		carry, low := bits.Mul64(limitLo, 10)
		limitHi, limitLo = limitHi*10+carry, low
	}
	return uhi < limitHi || uhi == limitHi && lo < limitLo
}

func broken(format string, args ...any) error {
	return &RowError{Problem: fmt.Sprintf(format, args...)}
}

// under puts name before the path of err.
func under(err error, name string) error {
	e := err.(*RowError)
	if e.Path != "" && e.Path[0] != '[' {
		name += "."
	}
	return &RowError{Path: name + e.Path, Problem: e.Problem}
}

// validText says whether s is UTF-8 without control characters: what names may be.
func validText(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}
