package file

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// changes makes rows of records that are changes of results: the op, and behind it the fields of the row that the record is, or
// its value.
type changes struct {
	schema *abi.Schema // with the op
	row    *abi.Schema // of the records, nil if they are no rows
	writer abi.RowWriter
	made   []byte
}

// opField is the field of a change's op, valueField that of a value that is no row.
const (
	opField    = "op"
	valueField = "value"
)

// ops are what changes are called: a new result, a result as it was before it changed, as it is now, and one that is no more.
var ops = [...][]byte{abi.Insert: []byte("+I"), abi.UpdateBefore: []byte("-U"), abi.UpdateAfter: []byte("+U"), abi.Delete: []byte("-D")}

func newChanges(value abi.Codec) (*changes, error) {
	c := &changes{}
	codec := abi.Codec(fmt.Sprintf("row(%s: utf8, %s: %s)", opField, valueField, value))
	if fields, isRow := strings.CutPrefix(string(value), "row("); isRow {
		var err error
		if c.row, err = abi.ParseSchema(value); err != nil {
			return nil, err
		}
		if c.row.Index(opField) >= 0 {
			return nil, fmt.Errorf("updates: all, but the records have a field %q (expected none: it says what change a row is)", opField)
		}
		codec = abi.Codec(fmt.Sprintf("row(%s: utf8, %s", opField, fields))
	}
	var err error
	if c.schema, err = abi.ParseSchema(codec); err != nil {
		return nil, fmt.Errorf("updates: all of records of codec %s: %w", value, err)
	}
	return c, nil
}

// of is the row of record i. It is valid until the next call.
func (c *changes) of(b *abi.Batch, i int) ([]byte, error) {
	kind := abi.Insert
	if b.Kinds != nil {
		kind = abi.ChangeKind(b.Kinds[i])
	}
	if int(kind) >= len(ops) {
		return nil, fmt.Errorf("change of kind %d (expected 0 to %d)", kind, len(ops)-1)
	}
	c.writer.Reset(c.schema)
	c.writer.SetBytes(0, ops[kind])
	if err := c.fill(b.Value(i)); err != nil {
		return nil, err
	}
	c.made = c.writer.AppendTo(c.made[:0])
	return c.made, nil
}

// fill sets the fields behind the op.
func (c *changes) fill(value []byte) error {
	if c.row == nil {
		return c.set(1, value)
	}
	if err := abi.Validate(c.row, value); err != nil {
		return err
	}
	row := c.row.Row(value)
	for k := range c.row.Fields {
		switch f := &c.row.Fields[k]; {
		case row.Null(k):
			c.writer.SetNull(1 + k)
		case f.Type.Variable():
			c.writer.SetBytes(1+k, row.Bytes(k))
		default:
			c.writer.SetI64(1+k, row.I64(k)) // the bits of any type that stands in place
		}
	}
	return nil
}

// set sets a field to a value that is no row.
func (c *changes) set(field int, value []byte) error {
	if c.schema.Fields[field].Type.Variable() {
		c.writer.SetBytes(field, value)
		return nil
	}
	if len(value) != 8 {
		return fmt.Errorf("%s of %d bytes (expected 8)", c.schema.Fields[field].Type, len(value))
	}
	c.writer.SetI64(field, int64(binary.LittleEndian.Uint64(value)))
	return nil
}
