package state

import "github.com/cespare/xxhash/v2"

// shed has a table let go of what has ended, if that is as much as a share of what it has: 1 in so many. It is counted only when the
// table has twice what it had the last time.
func (t *table) shed(share int) {
	if t.spec.Once && len(t.keyRefs) > 2*t.alive+minDead {
		t.shedAny(share)
	}
}

func (t *table) shedAny(share int) {
	t.alive = 0
	for i := range t.keyRefs {
		if e := Entry(i); *t.Word(e) != gone && !t.over(e, t.clock.Now) {
			t.alive++
		}
	}
	if n := len(t.keyRefs); n-t.alive > minDead && share*(n-t.alive) > n {
		t.rebuild()
	}
}

// rebuild leaves out the entries that were deleted, or are over. It changes the numbers of the others: elements get them in their
// order.
func (t *table) rebuild() {
	old := *t
	t.index, t.keyRefs, t.keys, t.pages, t.values, t.order = nil, nil, arena{}, nil, arena{}, nil
	t.dead, t.garbage, t.sealed = 0, 0, 0
	t.resize(len(old.index))
	if old.order == nil {
		for i := range old.keyRefs {
			if e := Entry(i); *old.Word(e) != gone && !old.over(e, old.clock.Now) {
				t.adopt(&old, e)
			}
		}
		return
	}
	order := new(sequence)
	for _, l := range old.order.leaves {
		for i, e := range l.entries[:l.n] {
			if !old.over(e, old.clock.Now) {
				order.append(l.standings[i], t.adopt(&old, e))
			}
		}
	}
	t.order = order
}

// adopt adds an entry of the table as it was before a rebuild.
func (t *table) adopt(old *table, was Entry) Entry {
	key := old.Key(was)
	e := t.find(xxhash.Sum64(key), key, true)
	from, to := old.pages[was>>pageBits], t.page(e)
	word := from.words[was&pageMask]
	if t.spec.Kind != Words && word != noValue {
		v := old.values.get(ref(word))
		r := t.values.reserve(len(v), len(v))
		copy(t.values.get(r), v)
		word = uint64(r)
	}
	to.words[e&pageMask] = word
	if from.gen == t.store.gen && from.dirty.has(was) {
		to.dirty.set(e)
	}
	if from.pending.has(was) {
		to.pending.set(e)
	}
	return e
}
