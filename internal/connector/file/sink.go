package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/text"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/format/avrorow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

const opSink = "file sink"

// Least bounds of a file: smaller ones make more files than anybody reads.
const (
	leastRollSize     = 1 << 10
	leastRollInterval = 100 * time.Millisecond
)

// Sink writes records into files of a directory. A file is pending, under a hidden name, until Commit renames
// it; so a reader of part-* sees whole, final files only. Every checkpoint ends the files that are being written. Options:
//
//	path          the directory; it is made if it does not exist
//	format        lines (default): a line a record, fields of a row separated by tabs; json, csv: the same in those;
//	              avro: object container files; parquet
//	compression   of avro and parquet: snappy (default), none, zstd; of avro deflate, too
//	times         of json and csv, how times are written: iso (default) 2026-01-31T23:59:59.050Z, sql 2026-01-31 23:59:59.050, ms 1769903999050
//	columns       which fields of row values are written, and in what order: "start,key,value"; all of them by default
//	partition     directories below that one, by a record's event time in UTC and its key: "dt={yyyy}-{MM}-{dd}/{HH}/{key}"
//	rollSize      a file that has so many bytes is ended: "128MiB"
//	rollInterval  a file that is so old is ended: "1m"
//	updates       of results that change: final (default) writes a row each, all writes every change, with its op in front: +I, +U, -U, -D
type Sink struct {
	config       map[string]string
	dir          string
	format       string
	times        scalar.TimeStyle
	csv          csvOptions
	compression  string
	columns      []string
	partitions   *partitioning // nil: none
	rollSize     int64         // 0: any
	rollInterval time.Duration // 0: any
	changes      bool          // every change is written, with its op
	on           durable.FS
}

// NewSink checks the options.
func NewSink(config map[string]string) (connector.Sink, error) { return NewSinkOn(durable.OS, config) }

// NewSinkOn is NewSink on another file system than the operating system's.
func NewSinkOn(on durable.FS, config map[string]string) (connector.Sink, error) {
	s := &Sink{config: config, on: on, format: formatLines, compression: "snappy"}
	for key, value := range config {
		if err := s.set(key, value); err != nil {
			return nil, &connector.Error{Op: opSink, Err: err}
		}
	}
	if s.format != formatJSON && s.format != formatCSV && config["times"] != "" {
		return nil, &connector.Error{Op: opSink, Err: fmt.Errorf("times: given (expected format json or csv, and not %s)", s.format)}
	}
	if s.format != formatAvro && s.format != formatParquet && config["compression"] != "" {
		return nil, &connector.Error{Op: opSink, Err: fmt.Errorf("compression: given (expected format avro or parquet, and not %s)", s.format)}
	}
	if err := s.csv.read(config); err != nil {
		return nil, &connector.Error{Op: opSink, Err: err}
	}
	if s.format != formatCSV && s.csv != (csvOptions{delimiter: ','}) {
		return nil, &connector.Error{Op: opSink, Err: fmt.Errorf("header, delimiter: given (expected format csv, and not %s)", s.format)}
	}
	if s.dir == "" {
		return nil, &connector.Error{Op: opSink, Err: errors.New("path: empty (expected a directory)")}
	}
	return s, nil
}

// set sets an option. An empty value is as none.
func (s *Sink) set(key, value string) (err error) {
	switch key {
	case "path", "format", "times", "header", "delimiter", "compression", "columns", "partition", "rollSize", "rollInterval", abi.OptionUpdates:
	default:
		return fmt.Errorf("unknown option %q (known: path, format, times, header, delimiter, compression, columns, partition, rollSize, rollInterval, updates)", key)
	}
	if value == "" {
		return nil
	}
	switch key {
	case "path":
		s.dir = value
	case "format":
		s.format = value
		return checkFormat(value)
	case "times":
		var known bool
		if s.times, known = scalar.TimeStyles[value]; !known {
			return fmt.Errorf("times: %q (expected iso, sql or ms)", value)
		}
	case "compression":
		if s.compression = value; avrorow.Compressions[value] == "" {
			return fmt.Errorf("compression: %q (expected snappy, none, deflate or zstd)", value)
		}
	case "columns":
		s.columns = strings.Split(value, ",")
	case "partition":
		if s.partitions, err = parsePartitioning(value); err != nil {
			return fmt.Errorf("partition: %w", err)
		}
	case abi.OptionUpdates:
		if s.changes = value == abi.UpdatesAll; !s.changes && value != "final" {
			return fmt.Errorf("updates: %q (expected final or all)", value)
		}
	case "rollSize":
		n, err := humanize.ParseBytes(value)
		if err != nil || n < leastRollSize || n > 1<<50 {
			return fmt.Errorf("rollSize: %q (expected a size of at least 1KiB, for example 128MiB)", value)
		}
		s.rollSize = int64(n)
	case "rollInterval":
		if s.rollInterval, err = time.ParseDuration(value); err != nil || s.rollInterval < leastRollInterval {
			return fmt.Errorf("rollInterval: %q (expected a duration of at least 100ms, for example 1m)", value)
		}
	}
	return nil
}

