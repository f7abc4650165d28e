package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	"github.com/wasmill/wasmill/internal/graph"
)

// What tables have to write is brought into the order of files group by group: the changes of a key group are dealt out with
// their keys, so that they lie together and fit a processor's cache. There they are sorted by small ranks, which stand for
// them, by 8 bytes of their keys at a time. Sorting keys where the tables have them costs a cache miss a look at each.

// lane is what one namespace of a state has to write, by key group and key.
type lane struct {
	tables []*frozenTable
	found  []change // in no order
	sizes  []int    // by group: the bytes that its changes take in memory
	next   int      // the first group whose changes were not taken; len(sizes): all were
	dealt  int      // the first that is not in memory
	memory []byte   // changes of the groups from next to dealt, one after the other from at on
	at     int
	room   int  // bytes that are dealt out at a time, but a group at least
	weak   bool // some changes are
	read   byte // what fetchValues has read: for nothing else
}

// change is an entry that has changed. In the memory of a lane it lies as
//
//	0 u64 word   8 u32 length of the key   12 u8 table   13 u8 weak   14 the key
type change struct {
	key   ref    // in the keys of its table, or in what was removed from it
	word  uint64 // see page
	group graph.KeyGroup
	table uint8 // of the lane
	weak  uint8 // 1: the key was deleted: counts only if there is no other of it
}

const changeHeader = 14

// dealtBytes is the room that a lane has: what there is more is gone through again.
const dealtBytes = 64 << 20

// The memory of lanes is kept between checkpoints. What two collections find unused is freed.
var foundMemory, dealtMemory sync.Pool

// taken is memory for n from a pool, or new.
func taken[T any](pool *sync.Pool, n int) []T {
	if p, ok := pool.Get().(*[]T); ok && cap(*p) >= n {
		return (*p)[:n]
	}
	return make([]T, n, n+n/8)
}

// given gives memory back.
func given[T any](pool *sync.Pool, m []T) {
	if cap(m) > 0 {
		pool.Put(&m)
	}
}

// rank stands for a change in memory.
type rank struct {
	head uint64 // 8 bytes of the key, which order most keys
	at   int
}

// rankRoom is memory of the ranks of a group.
type rankRoom struct{ ranks, scratch []rank }

// newLane finds the changes of the tables of one namespace.
func newLane(tables []*frozenTable, groups int) *lane {
	l := &lane{tables: tables, room: dealtBytes}
	n := 0
	for _, t := range tables {
		n += t.countChanged() + len(t.deleted)
		l.weak = l.weak || len(t.deleted) > 0
	}
	l.found = taken[change](&foundMemory, n)[:0]
	for i, t := range tables {
		l.found = t.changes(l.found, uint8(i))
	}
	l.place(groups)
	return l
}

// place finds the groups of the changes.
func (l *lane) place(groups int) {
	l.sizes = make([]int, groups)
	kind := l.tables[0].kind
	for i := range l.found {
		c := &l.found[i]
		key := l.keyOf(c)
		c.group = graph.KeyGroupOf(kind.ownerHash(key), groups)
		l.sizes[c.group] += changeHeader + len(key)
	}
	l.skip()
}

// keyOf is the key of a change where its table has it.
func (l *lane) keyOf(c *change) []byte {
	t := l.tables[c.table]
	if c.weak != 0 {
		return t.removed.get(c.key)
	}
	return t.keys.get(c.key)
}

// skip goes on to the next group with changes.
func (l *lane) skip() {
	for l.next < len(l.sizes) && l.sizes[l.next] == 0 {
		l.next++
	}
}

// group is the next group with changes, if there is one.
func (l *lane) group() (group graph.KeyGroup, any bool) {
	return graph.KeyGroup(l.next), l.next < len(l.sizes)
}

// release gives memory back.
func (l *lane) release() {
	given(&foundMemory, l.found)
	given(&dealtMemory, l.memory)
	l.found, l.memory = nil, nil
}

// deal deals out the changes of the next groups.
func (l *lane) deal() {
	size, at := 0, make([]int, len(l.sizes))
	for l.dealt = l.next; l.dealt < len(l.sizes) && (l.dealt == l.next || size+l.sizes[l.dealt] <= l.room); l.dealt++ {
		at[l.dealt] = size
		size += l.sizes[l.dealt]
	}
	given(&dealtMemory, l.memory)
	l.memory, l.at = taken[byte](&dealtMemory, size), 0
	for i := range l.found {
		c := &l.found[i]
		if int(c.group) < l.next || int(c.group) >= l.dealt {
			continue
		}
		key := l.keyOf(c)
		p := l.memory[at[c.group]:][:changeHeader+len(key)]
		at[c.group] += len(p)
		binary.LittleEndian.PutUint64(p, c.word)
		binary.LittleEndian.PutUint32(p[8:], uint32(len(key)))
		p[12], p[13] = c.table, c.weak
		copy(p[changeHeader:], key)
	}
}

