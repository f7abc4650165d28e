package state

import (
	"fmt"
	"math/bits"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// tiered is a Table whose entries may lie in four tiers. Entries that are touched are in the table itself, the young one;
// touching one that lies deeper takes it there. When the young tables of a store have a third of its budget, Trim makes
// them the old ones, and has what is left in the old ones written to disk: what was not touched during a whole round.
//
//	young     takes entries; an Entry is one of these
//	old       was young until the last round
//	flushing  was old until the last round, and is being written: nothing changes it
//	disk      the map of the store, by the table's number; below it the restored files
//
// The obvious way, to look for entries that were not touched lately and to put them out one by one, leaves holes in the
// arenas and the pages, and closing them is a pause. Rounds free memory by the table.
type tiered struct {
	*table
	ns       Namespace
	known    int64 // bytes of the young table that are counted in the store
	rest     int64 // and of the older ones
	old      *table
	flushing *table
	id       uint32           // of its keys on disk; 0: nothing of it is there
	ends     int64            // by then all that was written there has ended, of what is set once
	flushed  uint32           // 1 + the generation of the store in which something of it was last written there
	files    []fileState      // restored files that may have entries, the newest first
	stuck    int64            // bytes of entries whose keys are too long for the disk, as of the last turn
	scan     *scan            // that runs
	loaded   []bool           // by key group from the first that the task owns: all that the files have of it is in memory
	timers   *timers          // what is known of the times, of kind Timer
	pieces   *pieces          // of kind Piece; nil before it is asked for
	seeker   *snapshot.Seeker // of lists and maps in the restored files; nil before it is needed
	whole    bool             // of every group
}

// layered says whether an entry that is not in the young table may be elsewhere.
func (t *tiered) layered() bool {
	return t.old != nil || t.flushing != nil || t.id != 0 || t.files != nil
}

// count tells the store what the young table holds now.
func (t *tiered) count() {
	n := t.size()
	t.store.young.Add(n - t.known)
	t.known = n
}

// countRest tells the store what the older tables hold now.
func (t *tiered) countRest() {
	n := int64(0)
	for _, older := range []*table{t.old, t.flushing} {
		if older != nil {
			n += older.size()
		}
	}
	t.store.older.Add(n - t.rest)
	t.rest = n
}

// Resolve implements Table.
func (t *tiered) Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error {
	defer t.count()
	if !t.layered() || t.whole && t.old == nil {
		return t.table.Resolve(b, rows, hashes, entries)
	}
	n := len(rows)
	if rows == nil {
		n = b.N
	}
	t.makeRoom(n)
	t.changed = true
	c := t.store.cold
	c.misses = c.misses[:0]
	for i := range entries[:n] {
		r := uint32(i)
		if rows != nil {
			r = rows[i]
		}
		key := b.Keys[b.KeyOffs[r]:b.KeyOffs[r+1]]
		if entries[i] = t.near(hashes[r], key); entries[i] == NoEntry {
			c.misses = append(c.misses, miss{at: i, hash: hashes[r], key: key})
			continue
		}
		t.touch(entries[i])
	}
	return t.fetch(entries, true)
}

// ResolveKeys implements Table.
func (t *tiered) ResolveKeys(keys [][]byte, hashes []uint64, read bool, entries []Entry) error {
	defer t.count()
	if !t.layered() {
		return t.table.ResolveKeys(keys, hashes, read, entries)
	}
	t.makeRoom(len(keys))
	t.changed = t.changed || !read
	c := t.store.cold
	c.misses = c.misses[:0]
	for i, key := range keys {
		if entries[i] = t.near(hashes[i], key); entries[i] == NoEntry {
			c.misses = append(c.misses, miss{at: i, hash: hashes[i], key: key})
		} else if !read {
			t.touch(entries[i])
		}
	}
	if err := t.fetch(entries, !read); err != nil {
		return err
	}
	if read {
		for i, e := range entries[:len(keys)] {
			if e != NoEntry && t.spec.Kind != Words && (*t.Word(e) == noValue || t.expired(e)) {
				entries[i] = NoEntry
			}
		}
	}
	return nil
}

// near finds an entry in memory, and takes it to the young table, which has room.
func (t *tiered) near(hash uint64, key []byte) Entry {
	if e := t.find(hash, key, false); e != NoEntry {
		return e
	}
	if t.old != nil {
		if e := t.old.find(hash, key, false); e != NoEntry && !t.old.pages[e>>pageBits].moved.has(e) {
			return t.take(t.old, e, hash, key)
		}
	}
	if t.flushing != nil {
		if e := t.flushing.find(hash, key, false); e != NoEntry && !t.flushing.pages[e>>pageBits].moved.has(e) {
			return t.copyOf(t.flushing, e, hash, key)
		}
	}
	return NoEntry
}

// place finds the entry of a key that is to be written whatever it was: nothing is read for it.
func (t *tiered) place(hash uint64, key []byte) Entry {
	t.makeRoom(1)
	if e := t.near(hash, key); e != NoEntry {
		return e
	}
	return t.find(hash, key, true)
}

// remove deletes a key, without reading what lies deeper.
func (t *tiered) remove(key []byte) error {
	hash := hashOf(key)
	if !t.layered() {
		if e := t.find(hash, key, false); e != NoEntry {
			return t.table.Delete(e)
		}
		return nil
	}
	t.makeRoom(1)
	e := t.near(hash, key)
	if e == NoEntry {
		if t.id == 0 && t.flushing == nil && t.inMemory(t.groupOf(hash, key)) {
			return nil
		}
		e = t.find(hash, key, true)
	}
	return t.Delete(e)
}

// take moves an entry of the old table to the young one.
func (t *tiered) take(old *table, e Entry, hash uint64, key []byte) Entry {
	to := t.copyOf(old, e, hash, key)
	from, p := old.pages[e>>pageBits], t.page(to)
	if from.pending.has(e) {
		p.pending.set(to)
	}
	if from.gen == t.store.gen && from.dirty.has(e) {
		p.dirty.set(to)
		from.dirty.clear(e) // no freeze has seen the page
	}
	from.moved.set(e)
	return to
}

// copyOf makes an entry of the young table with the value of an older one, as if it had not changed.
func (t *tiered) copyOf(older *table, e Entry, hash uint64, key []byte) Entry {
	to := t.find(hash, key, true)
	word := *older.Word(e)
	if t.spec.Kind != Words && word != noValue {
		v := older.values.get(ref(word))
		r := t.values.reserve(len(v), (len(v)+7)&^7)
		copy(t.values.get(r), v)
		word = uint64(r)
	}
	t.page(to).words[to&pageMask] = word
	return to
}

// Delete implements Table. In tiers, an entry without a value stands before what lies deeper.
func (t *tiered) Delete(e Entry) error {
	if !t.layered() {
		return t.table.Delete(e)
	}
	if t.spec.Kind == Words {
		return fmt.Errorf("delete from state %s of %s: it is of kind %d", t.spec.Name, t.spec.Operator, t.spec.Kind)
	}
	word := &t.page(e).words[e&pageMask]
	if *word != noValue {
		t.garbage += stringHeader + t.values.capacity(ref(*word))
	}
	*word = noValue
	t.changed = true
	t.touch(e)
	return nil
}

// turn makes the young table the old one, and returns what was old, nil when there is nothing in it to be written.
func (t *tiered) turn() *table {
	t.unwarm()
	was := t.old
	t.old = nil
	if len(t.keyRefs) > 0 {
		t.old, t.table = t.table, newTable(t.store, t.spec)
		y, o := t.table, t.old
		y.changed, y.kept, y.deleted, y.removed = o.changed, o.kept, o.deleted, o.removed
		o.deleted, o.removed = nil, arena{}
	}
	if was == nil {
		return nil
	}
	t.stuck = 0
	if was.long {
		t.keepLong(was)
	}
	if was.isPending(t.id != 0 || t.files != nil) {
		return was
	}
	t.left(was)
	return nil
}

// left says that the entries of a table have left the memory.
func (t *tiered) left(was *table) {
	if t.timers != nil {
		t.timers.left(was)
	}
}

// keepLong takes the entries back whose keys are too long for the disk.
func (t *tiered) keepLong(old *table) {
	for i := range old.keyRefs {
		e := Entry(i)
		p := old.pages[i>>pageBits]
		key := old.Key(e)
		if len(key) <= spill.MaxKey || !p.pending.has(e) || p.moved.has(e) || old.spec.Kind != Words && p.words[i&pageMask] == gone {
			continue
		}
		t.makeRoom(1)
		t.take(old, e, hashOf(key), key)
		t.stuck += int64(len(key) + len(old.stored(e)))
	}
}

// isPending says whether anything of the table has to go to disk. With nothing below, what has ended has not, unless a
// snapshot is still to say so.
func (t *table) isPending(below bool) bool {
	for i, p := range t.pages {
		for w := range p.pending {
			for set := p.pending[w] &^ p.moved[w]; set != 0; set &= set - 1 {
				e := Entry(i<<pageBits | w<<6 | bits.TrailingZeros64(set))
				if t.over(e, t.clock.Now) {
					continue
				}
				if below || p.gen == t.store.gen && p.dirty.has(e) || t.spec.Kind == Words || t.stored(e) != nil && !t.expired(e) {
					return true
				}
			}
		}
	}
	return false
}
