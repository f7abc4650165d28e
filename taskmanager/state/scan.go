package state

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// scan is a Scan of a table that is under way. One that has all entries in memory is pinned: it stays there. Of any other,
// everything is written to disk first, and comes back in the order of the disk.
type scan struct {
	pinned bool
	last   []byte // key group and key of the last entry read
	files  *snapshot.Merged
	more   bool // files has an entry
	ended  bool // the disk has no more
	read   []scanned
	memory arena
}

// scanned is an entry that was read and not yet given out.
type scanned struct {
	key  ref
	word uint64
	v    ref // of kind Bytes, as it is stored
}

// scanAhead is how many entries are read at a time.
const scanAhead = 512

// Scan implements Table.
func (t *tiered) Scan(cursor uint64, dst []Entry) (n int, next uint64, err error) {
	if t.store.cold == nil {
		return t.table.Scan(cursor, dst)
	}
	defer t.count()
	if cursor == 0 {
		if err := t.beginScan(); err != nil {
			return 0, 0, err
		}
	}
	switch {
	case t.scan == nil:
		return 0, cursor, nil
	case t.scan.pinned:
		n, next = t.scanYoung(cursor, uint64(len(t.keyRefs)), dst)
	default:
		n, err = t.scanCold(dst)
		next = cursor + 1
	}
	if n == 0 || err != nil {
		t.scan = nil
	}
	return n, max(next, 1), err
}

// scanYoung leaves out what has no value because it was deleted, or looked for in vain.
func (t *tiered) scanYoung(cursor, until uint64, dst []Entry) (n int, next uint64) {
	for ; cursor < until && n < len(dst); cursor++ {
		e := Entry(cursor)
		if word := *t.Word(e); t.spec.Kind != Words && (word == noValue || word == gone) || t.expired(e) {
			continue
		}
		dst[n] = e
		n++
	}
	return n, cursor
}

// Repeats implements Table.
func (t *tiered) Repeats() bool { return t.store.cold == nil || t.scan != nil && t.scan.pinned }

// Rescan implements Table. A cursor is a place in the table, but that of an empty one is 1.
func (t *tiered) Rescan(cursor, until uint64, dst []Entry) (n int, next uint64) {
	if n, next = t.scanYoung(cursor, min(until, uint64(len(t.keyRefs))), dst); n == 0 {
		next = until
	}
	return n, next
}

func (t *tiered) beginScan() error {
	c := t.store.cold
	if err := c.poll(); err != nil {
		return err
	}
	t.scan = &scan{pinned: true}
	if !t.whole {
		t.unwarm()
	}
	if t.id == 0 && t.flushing == nil {
		all, err := t.gather()
		if all || err != nil {
			return err
		}
	}
	t.scan = &scan{}
	for range 2 { // young, then old
		if err := c.wait(); err != nil {
			return err
		}
		was := t.turn()
		t.count()
		t.countRest()
		if was != nil {
			if err := c.begin(t.store, []flushing{t.store.toDisk(t, was)}); err != nil {
				return err
			}
		}
	}
	if err := c.wait(); err != nil {
		return err
	}
	if t.files != nil {
		t.scan.files = t.scanFiles()
		return t.scan.nextFile()
	}
	return nil
}

// gather takes everything to the young table, if that is not more than a third of the budget.
func (t *tiered) gather() (all bool, err error) {
	c := t.store.cold
	if t.old != nil {
		for i := range t.old.keyRefs {
			e := Entry(i)
			p := t.old.pages[i>>pageBits]
			if p.moved.has(e) || t.spec.Kind != Words && p.words[i&pageMask] == gone {
				continue
			}
			key := t.old.Key(e)
			t.makeRoom(1)
			t.take(t.old, e, hashOf(key), key)
		}
		t.old = nil
		t.countRest()
	}
	if t.files == nil || t.whole {
		return true, nil
	}
	m := t.scanFiles()
	for m.Next() {
		if e := m.Entry(); e.Op == snapshot.Put {
			if err := t.takeIn(e.Key, func() (uint64, bool, error) { return t.fromFile(e) }); err != nil {
				return false, damaged(err, t.files[0].reader)
			}
		}
		if t.size() > c.limit {
			return false, nil
		}
	}
	if err := m.Err(); err != nil {
		return false, t.damagedIn(m)
	}
	t.whole = true
	return true, nil
}

// damagedIn says which file a scan of several could not read.
func (t *tiered) damagedIn(m *snapshot.Merged) error {
	return &FileError{m.Fault(), m.Err()}
}

// takeIn makes an entry of something deeper, unless there is one that is newer.
func (t *tiered) takeIn(key []byte, value func() (uint64, bool, error)) error {
	hash := hashOf(key)
	t.makeRoom(1)
	if t.find(hash, key, false) != NoEntry {
		return nil
	}
	word, found, err := value()
	if err == nil && found {
		e := t.find(hash, key, true)
		t.page(e).words[e&pageMask] = word
	}
	return err
}

