package field

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// Order makes bytes of keys whose order is that of the keys: numbers by their size, NaN behind all, text and bytes by their bytes,
// decimals by their value, null first, rows field by field; each field up or down. Keys of a user's own codec are bytes.
type Order struct {
	fields []*Field
	down   []bool
}

// NewOrder makes the order of keys of a codec. by has abi.Ascending or abi.Descending for all of the key, or for each of its fields;
// without any they are ascending.
func NewOrder(key abi.Codec, by []string) (*Order, error) {
	o := &Order{}
	schema, err := abi.ParseSchema(key)
	switch _, one := scalars[key]; {
	case err == nil:
		for i := range schema.Fields {
			f := schema.Fields[i]
			if f.Type == abi.TypeList || f.Type == abi.TypeRow || f.Type == abi.TypeJSON {
				return nil, fmt.Errorf("of field %q, which is a %s (expected bool, i64, f64, ms, utf8, bytes or decimal)", f.Name, f.Type)
			}
			o.fields = append(o.fields, &Field{Field: f, steps: []step{stepTo(schema, i)}})
		}
	case one:
		o.fields = []*Field{{Field: abi.Field{Type: scalars[key]}}}
	default:
		o.fields = []*Field{{Field: abi.Field{Type: abi.TypeBytes}}}
	}
	if len(by) > 1 && len(by) != len(o.fields) {
		return nil, fmt.Errorf("%d of keys that have %d fields (expected one, or one for each)", len(by), len(o.fields))
	}
	for i := range o.fields {
		down := len(by) == 1 && by[0] == abi.Descending || len(by) > 1 && by[i] == abi.Descending
		o.down = append(o.down, down)
	}
	return o, nil
}

// Append appends the bytes of a key; false: it is no value of its codec.
func (o *Order) Append(dst, key []byte) ([]byte, bool) {
	for i, f := range o.fields {
		at := len(dst)
		var state State
		if dst, state = f.appendOrder(dst, key); state == Broken {
			return dst, false
		}
		if o.down[i] {
			for k := range dst[at:] {
				dst[at+k] = ^dst[at+k]
			}
		}
	}
	return dst, true
}

// appendOrder appends the field of v: a byte that says whether it is there, if it may be missing, and its value.
func (f *Field) appendOrder(dst, v []byte) ([]byte, State) {
	var word uint64
	var part []byte
	var state State
	if f.Type.Variable() {
		part, state = f.Bytes(v)
	} else {
		word, state = f.Word(v)
	}
	switch {
	case state == Null:
		return append(dst, 0), state
	case state == Broken:
		return dst, state
	case f.Nullable:
		dst = append(dst, 1)
	}
	switch f.Type {
	case abi.TypeBool:
		return append(dst, byte(word)), There
	case abi.TypeDecimal:
		if len(part) != abi.DecimalBytes {
			return dst, Broken
		}
		dst = binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(part[8:])^1<<63)
		return binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(part)), There
	}
	if !f.Type.Variable() {
		return binary.BigEndian.AppendUint64(dst, f.Order(word)), There
	}
	for _, c := range part { // 0 is escaped, so that what ends comes before what goes on
		if dst = append(dst, c); c == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0), There
}
