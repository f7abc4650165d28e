// Package file reads records from files and writes records to files: lines, JSON lines, CSV, Avro, Parquet. The
// source cuts files into byte ranges, or row groups, that are read in parallel; the sink writes pending files that become visible, whole, when they are committed. It knows paths, lines and
// compression, and nothing about jobs beyond the names it is given. Paths are resolved by the process that opens them: on
// a cluster every TaskManager must see the same files.
package file

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

const opSource = "file source"

// readBytes is how much a reader asks of the disk at once; it holds one such buffer, grown to the longest line.
const readBytes = 256 << 10

// Source reads the records of the files that a path or pattern names. Options:
//
//	path        a file, or a pattern as of path.Match
//	format      lines (default): a record a line, without its end (\n or \r\n)
//	            json: a line is an object of which the fields of the operator's row are taken, or with the codec json any value
//	            csv: a line is a record of RFC 4180, of which the columns are taken that the operator's row has
//	            avro, parquet: of whose records the same fields are taken
//	timestamps  of lines: offset, a record's event time is the offset of its line in the file, in milliseconds;
//	            of rows: the fields that have it, "bid.dateTime,auction.dateTime", of which the first that is not null counts;
//	            otherwise records have none
//
// Of csv, see csvOptions, too.
type Source struct {
	config map[string]string
	path   string
	format string
	times  string // the option timestamps
	csv    csvOptions

	codec  abi.Codec   // of the values
	schema *abi.Schema // of rows
	event  []timePath  // where rows have their event time
}

// The formats that files may have.
const (
	formatLines   = "lines"
	formatJSON    = "json"
	formatCSV     = "csv"
	formatAvro    = "avro"
	formatParquet = "parquet"
)

// formats are those of sources and of sinks.
var formats = []string{formatLines, formatJSON, formatCSV, formatAvro, formatParquet}

func checkFormat(name string) error {
	if !slices.Contains(formats, name) {
		return fmt.Errorf("format: %q (expected %s)", name, strings.Join(formats, ", "))
	}
	return nil
}

// NewSource checks the options.
func NewSource(config map[string]string) (connector.Source, error) {
	s := &Source{config: config, format: formatLines, codec: abi.CodecUTF8}
	if err := s.csv.read(config); err != nil {
		return nil, &connector.Error{Op: opSource, Err: err}
	}
	for key, value := range config {
		switch key {
		case "path":
			s.path = value
		case "format":
			s.format = cmp.Or(value, formatLines)
		case "timestamps":
			s.times = value
		case "header", "delimiter", "names", "quotedNewlines":
		default:
			return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("unknown option %q (known: path, format, timestamps; of csv: header, delimiter, names, quotedNewlines)", key)}
		}
	}
	if err := s.check(); err != nil {
		return nil, &connector.Error{Op: opSource, Err: err}
	}
	return s, nil
}

func (s *Source) check() error {
	if err := checkFormat(s.format); err != nil {
		return err
	}
	switch {
	case s.format != formatCSV && s.csv != csvOptions{delimiter: ','}:
		return fmt.Errorf("header, delimiter, names, quotedNewlines: given (expected format csv, and not %s)", s.format)
	case s.format == formatLines && s.times != "" && s.times != timesOffset:
		return fmt.Errorf("timestamps: %q (expected offset, or nothing; of the fields of rows, a format such as json)", s.times)
	case s.path == "":
		return errors.New("path: empty (expected a file or a pattern)")
	}
	return nil
}

// For returns the source of values of that codec.
func (s *Source) For(output abi.Codec) (connector.Source, error) {
	typed := *s
	typed.codec = output
	if err := typed.settle(); err != nil {
		return nil, &connector.Error{Op: opSource, Err: err}
	}
	return &typed, nil
}

// Bounded is true: files end.
func (s *Source) Bounded() bool { return true }

// Columns are the value, and its timestamp if asked for.
func (s *Source) Columns() abi.Columns {
	if s.times != "" {
		return abi.ColumnValues | abi.ColumnTimestamps
	}
	return abi.ColumnValues
}

// Open returns a reader of the records that begin in the split.
func (s *Source) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	var sp span
	if err := json.Unmarshal(split.Data, &sp); err != nil {
		return nil, fmt.Errorf("file source: %w", err)
	}
	in, err := openInput(sp)
	if err != nil {
		return nil, err
	}
	open := s.openLines
	switch s.format {
	case formatAvro:
		open = s.openAvro
	case formatParquet:
		open = s.openParquet
	}
	r, err := open(in, split.Position)
	if err != nil {
		in.file.Close()
		return nil, err
	}
	return r, nil
}

// Guarantee is ExactlyOnce: a position is exact to the byte.
func (s *Source) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
