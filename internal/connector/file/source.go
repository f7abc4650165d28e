// Package file reads lines from files and writes lines to files. The source cuts files into byte ranges that are read in
// parallel; the sink writes pending files that become visible, whole, when they are committed. It knows paths, lines and
// compression, and nothing about jobs beyond the names it is given. Paths are resolved by the process that opens them: on
// a cluster every TaskManager must see the same files.
package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

const opSource = "file source"

// readBytes is how much a reader asks of the disk at once; it holds one such buffer, grown to the longest line.
const readBytes = 256 << 10

// Source reads the lines of the files that a path or pattern names. Options:
//
//	path        a file, or a pattern as of path.Match
//	format      lines (default): a record a line, without its end (\n or \r\n)
//	timestamps  offset: a record's event time is the offset of its line in the file, in milliseconds; otherwise it has none
type Source struct {
	config  map[string]string
	path    string
	offsets bool
}

// NewSource checks the options.
func NewSource(config map[string]string) (connector.Source, error) {
	s := &Source{config: config}
	for key, value := range config {
		switch {
		case key == "path":
			s.path = value
		case key == "format" && (value == "lines" || value == ""):
		case key == "format":
			return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("format: %q (expected lines)", value)}
		case key == "timestamps" && (value == "offset" || value == ""):
			s.offsets = value == "offset"
		case key == "timestamps":
			return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("timestamps: %q (expected offset, or nothing)", value)}
		default:
			return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("unknown option %q (known: path, format, timestamps)", key)}
		}
	}
	if s.path == "" {
		return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("path: empty (expected a file or a pattern)")}
	}
	return s, nil
}

// Bounded is true: files end.
func (s *Source) Bounded() bool { return true }

// Columns are the line as value, and its offset as timestamp if asked for.
func (s *Source) Columns() abi.Columns {
	if s.offsets {
		return abi.ColumnValues | abi.ColumnTimestamps
	}
	return abi.ColumnValues
}