// scanFiles goes through what the files have in the table's namespace.
func (t *tiered) scanFiles() *snapshot.Merged {
	return t.scanRange(snapshot.Range{To: snapshot.Own, First: int64(t.ns), Last: int64(t.ns)})
}

// scanRange goes through a range of what the files have of the table's state.
func (t *tiered) scanRange(rg snapshot.Range) *snapshot.Merged {
	readers := t.store.config.Restored
	for i, s := range snapshot.MergeStates(readers) {
		if s.Operator == t.spec.Operator && s.Name == t.spec.Name {
			rg.State = i
		}
	}
	return snapshot.ScanMerged(readers, rg)
}

func (s *scan) nextFile() error {
	if s.more = s.files.Next(); !s.more && s.files.Err() != nil {
		return &FileError{s.files.Fault(), s.files.Err()}
	}
	return nil
}

// scanCold gives out what was read, and reads on.
func (t *tiered) scanCold(dst []Entry) (n int, err error) {
	s := t.scan
	for n == 0 {
		if len(s.read) == 0 {
			if s.ended && !s.more {
				return 0, nil
			}
			if err := t.readAhead(); err != nil {
				return 0, err
			}
			continue
		}
		k := min(len(dst), len(s.read))
		t.makeRoom(k)
		for _, r := range s.read[:k] {
			e := t.deliver(&r)
			if *t.Word(e) == noValue && t.spec.Kind != Words || t.expired(e) {
				continue
			}
			dst[n] = e
			n++
		}
		s.read = s.read[k:]
	}
	return n, nil
}

// deliver makes an entry of what was read. If there is one already, it is the same or newer.
func (t *tiered) deliver(r *scanned) Entry {
	key := t.scan.memory.get(r.key)
	hash := hashOf(key)
	if e := t.near(hash, key); e != NoEntry {
		return e
	}
	e := t.find(hash, key, true)
	word := r.word
	if t.spec.Kind != Words {
		v := t.scan.memory.get(r.v)
		to := t.values.reserve(len(v), (len(v)+7)&^7)
		copy(t.values.get(to), v)
		word = uint64(to)
	}
	t.page(e).words[e&pageMask] = word
	return e
}

// readAhead reads the next entries of disk and files, which have the same order; of those that both have, the disk's.
func (t *tiered) readAhead() error {
	s := t.scan
	s.read, s.memory = s.read[:0], arena{}
	var fault error
	scanned := 0
	if !s.ended && t.id == 0 {
		s.ended = true
	}
	if !s.ended {
		prefix := binary.BigEndian.AppendUint32(nil, t.id)
		from := append(bytes.Clone(prefix), s.last...)
		if s.last != nil {
			from = append(from, 0)
		}
		view := t.store.cold.disk.files.View()
		defer view.Close()
		err := view.Scan(prefix, from, func(key, value []byte) bool {
			at := key[len(prefix):]
			if fault = t.readFilesBefore(at); fault != nil {
				return false
			}
			s.last = append(s.last[:0], at...)
			if value[0] == diskPut {
				t.keep(at[2:], value[1:])
			}
			scanned++
			return scanned < scanAhead
		})
		if fault != nil || err != nil {
			return errorOf(fault, err)
		}
		s.ended = scanned < scanAhead
	}
	for s.ended && s.more && len(s.read) < scanAhead {
		if err := t.keepFile(); err != nil {
			return err
		}
	}
	return nil
}

func errorOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// readFilesBefore reads the files up to a place on disk, and over it.
func (t *tiered) readFilesBefore(at []byte) error {
	group, key := graph.KeyGroup(binary.BigEndian.Uint16(at)), at[2:]
	s := t.scan
	for s.more {
		e := s.files.Entry()
		c := int(e.Group) - int(group)
		if c == 0 {
			c = bytes.Compare(e.Key, key)
		}
		switch {
		case c > 0:
			return nil
		case c == 0 && e.Op != snapshot.DeleteNamespace:
			return s.nextFile()
		}
		if err := t.keepFile(); err != nil {
			return err
		}
	}
	return nil
}

// keepFile keeps the entry that the files are at, and steps to the next.
func (t *tiered) keepFile() error {
	e := t.scan.files.Entry()
	if e.Op == snapshot.Put && !e.Expired(t.clock.Now) {
		head := 0
		if t.spec.Kind != Words {
			head = t.headerBytes()
		}
		v := make([]byte, head+len(e.Value))
		if head > 0 {
			t.putHeader(v, e.Version, e.Expiry)
		}
		copy(v[head:], e.Value)
		t.keep(e.Key, v)
	}
	return t.scan.nextFile()
}

// keep notes an entry that was read, with its value as a table stores it.
func (t *tiered) keep(key, stored []byte) {
	s := t.scan
	r := scanned{key: s.memory.add(key, len(key))}
	if t.spec.Kind == Words {
		r.word = binary.LittleEndian.Uint64(stored)
	} else {
		r.v = s.memory.add(stored, len(stored))
	}
	s.read = append(s.read, r)
}
