package file

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/format/csvrow"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
)

// timesOffset is what the option timestamps says when lines have their offset as event time.
const timesOffset = "offset"

var byteOrderMark = []byte("\xef\xbb\xbf")

// settle checks that the format makes values of the codec, and finds the fields of event time.
func (s *Source) settle() (err error) {
	rows := strings.HasPrefix(string(s.codec), "row(")
	switch {
	case s.format == formatLines && rows:
		return fmt.Errorf("format: lines, but the source's records are rows (expected %s)", strings.Join(formats[1:], ", "))
	case s.format == formatLines:
		return nil
	case rows:
		if s.schema, err = abi.ParseSchema(s.codec); err != nil {
			return err
		}
	case s.format != formatJSON:
		return fmt.Errorf("format: %s, but the source's records are %s (expected a row)", s.format, s.codec)
	case s.codec != abi.CodecJSON:
		return fmt.Errorf("format: json, but the source's records are %s (expected a row or json)", s.codec)
	}
	if s.format == formatCSV && !s.csv.header {
		if _, err = csvrow.NewDecoder(s.schema, s.csv.delimiter, s.columns(nil)); err != nil {
			return err
		}
	}
	if s.times == "" {
		return nil
	}
	if s.schema == nil {
		return fmt.Errorf("timestamps: %q (records of codec json have no fields: expected a row)", s.times)
	}
	s.event, err = timePaths(s.schema, s.times)
	return err
}

// timePath is where a row has an event time: fields of rows in each other, and at last one of type ms or i64.
type timePath []step

type step struct {
	schema *abi.Schema
	field  int
}

// timePaths reads a list of paths.
func timePaths(s *abi.Schema, list string) ([]timePath, error) {
	var all []timePath
	for path := range strings.SplitSeq(list, ",") {
		f, err := findTime(s, strings.TrimSpace(path))
		if err != nil {
			return nil, fmt.Errorf("timestamps: %q: %w", path, err)
		}
		all = append(all, f)
	}
	return all, nil
}

func findTime(s *abi.Schema, path string) (timePath, error) {
	var found timePath
	for rest := path; ; {
		name, behind, deeper := strings.Cut(rest, ".")
		if i := s.Index(rest); i >= 0 { // a name may have dots
			name, deeper = rest, false
		}
		i := s.Index(name)
		if i < 0 {
			return nil, fmt.Errorf("no field %q in %s", name, s.Codec())
		}
		found = append(found, step{s, i})
		f := &s.Fields[i]
		switch {
		case !deeper && f.Type != abi.TypeMs && f.Type != abi.TypeI64:
			return nil, fmt.Errorf("field %q is %s (expected ms, or i64 of milliseconds)", name, f.Type)
		case !deeper:
			return found, nil
		case f.Type != abi.TypeRow:
			return nil, fmt.Errorf("field %q is %s, which has no fields", name, f.Type)
		}
		s, rest = f.Row, behind
	}
}

// of is the time that the row has there, if it has one.
func (f timePath) of(row []byte) (int64, bool) {
	for _, s := range f {
		r := s.schema.Row(row)
		switch {
		case r.Null(s.field):
			return 0, false
		case s.schema.Fields[s.field].Type == abi.TypeRow:
			row = r.Bytes(s.field)
		default:
			return r.I64(s.field), true
		}
	}
	return 0, false
}

// decoder makes values of lines, for one reader.
type decoder struct {
	lines interface {
		Decode(dst, line []byte) ([]byte, error)
	}
	event []timePath
}

// decoder returns that of a file, nil: values are lines.
func (s *Source) decoder(sp *span) (*decoder, error) {
	switch {
	case s.format == formatLines:
		return nil, nil
	case s.schema == nil:
		return &decoder{lines: &anyJSON{}}, nil
	case s.format == formatJSON:
		return &decoder{lines: jsonrow.NewDecoder(s.schema), event: s.event}, nil
	}
	lines, err := csvrow.NewDecoder(s.schema, s.csv.delimiter, s.columns(sp))
	if err != nil {
		return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s: %w", sp.Path, err)}
	}
	return &decoder{lines: lines, event: s.event}, nil
}

// anyJSON passes JSON on as it stands.
type anyJSON struct{ check jsonrow.Decoder }

func (a *anyJSON) Decode(dst, line []byte) ([]byte, error) {
	if err := a.check.Valid(line); err != nil {
		return dst, err
	}
	return append(dst, line...), nil
}

// time is the event time of a row.
func (d *decoder) time(row []byte) int64 { return firstTime(d.event, row) }

// firstTime is the first time that the row has in one of the fields.
func firstTime(fields []timePath, row []byte) int64 {
	for _, f := range fields {
		if t, ok := f.of(row); ok {
			return t
		}
	}
	return abi.NoTimestamp
}

// faultAt is the byte of a line that a decoder stumbles over.
func faultAt(err error) int {
	var j *jsonrow.Fault
	var c *csvrow.Fault
	switch {
	case errors.As(err, &j):
		return j.At
	case errors.As(err, &c):
		return c.At
	}
	return 0
}

// blank says that there is nothing but white space in a line.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