// Open returns a reader of the lines that begin in the split.
func (s *Source) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	var sp span
	if err := json.Unmarshal(split.Data, &sp); err != nil {
		return nil, fmt.Errorf("file source: %w", err)
	}
	f, err := os.Open(sp.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s is gone", sp.Path)}
	}
	if err != nil {
		return nil, fmt.Errorf("file source: %w", err)
	}
	r := &reader{file: f, in: f, span: sp, buf: make([]byte, readBytes)}
	if len(split.Position) > 0 {
		var at position
		if err := json.Unmarshal(split.Position, &at); err != nil {
			r.Close()
			return nil, fmt.Errorf("file source: position in split %s: %w", split.ID, err)
		}
		r.at = &at
	}
	err = r.checkIdentity()
	if err == nil {
		err = r.start()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// reader reads the lines that begin in [span.Start, span.End).
type reader struct {
	file    *os.File
	fileErr error     // of reading file, where a decompressor stands between
	in      io.Reader // file, or a decompressor over it
	free    func()    // releases the decompressor
	span    span
	at      *position // where an earlier reader stopped, nil: it begins

	size     int64 // of file, when it was looked at last
	modified time.Time

	buf     []byte // buf[from:to] is read and not yet given out; some of what was stands before it
	from    int
	to      int
	scanned int   // buf[from:from+scanned] has no line end
	offset  int64 // of buf[from] in the uncompressed file
	eof     bool
	read    int64 // input consumed since the last Poll
}

// Position is exact to the byte. A compressed file is read again up to it.
func (r *reader) Position() json.RawMessage {
	p, _ := json.Marshal(r.here()) // a struct of numbers and text always marshals
	return p
}

// start places the reader at the first line that begins in its span, behind the first line end at or after Start-1; or
// where an earlier reader has stopped.
func (r *reader) start() error {
	switch r.span.Codec {
	case "gzip":
		z, err := gzip.NewReader(r.counted())
		if err != nil {
			return r.ruined(err)
		}
		r.in, r.free = z, func() { z.Close() }
	case "zstd":
		z, err := zstd.NewReader(r.counted(), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return r.ruined(err)
		}
		r.in, r.free = z, z.Close
	}
	if r.at != nil {
		return r.goOn()
	}
	if r.span.Start == 0 {
		return nil
	}
	if _, err := r.file.Seek(r.span.Start-1, io.SeekStart); err != nil {
		return fmt.Errorf("file source: %w", err)
	}
	r.offset = r.span.Start - 1
	for {
		if err := r.fill(); err != nil {
			return err
		}
		i := bytes.IndexByte(r.buf[r.from:r.to], '\n')
		if i >= 0 {
			r.consume(i + 1)
		} else {
			r.consume(r.to - r.from)
		}
		if i >= 0 || r.eof {
			r.read = 0 // what was passed over belongs to the split before
			return r.checkLength()
		}
	}
}

// Poll appends lines to b.
func (r *reader) Poll(b *abi.Builder, maxRecords, maxBytes int, _ time.Time) (connector.Progress, error) {
	bytesOut := 0
	for n := 0; n < maxRecords && bytesOut < maxBytes; {
		if r.span.Codec == "" && r.offset >= r.span.End {
			return r.progress(true), nil
		}
		line, size, ok := r.line()
		if !ok {
			if r.eof {
				return r.progress(true), r.checkLength()
			}
			if err := r.fill(); err != nil {
				return connector.Progress{}, err
			}
			continue
		}
		if len(line) > abi.MaxRecordBytes {
			return connector.Progress{}, r.tooLong()
		}
		b.Append(abi.Record{Timestamp: r.offset, Value: line})
		r.consume(size)
		n++
		bytesOut += len(line)
	}
	return r.progress(false), nil
}

func (r *reader) progress(done bool) connector.Progress {
	p := connector.Progress{Done: done, Read: r.read}
	r.read = 0
	return p
}

// line is the next whole line without its end, and its size with it. The last line of a file may lack its end.
func (r *reader) line() (line []byte, size int, ok bool) {
	rest := r.buf[r.from:r.to]
	i := bytes.IndexByte(rest[r.scanned:], '\n')
	switch {
	case i >= 0:
		i += r.scanned
		line, size = rest[:i], i+1
	case r.eof && len(rest) > 0:
		line, size = rest, len(rest)
	default:
		r.scanned = len(rest)
		return nil, 0, false
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, size, true
}

func (r *reader) consume(n int) {
	r.from += n
	r.offset += int64(n)
	r.scanned = 0
	if r.span.Codec == "" {
		r.read += int64(n)
	}
}

// checkLength holds a file that has ended against the length that it had when it was cut into splits.
func (r *reader) checkLength() error {
	if r.span.Codec != "" || !r.eof || r.offset+int64(r.to-r.from) >= r.span.End {
		return nil
	}
	return &connector.Error{
		Op: opSource, Err: fmt.Errorf("input %s ended at byte %d, but had %d or more when the job began", r.span.Path, r.offset, r.span.End),
		Hint: "files must not change while they are read",
	}
}

// ruined tells a compressed file that is damaged, which stays so, from one that cannot be read just now.
func (r *reader) ruined(err error) error {
	if r.fileErr != nil {
		return fmt.Errorf("file source: %w", r.fileErr)
	}
	problem := "is damaged"
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		problem = "is cut off"
	}
	return &connector.Error{
		Op: opSource, Err: fmt.Errorf("input %s %s behind byte %d of its text: %s: %w", r.span.Path, problem, r.offset+int64(r.to-r.from), r.span.Codec, err),
		Hint: "make the file again, or rename it if it is not compressed",
	}
}

// fill reads more behind what is there, making room first.
func (r *reader) fill() error {
	if keep := min(r.from, behindBytes); r.from > keep {
		n := copy(r.buf, r.buf[r.from-keep:r.to])
		r.from, r.to = keep, n
	}
	if r.to == len(r.buf) {
		if r.to-r.from >= abi.MaxRecordBytes {
			return r.tooLong()
		}
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.in.Read(r.buf[r.to:])
	r.to += n
	if changed := r.checkUnchanged(); changed != nil {
		return changed
	}
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		r.eof = true
		return nil
	case r.span.Codec != "":
		return r.ruined(err)
	}
	return fmt.Errorf("file source: %w", err)
}

func (r *reader) tooLong() error {
	return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s, offset %d: line longer than %d bytes", r.span.Path, r.offset, abi.MaxRecordBytes)}
}

// counted reads the compressed file and counts it as consumed input.
func (r *reader) counted() io.Reader { return countingReader{r} }

type countingReader struct{ r *reader }

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.r.file.Read(p)
	c.r.read += int64(n)
	if err != nil && err != io.EOF {
		c.r.fileErr = err
	}
	return n, err
}

// Close releases the file.
func (r *reader) Close() error {
	if r.free != nil {
		r.free()
	}
	return r.file.Close()
}

// Guarantee is ExactlyOnce: a position is exact to the byte.
func (s *Source) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
