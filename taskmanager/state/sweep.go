package state

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Entries with a TTL leave the disk though nobody touches them: every flush looks at some of them, from where the one before
// has ended, and removes those that have ended. A flush looks at more than it writes, so what is there by mistake stays a
// part of what is there by right; when nothing is written, time alone has some looked at.
const (
	sweepPerWritten = 4
	sweepAtLeast    = 16 << 10
	sweepsPerTTL    = 16 // when nothing is written
)

// sweep is a flush's look at what has ended.
type sweep struct {
	tables []swept // in the order of their ids
	from   []byte  // the key on disk to begin with; then that to go on with
	n      int     // keys to look at
	passed int     // that were looked at
}

// swept is a table with a TTL.
type swept struct {
	id    uint32
	ended int64 // entries whose time was up by then are gone
	files bool  // may have some of its keys
}

// nextSweep is what a flush that begins has to look at; the tables are few.
func (c *cold) nextSweep(h *hot) *sweep {
	s := &sweep{from: c.sweepFrom}
	c.sweepEvery = math.MaxInt64
	for _, st := range h.states {
		for _, t := range st.open {
			if ttl := t.spec.TTL; ttl > 0 && t.spec.Kind != Words && t.id != 0 {
				s.tables = append(s.tables, swept{t.id, t.clock.Now, t.files != nil})
				c.sweepEvery = min(c.sweepEvery, max(ttl/sweepsPerTTL, 1))
			}
		}
	}
	c.sweptAt = h.clock.Now
	return s
}

// sweepIsDue says whether it is time to look at some without a flush.
func (c *cold) sweepIsDue(h *hot) bool {
	return c.disk != nil && c.sweepEvery > 0 && h.clock.Now-c.sweptAt >= c.sweepEvery
}

// swept takes note of a sweep that has ended.
func (c *cold) swept(s *sweep) { c.sweepFrom = s.from }

// run looks at n keys at most, and begins anew behind the last table.
func (s *sweep) run(f *flush) error {
	written := 0
	for i := range f.tables {
		written += len(f.tables[i].table.keyRefs)
	}
	s.n = max(sweepPerWritten*written, sweepAtLeast)
	again := s.from != nil
	if err := s.pass(f); err != nil || s.passed >= s.n {
		return err
	}
	if s.from = nil; again {
		return s.pass(f)
	}
	return nil
}

// pass goes to the end, or as far as the sweep may.
func (s *sweep) pass(f *flush) error {
	for _, t := range s.tables {
		if s.passed >= s.n {
			return nil
		}
		if err := s.table(f, t); err != nil {
			return err
		}
	}
	return nil
}

// table looks at a table, from where the sweep has come to.
func (s *sweep) table(f *flush, t swept) error {
	prefix := binary.BigEndian.AppendUint32(nil, t.id)
	from := prefix
	if len(s.from) >= len(prefix) {
		switch c := bytes.Compare(s.from[:len(prefix)], prefix); {
		case c > 0:
			return nil // it has passed
		case c == 0:
			from = s.from
		}
	}
	view := f.disk.files.View()
	defer view.Close()
	it := view.Iterator(prefix)
	defer it.Close()
	b := f.disk.files.Batch()
	there, err := it.Seek(from)
	for ; there && err == nil && s.passed < s.n; there, err = it.Next() {
		s.passed++
		v := it.Value()
		if len(v) < 1+longHeader || v[0] != diskPut || int64(binary.LittleEndian.Uint64(v[3:])) > t.ended {
			continue
		}
		// A snapshot that will have the entry, because it has changed since the last freeze, has that it is no more.
		key, version := bytes.Clone(it.Key()), max(it.Version(), cleanVersion(f.gen))
		if t.files {
			err = b.Put(key, []byte{diskDelete}, version)
		} else {
			err = b.Delete(key, version)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		b.Cancel()
		return err
	}
	if there {
		s.from = bytes.Clone(it.Key())
	} else {
		s.from = binary.BigEndian.AppendUint32(nil, t.id+1)
	}
	return b.Flush()
}
