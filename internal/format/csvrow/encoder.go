package csvrow

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Encoder writes rows as records: null as an empty column, an empty string in quotes.
type Encoder struct {
	schema    *abi.Schema
	fields    []int
	delimiter byte
	style     scalar.TimeStyle
}

// NewEncoder returns the encoder of a codec, which is a row. columns picks its fields; none: all of them.
func NewEncoder(codec abi.Codec, columns []string, delimiter byte, style scalar.TimeStyle) (*Encoder, error) {
	if !strings.HasPrefix(string(codec), "row(") {
		return nil, fmt.Errorf("the records are %s, which has no columns (expected a row)", codec)
	}
	s, err := abi.ParseSchema(codec)
	if err != nil {
		return nil, err
	}
	e := &Encoder{schema: s, delimiter: delimiter, style: style}
	if e.fields, err = s.Choose(columns); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	chosen := &abi.Schema{}
	for _, i := range e.fields {
		chosen.Fields = append(chosen.Fields, s.Fields[i])
	}
	return e, check(chosen)
}

// Header is the record of the names of the columns.
func (e *Encoder) Header() []byte {
	var line []byte
	for k, i := range e.fields {
		if k > 0 {
			line = append(line, e.delimiter)
		}
		line = e.text(line, []byte(e.schema.Fields[i].Name))
	}
	return line
}

// Append renders value behind dst, without a line end.
func (e *Encoder) Append(dst, value []byte) ([]byte, error) {
	if err := abi.Validate(e.schema, value); err != nil {
		return dst, err
	}
	row := e.schema.Row(value)
	for k, i := range e.fields {
		if k > 0 {
			dst = append(dst, e.delimiter)
		}
		if row.Null(i) {
			continue
		}
		var err error
		if dst, err = e.value(dst, row, i); err != nil {
			return dst, fmt.Errorf("%s: %w", e.schema.Fields[i].Name, err)
		}
	}
	return dst, nil
}

func (e *Encoder) value(dst []byte, row abi.Row, i int) ([]byte, error) {
	switch f := &e.schema.Fields[i]; f.Type {
	case abi.TypeBool:
		return strconv.AppendBool(dst, row.Bool(i)), nil
	case abi.TypeI64:
		return strconv.AppendInt(dst, row.I64(i), 10), nil
	case abi.TypeF64:
		return strconv.AppendFloat(dst, row.F64(i), 'g', -1, 64), nil
	case abi.TypeMs:
		if e.style == scalar.TimeMillis {
			return strconv.AppendInt(dst, row.I64(i), 10), nil
		}
		return scalar.AppendTime(dst, row.I64(i), e.style)
	case abi.TypeBytes:
		if len(row.Bytes(i)) == 0 {
			return append(dst, `""`...), nil
		}
		return base64.StdEncoding.AppendEncode(dst, row.Bytes(i)), nil
	case abi.TypeDecimal:
		hi, lo := row.Decimal(i)
		return scalar.AppendDecimal(dst, hi, lo, f.Scale), nil
	}
	return e.text(dst, row.Bytes(i)), nil
}

// text writes a string, in quotes if it needs them.
func (e *Encoder) text(dst, p []byte) []byte {
	plain := len(p) > 0
	for _, c := range p {
		if c == e.delimiter || c == '"' || c == '\n' || c == '\r' {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, p...)
	}
	dst = append(dst, '"')
	for _, c := range p {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
