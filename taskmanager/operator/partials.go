package operator

// partials is a small table of accumulators by key and slice, which is emptied again and again. It keeps its memory.
type partials struct {
	slots   []uint32 // 1 + number of an entry, 0 for none; a power of two of them, at most half in use
	entries []partial
	keys    []byte
	accs    [][]byte // by entry, where accumulators are no words
	bytes   int      // of keys and accs
}

// partial is the accumulator of one key in one slice.
type partial struct {
	hash    uint64
	start   int64 // of the slice
	word    uint64
	key     uint32 // where it begins in keys
	keyEnd  uint32
	records uint32 // that it is of
	slot    uint32
	group   uint32 // 1 + its number in the batch at hand, 0 for none
	there   bool   // it has an accumulator in accs
}

// Bounds of what is held back: what does not fit goes on before more is taken. It is little enough to stay in a processor's
// cache, and enough for the keys that most records are of.
const (
	maxPartials     = 16 << 10
	maxPartialBytes = 1 << 20
	keptAccumulator = 4 << 10 // memory of one that an entry keeps while the table is emptied
	firstPartials   = 512
)

func (t *partials) full() bool { return len(t.entries) >= maxPartials || t.bytes >= maxPartialBytes }

func (t *partials) key(e uint32) []byte { return t.keys[t.entries[e].key:t.entries[e].keyEnd] }

// find is the entry of a key in a slice; a new one if there is none.
func (t *partials) find(hash uint64, key []byte, start int64) uint32 {
	if 2*len(t.entries) >= len(t.slots) {
		t.grow()
	}
	mask := uint32(len(t.slots) - 1)
	for i := slotOfPartial(hash, start) & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return t.add(i, hash, key, start)
		}
		e := &t.entries[n-1]
		if e.hash == hash && e.start == start && string(t.keys[e.key:e.keyEnd]) == string(key) {
			return n - 1
		}
	}
}

// slotOfPartial is where the search for an entry begins. Key groups are other bits of the hash.
func slotOfPartial(hash uint64, start int64) uint32 {
	return uint32((hash ^ uint64(start)*0x9E3779B97F4A7C15) >> 32)
}

func (t *partials) add(slot uint32, hash uint64, key []byte, start int64) uint32 {
	at := uint32(len(t.keys))
	t.keys = append(t.keys, key...)
	t.bytes += len(key)
	t.entries = append(t.entries, partial{hash: hash, start: start, key: at, keyEnd: uint32(len(t.keys)), slot: slot})
	t.slots[slot] = uint32(len(t.entries))
	return uint32(len(t.entries) - 1)
}

func (t *partials) grow() {
	t.slots = make([]uint32, max(2*len(t.slots), firstPartials))
	mask := uint32(len(t.slots) - 1)
	for n := range t.entries {
		e := &t.entries[n]
		i := slotOfPartial(e.hash, e.start) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i], e.slot = uint32(n+1), i
	}
}

// acc is the accumulator of an entry, nil if it has none yet.
func (t *partials) acc(e uint32) []byte {
	if !t.entries[e].there {
		return nil
	}
	return t.accs[e]
}

// set copies an accumulator into an entry.
func (t *partials) set(e uint32, acc []byte) {
	for len(t.accs) <= int(e) {
		t.accs = append(t.accs, nil)
	}
	if t.entries[e].there {
		t.bytes -= len(t.accs[e])
	}
	t.accs[e] = append(t.accs[e][:0], acc...)
	t.bytes += len(acc)
	t.entries[e].there = true
}

// reset empties the table.
func (t *partials) reset() {
	if 8*len(t.entries) > len(t.slots) {
		clear(t.slots)
	} else {
		for i := range t.entries {
			t.slots[t.entries[i].slot] = 0
		}
	}
	for i := range min(len(t.entries), len(t.accs)) {
		if cap(t.accs[i]) > keptAccumulator {
			t.accs[i] = nil
		}
	}
	t.entries, t.keys, t.bytes = t.entries[:0], t.keys[:0], 0
}
