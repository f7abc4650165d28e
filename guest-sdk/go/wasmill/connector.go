package wasmill

import (
	"strconv"
	"strings"
	"time"
)

// connector is a source or sink as the manifest names it. name is what its operator is called unless the user says.
type connector struct {
	name, kind string
	config     []setting   // in the order of their keys
	watermarks *watermarks // of a source that gives its records event times
}

type setting struct{ key, value string }

// SourceConnector says where records of type T come from: Files, JSONFiles and others of rows, or Generator.
type SourceConnector[T any] interface {
	source(*Env) (*connector, codec[T])
}

// SinkConnector says where records go: FileSink, Print or Blackhole.
type SinkConnector interface{ sink() *connector }

// FileSource reads the lines of files.
type FileSource struct {
	path    string
	offsets bool
}

// Files reads the files that a path or glob names, plain, gzip or zstd, line by line. A line comes without its end.
func Files(path string) *FileSource { return &FileSource{path: path} }

// OffsetTimestamps makes the event time of a line its byte offset in the file, in milliseconds.
func (f *FileSource) OffsetTimestamps() *FileSource {
	f.offsets = true
	return f
}

func (f *FileSource) source(*Env) (*connector, codec[string]) {
	c := &connector{name: "files", kind: "file"}
	if f.offsets {
		c.watermarks = &watermarks{}
	}
	c.set("format", "lines")
	c.set("path", f.path)
	if f.offsets {
		c.set("timestamps", "offset")
	}
	return c, utf8
}

// GeneratorSource makes records up: the same for the same seed.
type GeneratorSource struct{ count, rate, seed, size int64 }

// Generator makes records without end, as fast as they are taken, until told otherwise. The event time of a record is its
// number, in milliseconds.
func Generator() *GeneratorSource { return &GeneratorSource{} }

// Count ends the source after n records.
func (g *GeneratorSource) Count(n int64) *GeneratorSource { g.count = n; return g }

// Rate limits the source to n records a second, over all its subtasks.
func (g *GeneratorSource) Rate(n int64) *GeneratorSource { g.rate = n; return g }

// Seed chooses which records come.
func (g *GeneratorSource) Seed(n int64) *GeneratorSource { g.seed = n; return g }

// Size sets the size of a record in bytes.
func (g *GeneratorSource) Size(n int64) *GeneratorSource { g.size = n; return g }

func (g *GeneratorSource) source(*Env) (*connector, codec[string]) {
	c := &connector{name: "generator", kind: "generator", watermarks: &watermarks{}}
	c.number("count", g.count)
	c.number("rate", g.rate)
	c.number("seed", g.seed)
	c.number("size", g.size)
	return c, utf8
}

// FilesSink writes part files.
type FilesSink struct {
	path, partition        string
	format, times          string
	delimiter, compression string
	header                 bool
	columns                []string
	rollSize               int64
	rollInterval           time.Duration
	allUpdates             bool
}

// FileSink writes a line a record to part files in the directory path; the fields of a row are separated by tabs. A
// file is visible once it is complete.
func FileSink(path string) *FilesSink { return &FilesSink{path: path} }

// JSON writes a line of JSON a record: a row as an object of its fields.
func (f *FilesSink) JSON() *FilesSink {
	f.format = "json"
	return f
}

// CSV writes a record of CSV a record, which must be a row.
func (f *FilesSink) CSV() *FilesSink {
	f.format = "csv"
	return f
}

// Header begins each file of CSV with the names of its columns.
func (f *FilesSink) Header() *FilesSink {
	f.header = true
	return f
}

// Delimiter sets what stands between the columns of CSV: a character of ASCII, or "tab".
func (f *FilesSink) Delimiter(d string) *FilesSink {
	f.delimiter = d
	return f
}

// Avro writes object container files of rows.
func (f *FilesSink) Avro() *FilesSink {
	f.format = "avro"
	return f
}

