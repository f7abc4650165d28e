// Package text renders the value of a record as one line, by its codec: what the file and print sinks write. Rows become
// their fields separated by tabs.
package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Format renders values of one codec. It keeps no state between values.
type Format struct {
	codec  abi.Codec
	schema *abi.Schema // of a row
	fields []int       // which of its fields, in this order
}

// NewFormat returns the format of a codec. columns picks fields of a row by name; none: all of them.
func NewFormat(codec abi.Codec, columns []string) (*Format, error) {
	f := &Format{codec: codec}
	if !strings.HasPrefix(string(codec), "row(") {
		if len(columns) > 0 {
			return nil, fmt.Errorf("columns: %s (the records are %s, which has no fields)", strings.Join(columns, ","), codec)
		}
		return f, nil
	}
	schema, err := abi.ParseSchema(codec)
	if err != nil {
		return nil, err
	}
	f.schema = schema
	if f.fields, err = schema.Choose(columns); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	for _, i := range f.fields {
		if t := schema.Fields[i].Type; t == abi.TypeList || t == abi.TypeRow {
			return nil, fmt.Errorf("columns: field %q is a %s, which has no text form", schema.Fields[i].Name, t)
		}
	}
	return f, nil
}

// Append renders value behind dst.
func (f *Format) Append(dst, value []byte) ([]byte, error) {
	switch {
	case f.schema != nil:
		return f.appendRow(dst, value)
	case f.codec == abi.CodecI64:
		if len(value) != 8 {
			return dst, fmt.Errorf("i64 of %d bytes (expected 8)", len(value))
		}
		return strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(value)), 10), nil
	case f.codec == abi.CodecF64:
		if len(value) != 8 {
			return dst, fmt.Errorf("f64 of %d bytes (expected 8)", len(value))
		}
		return strconv.AppendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(value)), 'g', -1, 64), nil
	}
	return append(dst, value...), nil
}

func (f *Format) appendRow(dst, value []byte) ([]byte, error) {
	if err := abi.Validate(f.schema, value); err != nil {
		return dst, err
	}
	row := f.schema.Row(value)
	for k, i := range f.fields {
		if k > 0 {
			dst = append(dst, '\t')
		}
		if row.Null(i) {
			continue
		}
		switch f.schema.Fields[i].Type {
		case abi.TypeBool:
			dst = strconv.AppendBool(dst, row.Bool(i))
		case abi.TypeI64, abi.TypeMs:
			dst = strconv.AppendInt(dst, row.I64(i), 10)
		case abi.TypeF64:
			dst = strconv.AppendFloat(dst, row.F64(i), 'g', -1, 64)
		case abi.TypeUTF8, abi.TypeBytes, abi.TypeJSON:
			dst = append(dst, row.Bytes(i)...)
		case abi.TypeDecimal:
			hi, lo := row.Decimal(i)
			dst = scalar.AppendDecimal(dst, hi, lo, f.schema.Fields[i].Scale)
		default:
			return dst, errors.New("field without a text form")
		}
	}
	return dst, nil
}
