package state

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// table is the hot table: open addressing over entries that are only added. A slot of the index is
//
//	tag<<32 | entry+1, 0 when free, grave when its entry was deleted
//
// where the tag is the upper half of the key's hash. The tag's upper bits are the slot where probing begins, so that the
// index doubles without touching keys, and its lower bits tell nearly every other key apart. The lower half of the hash
// chooses the key group, so inside one task it is the poorer half.
//
// Values lie in pages, which know what has changed since the last freeze. A freeze takes the pages as they are; one that
// is written to afterwards is copied first, so what was frozen never changes. Keys are only added, and a value that a
// freeze may have seen is not overwritten in place.
type table struct {
	store   *hot
	spec    Spec
	clock   *Clock // that its entries expire by
	index   []uint64
	shift   uint // tag>>shift is the first slot to look at
	graves  int  // slots of deleted entries
	keyRefs []ref
	keys    arena
	pages   []*page
	dead    int       // entries that were deleted
	alive   int       // entries that had not ended when that was last counted
	order   *sequence // of the entries; nil unless they are elements

	values  arena // of every kind but Words; a page has refs to them
	sealed  ref   // values below this place were frozen
	garbage int   // bytes of values that were outgrown

	changed bool  // since the last freeze
	deleted []ref // keys that were deleted since
	removed arena // that these lie in
	kept    bool  // a snapshot may have entries of it
	long    bool  // a key is too long for the disk
	shared  bool  // what was frozen has memory of it

	read uint64 // what lookAhead has read: for nothing else
}

const (
	noValue    = ^uint64(0)     // of every kind but Words: the entry has none
	gone       = ^uint64(0) - 1 // the entry was deleted
	grave      = uint64(1<<32 - 1)
	firstIndex = 8 // slots
	// minGarbage keeps small tables from being compacted all the time.
	minGarbage = 64 << 10
	minDead    = 1024
)

func newTable(h *hot, s Spec) *table {
	t := &table{store: h, spec: s, clock: h.clockOf(s)}
	if s.Kind.ordered() {
		t.order = new(sequence)
	}
	t.resize(firstIndex)
	return t
}

// resize makes the index have n slots, a power of two.
func (t *table) resize(n int) {
	old := t.index
	t.index, t.shift, t.graves = make([]uint64, n), 32, 0
	inHugePages(unsafe.Pointer(&t.index[0]), 8*n)
	for m := n; m > 1; m /= 2 {
		t.shift--
	}
	for _, slot := range old {
		if slot == 0 || slot == grave {
			continue
		}
		i := uint32(slot>>32) >> t.shift
		for t.index[i] != 0 {
			i = (i + 1) & uint32(n-1)
		}
		t.index[i] = slot
	}
}

// makeRoom lets n keys be added.
func (t *table) makeRoom(n int) {
	if t.dead > minDead && 2*t.dead > len(t.keyRefs) {
		t.rebuild()
	}
	if t.garbage > minGarbage && 2*t.garbage > t.values.size {
		t.compact() // Change leaves that to be done
	}
	used := len(t.keyRefs) - t.dead + n // though most of them are keys that are there already
	if 4*(used+t.graves) <= 3*len(t.index) {
		return
	}
	size := len(t.index)
	for 4*used > 3*size || 2*t.graves <= size/4 && size == len(t.index) { // without the graves
		size *= 2
	}
	t.resize(size)
}

// Resolve implements Table.
func (t *table) Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error {
	n := len(rows)
	if rows == nil {
		n = b.N
	}
	t.makeRoom(n)
	t.changed = true
	entries = entries[:n]
	large := len(t.keyRefs) >= outsideCaches
	if rows == nil {
		for i := range entries {
			if large && i%together == 0 {
				t.lookAhead(hashes[i:min(i+together, n)])
			}
			e := t.find(hashes[i], b.Keys[b.KeyOffs[i]:b.KeyOffs[i+1]], true)
			t.touch(e)
			entries[i] = e
		}
		return nil
	}
	var next [together]uint64
	for i, r := range rows {
		if large && i%together == 0 {
			some := rows[i:min(i+together, n)]
			for k, r := range some {
				next[k] = hashes[r]
			}
			t.lookAhead(next[:len(some)])
		}
		e := t.find(hashes[r], b.Keys[b.KeyOffs[r]:b.KeyOffs[r+1]], true)
		t.touch(e)
		entries[i] = e
	}
	return nil
}

// ResolveKeys implements Table.
func (t *table) ResolveKeys(keys [][]byte, hashes []uint64, read bool, entries []Entry) error {
	if !read {
		t.makeRoom(len(keys))
		t.changed = true
	}
	large := len(t.keyRefs) >= outsideCaches && len(keys) > 1
	for i, key := range keys {
		if large && i%together == 0 {
			t.lookAhead(hashes[i:min(i+together, len(keys))])
		}
		e := t.find(hashes[i], key, !read)
		if !read {
			t.touch(e)
		} else if e != NoEntry && t.expired(e) {
			e = NoEntry
		}
		entries[i] = e
	}
	return nil
}