// take is the changes of a group in the order of their keys, if it is the next one. They are valid until the next call.
func (l *lane) take(group graph.KeyGroup, room *rankRoom) []rank {
	if next, any := l.group(); !any || next != group {
		return nil
	}
	if l.next >= l.dealt {
		l.deal()
	}
	end := l.at + l.sizes[l.next]
	ranks, first := room.ranks[:0], l.keyAt(l.at)
	common := len(first)
	for l.at < end {
		key := l.keyAt(l.at)
		if common > len(key) || string(key[:common]) != string(first[:common]) {
			common = commonPrefix(first[:common], key)
		}
		ranks = append(ranks, rank{at: l.at})
		l.at += changeHeader + len(key)
	}
	for i := range ranks {
		ranks[i].head = headOf(l.keyAt(ranks[i].at), common)
	}
	room.ranks, room.scratch = ranks, slices.Grow(room.scratch[:0], len(ranks))[:len(ranks)]
	l.sort(ranks, room.scratch, common)
	l.next++
	l.skip()
	return ranks
}

// keyAt is the key of a change.
func (l *lane) keyAt(at int) []byte {
	n := int(binary.LittleEndian.Uint32(l.memory[at+8:]))
	return l.memory[at+changeHeader : at+changeHeader+n : at+changeHeader+n]
}

// word is the word of a change, and the table that it is in.
func (l *lane) word(at int) (uint64, *frozenTable) {
	return binary.LittleEndian.Uint64(l.memory[at:]), l.tables[l.memory[at+12]]
}

// weakAt is 1 if a change is weak.
func (l *lane) weakAt(at int) uint8 { return l.memory[at+13] }

// ahead is how many ranks are looked at ahead, so that the processor fetches their values at the same time.
const ahead = 32

// fetchValues reads a byte of each value of kind Bytes.
func (l *lane) fetchValues(ranks []rank) {
	for i := range ranks {
		if word, t := l.word(ranks[i].at); t.kind != Words && word != noValue {
			l.read += t.values.chunks[word>>32][uint32(word)]
		}
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
			return l.compare(a, b)
		})
		return
	}
	below := sortHeads(ranks, scratch)
	for i := 0; i < len(ranks); {
		k := i + 1
		for k < len(ranks) && ranks[k].head>>below == ranks[i].head>>below {
			k++
		}
		switch run := ranks[i:k]; {
		case k-i == 1:
		case below > 0:
			l.sort(run, scratch, at)
		default:
			l.sortSame(run, scratch, at+8)
		}
		i = k
	}
}

// sortSame sorts ranks whose keys are the same before at.
func (l *lane) sortSame(ranks, scratch []rank, at int) {
	longer := false
	for i := range ranks {
		key := l.keyAt(ranks[i].at)
		ranks[i].head = headOf(key, at)
		longer = longer || len(key) > at
	}
	if longer {
		l.sort(ranks, scratch, at)
	} else {
		slices.SortFunc(ranks, l.compare)
	}
}

// compare orders ranks of one group.
func (l *lane) compare(a, b rank) int {
	if c := bytes.Compare(l.keyAt(a.at), l.keyAt(b.at)); c != 0 {
		return c
	}
	return cmp.Compare(l.weakAt(a.at), l.weakAt(b.at))
}

// sortHeads sorts ranks by the upper bytes of their heads, and answers how many bits lie below these: as many bytes as tell
// most ranks apart. It goes byte by byte from the last of them, but for bytes that all have in common.
func sortHeads(ranks, scratch []rank) (below int) {
	differ := uint64(0)
	for i := range ranks {
		differ |= ranks[i].head ^ ranks[0].head
	}
	below = 64
	for apart := 0; below > 0 && apart < bits.Len(uint(len(ranks)))+3; {
		below -= 8
		apart += bits.OnesCount8(byte(differ >> below))
	}
	from, to := ranks, scratch[:len(ranks)]
	for shift := below; shift < 64; shift += 8 {
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
	return below
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

// changes appends the changes of a table, in no order and without their groups. A key that was deleted and set again may
// come twice, the deleted one as weak.
func (t *frozenTable) changes(all []change, number uint8) []change {
	each := dirtyEntries
	if t.full {
		each = allEntries
	}
	each(t.pages, t.gen, func(e Entry, word uint64) {
		if int(e) < len(t.keyRefs) && (t.kind == Words || word != gone) {
			all = append(all, change{key: t.keyRefs[e], word: word, table: number})
		}
	})
	for _, r := range t.deleted {
		all = append(all, change{key: r, word: noValue, table: number, weak: 1})
	}
	return all
}
