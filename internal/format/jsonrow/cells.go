package jsonrow

import (
	"encoding/binary"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// cell is what is known of a field of the row at hand, or of an element of the list.
type cell uint8

const (
	cellUnset   cell = iota
	cellNull         //
	cellInPlace      // the slot is the value
	cellLine         // the slot is offset and length in the line
	cellScratch      // the same in the decoder's scratch
)

// cells are the values of a row or list before it is written.
type cells struct {
	kinds []cell
	slots []uint64
}

func (c *cells) resize(n int) {
	c.kinds, c.slots = slices.Grow(c.kinds[:0], n)[:n], slices.Grow(c.slots[:0], n)[:n]
}

// part is the slot of a part of the line or of scratch.
func part(from, to int) uint64 { return uint64(uint32(from)) | uint64(to-from)<<32 }

func bounds(slot uint64) (from, to int) { return int(uint32(slot)), int(uint32(slot)) + int(slot>>32) }

func nullBytes(n int) int { return (n + 63) / 64 * 8 }

func pad8(n int) int { return (n + 7) &^ 7 }

// size is that of the row, or of the list whose header has so many bytes.
func (c *cells) size(header int) int {
	n := header + nullBytes(len(c.kinds)) + 8*len(c.kinds)
	for i, kind := range c.kinds {
		if kind >= cellLine {
			n += pad8(int(c.slots[i] >> 32))
		}
	}
	return n
}

// fill writes row, which has the size, behind its header.
func (c *cells) fill(row []byte, header int, line, scratch []byte) {
	le := binary.LittleEndian
	at := header + nullBytes(len(c.kinds))
	clear(row[header:at])
	slots := row[at:]
	next := at + 8*len(c.kinds)
	for i, kind := range c.kinds {
		slot := c.slots[i]
		switch kind {
		case cellNull:
			row[header+i/8] |= 1 << (i % 8)
			slot = 0
		case cellLine, cellScratch:
			from, to := bounds(slot)
			source := line
			if kind == cellScratch {
				source = scratch
			}
			slot = part(next, next+to-from)
			if to > from {
				end := next + pad8(to-from)
				le.PutUint64(row[end-8:], 0)
				copy(row[next:], source[from:to])
				next = end
			}
		}
		le.PutUint64(slots[8*i:], slot)
	}
}

// grow appends n bytes to dst, and returns them too.
func grow(dst []byte, n int) (all, added []byte) {
	at := len(dst)
	all = slices.Grow(dst, n)[:at+n]
	return all, all[at:]
}

// keep writes the cells to scratch, as a row or list behind a header, and returns them as a part of it.
func (d *Decoder) keep(p []byte, at int, c *cells, header int) (ok bool, kind cell, slot uint64) {
	size := c.size(header)
	from := len(d.scratch)
	if size > abi.MaxRecordBytes || from+size > maxScratch {
		d.fail(at, "nested rows and lists are larger than a record may be")
		return false, 0, 0
	}
	scratch, row := grow(d.scratch, size)
	d.scratch = scratch
	if header > 0 {
		binary.LittleEndian.PutUint64(row, uint64(len(c.kinds)))
	}
	c.fill(row, header, p, d.scratch)
	return true, cellScratch, part(from, from+size)
}
