package state

import "github.com/wasmill/wasmill/internal/checkpoint/snapshot"

// A list or map that is read again and again would be looked for on disk each time: that all of its elements are in memory
// is nowhere to be seen. So when a small one has been read to its end, all that it has is taken to the young table, and an
// entry beside it, the marker, says that there is no more. It is never written, and leaves the memory with the table that
// it is in; as its elements are in the same table or a younger one, they are there as long as it is.

// gathering is the elements of one key that a scan goes through.
type gathering struct {
	t       *tiered
	marker  []byte
	at      markerAt
	memory  arena
	found   []gathered
	tooMany bool
}

type gathered struct {
	key   ref
	value ref // if it was deeper
	deep  bool
	cell  cell // without the value
}

// markerAt is where a marker is.
type markerAt uint8

const (
	nowhere markerAt = iota
	inOld
	inYoung
)

// What has more elements, or more bytes, is read anew each time.
const (
	gatherElements = 512
	gatherBytes    = 64 << 10
)

// appendMarker appends a key that no element of a list or map has, in the key group of those of key.
func appendMarker(dst, key []byte) []byte {
	dst = snapshot.KeyPrefix(dst, key)
	dst[len(dst)-1] = 0
	return dst
}

// look finds the marker.
func (g *gathering) look() {
	hash := hashOf(g.marker)
	if g.t.find(hash, g.marker, false) != NoEntry {
		g.at = inYoung
	} else if g.t.old != nil {
		if e := g.t.old.find(hash, g.marker, false); e != NoEntry && !g.t.old.pages[e>>pageBits].moved.has(e) {
			g.at = inOld
		}
	}
}

// isComplete says whether nothing has to be looked for outside of memory.
func (g *gathering) isComplete() bool { return g != nil && g.at != nowhere }

// add notes an element that the scan has come to.
func (g *gathering) add(w *walk) {
	if g == nil || g.at == inYoung || g.tooMany {
		return
	}
	if len(g.found) == gatherElements || g.memory.size > gatherBytes {
		g.giveUp()
		return
	}
	one := gathered{key: g.memory.add(w.key, len(w.key)), deep: w.found != nil, cell: w.cell}
	if one.cell.value = nil; one.deep {
		one.value = g.memory.add(w.cell.value, len(w.cell.value))
	}
	g.found = append(g.found, one)
}

func (g *gathering) giveUp() {
	if g != nil {
		g.tooMany = true
	}
}

// finish takes everything to the young table.
func (g *gathering) finish() {
	if g.tooMany {
		return
	}
	g.t.makeRoom(len(g.found) + 1)
	for i := range g.found {
		one := &g.found[i]
		key := g.memory.get(one.key)
		hash := hashOf(key)
		if e := g.t.near(hash, key); e == NoEntry && one.deep {
			g.t.set(g.t.find(hash, key, true), one.cell.version, one.cell.expiry, g.memory.get(one.value))
		}
	}
	g.t.place(hashOf(g.marker), g.marker)
}
