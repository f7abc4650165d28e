package jsonrow

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Encoder writes values of one codec as JSON, each without a line end in it: rows as objects in the order of their fields,
// times in its style, bytes in base64, decimals as numbers, NaN and infinities as null. It keeps what it needs for checks,
// and is for one goroutine at a time.
type Encoder struct {
	codec  abi.Codec
	schema *abi.Schema // of a row
	root   shape
	style  scalar.TimeStyle
	valid  Decoder // of json
}

// shape is how the rows of a schema are written.
type shape struct {
	fields []member
}

// member is a field with what stands before its value: {"price": or ,"price":
type member struct {
	index int // in the schema
	lead  []byte
	abi.Field
	row *shape // of a nested row, or of the rows of a list
}

// NewEncoder returns the encoder of a codec. columns picks fields of a row by name; none: all of them.
func NewEncoder(codec abi.Codec, columns []string, style scalar.TimeStyle) (*Encoder, error) {
	e := &Encoder{codec: codec, style: style}
	if !strings.HasPrefix(string(codec), "row(") {
		switch codec {
		case abi.CodecUTF8, abi.CodecI64, abi.CodecF64, abi.CodecJSON, abi.CodecBytes:
		default:
			return nil, fmt.Errorf("the records are %s, which has no JSON form (expected a row, json, utf8, i64, f64 or bytes)", codec)
		}
		if len(columns) > 0 {
			return nil, fmt.Errorf("columns: %s (the records are %s, which has no fields)", strings.Join(columns, ","), codec)
		}
		return e, nil
	}
	var err error
	if e.schema, err = abi.ParseSchema(codec); err != nil {
		return nil, err
	}
	chosen, err := e.schema.Choose(columns)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	e.root = newShape(e.schema, chosen)
	return e, nil
}

func newShape(s *abi.Schema, chosen []int) shape {
	var all shape
	for k, i := range chosen {
		lead := []byte{','}
		if k == 0 {
			lead = []byte{'{'}
		}
		m := member{index: i, lead: append(appendText(lead, []byte(s.Fields[i].Name)), ':'), Field: s.Fields[i]}
		inner := &m.Field
		for inner.Type == abi.TypeList {
			inner = inner.Elem
		}
		if inner.Type == abi.TypeRow {
			every, _ := inner.Row.Choose(nil)
			nested := newShape(inner.Row, every)
			m.row = &nested
		}
		all.fields = append(all.fields, m)
	}
	return all
}

// Append renders value behind dst.
func (e *Encoder) Append(dst, value []byte) ([]byte, error) {
	if e.schema != nil {
		if err := abi.Validate(e.schema, value); err != nil {
			return dst, err
		}
		return e.row(dst, e.schema.Row(value), &e.root)
	}
	switch e.codec {
	case abi.CodecUTF8:
		return appendText(dst, value), nil
	case abi.CodecBytes:
		return appendBase64(dst, value), nil
	case abi.CodecJSON:
		return e.json(dst, value)
	}
	if len(value) != 8 {
		return dst, fmt.Errorf("%s of %d bytes (expected 8)", e.codec, len(value))
	}
	bits := binary.LittleEndian.Uint64(value)
	if e.codec == abi.CodecF64 {
		return appendFloat(dst, math.Float64frombits(bits)), nil
	}
	return strconv.AppendInt(dst, int64(bits), 10), nil
}

func (e *Encoder) row(dst []byte, r abi.Row, s *shape) (_ []byte, err error) {
	for k := range s.fields {
		m := &s.fields[k]
		dst = append(dst, m.lead...)
		if r.Null(m.index) {
			dst = append(dst, "null"...)
		} else if dst, err = appendValue(e, dst, r, m.index, &m.Field, m.row); err != nil {
			return dst, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return append(dst, '}'), nil
}

// values are what rows and lists have in common.
type values interface {
	Bool(i int) bool
	I64(i int) int64
	F64(i int) float64
	Bytes(i int) []byte
	Decimal(i int) (hi int64, lo uint64)
}

// appendValue writes value i of a row or list, which is one of f and not null.
func appendValue[V values](e *Encoder, dst []byte, of V, i int, f *abi.Field, nested *shape) ([]byte, error) {
	switch f.Type {
	case abi.TypeBool:
		return strconv.AppendBool(dst, of.Bool(i)), nil
	case abi.TypeI64:
		return strconv.AppendInt(dst, of.I64(i), 10), nil
	case abi.TypeF64:
		return appendFloat(dst, of.F64(i)), nil
	case abi.TypeMs:
		if e.style == scalar.TimeMillis {
			return strconv.AppendInt(dst, of.I64(i), 10), nil
		}
		dst, err := scalar.AppendTime(append(dst, '"'), of.I64(i), e.style)
		return append(dst, '"'), err
	case abi.TypeUTF8:
		return appendText(dst, of.Bytes(i)), nil
	case abi.TypeBytes:
		return appendBase64(dst, of.Bytes(i)), nil
	case abi.TypeJSON:
		return e.json(dst, of.Bytes(i))
	case abi.TypeDecimal:
		hi, lo := of.Decimal(i)
		return scalar.AppendDecimal(dst, hi, lo, f.Scale), nil
	case abi.TypeList:
		return e.list(dst, abi.ListOf(of.Bytes(i)), f.Elem, nested)
	}
	return e.row(dst, f.Row.Row(of.Bytes(i)), nested)
}

func (e *Encoder) list(dst []byte, l abi.List, elem *abi.Field, nested *shape) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range l.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if l.Null(i) {
			dst = append(dst, "null"...)
		} else if dst, err = appendValue(e, dst, l, i, elem, nested); err != nil {
			return dst, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

// json writes a value that is JSON already, on one line.
func (e *Encoder) json(dst, p []byte) ([]byte, error) {
	if err := e.valid.Valid(p); err != nil {
		return dst, fmt.Errorf("not JSON: %w", err)
	}
	if bytes.IndexByte(p, '\n') < 0 && bytes.IndexByte(p, '\r') < 0 {
		return append(dst, p...), nil
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, p); err != nil {
		return dst, fmt.Errorf("not JSON: %w", err)
	}
	return out.Bytes(), nil
}

func appendBase64(dst, p []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), p), '"')
}

// appendFloat writes a float as encoding/json does: in digits, and with an exponent when it is very large or small.
func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}

// appendText writes a string, which is UTF-8, with its quotes.
func appendText(dst, p []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(p); i++ {
		for i+8 <= len(p) && ending(binary.LittleEndian.Uint64(p[i:])) == 0 {
			i += 8
		}
		if i == len(p) {
			break
		}
		c := p[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, p[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, p[from:]...), '"')
}
