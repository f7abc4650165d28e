package avrorow

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
)

// long reads a zigzag varint.
func (d *Decoder) long() int64 {
	n, size := binary.Varint(d.p[d.i:])
	if size <= 0 {
		d.broken = true
		return 0
	}
	d.i += size
	return n
}

// take reads so many bytes, nil when there are fewer.
func (d *Decoder) take(n int64) []byte {
	if d.broken || n < 0 || n > int64(len(d.p)-d.i) {
		d.broken = true
		return nil
	}
	b := d.p[d.i : d.i+int(n) : d.i+int(n)]
	d.i += int(n)
	return b
}

// blocks calls each for every item of an array or map, whose items are of the type t.
func (d *Decoder) blocks(t *typ, each func()) {
	for total := int64(0); !d.broken; {
		n := d.long()
		if n == 0 || d.broken {
			return
		}
		if n < 0 {
			n = -n
			d.long() // their bytes
		}
		total += n
		// Items that take no bytes could be any number.
		if n < 0 || t.zero && total > abi.MaxRecordBytes/8 || !t.zero && n > int64(len(d.p)-d.i) {
			d.broken = true
			return
		}
		for ; n > 0 && !d.broken; n-- {
			each()
		}
	}
}

// skip passes over a value that nobody wants.
func (d *Decoder) skip(t *typ, depth int) {
	if d.broken || depth > maxDepth {
		d.broken = true
		return
	}
	switch t.kind {
	case kindNull:
	case kindBool:
		d.take(1)
	case kindLong, kindEnum:
		d.long()
	case kindFloat:
		d.take(4)
	case kindDouble:
		d.take(8)
	case kindBytes:
		d.take(d.long())
	case kindFixed:
		d.take(int64(t.size))
	case kindArray:
		d.blocks(t.items, func() { d.skip(t.items, depth+1) })
	case kindMap:
		d.blocks(&typ{}, func() {
			d.take(d.long())
			d.skip(t.items, depth+1)
		})
	case kindRecord:
		for _, f := range t.fields {
			d.skip(f.typ, depth+1)
		}
	case kindUnion:
		if b := d.long(); b >= 0 && b < int64(len(t.union)) {
			d.skip(t.union[b], depth+1)
		} else {
			d.broken = true
		}
	}
}
