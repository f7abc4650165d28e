package state

import (
	"github.com/wasmill/wasmill/abi"
)

// table is the hot table: open addressing over entries that are only added. A slot of the index is
//
//	tag<<32 | entry+1, 0 when free
//
// where the tag is the upper half of the key's hash. The tag's upper bits are the slot where probing begins, so that the
// index doubles without touching keys, and its lower bits tell nearly every other key apart. The lower half of the hash
// chooses the key group, so inside one task it is the poorer half.
type table struct {
	kind    Kind
	index   []uint64
	shift   uint // tag>>shift is the first slot to look at
	keyRefs []ref
	keys    arena
	words   []uint64 // of kind Words, a value an entry

	valueRefs []ref // of kind Bytes: noValue, or where the value lies
	values    arena
	garbage   int // bytes of values that were outgrown
}

const (
	noValue    = ^ref(0)
	firstIndex = 64 // slots
	// minGarbage keeps small tables from being compacted all the time.
	minGarbage = 64 << 10
)

func newTable(kind Kind) *table {
	t := &table{kind: kind}
	t.resize(firstIndex)
	return t
}

// resize makes the index have n slots, a power of two.
func (t *table) resize(n int) {
	old := t.index
	t.index, t.shift = make([]uint64, n), 32
	for m := n; m > 1; m /= 2 {
		t.shift--
	}
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := uint32(slot>>32) >> t.shift
		for t.index[i] != 0 {
			i = (i + 1) & uint32(n-1)
		}
		t.index[i] = slot
	}
}

// Resolve implements Table.
func (t *table) Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error {
	n := len(rows)
	if rows == nil {
		n = b.N
	}
	for 4*(len(t.keyRefs)+n) > 3*len(t.index) { // though most of them are keys that are there already
		t.resize(2 * len(t.index))
	}
	entries = entries[:n]
	if rows == nil {
		for i := range entries {
			entries[i] = t.find(hashes[i], b.Keys[b.KeyOffs[i]:b.KeyOffs[i+1]])
		}
		return nil
	}
	for i, r := range rows {
		entries[i] = t.find(hashes[r], b.Keys[b.KeyOffs[r]:b.KeyOffs[r+1]])
	}
	return nil
}

// find returns the entry of key, which is added if it is absent. The index has room.
func (t *table) find(hash uint64, key []byte) Entry {
	tag := uint32(hash >> 32)
	mask := uint32(len(t.index) - 1)
	for i := tag >> t.shift; ; i++ {
		slot := t.index[i&mask]
		if slot == 0 {
			return t.insert(i&mask, tag, key)
		}
		if uint32(slot>>32) == tag {
			if e := uint32(slot) - 1; string(t.keys.get(t.keyRefs[e])) == string(key) {
				return Entry(e)
			}
		}
	}
}

func (t *table) insert(slot, tag uint32, key []byte) Entry {
	e := len(t.keyRefs)
	t.keyRefs = append(t.keyRefs, t.keys.add(key, len(key)))
	if t.kind == Words {
		t.words = append(t.words, 0)
	} else {
		t.valueRefs = append(t.valueRefs, noValue)
	}
	t.index[slot] = uint64(tag)<<32 | uint64(e+1)
	return Entry(e)
}

// Words implements Table.
func (t *table) Words() []uint64 { return t.words }

// Value implements Table.
func (t *table) Value(e Entry) []byte {
	if r := t.valueRefs[e]; r != noValue {
		return t.values.get(r)
	}
	return nil
}

// SetValue implements Table. A value that outgrows its place gets one with room for half as much again.
func (t *table) SetValue(e Entry, v []byte) error {
	r := t.valueRefs[e]
	if r != noValue {
		if t.values.set(r, v) {
			return nil
		}
		t.garbage += stringHeader + t.values.capacity(r)
		t.valueRefs[e] = t.values.add(v, len(v)+len(v)/2)
	} else {
		t.valueRefs[e] = t.values.add(v, (len(v)+7)&^7)
	}
	if t.garbage > minGarbage && 2*t.garbage > t.values.size {
		t.compact()
	}
	return nil
}

// compact copies the values that are in use to a new arena.
func (t *table) compact() {
	var values arena
	for e, r := range t.valueRefs {
		if r != noValue {
			t.valueRefs[e] = values.add(t.values.get(r), t.values.capacity(r))
		}
	}
	t.values, t.garbage = values, 0
}

// Key implements Table.
func (t *table) Key(e Entry) []byte { return t.keys.get(t.keyRefs[e]) }

// Len implements Table.
func (t *table) Len() int { return len(t.keyRefs) }

// Scan implements Table: entries come in the order in which they were added.
func (t *table) Scan(cursor uint64, dst []Entry) (int, uint64, error) {
	n := min(len(dst), len(t.keyRefs)-int(cursor))
	for i := range dst[:n] {
		dst[i] = Entry(cursor) + Entry(i)
	}
	return n, cursor + uint64(n), nil
}

// reset empties the table and keeps memory for the next one of its kind.
func (t *table) reset() {
	clear(t.index)
	t.keyRefs, t.words, t.valueRefs = t.keyRefs[:0], t.words[:0], t.valueRefs[:0]
	t.keys.reset()
	t.values.reset()
	t.garbage = 0
}

func (t *table) size() int64 {
	return int64(8*(len(t.index)+cap(t.keyRefs)+cap(t.words)+cap(t.valueRefs)) + t.keys.size + t.values.size)
}
