package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/wasmill/wasmill/internal/graph"
)

// What tables have to write is brought into the order of files by small ranks, which stand for entries: sorting entries
// with their keys moves ten times as much, and comparing keys where they lie costs a cache miss a comparison. Ranks are
// dealt out to key groups first; those of one group fit a processor's cache, and are sorted there by 8 bytes of their keys
// at a time.

// rank stands for an entry of a table.
type rank struct {
	head  uint64 // 8 bytes of the key, which order most keys
	key   ref    // in the keys of its table, or in what was removed from it
	word  uint64
	group graph.KeyGroup
	table uint8 // of the lane
	weak  bool  // the key was deleted: counts only if there is no other rank of it
}

// lane is what one namespace of a state has to write, by key group and key.
type lane struct {
	tables []*frozenTable
	ranks  []rank
	memory []rank // what ranks were allocated with
	weak   bool   // some ranks are
	read   byte   // what fetch has read: for nothing else
}

// rankMemory keeps the memory of ranks between checkpoints, 64 bytes an entry. What two collections find unused is freed.
var rankMemory sync.Pool

func takeRanks(n int) []rank {
	if p, ok := rankMemory.Get().(*[]rank); ok && cap(*p) >= n {
		return (*p)[:0]
	}
	return make([]rank, 0, n+n/8)
}

func giveRanks(r []rank) {
	if cap(r) > 0 {
		r = r[:0]
		rankMemory.Put(&r)
	}
}

// newLane collects and sorts the changes of the tables of one namespace.
func newLane(tables []*frozenTable, groups int) *lane {
	l := &lane{tables: tables}
	n := 0
	for _, t := range tables {
		n += t.countChanged() + len(t.deleted)
		l.weak = l.weak || len(t.deleted) > 0
	}
	unsorted := takeRanks(n)
	for i, t := range tables {
		unsorted = t.rank(unsorted, uint8(i))
	}
	l.ranks = takeRanks(len(unsorted))[:len(unsorted)]
	l.memory = l.ranks
	l.deal(unsorted, groups)
	giveRanks(unsorted)
	return l
}

// release gives memory back.
func (l *lane) release() {
	giveRanks(l.memory)
	l.ranks, l.memory = nil, nil
}

// take is the ranks of the next key group, if that is group.
func (l *lane) take(group graph.KeyGroup) []rank {
	n := 0
	for n < len(l.ranks) && l.ranks[n].group == group {
		n++
	}
	first := l.ranks[:n]
	l.ranks = l.ranks[n:]
	return first
}

// keyOf is the key of a rank.
func (l *lane) keyOf(r *rank) []byte {
	t := l.tables[r.table]
	if r.weak {
		return t.removed.get(r.key)
	}
	return t.keys.get(r.key)
}

// ahead is how many ranks are looked at ahead, so that the processor fetches their keys at the same time.
const ahead = 32

// fetch reads a byte of each key.
func (l *lane) fetch(ranks []rank) {
	for i := range ranks {
		r := &ranks[i]
		keys := &l.tables[r.table].keys
		if r.weak {
			keys = &l.tables[r.table].removed
		}
		l.read += keys.chunks[r.key>>32][uint32(r.key)]
	}
}

// fetchValues reads a byte of each value of kind Bytes.
func (l *lane) fetchValues(ranks []rank) {
	for i := range ranks {
		if t := l.tables[ranks[i].table]; t.kind != Words && ranks[i].word != noValue {
			l.read += t.values.chunks[ranks[i].word>>32][uint32(ranks[i].word)]
		}
	}
}