// find returns the entry of key, which is added if it is absent and that is wanted. The index has room.
func (t *table) find(hash uint64, key []byte, add bool) Entry {
	tag := uint32(hash >> 32)
	mask := uint32(len(t.index) - 1)
	for i := tag >> t.shift; ; i++ {
		slot := t.index[i&mask]
		if slot == 0 {
			if !add {
				return NoEntry
			}
			return t.insert(i&mask, tag, key)
		}
		if uint32(slot>>32) == tag && slot != grave {
			if e := uint32(slot) - 1; string(t.keys.get(t.keyRefs[e])) == string(key) {
				return Entry(e)
			}
		}
	}
}

func (t *table) insert(slot, tag uint32, key []byte) Entry {
	e := len(t.keyRefs)
	t.keyRefs = append(t.keyRefs, t.keys.add(key, len(key)))
	t.long = t.long || len(key) > spill.MaxKey
	if e>>pageBits == len(t.pages) {
		t.pages = append(t.pages, &page{gen: t.store.gen})
	}
	word := uint64(0)
	if t.spec.Kind != Words {
		word = noValue
	}
	t.page(Entry(e)).words[e&pageMask] = word
	t.index[slot] = uint64(tag)<<32 | uint64(e+1)
	if t.order != nil {
		t.order.insert(t, Entry(e))
	}
	return Entry(e)
}

// Word implements Table.
func (t *table) Word(e Entry) *uint64 { return &t.pages[e>>pageBits].words[e&pageMask] }

// Delete implements Table. A word that is deleted could not be told from one that is not.
func (t *table) Delete(e Entry) error {
	if t.spec.Kind == Words {
		return fmt.Errorf("delete from state %s of %s: it is of kind %d", t.spec.Name, t.spec.Operator, t.spec.Kind)
	}
	p := t.page(e)
	if p.words[e&pageMask] == gone {
		return nil
	}
	key := t.Key(e)
	hash := xxhash.Sum64(key)
	tag, mask := uint32(hash>>32), uint32(len(t.index)-1)
	for i := tag >> t.shift; ; i++ {
		if t.index[i&mask] == uint64(tag)<<32|uint64(e+1) {
			t.index[i&mask] = grave
			break
		}
	}
	if t.order != nil {
		t.order.remove(t, e)
	}
	t.graves++
	t.dead++
	t.changed = true
	if p.words[e&pageMask] != noValue {
		t.garbage += stringHeader + t.values.capacity(ref(p.words[e&pageMask]))
	}
	p.words[e&pageMask] = gone
	p.dirty.clear(e)
	p.pending.clear(e)
	if t.kept {
		t.deleted = append(t.deleted, t.removed.add(key, len(key)))
	}
	return nil
}

// Key implements Table.
func (t *table) Key(e Entry) []byte { return t.keys.get(t.keyRefs[e]) }

// Hash implements Table.
func (t *table) Hash(e Entry) uint64 { return xxhash.Sum64(t.Key(e)) }

// Len implements Table.
func (t *table) Len() int { return len(t.keyRefs) }

// Scan implements Table: entries come in the order in which they were added.
func (t *table) Scan(cursor uint64, dst []Entry) (n int, next uint64, err error) {
	i := int(cursor)
	for ; i < len(t.keyRefs) && n < len(dst); i++ {
		e := Entry(i)
		if t.dead > 0 && *t.Word(e) == gone || t.expired(e) {
			continue
		}
		dst[n] = e
		n++
	}
	return n, uint64(i), nil
}

// seal is a freeze's look at the values: what lies below is not overwritten any more.
func (t *table) seal() {
	if !failpoint.Planted(failpoint.MutateFrozen) {
		t.sealed = t.values.end()
	}
	t.shared = true
}

// restore takes in an entry of a snapshot.
func (t *table) restore(e *snapshot.Entry) error {
	t.makeRoom(1)
	key := e.Key
	if t.spec.Kind == Timer {
		key = t.spec.Kind.appendKey(nil, e)
	}
	at := t.find(xxhash.Sum64(key), key, true)
	if t.spec.Kind == Words {
		if len(e.Value) != 8 {
			return snapshot.ErrDamaged
		}
		t.page(at).words[at&pageMask] = binary.LittleEndian.Uint64(e.Value)
		return nil
	}
	t.set(at, e.Version, e.Expiry, e.Value)
	return nil
}

// reset empties the table and keeps memory for the next one of its kind.
func (t *table) reset() {
	clear(t.index)
	t.keyRefs, t.dead, t.alive, t.graves = t.keyRefs[:0], 0, 0, 0
	t.keys.reset()
	t.values.reset()
	for _, p := range t.pages {
		p.gen = t.store.gen
		clear(p.dirty[:])
		clear(p.pending[:])
	}
	t.garbage, t.sealed, t.changed, t.kept, t.long, t.deleted = 0, 0, false, false, false, nil
	t.removed = arena{}
}

func (t *table) size() int64 {
	if t.order != nil {
		return t.tableSize() + int64(t.order.size())
	}
	return t.tableSize()
}

func (t *table) tableSize() int64 {
	return int64(8*(len(t.index)+cap(t.keyRefs)) + len(t.pages)*(8*pageEntries+3*pageEntries/8+8) + t.keys.size + t.values.size + t.removed.size)
}