// Columns are what the text and the directory of a record are made of.
func (s *Sink) Columns(key, value abi.Codec) (abi.Columns, error) {
	if _, _, err := s.formats(key, value); err != nil {
		return 0, err
	}
	cols := abi.ColumnValues | s.partitions.columns()
	if s.changes {
		cols |= abi.ColumnKinds
	}
	return cols, nil
}

// formats are those of a record's key, nil if it is not looked at, and value.
func (s *Sink) formats(key, value abi.Codec) (keys *text.Format, values content, err error) {
	if values, err = s.content(value); err != nil {
		return nil, nil, &connector.Error{Op: opSink, Err: err}
	}
	if s.partitions == nil || !s.partitions.keyed {
		return nil, values, nil
	}
	if key == "" {
		return nil, nil, &connector.Error{Op: opSink, Err: errors.New("partition: {key}, but the records have no key"), Hint: "key the records before, or leave {key} out"}
	}
	if keys, err = text.NewFormat(key, nil); err != nil {
		return nil, nil, &connector.Error{Op: opSink, Err: fmt.Errorf("partition: {key}: %w", err)}
	}
	return keys, values, nil
}

// Exclusive is the directory, with those of partitions: two sinks of a job would give their files the same names.
func (s *Sink) Exclusive() (dir string, below bool) {
	return filepath.Clean(s.dir), s.partitions != nil
}

// Open makes the directory if needed, but not where the job has had it before: one that was put back would lie in the new one. Files are made for the records that belong there.
func (s *Sink) Open(_ context.Context, task connector.SinkTask) (connector.Writer, error) {
	keys, values, err := s.formats(task.Key, task.Value)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, &connector.Error{Op: opSink, Err: err}
	}
	if !task.Ran {
		if err := durable.MakeDir(s.on, dir, 0o777); err != nil {
			return nil, unwritable(dir, err, false)
		}
	}
	const writeAndSearch = 2 | 1
	if err := syscall.Access(dir, writeAndSearch); err != nil {
		return nil, unwritable(dir, err, task.Ran)
	}
	w := newWriter(s, task, dir, keys, values)
	if s.changes {
		w.changes, err = newChanges(task.Value)
	}
	return w, err
}

// failed is an error of writing to path. A full disk is for the user to mend; anything else may pass.
func failed(step, path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &connector.Error{Op: opSink, Err: fmt.Errorf("%s %s: %w", step, path, err), Hint: "free some space, or write elsewhere"}
	}
	return fmt.Errorf("file sink: %s %s: %w", step, path, err)
}

// unwritable tells what the user can mend (a path) from what may pass. was: the job could write there before, so it may again.
func unwritable(dir string, err error, was bool) error {
	var cause = err
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		cause = p.Err
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return &connector.Error{Op: opSink, Err: fmt.Errorf("output directory %s: another sink of this job writes there", dir), Hint: "give each sink a directory of its own"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EROFS):
		e := &connector.Error{Op: opSink, Err: fmt.Errorf("output directory %s is not writable: %w", dir, cause), Passes: was}
		if was {
			e.Hint = "put it back, mount what it is on again, or let it be written to: the job restarts, and goes on when it can"
		}
		return e
	}
	return failed("open output in", dir, cause)
}

// unfit is the error of a record whose bytes are not what its codec says. They will not be the next time, either.
func unfit(err error) error {
	return &connector.Error{Op: opSink, Err: fmt.Errorf("write record: %w", err), Hint: "mend the function that has made it: its bytes are not of the codec that it declares"}
}

// Guarantee is ExactlyOnce: pending files are not visible.
func (s *Sink) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
