package state

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
)

// sorted is a state of kind List or Map.
type sorted struct {
	t      *tiered
	next   uint64 // number of the next element of a list, of whatever key
	marked uint64 // next, as the operator's own scope has it
	stale  bool   // it has not what this subtask stores
	key    []byte // scratch
	from   []byte // scratch
	one    [1]Entry
	keys   [][]byte
	hashes []uint64
	found  []Entry
}

func newSorted(t *tiered) (*sorted, error) {
	s := &sorted{t: t}
	if t.spec.Kind != List {
		return s, nil
	}
	marks, err := t.store.Own(t.spec.Operator, s.mark())
	if err != nil {
		return nil, err
	}
	for _, m := range marks {
		if len(m.Value) != 8 {
			return nil, fmt.Errorf("open state %s of %s: the number of its next element has %d bytes (expected 8): %w",
				t.spec.Name, t.spec.Operator, len(m.Value), snapshot.ErrDamaged)
		}
		s.next = max(s.next, binary.BigEndian.Uint64(m.Value))
	}
	s.marked, s.stale = s.next, len(marks) > 0
	return s, nil
}

// mark names the number of the next element in the operator's own scope. It is stored so that a list can be appended to
// without being read: the elements of one key may have come from any subtask, so the greatest number of all counts.
func (s *sorted) mark() string { return "next element of " + s.t.spec.Name }

// markLists stores the numbers of the next elements.
func (h *hot) markLists() error {
	for _, st := range h.states {
		if s := st.sorted; s != nil && (s.next != s.marked || s.stale) {
			s.marked, s.stale = s.next, false
			if err := h.SetOwn(st.spec.Operator, s.mark(), binary.BigEndian.AppendUint64(nil, s.next)); err != nil {
				return err
			}
		}
	}
	return nil
}

// join makes the key of an element.
func (s *sorted) join(key, sub []byte) []byte {
	s.key = snapshot.JoinKey(s.key[:0], key, sub)
	return s.key
}

// Get implements Sorted.
func (s *sorted) Get(_ uint64, key, sub []byte) ([]byte, uint16, error) {
	e, err := s.find(s.join(key, sub))
	if err != nil || e == NoEntry {
		return nil, 0, err
	}
	return s.t.Value(e), s.t.Version(e), nil
}

// find is the entry of an element, NoEntry if there is none.
func (s *sorted) find(joined []byte) (Entry, error) {
	s.keys, s.hashes = append(s.keys[:0], joined), append(s.hashes[:0], hashOf(joined))
	err := s.t.ResolveKeys(s.keys, s.hashes, true, s.one[:])
	return s.one[0], err
}

// Fetch implements Sorted.
func (s *sorted) Fetch(keys, subs [][]byte) error {
	s.keys, s.hashes = s.keys[:0], s.hashes[:0]
	s.from = s.from[:0]
	for i, key := range keys {
		at := len(s.from)
		s.from = snapshot.JoinKey(s.from, key, subs[i]) // those before stay where they were
		joined := s.from[at:len(s.from):len(s.from)]
		s.keys, s.hashes = append(s.keys, joined), append(s.hashes, hashOf(joined))
	}
	if cap(s.found) < len(keys) {
		s.found = make([]Entry, len(keys))
	}
	return s.t.ResolveKeys(s.keys, s.hashes, true, s.found[:len(keys)])
}

// Put implements Sorted.
func (s *sorted) Put(_ uint64, key, sub, value []byte) error {
	if s.t.spec.Kind != Map {
		return fmt.Errorf("put into state %s of %s: it is no map", s.t.spec.Name, s.t.spec.Operator)
	}
	joined := s.join(key, sub)
	return s.t.SetValue(s.t.place(hashOf(joined), joined), value)
}

// Migrate implements Sorted.
func (s *sorted) Migrate(_ uint64, key, sub, value []byte) error {
	joined := s.join(key, sub)
	e, err := s.find(joined)
	switch {
	case err != nil || e == NoEntry:
		return err
	case value == nil:
		return s.t.remove(joined)
	}
	return s.t.Migrate(e, value)
}

// Delete implements Sorted.
func (s *sorted) Delete(_ uint64, key, sub []byte) error { return s.t.remove(s.join(key, sub)) }

// Append implements Sorted.
func (s *sorted) Append(_ uint64, key, value []byte) error {
	if s.t.spec.Kind != List {
		return fmt.Errorf("append to state %s of %s: it is no list", s.t.spec.Name, s.t.spec.Operator)
	}
	s.key = binary.BigEndian.AppendUint64(snapshot.KeyPrefix(s.key[:0], key), s.next)
	s.next++
	s.t.makeRoom(1)
	return s.t.SetValue(s.t.find(hashOf(s.key), s.key, true), value) // nobody has had that number
}

// clearAtOnce is how many elements Clear collects before it deletes them.
const clearAtOnce = 1024

// Clear implements Sorted.
func (s *sorted) Clear(hash uint64, key []byte) error {
	for n := clearAtOnce; n == clearAtOnce; {
		var subs arena
		var refs []ref
		err := s.scan(hash, key, nil, nil, func(sub, _ []byte, _ uint16) bool {
			refs = append(refs, subs.add(sub, len(sub)))
			return len(refs) < clearAtOnce
		})
		if err != nil {
			return err
		}
		for _, r := range refs {
			if err := s.t.remove(s.join(key, subs.get(r))); err != nil {
				return err
			}
		}
		n = len(refs)
	}
	return nil
}

// Scan implements Sorted.
func (s *sorted) Scan(hash uint64, key, after []byte, yield func(sub, value []byte, version uint16) bool) error {
	if after != nil || !s.t.isDeep(s.t.store.group(hash)) {
		return s.scan(hash, key, after, nil, yield)
	}
	g := gathering{t: s.t, marker: appendMarker(nil, key)}
	g.look()
	err := s.scan(hash, key, nil, &g, yield)
	if err == nil && g.at != inYoung {
		g.finish()
	}
	return err
}

// scan is Scan; what is read goes to g, if there is one.
func (s *sorted) scan(hash uint64, key, after []byte, g *gathering, yield func(sub, value []byte, version uint16) bool) error {
	prefix := snapshot.KeyPrefix(s.key[:0], key)
	s.key = prefix
	from := append(s.from[:0], prefix...)
	if after != nil {
		from = append(append(from, after...), 0)
	}
	s.from = from
	var below *deep
	if group := s.t.store.group(hash); s.t.isDeep(group) && !g.isComplete() {
		disk, closing := s.t.diskIterator(appendDiskKey(nil, s.t.id, group, prefix))
		defer closing()
		var err error
		if below, err = s.t.deep(disk, group, prefix, from); err != nil {
			return err
		}
	}
	w := s.t.walk(prefix, from, below)
	for {
		there, err := w.next()
		if err != nil || !there {
			return err
		}
		g.add(w)
		if !yield(w.key[len(prefix):], w.cell.value, w.cell.version) {
			g.giveUp()
			return nil
		}
	}
}

// Keys implements Sorted. It goes through all elements.
func (s *sorted) Keys(yield func(key []byte) error) error {
	var entries [scanAhead]Entry
	for cursor := uint64(0); ; {
		n, next, err := s.t.Scan(cursor, entries[:])
		if err != nil || n == 0 {
			return err
		}
		cursor = next
		for _, e := range entries[:n] {
			key, _, ok := snapshot.SplitKey(s.from[:0], s.t.Key(e))
			if s.from = key; !ok {
				continue // a marker
			}
			if err := yield(key); err != nil {
				return err
			}
		}
	}
}
