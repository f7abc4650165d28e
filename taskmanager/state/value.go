package state

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/internal/failpoint"
)

const (
	shortHeader = 2
	longHeader  = 10
)

// A value is, but for the kind Words, stored behind its schema version and, if its state has a TTL, its expiry.
func (t *table) headerBytes() int {
	if t.spec.TTL > 0 {
		return longHeader
	}
	return shortHeader
}

// stored is the value of an entry as it lies in the arena, nil for none; Words have none there.
func (t *table) stored(e Entry) []byte {
	if t.spec.Kind == Words {
		return nil
	}
	if r := *t.Word(e); r != noValue && r != gone {
		return t.values.get(ref(r))
	}
	return nil
}

func (t *table) expired(e Entry) bool { return t.expiredAt(e, t.clock.Now) }

func (t *table) expiredAt(e Entry, now int64) bool {
	if t.spec.TTL == 0 || t.spec.Kind == Words {
		return false
	}
	p := t.stored(e)
	return len(p) >= longHeader && int64(binary.LittleEndian.Uint64(p[2:])) <= now
}

// over says whether an entry has ended of which nothing has to be said: it was set once, and whoever else has it knows when it ends.
func (t *table) over(e Entry, now int64) bool { return t.spec.Once && t.expiredAt(e, now) }

// Value implements Table.
func (t *table) Value(e Entry) []byte {
	p := t.stored(e)
	if p == nil || t.expired(e) {
		return nil
	}
	return p[t.headerBytes():]
}

// Change implements Table. What a freeze may have seen is copied.
func (t *table) Change(e Entry) []byte {
	p := t.stored(e)
	if p == nil || t.expired(e) {
		return nil
	}
	word := &t.page(e).words[e&pageMask]
	if r := ref(*word); r < t.sealed {
		room := t.values.capacity(r)
		t.garbage += stringHeader + room
		moved := t.values.reserve(len(p), room)
		copy(t.values.get(moved), p)
		*word = uint64(moved)
		p = t.values.get(moved)
	}
	return p[t.headerBytes():]
}

// Version implements Table.
func (t *table) Version(e Entry) uint16 {
	if p := t.stored(e); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// SetValue implements Table. A value that outgrows its place gets one with room for half as much again.
func (t *table) SetValue(e Entry, v []byte) error {
	expiry := int64(0)
	if t.spec.TTL > 0 {
		if expiry = t.clock.expiry(t.spec.TTL); t.spec.Event && t.stored(e) != nil && failpoint.Planted(failpoint.ForgetRefresh) {
			expiry = t.expiry(e)
		}
	}
	t.changed = true
	t.set(e, t.spec.Version, expiry, v)
	t.touch(e)
	return nil
}

// Migrate implements Table.
func (t *table) Migrate(e Entry, v []byte) error {
	t.changed = true
	t.set(e, t.spec.Version, t.expiry(e), v)
	t.touch(e)
	return nil
}

// expiry is when an entry ends, 0 for never.
func (t *table) expiry(e Entry) int64 {
	if p := t.stored(e); p != nil && t.headerBytes() > shortHeader {
		return int64(binary.LittleEndian.Uint64(p[2:]))
	}
	return 0
}

// respec gives the table, which was restored under the spec of its files, that of its operator: with a TTL where there was
// none, or the other way round, values are stored in another form.
func (t *table) respec(s Spec) {
	was := t.spec
	t.clock = t.store.clockOf(s)
	if t.spec = s; s.Kind == Words || (was.TTL > 0) == (s.TTL > 0) {
		return
	}
	for i := range t.keyRefs {
		e := Entry(i)
		t.spec = was
		p, head, expiry := t.stored(e), t.headerBytes(), t.expiry(e)
		t.spec = s
		if p != nil {
			t.set(e, binary.LittleEndian.Uint16(p), expiry, bytes.Clone(p[head:]))
		}
	}
}

func (t *table) set(e Entry, version uint16, expiry int64, v []byte) {
	word := &t.page(e).words[e&pageMask]
	head := t.headerBytes()
	n := head + len(v)
	r := ref(*word)
	switch {
	case *word == noValue || *word == gone:
		r = t.values.reserve(n, (n+7)&^7)
	case r >= t.sealed && t.values.fits(r, n):
	default:
		t.garbage += stringHeader + t.values.capacity(r)
		r = t.values.reserve(n, n+n/2)
	}
	*word = uint64(r)
	p := t.values.get(r)
	t.putHeader(p, version, expiry)
	copy(p[head:], v)
	if t.garbage > minGarbage && 2*t.garbage > t.values.size {
		t.compact()
	}
}

// compact copies the values that are in use to a new arena.
func (t *table) compact() {
	old := t.values
	t.values, t.garbage, t.sealed = arena{}, 0, 0
	for e := range t.keyRefs {
		word := &t.page(Entry(e)).words[e&pageMask]
		if *word == noValue || *word == gone {
			continue
		}
		v := old.get(ref(*word))
		r := t.values.reserve(len(v), old.capacity(ref(*word)))
		copy(t.values.get(r), v)
		*word = uint64(r)
	}
}
