package snapshot

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Bits of the first byte of an entry.
const (
	flagOp      = 7
	flagPlace   = 1 << 3
	flagVersion = 1 << 4
	flagExpiry  = 1 << 5
	flagUnknown = 1<<6 | 1<<7
)

// blockBuilder collects the entries of one block.
type blockBuilder struct {
	buf      []byte
	restarts []uint32
	n        int
}

func (b *blockBuilder) any() bool { return b.n > 0 }
func (b *blockBuilder) size() int { return len(b.buf) + 4*len(b.restarts) }

func (b *blockBuilder) reset() {
	if cap(b.buf) > 8*blockTarget {
		b.buf = nil
	}
	b.buf, b.restarts, b.n = b.buf[:0], b.restarts[:0], 0
}

// add appends an entry whose key has its first shared bytes in common with the one before; moved says that it has another
// place.
func (b *blockBuilder) add(e *Entry, p place, shared int, moved bool) {
	if b.n%restartEvery == 0 {
		b.restarts = append(b.restarts, uint32(len(b.buf)))
		shared, moved = 0, true
	}
	flags := byte(e.Op)
	if moved {
		flags |= flagPlace
	}
	if e.Version != 0 {
		flags |= flagVersion
	}
	if e.Expiry != 0 {
		flags |= flagExpiry
	}
	buf := append(b.buf, flags)
	if moved {
		buf = appendPlace(buf, p)
	}
	if e.Version != 0 {
		buf = binary.AppendUvarint(buf, uint64(e.Version))
	}
	if e.Expiry != 0 {
		buf = binary.AppendUvarint(buf, uint64(e.Expiry))
	}
	if rest := len(e.Key) - shared; (shared | rest | len(e.Value)) < 0x80 {
		buf = append(buf, byte(shared), byte(rest), byte(len(e.Value)))
	} else {
		buf = binary.AppendUvarint(buf, uint64(shared))
		buf = binary.AppendUvarint(buf, uint64(rest))
		buf = binary.AppendUvarint(buf, uint64(len(e.Value)))
	}
	buf = append(buf, e.Key[shared:]...)
	b.buf = append(buf, e.Value...)
	b.n++
}

func (b *blockBuilder) finish() []byte {
	for _, r := range b.restarts {
		b.buf = binary.LittleEndian.AppendUint32(b.buf, r)
	}
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(len(b.restarts)))
	return b.buf
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// cursor walks the entries of a block whose checksum is right. What it finds is checked all the same: a checksum does not
// say that a file was written by Writer.
type cursor struct {
	order    order
	number   int // of the block, for errors
	entries  []byte
	restarts []byte // u32 each
	at       int    // in entries
	e        Entry  // Key lies in key, Value in entries
	key      []byte
}

func (c *cursor) open(o order, number int, b []byte) error {
	c.order, c.number, c.at = o, number, 0
	if len(b) < 4 {
		return c.damaged("too short")
	}
	n := uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	if n == 0 || 4*n > uint64(len(b)-4) {
		return c.damaged("search table")
	}
	end := len(b) - 4 - int(4*n)
	c.entries, c.restarts = b[:end], b[end:len(b)-4]
	return nil
}

func (c *cursor) damaged(what string) error {
	return fmt.Errorf("block %d: %s: %w", c.number, what, ErrDamaged)
}

// next steps to the next entry; false when there is none.
func (c *cursor) next() (bool, error) {
	if c.at >= len(c.entries) {
		return false, nil
	}
	b := c.entries[c.at:]
	flags := b[0]
	e := &c.e
	e.Op = Op(flags & flagOp)
	if flags&flagUnknown != 0 || !e.Op.known() {
		return false, fmt.Errorf("block %d: entry of kind %#x: %w", c.number, flags, ErrUnsupported)
	}
	in := input{b: b[1:]}
	if flags&flagPlace != 0 {
		p := in.place(len(c.order))
		e.State, e.Group, e.Namespace = p.state, p.group, p.ns
	} else if c.at == 0 {
		return false, c.damaged("first entry without a place")
	}
	e.Version, e.Expiry = 0, 0
	if flags&flagVersion != 0 {
		v := in.uvarint()
		e.Version = uint16(v)
		in.bad = in.bad || v > 0xFFFF
	}
	if flags&flagExpiry != 0 {
		e.Expiry = int64(in.uvarint())
	}
	// The three lengths are nearly always of one byte each.
	var shared, rest, value int
	if len(in.b) >= 3 && in.b[0]|in.b[1]|in.b[2] < 0x80 {
		shared, rest, value = int(in.b[0]), int(in.b[1]), int(in.b[2])
		in.b = in.b[3:]
	} else {
		shared, rest, value = in.int(), in.int(), in.int()
	}
	if in.bad || shared > len(c.key) || rest > len(in.b) || value > len(in.b)-rest {
		return false, c.damaged("entry")
	}
	c.key = append(c.key[:shared], in.b[:rest]...)
	e.Key, e.Value = c.key, in.b[rest:rest+value:rest+value]
	c.at = len(c.entries) - len(in.b) + rest + value
	return true, nil
}

// seek puts the cursor before the last 16th entry that lies before the key, or before the first.
func (c *cursor) seek(p place, key []byte) error {
	var fault error
	n := len(c.restarts) / 4
	i := sort.Search(n, func(i int) bool {
		if fault != nil {
			return true
		}
		if fault = c.restart(i); fault != nil {
			return true
		}
		ok, err := c.next()
		if err != nil || !ok {
			fault = err
			return true
		}
		return c.order.compareKeys(c.e.place(), c.e.Key, p, key) >= 0
	})
	if fault != nil {
		return fault
	}
	return c.restart(max(i-1, 0))
}

func (c *cursor) restart(i int) error {
	at := binary.LittleEndian.Uint32(c.restarts[4*i:])
	if uint64(at) >= uint64(len(c.entries)) || c.entries[at]&flagPlace == 0 || i == 0 && at != 0 {
		return c.damaged("search table")
	}
	c.at, c.key = int(at), c.key[:0]
	return nil
}

// find steps to the first entry at or behind a key, false when it is not in this block.
func (c *cursor) find(p place, key []byte) (bool, error) {
	if err := c.seek(p, key); err != nil {
		return false, err
	}
	for {
		ok, err := c.next()
		if err != nil || !ok {
			return false, err
		}
		if c.order.compareKeys(c.e.place(), c.e.Key, p, key) >= 0 {
			return true, nil
		}
	}
}
