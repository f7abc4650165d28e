// Package csvrow reads records of CSV (RFC 4180) into rows and writes rows as CSV. It knows schemas and bytes, and nothing about
// files: what is a record is for the caller to find.
package csvrow

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Fault says where a record is not what the schema asks for.
type Fault struct {
	At      int    // byte of the record
	Column  string // empty when it is about the record itself
	Problem string
}

func (f *Fault) Error() string {
	if f.Column == "" {
		return f.Problem
	}
	return f.Column + ": " + f.Problem
}

// Decoder makes rows of records. It allocates nothing for one that is right once it has seen some. One goroutine at a time.
type Decoder struct {
	schema    *abi.Schema
	delimiter byte
	fields    []int // of the row, by column; -1: not wanted
	row       abi.RowWriter
	scratch   []byte // what quotes and base64 stand for
	times     scalar.Times
	json      jsonrow.Decoder // checks
}

// NewDecoder returns a decoder of the rows of a schema. names are those of a record's columns; nil: they are the fields of the
// schema, in their order.
func NewDecoder(s *abi.Schema, delimiter byte, names []string) (*Decoder, error) {
	d := &Decoder{schema: s, delimiter: delimiter}
	if err := check(s); err != nil {
		return nil, err
	}
	if names == nil {
		for i := range s.Fields {
			d.fields = append(d.fields, i)
		}
		return d, nil
	}
	for i := range s.Fields {
		if !slices.Contains(names, s.Fields[i].Name) {
			return nil, fmt.Errorf("no column %q (the columns are %q)", s.Fields[i].Name, names)
		}
	}
	for k, name := range names {
		if slices.Contains(names[:k], name) && s.Index(name) >= 0 {
			return nil, fmt.Errorf("two columns %q", name)
		}
		d.fields = append(d.fields, s.Index(name))
	}
	return d, nil
}

// check says what of a schema CSV has no form of.
func check(s *abi.Schema) error {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Type == abi.TypeList || f.Type == abi.TypeRow {
			return fmt.Errorf("field %q is a %s, which CSV has no form of", f.Name, f.Type)
		}
	}
	return nil
}

// Decode appends to dst the row of a record, which has no line end. An empty column without quotes is null. The error is a
// *Fault; dst is returned as it was then.
func (d *Decoder) Decode(dst, record []byte) ([]byte, error) {
	d.row.Reset(d.schema)
	d.scratch = d.scratch[:0]
	if !utf8.Valid(record) {
		return dst, &Fault{Problem: "not UTF-8"}
	}
	at := 0
	for k, field := range d.fields {
		if at > len(record) {
			return dst, &Fault{At: len(record), Problem: fmt.Sprintf("%d columns (expected %d)", k, len(d.fields))}
		}
		begin := at
		content, next, fault := d.column(record, at)
		if fault == nil && field >= 0 {
			fault = d.set(field, content, begin < len(record) && record[begin] == '"')
		}
		if fault != nil {
			fault.At += begin
			return dst, fault
		}
		at = next
	}
	if at <= len(record) {
		return dst, &Fault{At: at, Problem: fmt.Sprintf("more than %d columns", len(d.fields))}
	}
	return d.row.AppendTo(dst), nil
}

// column reads the column at record[at]. The next one begins at next, behind the record if there is none.
func (d *Decoder) column(record []byte, at int) (content []byte, next int, fault *Fault) {
	rest := record[at:]
	if len(rest) == 0 || rest[0] != '"' {
		end := bytes.IndexByte(rest, d.delimiter)
		if end < 0 {
			end = len(rest)
		}
		if quote := bytes.IndexByte(rest[:end], '"'); quote >= 0 {
			return nil, 0, &Fault{At: quote, Problem: `a " in a column that does not begin with one`}
		}
		return rest[:end], at + end + 1, nil
	}
	from, escaped := len(d.scratch), false
	for i, begin := 1, 1; ; {
		n := bytes.IndexByte(rest[i:], '"')
		if n < 0 {
			return nil, 0, &Fault{Problem: `no closing " (one in a later line is only looked for with quotedNewlines)`}
		}
		i += n
		switch {
		case i+1 < len(rest) && rest[i+1] == '"':
			d.scratch = append(d.scratch, rest[begin:i+1]...)
			escaped = true
			i += 2
			begin = i
		case i+1 < len(rest) && rest[i+1] != d.delimiter:
			return nil, 0, &Fault{At: i + 1, Problem: fmt.Sprintf("%q behind the closing \" (expected %q, or the end)", rest[i+1], d.delimiter)}
		case escaped:
			d.scratch = append(d.scratch, rest[begin:i]...)
			return d.scratch[from:], at + i + 2, nil
		default:
			return rest[begin:i], at + i + 2, nil
		}
	}
}

