package host

import "github.com/wasmill/wasmill/abi"

// arena holds the copies of what a guest emits in one call. It grows by chunks and never moves one, so that views into
// it stay valid until reset; it keeps its chunks, so that in steady state nothing is allocated.
type arena struct {
	chunks [][]byte // 8-aligned
	chunk  int      // the one being filled
	used   int      // bytes used of it
}

const (
	arenaChunk = 256 << 10 // a few batches
	arenaKept  = 8 << 20   // bytes kept over reset: what one call emitted beyond is given back
)

// take returns n bytes, 8-aligned; their content is undefined.
func (a *arena) take(n int) []byte {
	size := (n + 7) &^ 7
	for ; a.chunk < len(a.chunks); a.chunk++ {
		if c := a.chunks[a.chunk]; a.used+size <= len(c) {
			b := c[a.used : a.used+n : a.used+n]
			a.used += size
			return b
		}
		a.used = 0
	}
	c := abi.AlignedBytes(max(size, arenaChunk))
	a.chunks = append(a.chunks, c)
	a.used = size
	return c[:n:n]
}

// reset takes all bytes back.
func (a *arena) reset() {
	a.chunk, a.used = 0, 0
	kept := 0
	for k, c := range a.chunks {
		if kept += len(c); kept > arenaKept && k > 0 {
			clear(a.chunks[k:])
			a.chunks = a.chunks[:k]
			return
		}
	}
}
