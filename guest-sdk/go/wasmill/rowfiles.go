package wasmill

import (
	"strings"
	"time"
)

// RowSource reads rows from files. T is a type whose codec is a row: its fields are taken, and nothing else.
type RowSource[T any] struct {
	path, format, fields   string
	delimiter, names       string
	header, quotedNewlines bool
	outOfOrder             time.Duration
}

// JSONFiles reads the files that a path or glob names, plain, gzip or zstd. A line is a JSON object.
func JSONFiles[T any](path string) *RowSource[T] { return &RowSource[T]{path: path, format: "json"} }

// CSVFiles reads the files that a path or glob names, plain, gzip or zstd. A line is a record, whose columns are the fields of T
// in their order, unless Header or Names says otherwise.
func CSVFiles[T any](path string) *RowSource[T] { return &RowSource[T]{path: path, format: "csv"} }

// AvroFiles reads the object container files that a path or glob names.
func AvroFiles[T any](path string) *RowSource[T] { return &RowSource[T]{path: path, format: "avro"} }

// ParquetFiles reads the Parquet files that a path or glob names.
func ParquetFiles[T any](path string) *RowSource[T] {
	return &RowSource[T]{path: path, format: "parquet"}
}

// Header says that the first line of a file of CSV names its columns.
func (r *RowSource[T]) Header() *RowSource[T] {
	r.header = true
	return r
}

// Names names the columns of CSV, for files without a header.
func (r *RowSource[T]) Names(columns ...string) *RowSource[T] {
	r.names = strings.Join(columns, ",")
	return r
}

// Delimiter sets what stands between the columns of CSV: a character of ASCII, or "tab".
func (r *RowSource[T]) Delimiter(d string) *RowSource[T] {
	r.delimiter = d
	return r
}

// QuotedNewlines says that columns of CSV in quotes may have line ends in them. Each file is then read by one subtask.
func (r *RowSource[T]) QuotedNewlines() *RowSource[T] {
	r.quotedNewlines = true
	return r
}

// Timestamps makes the event time of a row the first of the fields that is not null, a time or milliseconds since the Unix
// epoch: Timestamps(4*time.Second, "bid.dateTime", "auction.dateTime"). Records may come up to outOfOrder behind the newest
// before they count as late.
func (r *RowSource[T]) Timestamps(outOfOrder time.Duration, fields ...string) *RowSource[T] {
	r.fields, r.outOfOrder = strings.Join(fields, ","), outOfOrder
	return r
}

func (r *RowSource[T]) source(e *Env) (*connector, codec[T]) {
	c := &connector{name: "files", kind: "file"}
	c.text("delimiter", r.delimiter)
	c.set("format", r.format)
	c.flag("header", r.header)
	c.text("names", r.names)
	c.set("path", r.path)
	c.flag("quotedNewlines", r.quotedNewlines)
	c.text("timestamps", r.fields)
	if r.fields != "" {
		c.watermarks = &watermarks{outOfOrder: r.outOfOrder}
	}
	return c, codecOf[T](e, "files")
}
