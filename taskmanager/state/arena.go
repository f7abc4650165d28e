package state

import (
	"encoding/binary"
	"unsafe"
)

// An arena holds byte strings in a few large chunks, so that the garbage collector sees a pointer a chunk and not one a
// string. Nothing is removed one by one: a whole arena is reset. A string lies in one chunk:
//
//	0 u32 length   4 u32 capacity   8 the bytes
//
// Chunks grow with the arena from firstChunk to lastChunk, so that a table of ten keys is small and one of ten million
// has a pointer for four megabytes.
type arena struct {
	chunks [][]byte
	used   int // bytes of the last chunk in use
	size   int // bytes of all chunks
}

// ref is where a string lies: chunk<<32 | offset.
type ref uint64

const (
	stringHeader = 8
	firstChunk   = 256
	lastChunk    = 4 << 20
)

// add copies s and leaves room for it to grow to capacity.
func (a *arena) add(s []byte, capacity int) ref {
	r := a.reserve(len(s), capacity)
	copy(a.get(r), s)
	return r
}

// reserve makes a string of n bytes of unknown content.
func (a *arena) reserve(n, capacity int) ref {
	need := stringHeader + capacity
	if len(a.chunks) == 0 || a.used+need > len(a.chunks[len(a.chunks)-1]) {
		a.grow(need)
	}
	chunk := a.chunks[len(a.chunks)-1]
	at := a.used
	binary.LittleEndian.PutUint32(chunk[at:], uint32(n))
	binary.LittleEndian.PutUint32(chunk[at+4:], uint32(capacity))
	a.used += (need + 7) &^ 7
	return ref(len(a.chunks)-1)<<32 | ref(at)
}

func (a *arena) grow(need int) {
	n := firstChunk
	if k := len(a.chunks); k > 0 {
		n = min(2*len(a.chunks[k-1]), lastChunk)
	}
	for n < need {
		n *= 2
	}
	chunk := make([]byte, n)
	inHugePages(unsafe.Pointer(&chunk[0]), n)
	a.chunks = append(a.chunks, chunk)
	a.size += n
	a.used = 0
}

func (a *arena) get(r ref) []byte {
	p := a.chunks[r>>32][uint32(r):]
	n := binary.LittleEndian.Uint32(p)
	return p[stringHeader : stringHeader+n : stringHeader+n]
}

// fits makes the string at r have n bytes, if its place has room for them.
func (a *arena) fits(r ref, n int) bool {
	p := a.chunks[r>>32][uint32(r):]
	if n > int(binary.LittleEndian.Uint32(p[4:])) {
		return false
	}
	binary.LittleEndian.PutUint32(p, uint32(n))
	return true
}

// end is a place behind every string.
func (a *arena) end() ref {
	if len(a.chunks) == 0 {
		return 0
	}
	return ref(len(a.chunks)-1)<<32 | ref(a.used)
}

func (a *arena) capacity(r ref) int {
	return int(binary.LittleEndian.Uint32(a.chunks[r>>32][uint32(r)+4:]))
}

// reset forgets the strings and keeps the largest chunk.
func (a *arena) reset() {
	if len(a.chunks) > 1 {
		last := a.chunks[len(a.chunks)-1]
		clear(a.chunks)
		a.chunks = append(a.chunks[:0], last)
		a.size = len(last)
	}
	a.used = 0
}
