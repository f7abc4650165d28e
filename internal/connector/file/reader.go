package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

// reader reads the lines that begin in [span.Start, span.End).
type reader struct {
	*input
	fileErr error     // of reading the file, where a decompressor stands between
	in      io.Reader // the file, or a decompressor over it
	free    func()    // releases the decompressor
	at      *position // where an earlier reader stopped, nil: it begins

	buf     []byte // buf[from:to] is read and not yet given out; some of what was stands before it
	from    int
	to      int
	scanned int   // buf[from:from+scanned] has no line end
	quotes  bool  // line ends in quotes do not count
	inside  bool  // buf[from+scanned] is in quotes
	offset  int64 // of buf[from] in the uncompressed file
	eof     bool
	read    int64 // input consumed since the last Poll

	decode *decoder              // of rows; nil: values are lines
	value  []byte                // the last one
	bad    []connector.BadRecord // of the last Poll
}

// openLines returns a reader of the lines that begin in the split.
func (s *Source) openLines(in *input, at json.RawMessage) (connector.Reader, error) {
	r := &reader{input: in, in: head{in}, buf: make([]byte, readBytes), quotes: s.csv.quotedNewlines}
	var err error
	if r.decode, err = s.decoder(&in.span); err != nil {
		return nil, err
	}
	if len(at) > 0 {
		r.at = &position{}
		if err := json.Unmarshal(at, r.at); err != nil {
			return nil, fmt.Errorf("file source: position in %s: %w", in.span.Path, err)
		}
	}
	if err := r.start(); err != nil {
		if r.free != nil {
			r.free()
		}
		return nil, err
	}
	return r, nil
}

// Position is exact to the byte. A compressed file is read again up to it.
func (r *reader) Position() json.RawMessage {
	p, _ := json.Marshal(r.here()) // a struct of numbers and text always marshals
	return p
}

// start places the reader at the first line that begins in its span, behind the first line end at or after Start-1; or
// where an earlier reader has stopped.
func (r *reader) start() error {
	if r.span.Codec != "" {
		var err error
		if r.in, r.free, err = unpack(r.span.Codec, r.counted()); err != nil {
			return r.ruined(err)
		}
	}
	if r.at != nil {
		return r.goOn()
	}
	if r.span.Start == 0 {
		return r.passHeader()
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

// passHeader places the reader behind the line that names the columns.
func (r *reader) passHeader() error {
	for r.offset < r.span.Header {
		if r.from == r.to {
			if err := r.fill(); err != nil {
				return err
			}
			if r.eof && r.from == r.to {
				return r.checkLength()
			}
		}
		r.consume(min(r.to-r.from, int(r.span.Header-r.offset)))
	}
	return nil
}

// Poll appends records to b.
func (r *reader) Poll(b *abi.Builder, maxRecords, maxBytes int, _ time.Time) (connector.Progress, error) {
	bytesOut := 0
	r.bad = r.bad[:0]
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
		if r.take(b, line) {
			n++
			bytesOut += len(line)
		}
		r.consume(size)
	}
	return r.progress(false), nil
}

// take makes a record of a line, and says whether there is anything in it.
func (r *reader) take(b *abi.Builder, line []byte) bool {
	if r.decode == nil {
		b.Append(abi.Record{Timestamp: r.offset, Value: line})
		return true
	}
	at := r.offset
	if at == 0 && bytes.HasPrefix(line, byteOrderMark) {
		line, at = line[len(byteOrderMark):], int64(len(byteOrderMark))
	}
	if blank(line) {
		return false
	}
	value, err := r.decode.lines.Decode(r.value[:0], line)
	r.value = value
	if err != nil {
		ofText := ""
		if r.span.Codec != "" {
			ofText = " of its text"
		}
		r.bad = append(r.bad, connector.BadRecord{
			Where: fmt.Sprintf("%s, byte %d%s", r.span.Path, at+int64(faultAt(err)), ofText), Err: err, Bytes: slices.Clone(line),
		})
		return true
	}
	b.Append(abi.Record{Timestamp: r.decode.time(value), Value: value})
	return true
}

func (r *reader) progress(done bool) connector.Progress {
	p := connector.Progress{Done: done, Read: r.read, Bad: r.bad}
	r.read = 0
	return p
}

// line is the next whole line without its end, and its size with it. The last line of a file may lack its end.
func (r *reader) line() (line []byte, size int, ok bool) {
	rest := r.buf[r.from:r.to]
	i := -1
	if r.quotes {
		i = recordEnd(rest[r.scanned:], &r.inside)
	} else {
		i = bytes.IndexByte(rest[r.scanned:], '\n')
	}
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
	r.scanned, r.inside = 0, false
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
	if changed := r.checkUnchanged(r.offset); changed != nil {
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

// unpack reads what is compressed in the codec, none included. free releases what that holds.
func unpack(codec string, from io.Reader) (in io.Reader, free func(), err error) {
	switch codec {
	case "gzip":
		z, err := gzip.NewReader(from)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case "zstd":
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return from, func() {}, nil
}

// counted reads the compressed file and counts it as consumed input.
func (r *reader) counted() io.Reader { return countingReader{r} }

type countingReader struct{ r *reader }

func (c countingReader) Read(p []byte) (int, error) {
	n, err := head{c.r.input}.Read(p)
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
