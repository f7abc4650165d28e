package nexmark

import (
	"encoding/binary"
	"slices"
)

// extra fills an event that has size bytes up to a nominal size, give or take a fifth of what is missing.
func (m *maker) extra(field int, place, size, nominal uint64) {
	at := len(m.e.text)
	if missing := nominal - min(nominal, size); missing > 0 {
		delta := (2*missing + 5) / 10
		m.e.text = appendLetters(m.e.text, m.dice, place+1, missing-delta+m.dice.below(place, max(2*delta, 1)))
	}
	m.text(field, at)
}

// appendLetters writes n small letters, eight of a number from place on.
func appendLetters(dst []byte, d dice, place, n uint64) []byte {
	at, end := len(dst), len(dst)+int(n)
	dst = slices.Grow(dst, int(n)+8)[:end+8]
	for ; at < end; at += 8 {
		binary.LittleEndian.PutUint64(dst[at:], letters(d.at(place)))
		place++
	}
	return dst[:end]
}

// letters makes a letter of each byte b: 'a' + b·26/256, all eight at once, every second byte in a lane of 16 bits.
func letters(x uint64) uint64 {
	const even = 0x00ff00ff00ff00ff
	low := (x & even * 26) >> 8 & even
	high := (x >> 8 & even * 26) &^ even
	return (low | high) + 0x6161616161616161
}

// words has a space for one in thirteen of its 338 characters, and for every letter as many.
var words = func() (all [13 * 26]byte) {
	for i := range all {
		all[i] = 'a' + byte(i%26)
		if i < 26 {
			all[i] = ' '
		}
	}
	return all
}()

// appendWords writes n characters, a letter first and last, four of a number from place on.
func appendWords(dst []byte, d dice, place, n uint64) []byte {
	var x uint64
	for i := range n {
		if i%4 == 0 {
			x = d.at(place + i/4)
		}
		c := words[x&0xffff*uint64(len(words))>>16]
		if c == ' ' && (i == 0 || i == n-1) {
			c = 'a' + byte(x>>8&15)
		}
		dst = append(dst, c)
		x >>= 16
	}
	return dst
}