// Parquet writes Parquet files of rows.
func (f *FilesSink) Parquet() *FilesSink {
	f.format = "parquet"
	return f
}

// Compression sets that of Avro and Parquet: "snappy" (the default), "none" or "zstd"; for Avro, "deflate", too.
func (f *FilesSink) Compression(name string) *FilesSink {
	f.compression = name
	return f
}

// Times says how times are written where they are text: "iso" (2026-01-31T23:59:59.050Z, the default), "sql"
// (2026-01-31 23:59:59.050) or "ms" (1769903999050).
func (f *FilesSink) Times(style string) *FilesSink {
	f.times = style
	return f
}

// Columns chooses which fields of a row are written, and in what order.
func (f *FilesSink) Columns(names ...string) *FilesSink {
	f.columns = names
	return f
}

// Partition writes each record to a directory below path, by its event time in UTC and its key: with
// "dt={yyyy}-{MM}-{dd}/{HH}/{key}" to dt=2026-01-31/23/whale. What in a key is no plain letter or digit is percent-encoded;
// an empty key, and the time of a record without one, are __HIVE_DEFAULT_PARTITION__. Minutes are {mm}. The key is the one
// that the stream was keyed by; what is made of a keyed record keeps it.
func (f *FilesSink) Partition(template string) *FilesSink {
	f.partition = template
	return f
}

// RollSize ends a file that has n bytes, at least 1 KiB, and begins another. Every checkpoint does so, too.
func (f *FilesSink) RollSize(n int64) *FilesSink {
	f.rollSize = n
	return f
}

// RollInterval ends a file that is as old as d, at least 100 ms, and begins another.
func (f *FilesSink) RollInterval(d time.Duration) *FilesSink {
	f.rollInterval = d
	return f
}

// AllUpdates writes every change of a result, with its op in front: +I of a new one, +U of one that has changed. Without it, where
// all input ends, a result is written once, when it can change no more.
func (f *FilesSink) AllUpdates() *FilesSink {
	f.allUpdates = true
	return f
}

func (f *FilesSink) sink() *connector {
	c := &connector{name: "files", kind: "file"}
	if f.columns != nil {
		c.set("columns", strings.Join(f.columns, ","))
	}
	c.text("compression", f.compression)
	c.text("delimiter", f.delimiter)
	c.text("format", f.format)
	c.flag("header", f.header)
	c.text("partition", f.partition)
	c.set("path", f.path)
	if f.rollInterval != 0 {
		c.set("rollInterval", f.rollInterval.String())
	}
	c.number("rollSize", f.rollSize)
	c.text("times", f.times)
	if f.allUpdates {
		c.set("updates", "all")
	}
	return c
}

// PrintSink prints a line a record to the job's output.
type PrintSink struct{}

// Print prints the records.
func Print() *PrintSink { return &PrintSink{} }

func (*PrintSink) sink() *connector { return &connector{name: "print", kind: "print"} }

// BlackholeSink drops records.
type BlackholeSink struct{ rate int64 }

// Blackhole drops the records.
func Blackhole() *BlackholeSink { return &BlackholeSink{} }

// Rate limits the sink to n records a second.
func (b *BlackholeSink) Rate(n int64) *BlackholeSink {
	b.rate = n
	return b
}

func (b *BlackholeSink) sink() *connector {
	c := &connector{name: "blackhole", kind: "blackhole"}
	c.number("rate", b.rate)
	return c
}

func (c *connector) set(key, value string) { c.config = append(c.config, setting{key, value}) }

// text sets key unless value is empty, which stands for the connector's default.
func (c *connector) text(key, value string) {
	if value != "" {
		c.set(key, value)
	}
}

// flag sets key if it is on.
func (c *connector) flag(key string, on bool) {
	if on {
		c.set(key, "true")
	}
}

// number sets key unless n is zero, which stands for the connector's default.
func (c *connector) number(key string, n int64) {
	if n != 0 {
		c.set(key, strconv.FormatInt(n, 10))
	}
}