// set sets field i of the row.
func (d *Decoder) set(i int, content []byte, quoted bool) *Fault {
	f := &d.schema.Fields[i]
	if len(content) == 0 && !quoted && f.Nullable {
		d.row.SetNull(i)
		return nil
	}
	if !d.take(i, f, content) {
		return &Fault{Column: f.Name, Problem: fmt.Sprintf("%q (expected %s)", shorten(content), expects(f))}
	}
	return nil
}

// take sets field i of the row, which is f, unless content is no value of it.
func (d *Decoder) take(i int, f *abi.Field, content []byte) bool {
	from := len(d.scratch)
	switch f.Type {
	case abi.TypeUTF8, abi.TypeJSON:
		d.row.SetBytes(i, content)
		return f.Type == abi.TypeUTF8 || d.json.Valid(content) == nil
	case abi.TypeBool:
		yes := string(content) == "true"
		d.row.SetBool(i, yes)
		return yes || string(content) == "false"
	case abi.TypeI64:
		v, err := strconv.ParseInt(view(content), 10, 64)
		d.row.SetI64(i, v)
		return err == nil
	case abi.TypeF64:
		v, err := strconv.ParseFloat(view(content), 64)
		d.row.SetF64(i, v)
		return err == nil
	case abi.TypeMs:
		v, ok := d.time(content)
		d.row.SetI64(i, v)
		return ok
	case abi.TypeDecimal:
		v, ok := scalar.ParseDecimal(content, f.Precision, f.Scale)
		hi, lo := v.Halves()
		d.scratch = abi.AppendDecimal(d.scratch, hi, lo)
		d.row.SetBytes(i, d.scratch[from:])
		return ok
	}
	decoded, err := base64.StdEncoding.AppendDecode(d.scratch, content)
	if err != nil {
		return false
	}
	d.scratch = decoded
	d.row.SetBytes(i, decoded[from:])
	return true
}

// expects is what a value of the field looks like, for a person.
func expects(f *abi.Field) string {
	switch f.Type {
	case abi.TypeBool:
		return "true or false"
	case abi.TypeI64:
		return "a whole number of 64 bits"
	case abi.TypeF64:
		return "a number"
	case abi.TypeMs:
		return "a time such as 2026-01-31T23:59:59.050, or milliseconds"
	case abi.TypeDecimal:
		return fmt.Sprintf("a number of %d digits, %d of them behind the point", f.Precision, f.Scale)
	case abi.TypeJSON:
		return "JSON"
	}
	return "base64"
}

func (d *Decoder) time(content []byte) (int64, bool) {
	if ms, ok := d.times.Parse(content); ok {
		return ms, true
	}
	ms, err := strconv.ParseInt(view(content), 10, 64)
	return ms, err == nil
}

// view is b as a string, for as long as b stays.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func shorten(b []byte) []byte { return b[:min(len(b), 40)] }

// Names reads the names of columns out of a header, which is a record.
func Names(header []byte, delimiter byte) ([]string, error) {
	d := Decoder{delimiter: delimiter}
	var names []string
	for at := 0; at <= len(header); {
		name, next, fault := d.column(header, at)
		if fault != nil {
			return nil, fmt.Errorf("header: byte %d: %w", at+fault.At, fault)
		}
		names = append(names, string(name))
		at = next
	}
	return names, nil
}
