package state

import "math/bits"

const (
	pageBits    = 9
	pageEntries = 1 << pageBits
	pageMask    = pageEntries - 1
)

// page is the values of pageEntries entries: words, or refs of byte strings.
type page struct {
	gen     uint32 // freeze after which it was made or copied
	dirty   bits64 // changed since then
	pending bits64 // changed since it was taken from disk or a file, or never there
	moved   bits64 // taken to a newer table; see tiered
	words   [pageEntries]uint64
}

// bits64 is a bit for each entry of a page.
type bits64 [pageEntries / 64]uint64

func (b *bits64) has(e Entry) bool { return b[e&pageMask>>6]&(1<<(e&63)) != 0 }
func (b *bits64) set(e Entry)      { b[e&pageMask>>6] |= 1 << (e & 63) }
func (b *bits64) clear(e Entry)    { b[e&pageMask>>6] &^= 1 << (e & 63) }

func (b *bits64) count() (n int) {
	for _, set := range b {
		n += bits.OnesCount64(set)
	}
	return n
}

// page returns the page of e to be written to.
func (t *table) page(e Entry) *page {
	p := t.pages[e>>pageBits]
	if p.gen != t.store.gen {
		c := *p
		c.gen = t.store.gen
		clear(c.dirty[:])
		p = &c
		t.pages[e>>pageBits] = p
	}
	return p
}

// touch notes that e changes.
func (t *table) touch(e Entry) {
	p := t.pages[e>>pageBits]
	if p.gen != t.store.gen {
		p = t.page(e)
	}
	p.dirty.set(e)
	p.pending.set(e)
}

// dirtyEntries calls yield for the entries that have changed, of frozen pages.
func dirtyEntries(pages []*page, gen uint32, yield func(e Entry, word uint64)) {
	for i, p := range pages {
		if p.gen != gen {
			continue
		}
		for w, set := range p.dirty {
			for ; set != 0; set &= set - 1 {
				at := w<<6 | bits.TrailingZeros64(set)
				yield(Entry(i<<pageBits|at), p.words[at])
			}
		}
	}
}

// allEntries calls yield for every place of frozen pages.
func allEntries(pages []*page, _ uint32, yield func(e Entry, word uint64)) {
	for i, p := range pages {
		for at, word := range &p.words {
			yield(Entry(i<<pageBits|at), word)
		}
	}
}
