package exchange

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
)

// Buffer is the bytes of one encoded batch, at an address that is a multiple of 8, taken from a pool. Who holds it may
// write until it is sent; afterwards it is read by whoever has it, and written by nobody. The last holder's Release gives
// it back.
type Buffer struct {
	room  []byte // of the class's size
	n     int
	class int
	refs  atomic.Int32
}

// Bytes is the batch.
func (b *Buffer) Bytes() []byte { return b.room[:b.n:b.n] }

// Truncate keeps the first n bytes.
func (b *Buffer) Truncate(n int) { b.n = n }

// Retain adds a holder, who must call Release too: to send one batch on several channels, retain it for each but one.
func (b *Buffer) Retain() { b.refs.Add(1) }

// Release says that the holder will not touch it again.
func (b *Buffer) Release() {
	switch refs := b.refs.Add(-1); {
	case refs == 0 && b.class < len(pools):
		pools[b.class].Put(b)
	case refs < 0:
		panic("exchange: buffer released twice")
	}
}

// newBuffer returns n bytes of unknown content with one holder.
func newBuffer(n int) *Buffer {
	class, size := classOf(n)
	if class < len(pools) {
		if b, ok := pools[class].Get().(*Buffer); ok {
			b.n = n
			b.refs.Store(1)
			return b
		}
	}
	b := &Buffer{room: abi.AlignedBytes(size), n: n, class: class}
	b.refs.Store(1)
	return b
}

// Sizes of buffers: four to each doubling, so that at most a quarter is wasted: 1,024 1,280 1,536 1,792 2,048 2,560 ...
// The largest class holds MaxBatchBytes; what is larger is never pooled.
const smallestBuffer = 1 << 10

var pools [4*15 + 1]sync.Pool // 1 KiB << 15 = 32 MiB

// classOf returns the smallest class that holds n bytes, and its size.
func classOf(n int) (class, size int) {
	if n <= smallestBuffer {
		return 0, smallestBuffer
	}
	octave := bits.Len(uint(n-1)) - 1 // 1<<octave < n <= 2<<octave
	quarter := 1 << (octave - 2)
	above := (n - 1<<octave + quarter - 1) / quarter // 1 to 4 quarters above 1<<octave
	return 4*(octave-10) + above, 1<<octave + above*quarter
}