// deal sets the lane's ranks to the given ones, in order. These are used up.
func (l *lane) deal(unsorted []rank, groups int) {
	if len(unsorted) == 0 {
		return
	}
	starts, kind := make([]int, groups+1), l.tables[0].kind
	first := l.keyOf(&unsorted[0])
	common := len(first)
	for i := range unsorted {
		if i%ahead == 0 {
			l.fetch(unsorted[i:min(i+ahead, len(unsorted))])
		}
		r := &unsorted[i]
		key := l.keyOf(r)
		if common > len(key) || string(key[:common]) != string(first[:common]) {
			common = commonPrefix(first[:common], key)
		}
		r.group = graph.KeyGroupOf(kind.ownerHash(key), groups)
		starts[r.group+1]++
	}
	for g := range groups {
		starts[g+1] += starts[g]
	}
	at := slices.Clone(starts)
	for i := range unsorted {
		r := &unsorted[i]
		r.head = headOf(l.keyOf(r), common)
		l.ranks[at[r.group]] = *r
		at[r.group]++
	}
	for g := range groups {
		l.sort(l.ranks[starts[g]:starts[g+1]], unsorted, common)
	}
}

// fewRanks are sorted by comparing them.
const fewRanks = 48

// sort sorts ranks of one group, whose heads are the bytes of their keys from at on, and whose keys are the same before.
func (l *lane) sort(ranks, scratch []rank, at int) {
	if len(ranks) <= fewRanks {
		slices.SortFunc(ranks, func(a, b rank) int {
			if a.head != b.head {
				return cmp.Compare(a.head, b.head)
			}
			return l.compare(&a, &b)
		})
		return
	}
	sortHeads(ranks, scratch)
	for i := 0; i < len(ranks); {
		k := i + 1
		for k < len(ranks) && ranks[k].head == ranks[i].head {
			k++
		}
		if run := ranks[i:k]; k-i > 1 {
			longer := false
			for i := range run {
				key := l.keyOf(&run[i])
				run[i].head = headOf(key, at+8)
				longer = longer || len(key) > at+8
			}
			if longer {
				l.sort(run, scratch, at+8)
			} else {
				slices.SortFunc(run, func(a, b rank) int { return l.compare(&a, &b) })
			}
		}
		i = k
	}
}

// compare orders ranks of one group.
func (l *lane) compare(a, b *rank) int {
	if c := bytes.Compare(l.keyOf(a), l.keyOf(b)); c != 0 || a.weak == b.weak {
		return c
	}
	if b.weak {
		return -1
	}
	return 1
}

// sortHeads sorts ranks by their heads, byte by byte from the last, but for bytes that all have in common.
func sortHeads(ranks, scratch []rank) {
	differ := uint64(0)
	for i := range ranks {
		differ |= ranks[i].head ^ ranks[0].head
	}
	from, to := ranks, scratch[:len(ranks)]
	for shift := 0; shift < 64; shift += 8 {
		if byte(differ>>shift) == 0 {
			continue
		}
		var at [256]int
		for i := range from {
			at[byte(from[i].head>>shift)]++
		}
		sum := 0
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for i := range from {
			b := byte(from[i].head >> shift)
			to[at[b]] = from[i]
			at[b]++
		}
		from, to = to, from
	}
	if &from[0] != &ranks[0] {
		copy(ranks, from)
	}
}

// headOf is 8 bytes of a key as a number that orders as they do; what is missing counts as zeros.
func headOf(key []byte, at int) uint64 {
	if len(key) >= at+8 {
		return binary.BigEndian.Uint64(key[at:])
	}
	var p [8]byte
	if at < len(key) {
		copy(p[:], key[at:])
	}
	return binary.BigEndian.Uint64(p[:])
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// countChanged is how many entries have changed, at least.
func (t *frozenTable) countChanged() (n int) {
	if t.full {
		return len(t.keyRefs)
	}
	for _, p := range t.pages {
		if p.gen == t.gen {
			n += p.dirty.count()
		}
	}
	return n
}

// rank appends the changes of a table, in no order and without their groups. A key that was deleted and set again may come
// twice, the deleted one as weak.
func (t *frozenTable) rank(ranks []rank, number uint8) []rank {
	each := dirtyEntries
	if t.full {
		each = allEntries
	}
	each(t.pages, t.gen, func(e Entry, word uint64) {
		if int(e) < len(t.keyRefs) && (t.kind == Words || word != gone) {
			ranks = append(ranks, rank{key: t.keyRefs[e], word: word, table: number})
		}
	})
	for _, r := range t.deleted {
		ranks = append(ranks, rank{key: r, word: noValue, table: number, weak: true})
	}
	return ranks
}
