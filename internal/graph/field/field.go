// Package field reads fields of rows in place, and says what keys, predicates and aggregates over them are: which field, of
// which type, and what is wrong with one. It knows codecs and bytes; it knows nothing of graphs, batches or state.
package field

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// Error is a fault in what was asked of fields: where in it, empty for all of it, and what is wrong.
type Error struct{ Path, Problem string }

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Problem
	}
	return e.Path + ": " + e.Problem
}

func faultf(path, format string, args ...any) *Error {
	return &Error{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// State is what was found where a field should be.
type State uint8

const (
	There  State = iota
	Null         // the field, or a row that it lies in
	Broken       // the bytes are no value of the codec
)

// Field is a place in the values of a codec. It reads bytes that nobody has checked.
type Field struct {
	abi.Field        // as it is declared; nullable too if a row that it lies in is
	steps     []step // through rows to the field; none: the value itself
}

// step is a field of a row.
type step struct {
	null int // byte of the bitmap
	bit  byte
	slot int
	size int // of bitmap and slots
}

// Find finds a field by its name, "a.b" being b in the row a. Without a name it is the value itself, of a codec that is no row
// but one value.
func Find(c abi.Codec, name string) (*Field, error) {
	if name == "" {
		if t, ok := scalars[c]; ok {
			return &Field{Field: abi.Field{Name: "value", Type: t}}, nil
		}
		return nil, fmt.Errorf("none is named, and the values are %s (expected the name of a field)", c)
	}
	schema, err := abi.ParseSchema(c)
	if err != nil {
		return nil, fmt.Errorf("%q of values that are %s (expected values that are rows)", name, c)
	}
	f := &Field{}
	for rest := name; ; {
		i, behind := next(schema, rest)
		if i < 0 {
			return nil, fmt.Errorf("no field %q in %s", name, c)
		}
		f.steps = append(f.steps, stepTo(schema, i))
		nullable := f.Nullable || schema.Fields[i].Nullable
		f.Field = schema.Fields[i]
		f.Nullable = nullable
		if behind == "" {
			return f, nil
		}
		schema, rest = f.Row, behind
	}
}

// scalars are the types of the codecs that are one value.
var scalars = map[abi.Codec]abi.FieldType{
	abi.CodecI64: abi.TypeI64, abi.CodecF64: abi.TypeF64, abi.CodecUTF8: abi.TypeUTF8, abi.CodecBytes: abi.TypeBytes,
}

// next is the field that name begins with, and the rest of the name. A field may have dots in its own name.
func next(s *abi.Schema, name string) (i int, rest string) {
	if i = s.Index(name); i >= 0 {
		return i, ""
	}
	for at := range len(name) {
		if name[at] != '.' {
			continue
		}
		if i = s.Index(name[:at]); i >= 0 && s.Fields[i].Type == abi.TypeRow && at+1 < len(name) {
			return i, name[at+1:]
		}
	}
	return -1, ""
}

func stepTo(s *abi.Schema, i int) step {
	slots := (len(s.Fields) + 63) / 64 * 8
	return step{null: i / 8, bit: 1 << (i % 8), slot: slots + 8*i, size: slots + 8*len(s.Fields)}
}

// Word is the field of v, if its type lies in the slot: its bits.
func (f *Field) Word(v []byte) (uint64, State) {
	if len(f.steps) == 1 {
		s := &f.steps[0]
		switch {
		case len(v) < s.size:
			return 0, Broken
		case v[s.null]&s.bit != 0:
			return 0, Null
		}
		return binary.LittleEndian.Uint64(v[s.slot:]), There
	}
	if len(f.steps) == 0 {
		if len(v) != 8 {
			return 0, Broken
		}
		return binary.LittleEndian.Uint64(v), There
	}
	word, _, state := f.walk(v)
	return word, state
}

// walk is the slot of the field, and the row that it lies in.
func (f *Field) walk(v []byte) (slot uint64, row []byte, state State) {
	for i := range f.steps {
		s := &f.steps[i]
		if i > 0 {
			if v = part(v, slot); v == nil {
				return 0, nil, Broken
			}
		}
		switch {
		case len(v) < s.size:
			return 0, nil, Broken
		case v[s.null]&s.bit != 0:
			return 0, nil, Null
		}
		slot = binary.LittleEndian.Uint64(v[s.slot:])
	}
	return slot, v, There
}

// part is the variable part that a slot of row leads to, nil if it leads out of it.
func part(row []byte, slot uint64) []byte {
	at, n := uint64(uint32(slot)), slot>>32
	if at+n > uint64(len(row)) {
		return nil
	}
	return row[at : at+n : at+n]
}

// Bytes is the field of v, if its type has a variable part. It shares the memory of v.
func (f *Field) Bytes(v []byte) ([]byte, State) {
	if len(f.steps) == 0 {
		return v, There
	}
	slot, row, state := f.walk(v)
	if state != There {
		return nil, state
	}
	if p := part(row, slot); p != nil {
		return p, There
	}
	return nil, Broken
}

// Ordered says whether Order is defined for the type.
func (f *Field) Ordered() bool {
	return f.Type == abi.TypeI64 || f.Type == abi.TypeF64 || f.Type == abi.TypeMs
}

// Order is a number that is smaller the smaller the field of those bits is. NaN is larger than every number, -0 is smaller than 0.
func (f *Field) Order(word uint64) uint64 {
	switch {
	case f.Type != abi.TypeF64:
		return word ^ 1<<63
	case math.Float64frombits(word) != math.Float64frombits(word):
		return nan
	case word>>63 != 0:
		return ^word
	}
	return word | 1<<63
}

// Decides says whether Leading and Compare are defined for the type.
func (f *Field) Decides() bool {
	return f.Ordered() || f.Type == abi.TypeUTF8 || f.Type == abi.TypeBytes
}

// Leading is a number that is no larger for the smaller of two values, by the field: the Order of a number, the first 8 bytes of text.
// Null is the largest.
func (f *Field) Leading(v []byte) (uint64, State) {
	if f.Ordered() {
		word, state := f.Word(v)
		if state == Null {
			return math.MaxUint64, state
		}
		return f.Order(word), state
	}
	text, state := f.Bytes(v)
	switch {
	case state == Null:
		return math.MaxUint64, state
	case len(text) >= 8:
		return binary.BigEndian.Uint64(text), state
	}
	var first [8]byte
	copy(first[:], text)
	return binary.BigEndian.Uint64(first[:]), state
}

// Compare holds the texts of two values against each other, by their bytes. Null is the largest.
func (f *Field) Compare(v, other []byte) int {
	a, state := f.Bytes(v)
	b, its := f.Bytes(other)
	if state != There || its != There {
		return cmp.Compare(state, its)
	}
	return bytes.Compare(a, b)
}

// Ordinal is the word that Order made a number of.
func (f *Field) Ordinal(order uint64) uint64 {
	switch {
	case f.Type != abi.TypeF64:
		return order ^ 1<<63
	case order == nan:
		return abiNaN
	case order>>63 == 0:
		return ^order
	}
	return order &^ (1 << 63)
}

// KeyWord is the word as keys have it: one NaN, and no negative zero.
func (f *Field) KeyWord(word uint64) uint64 {
	if f.Type == abi.TypeF64 {
		return math.Float64bits(abi.KeyFloat(math.Float64frombits(word)))
	}
	return word
}

const (
	abiNaN uint64 = 0x7ff8000000000000
	nan           = abiNaN | 1<<63
)

// KeyCodec is the codec of a key that is made of fields, and where they are: that of the field, if it is one that cannot be
// null and has a codec of its own, else a row of them under their last names.
func KeyCodec(c abi.Codec, names []string) (abi.Codec, []*Field, error) {
	var fields []*Field
	schema := &abi.Schema{}
	for i, name := range names {
		f, err := Find(c, name)
		if err != nil {
			return "", nil, &Error{Path: fmt.Sprintf("[%d]", i), Problem: err.Error()}
		}
		if f.Type == abi.TypeList || f.Type == abi.TypeRow {
			return "", nil, faultf(fmt.Sprintf("[%d]", i), "%q is a %s (expected bool, i64, f64, ms, utf8, bytes or decimal)", name, f.Type)
		}
		fields = append(fields, f)
		schema.Fields = append(schema.Fields, f.Field)
	}
	key := schema.Codec()
	if len(fields) == 1 && !fields[0].Nullable {
		for codec, t := range scalars {
			if t == fields[0].Type {
				key = codec
			}
		}
	}
	if len(fields) > 1 {
		if _, err := abi.ParseSchema(key); err != nil {
			return "", nil, &Error{Problem: fmt.Sprintf("%s (expected fields of different names)", strings.Join(names, ", "))}
		}
	}
	if _, err := abi.NewKeyCodec(key); err != nil {
		return "", nil, &Error{Problem: err.Error()}
	}
	return key, fields, nil
}
