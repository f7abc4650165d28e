package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/format/avrorow"
	"github.com/wasmill/wasmill/internal/format/cell"
)

// checkAvro says whether the records of a file make the rows that are wanted.
func (s *Source) checkAvro(f *os.File, path string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("file source: read input %s: %w", path, err)
	}
	h, err := avrorow.ReadHeader(f)
	if err == nil && s.schema != nil {
		_, err = avrorow.NewDecoder(s.schema, h.Schema)
	}
	if err != nil {
		return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s: %w", path, err)}
	}
	return nil
}

// avroReader reads the blocks of an object container file whose sync markers, those before them, begin in [span.Start, span.End).
type avroReader struct {
	*input
	source *Source
	header *avrorow.Header
	rows   *avrorow.Decoder
	unpack *avrorow.Unpacker

	block avroPosition
	next  int64  // where the block behind it begins
	left  int64  // values of it that were not given out
	rest  []byte // those
	buf   []byte // of the file
	value []byte
	bad   []connector.BadRecord
	read  int64
}

// avroPosition is where a reader stands: behind so many values of the block that begins there.
type avroPosition struct {
	Block int64 `json:"block"`
	Taken int64 `json:"taken,omitempty"`
}

// openAvro returns a reader at the first block of the split, or where an earlier one has stopped.
func (s *Source) openAvro(in *input, at json.RawMessage) (connector.Reader, error) {
	r := &avroReader{input: in, source: s}
	var err error
	if r.header, err = avrorow.ReadHeader(io.NewSectionReader(in.file, 0, in.span.Size)); err != nil {
		return nil, r.ruined(0, err)
	}
	if r.rows, err = avrorow.NewDecoder(s.schema, r.header.Schema); err != nil {
		return nil, r.ruined(0, err)
	}
	if r.unpack, err = r.header.Unpacker(); err != nil {
		return nil, r.ruined(0, err)
	}
	if len(at) > 0 {
		err = r.goOn(at)
	} else {
		r.next, err = r.sync(in.span.Start)
	}
	if err != nil {
		r.unpack.Close()
		return nil, err
	}
	return r, nil
}

// goOn places the reader at a position.
func (r *avroReader) goOn(at json.RawMessage) error {
	var p avroPosition
	if err := json.Unmarshal(at, &p); err != nil {
		return fmt.Errorf("file source: position in %s: %w", r.span.Path, err)
	}
	r.next = p.Block
	if p.Taken == 0 {
		return nil
	}
	if _, err := r.load(); err != nil {
		return err
	}
	r.read = 0 // it was counted
	for range p.Taken {
		if _, _, err := r.take(); err != nil {
			return err
		}
	}
	return nil
}

// sync is where the first block begins whose sync marker begins at or after the offset from; behind the file if there is none.
func (r *avroReader) sync(from int64) (int64, error) {
	if from <= r.header.Length-avrorow.SyncBytes {
		return r.header.Length, nil
	}
	buf := make([]byte, readBytes)
	for at := from; at < r.span.Size; at += int64(len(buf) - avrorow.SyncBytes + 1) {
		n, err := r.file.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("file source: %w", err)
		}
		if i := bytes.Index(buf[:n], r.header.Sync[:]); i >= 0 {
			return at + int64(i) + avrorow.SyncBytes, nil
		}
		if err == io.EOF {
			break
		}
	}
	return r.span.Size, nil
}

// load makes the next block the one at hand. more is false when there is none in the split.
func (r *avroReader) load() (more bool, err error) {
	if r.next >= r.span.Size || r.next-avrorow.SyncBytes >= r.span.End {
		return false, nil
	}
	if err := r.checkUnchanged(r.next); err != nil {
		return false, err
	}
	b, n, err := r.blockAt(r.next)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(r.buf[n-avrorow.SyncBytes:n], r.header.Sync[:]) {
		return false, r.ruined(r.next, errors.New("no sync marker behind the block"))
	}
	if r.rest, err = r.unpack.Unpack(b.Bytes); err != nil {
		return false, r.ruined(r.next, err)
	}
	r.block, r.left = avroPosition{Block: r.next}, b.Values
	r.next += int64(n)
	r.read += int64(n)
	return true, nil
}

// blockAt reads the block at an offset to the beginning of r.buf.
func (r *avroReader) blockAt(at int64) (b avrorow.Block, n int, err error) {
	if r.buf == nil {
		r.buf = make([]byte, readBytes)
	}
	for {
		read, err := r.file.ReadAt(r.buf[:min(int64(len(r.buf)), r.span.Size-at)], at)
		if err != nil && err != io.EOF {
			return b, 0, fmt.Errorf("file source: %w", err)
		}
		b, n, err = avrorow.NextBlock(r.buf[:read])
		switch {
		case err == nil:
			return b, n, nil
		case !errors.Is(err, avrorow.ErrShort) || read < len(r.buf):
			return b, 0, r.ruined(at, err)
		}
		r.buf = make([]byte, 2*len(r.buf))
	}
}

// take takes the next value of the block. fault is why it is no row, if it is none.
func (r *avroReader) take() (value []byte, fault *cell.Fault, err error) {
	row, n, fault, err := r.rows.Decode(r.value[:0], r.rest)
	if err != nil {
		return nil, nil, r.ruined(r.block.Block, fmt.Errorf("value %d of the block: %w", r.block.Taken+1, err))
	}
	value, r.value = r.rest[:n], row
	r.rest = r.rest[n:]
	r.block.Taken++
	if r.left--; r.left == 0 && len(r.rest) > 0 {
		return nil, nil, r.ruined(r.block.Block, fmt.Errorf("%d bytes behind the last value of the block", len(r.rest)))
	}
	return value, fault, nil
}

// Poll appends rows to b.
func (r *avroReader) Poll(b *abi.Builder, maxRecords, maxBytes int, _ time.Time) (connector.Progress, error) {
	r.bad = r.bad[:0]
	for n, size := 0, 0; n < maxRecords && size < maxBytes; {
		if r.left == 0 {
			if more, err := r.load(); err != nil || !more {
				return r.progress(!more), err
			}
			continue
		}
		datum, fault, err := r.take()
		if err != nil {
			return connector.Progress{}, err
		}
		if fault != nil {
			where := fmt.Sprintf("%s, value %d of the block at byte %d", r.span.Path, r.block.Taken, r.block.Block)
			r.bad = append(r.bad, connector.BadRecord{Where: where, Err: fault, Bytes: slices.Clone(datum)})
		} else {
			b.Append(abi.Record{Timestamp: firstTime(r.source.event, r.value), Value: r.value})
		}
		n++
		size += len(r.value) + len(datum)
	}
	return r.progress(false), nil
}

func (r *avroReader) progress(done bool) connector.Progress {
	p := connector.Progress{Done: done, Read: r.read, Bad: r.bad}
	r.read = 0
	return p
}

// Position is exact to the value. Its block is read again.
func (r *avroReader) Position() json.RawMessage {
	at := r.block
	if r.left == 0 {
		at = avroPosition{Block: r.next}
	}
	p, _ := json.Marshal(at) // a struct of numbers always marshals
	return p
}

// ruined is the error of a file whose bytes at an offset are not what they should be.
func (r *avroReader) ruined(at int64, err error) error {
	return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s is damaged at byte %d: %w", r.span.Path, at, err), Hint: "make the file again"}
}

// Close releases the file.
func (r *avroReader) Close() error { return errors.Join(r.unpack.Close(), r.file.Close()) }
