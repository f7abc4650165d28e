package state

import (
	"bytes"
	"slices"
	"unsafe"
)

// A sequence has the entries of a table in their order: by standing, then key. It is a list of leaves, which
// are searched by halves. A tree would have less to move when a leaf is split, but a table of ten million entries has
// 60,000 leaves, and to move half of their standings for one of 242 entries costs 2 KB an entry; in return there is one level,
// and a leaf has no pointers that the garbage collector would follow.
type sequence struct {
	firsts []standing // of the first entry of each leaf
	leaves []*leaf    // none is empty
}

// leaf is some entries that follow each other.
type leaf struct {
	n         int32
	entries   [leafEntries]Entry
	standings [leafEntries]standing
}

const leafEntries = 242 // of 20 bytes: a leaf fills the 4,864 bytes that it is given

// spot is a place in a sequence: that of an entry, or behind the last. It is valid until the sequence changes.
type spot struct{ leaf, at int }

func (q *sequence) entry(s spot) Entry { return q.leaves[s.leaf].entries[s.at] }

func (q *sequence) rank(s spot) uint64 { return q.leaves[s.leaf].standings[s.at].rank }

// in says whether there is an entry at a spot.
func (q *sequence) in(s spot) bool { return s.leaf < len(q.leaves) }

func (q *sequence) after(s spot) spot {
	if s.at++; s.at == int(q.leaves[s.leaf].n) {
		return spot{s.leaf + 1, 0}
	}
	return s
}

// seek finds the first entry of t at or behind a key.
func (q *sequence) seek(t *table, to standing, key []byte) spot {
	lo, hi := 0, len(q.leaves) // the leaves before lo begin before the key, those from hi on do not
	for lo < hi {
		m := int(uint(lo+hi) / 2)
		if is := q.firsts[m]; is.before(to) || is == to && bytes.Compare(t.Key(q.leaves[m].entries[0]), key) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return spot{}
	}
	l := q.leaves[lo-1]
	first, last := 1, int(l.n)
	for first < last {
		m := int(uint(first+last) / 2)
		if is := l.standings[m]; is.before(to) || is == to && bytes.Compare(t.Key(l.entries[m]), key) < 0 {
			first = m + 1
		} else {
			last = m
		}
	}
	if first == int(l.n) {
		return spot{lo, 0}
	}
	return spot{lo - 1, first}
}

// insert adds an entry of t.
func (q *sequence) insert(t *table, e Entry) {
	key := t.Key(e)
	at := t.spec.Kind.standingOf(key)
	s := q.seek(t, at, key)
	if s.at == 0 && s.leaf > 0 { // it may as well be behind the last of the leaf before
		s = spot{s.leaf - 1, int(q.leaves[s.leaf-1].n)}
	}
	if len(q.leaves) == 0 {
		q.push(0, new(leaf), at)
	}
	l := q.leaves[s.leaf]
	if l.n == leafEntries {
		s = q.split(s)
		l = q.leaves[s.leaf]
	}
	n := int(l.n)
	copy(l.entries[s.at+1:n+1], l.entries[s.at:n])
	copy(l.standings[s.at+1:n+1], l.standings[s.at:n])
	l.entries[s.at], l.standings[s.at] = e, at
	l.n++
	q.firsts[s.leaf] = l.standings[0]
}

// append adds an entry behind all others.
func (q *sequence) append(at standing, e Entry) {
	if len(q.leaves) == 0 || q.leaves[len(q.leaves)-1].n == leafEntries {
		q.push(len(q.leaves), new(leaf), at)
	}
	l := q.leaves[len(q.leaves)-1]
	l.entries[l.n], l.standings[l.n] = e, at
	l.n++
}

func (q *sequence) push(i int, l *leaf, first standing) {
	q.leaves, q.firsts = slices.Insert(q.leaves, i, l), slices.Insert(q.firsts, i, first)
}

// split makes room at a spot of a full leaf, and returns where the spot is then. Entries that come in order fill leaves.
func (q *sequence) split(s spot) spot {
	l, next := q.leaves[s.leaf], new(leaf)
	keep := leafEntries / 2
	if s.leaf == len(q.leaves)-1 && s.at == leafEntries {
		keep = leafEntries
	}
	next.n = int32(copy(next.entries[:], l.entries[keep:]))
	copy(next.standings[:], l.standings[keep:])
	l.n = int32(keep)
	q.push(s.leaf+1, next, next.standings[0])
	if s.at > keep || s.at == leafEntries {
		return spot{s.leaf + 1, s.at - keep}
	}
	return s
}

// remove takes an entry of t out.
func (q *sequence) remove(t *table, e Entry) {
	key := t.Key(e)
	s := q.seek(t, t.spec.Kind.standingOf(key), key)
	l := q.leaves[s.leaf]
	n := int(l.n)
	copy(l.entries[s.at:], l.entries[s.at+1:n])
	copy(l.standings[s.at:], l.standings[s.at+1:n])
	if l.n--; l.n == 0 {
		q.leaves, q.firsts = slices.Delete(q.leaves, s.leaf, s.leaf+1), slices.Delete(q.firsts, s.leaf, s.leaf+1)
		return
	}
	q.firsts[s.leaf] = l.standings[0]
}

func (q *sequence) size() int {
	return len(q.leaves)*int(unsafe.Sizeof(leaf{})) + 8*cap(q.leaves) + 16*cap(q.firsts)
}
