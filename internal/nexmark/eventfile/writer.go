package eventfile

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/wasmill/wasmill/internal/nexmark"
)

// Writer writes a file from its beginning to its end. What it is given must take in what it writes at once; without Close it is not
// whole.
type Writer struct {
	w      io.Writer
	at     int64
	events uint64
	block  []byte
	entry  Block // of the block at hand
	last   int64 // time of the last event in it
	inside bool  // it does not begin at a boundary
	blocks []Block
}

// NewWriter begins a file.
func NewWriter(w io.Writer) (*Writer, error) {
	f := &Writer{w: w}
	return f, f.write([]byte(head))
}

func (f *Writer) write(p []byte) error {
	n, err := f.w.Write(p)
	f.at += int64(n)
	return err
}

// Append adds an event that has all its fields.
func (f *Writer) Append(e *nexmark.Event) error {
	if f.entry.Events == 0 {
		f.entry.Oldest, f.entry.Newest, f.last = e.Time, e.Time, 0
	}
	f.block = appendEvent(f.block, e, f.last)
	f.last = e.Time
	f.entry.Events++
	f.entry.Oldest, f.entry.Newest = min(f.entry.Oldest, e.Time), max(f.entry.Newest, e.Time)
	f.events++
	if len(f.block) >= blockBytes {
		f.inside = true
		return f.flush()
	}
	return nil
}

// Boundary says that no event to come is older than one that was added: a good place for a block to end.
func (f *Writer) Boundary() error {
	if f.inside || len(f.block) >= blockBytes/2 {
		f.inside = false
		return f.flush()
	}
	return nil
}

func appendEvent(dst []byte, e *nexmark.Event, last int64) []byte {
	dst = binary.AppendVarint(append(dst, byte(e.Kind)), e.Time-last)
	skip := e.Kind.DateTime()
	for i, field := range e.Kind.Fields() {
		switch {
		case i == skip:
		case field.Type == nexmark.Text:
			dst = binary.AppendUvarint(dst, uint64(len(e.Texts[i])))
			dst = append(dst, e.Texts[i]...)
		case field.Type == nexmark.Time:
			dst = binary.AppendVarint(dst, e.Numbers[i]-e.Time)
		default:
			dst = binary.AppendVarint(dst, e.Numbers[i])
		}
	}
	return dst
}

// flush ends the block at hand.
func (f *Writer) flush() error {
	if f.entry.Events == 0 {
		return nil
	}
	f.entry.Offset, f.entry.Bytes, f.entry.sum = f.at, uint32(len(f.block)), crc32.Checksum(f.block, castagnoli)
	f.blocks = append(f.blocks, f.entry)
	err := f.write(f.block)
	f.block, f.entry = f.block[:0], Block{}
	return err
}

// Close writes the last block and the index. It does not close what lies below.
func (f *Writer) Close() error {
	if err := f.flush(); err != nil {
		return err
	}
	le := binary.LittleEndian
	var index []byte
	for _, b := range f.blocks {
		index = le.AppendUint64(index, uint64(b.Offset))
		index = le.AppendUint32(le.AppendUint32(index, b.Bytes), b.Events)
		index = le.AppendUint64(le.AppendUint64(index, uint64(b.Oldest)), uint64(b.Newest))
		index = le.AppendUint32(le.AppendUint32(index, b.sum), 0)
	}
	index = le.AppendUint64(le.AppendUint64(index, uint64(f.at)), f.events)
	index = le.AppendUint32(index, uint32(len(f.blocks)))
	index = le.AppendUint32(index, crc32.Checksum(index, castagnoli))
	return f.write(append(index, tail...))
}

// Bytes is how many were written.
func (f *Writer) Bytes() int64 { return f.at }
