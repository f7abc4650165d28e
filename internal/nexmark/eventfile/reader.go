package eventfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/wasmill/wasmill/internal/nexmark"
)

// File is an open file. Any number of goroutines may read its blocks.
type File struct {
	Blocks []Block
	Events uint64
	Sum    uint32 // of the index, and with it of everything: two files that have the same one are the same

	r io.ReaderAt
}

// Open reads the index of a file of so many bytes.
func Open(r io.ReaderAt, size int64) (*File, error) {
	if size < int64(len(head)+trailSize) {
		return nil, ErrNotWhole
	}
	var trailer [trailSize]byte
	if _, err := r.ReadAt(trailer[:], size-trailSize); err != nil {
		return nil, fmt.Errorf("read the trailer: %w", err)
	}
	var begin [len(head)]byte
	if _, err := r.ReadAt(begin[:], 0); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	le := binary.LittleEndian
	if string(trailer[24:]) != tail || string(begin[:]) != head {
		return nil, ErrNotWhole
	}
	at, blocks := le.Uint64(trailer[:]), int64(le.Uint32(trailer[16:]))
	if end := size - trailSize; at > uint64(end) || end-int64(at) != blocks*entrySize {
		return nil, damaged("the index of %d blocks is at byte %d", blocks, at)
	}
	index := make([]byte, blocks*entrySize, blocks*entrySize+trailSize)
	if _, err := r.ReadAt(index, int64(at)); err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	f := &File{r: r, Events: le.Uint64(trailer[8:]), Sum: le.Uint32(trailer[20:])}
	if crc32.Checksum(append(index, trailer[:20]...), castagnoli) != f.Sum {
		return nil, damaged("the index has another checksum")
	}
	return f, f.parseIndex(index, int64(at))
}

// parseIndex takes the index apart, whose blocks must lie one behind the other.
func (f *File) parseIndex(index []byte, end int64) error {
	le := binary.LittleEndian
	next, events := int64(len(head)), uint64(0)
	for e := range slices.Chunk(index, entrySize) {
		b := Block{
			Offset: int64(le.Uint64(e)), Bytes: le.Uint32(e[8:]), Events: le.Uint32(e[12:]),
			Oldest: int64(le.Uint64(e[16:])), Newest: int64(le.Uint64(e[24:])), sum: le.Uint32(e[32:]),
		}
		if b.Offset != next || b.Bytes > maxBlock {
			return damaged("block %d has %d bytes at %d", len(f.Blocks), b.Bytes, b.Offset)
		}
		next += int64(b.Bytes)
		events += uint64(b.Events)
		f.Blocks = append(f.Blocks, b)
	}
	if next != end || events != f.Events {
		return damaged("the blocks end at byte %d with %d events", next, events)
	}
	return nil
}

// Events reads the events of one block after the other.
type Events struct {
	file    *File
	block   []byte
	rest    []byte
	number  int    // of the block at hand
	read    uint32 // events of it
	last    int64  // time of the last one
	scratch nexmark.Event
}

// Read begins to read a block.
func (f *File) Read(block int) (*Events, error) {
	e := &Events{file: f}
	return e, e.Begin(block)
}

// Begin goes on with another block, checking it.
func (r *Events) Begin(block int) error {
	b := &r.file.Blocks[block]
	r.block = slices.Grow(r.block[:0], int(b.Bytes))[:b.Bytes]
	if _, err := r.file.r.ReadAt(r.block, b.Offset); err != nil {
		return fmt.Errorf("read block %d: %w", block, err)
	}
	if crc32.Checksum(r.block, castagnoli) != b.sum {
		return damaged("block %d at byte %d has another checksum", block, b.Offset)
	}
	r.rest, r.number, r.read, r.last = r.block, block, 0, 0
	return nil
}

// Left is how many events of the block are left.
func (r *Events) Left() int { return int(r.file.Blocks[r.number].Events - r.read) }

// Skip passes over n events.
func (r *Events) Skip(n int) error {
	for range n {
		if _, err := r.Next(&r.scratch, &[nexmark.Kinds]nexmark.Wanted{}); err != nil {
			return err
		}
	}
	return nil
}

// Next reads the next event; texts are those of the block, valid until the next Begin. If nothing of its kind is wanted it returns
// false.
func (r *Events) Next(e *nexmark.Event, wanted *[nexmark.Kinds]nexmark.Wanted) (bool, error) {
	d := decoder{rest: r.rest}
	kind := nexmark.Kind(d.byte())
	if kind >= nexmark.Kinds || r.Left() == 0 {
		return false, damaged("block %d, event %d: kind %d", r.number, r.read, kind)
	}
	e.Kind, e.Time = kind, r.last+d.varint()
	dateTime := kind.DateTime()
	for i, field := range kind.Fields() {
		switch {
		case i == dateTime:
			e.Numbers[i] = e.Time
		case field.Type == nexmark.Text:
			e.Texts[i] = d.text()
		case field.Type == nexmark.Time:
			e.Numbers[i] = e.Time + d.varint()
		default:
			e.Numbers[i] = d.varint()
		}
	}
	if d.bad {
		return false, damaged("block %d, event %d ends too early", r.number, r.read)
	}
	r.rest, r.last = d.rest, e.Time
	r.read++
	return wanted[kind] != 0, nil
}

// decoder takes values off the front. What is not there is zero, and bad.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) text() []byte {
	size, n := binary.Uvarint(d.rest)
	d.skip(n)
	if size > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	text := d.rest[:size:size]
	d.rest = d.rest[size:]
	return text
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad = true
		n = 0
	}
	d.rest = d.rest[n:]
}
