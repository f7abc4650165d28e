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

// SourceConnector says where records of type T come from: Files, JSONFiles or Generator.
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

// RowSource reads rows from files.
type RowSource[T any] struct {
	path, format, fields string
	outOfOrder           time.Duration
}

// JSONFiles reads the files that a path or glob names, plain, gzip or zstd. A line is a JSON object, of which the fields of T
// are taken. T is a type whose codec is a row.
func JSONFiles[T any](path string) *RowSource[T] { return &RowSource[T]{path: path, format: "json"} }

// Timestamps makes the event time of a row the first of the fields that is not null, a time or milliseconds since the Unix
// epoch: Timestamps(4*time.Second, "bid.dateTime", "auction.dateTime"). Records may come up to outOfOrder behind the newest
// before they count as late.
func (r *RowSource[T]) Timestamps(outOfOrder time.Duration, fields ...string) *RowSource[T] {
	r.fields, r.outOfOrder = strings.Join(fields, ","), outOfOrder
	return r
}

func (r *RowSource[T]) source(e *Env) (*connector, codec[T]) {
	c := &connector{name: "files", kind: "file"}
	c.set("format", r.format)
	c.set("path", r.path)
	if r.fields != "" {
		c.set("timestamps", r.fields)
		c.watermarks = &watermarks{outOfOrderMs: r.outOfOrder.Milliseconds()}
	}
	return c, codecOf[T](e, "files")
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
	path, partition string
	format, times   string
	columns         []string
	rollSize        int64
	rollInterval    time.Duration
}

// FileSink writes a line a record to part files in the directory path; the fields of a row are separated by tabs. A
// file is visible once it is complete.
func FileSink(path string) *FilesSink { return &FilesSink{path: path} }

// JSON writes a line of JSON a record: a row as an object of its fields.
func (f *FilesSink) JSON() *FilesSink {
	f.format = "json"
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

func (f *FilesSink) sink() *connector {
	c := &connector{name: "files", kind: "file"}
	if f.columns != nil {
		c.set("columns", strings.Join(f.columns, ","))
	}
	if f.format != "" {
		c.set("format", f.format)
	}
	if f.partition != "" {
		c.set("partition", f.partition)
	}
	c.set("path", f.path)
	if f.rollInterval != 0 {
		c.set("rollInterval", f.rollInterval.String())
	}
	c.number("rollSize", f.rollSize)
	if f.times != "" {
		c.set("times", f.times)
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

// number sets key unless n is zero, which stands for the connector's default.
func (c *connector) number(key string, n int64) {
	if n != 0 {
		c.set(key, strconv.FormatInt(n, 10))
	}
}
