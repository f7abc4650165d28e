package operator

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// A set of values is a hash table in bytes, so that what it takes in is written in place, and it is copied only when it
// grows, to twice its size:
//
//	words    u32 members   u32 1: zero is one   slots of a word, zero: free
//	strings  u32 members   u32 bytes used of the texts   u32 slots   u32 zero
//	         slots of u32 hash, u32 1 + offset in the texts, zero: free   texts: u32 length, bytes, each padded to 4
const (
	wordSetHeader   = 8
	stringSetHeader = 16
	firstSlots      = 4
)

// members is how many values a set has, of either kind.
func members(p []byte) uint32 {
	if len(p) == 0 {
		return 0
	}
	return binary.LittleEndian.Uint32(p)
}

// tight says whether a set with one member more would be too full for its slots.
func tight(members uint32, slots int) bool { return 4*(int(members)+1) > 3*slots }

// wordSet counts distinct words.
type wordSet struct {
	over    *field.Field
	scratch [2][]byte
}

// add implements part.
func (s *wordSet) add(p, value []byte) ([]byte, bool, field.State) {
	word, state := s.over.Word(value)
	if state != field.There {
		return nil, false, state
	}
	moved, grown := s.include(p, s.over.KeyWord(word))
	return moved, grown, field.There
}

// include adds a word in place, or answers a larger set with it.
func (s *wordSet) include(p []byte, word uint64) (moved []byte, grown bool) {
	if len(p) == 0 || word != 0 && !hasWord(p, word) && tight(members(p), (len(p)-wordSetHeader)/8) {
		s.scratch[0] = growWords(s.scratch[0], p)
		p, grown = s.scratch[0], true
	}
	putWord(p, word)
	return p, grown
}

func growWords(dst, p []byte) []byte {
	n := firstSlots
	if len(p) > 0 {
		n = 2 * (len(p) - wordSetHeader) / 8
	}
	dst = zeros(dst, wordSetHeader+8*n)
	eachWord(p, func(word uint64) { putWord(dst, word) })
	return dst
}

// zeros is n bytes that are zero, in the memory of dst if there is enough.
func zeros(dst []byte, n int) []byte {
	if cap(dst) < n {
		return make([]byte, n, 2*n)
	}
	clear(dst[:n])
	return dst[:n]
}

// slotOf is the slot of a word, or the free one where it belongs.
func slotOf(p []byte, word uint64) []byte {
	slots := p[wordSetHeader:]
	n := uint64(len(slots) / 8)
	for i := word * 0x9E3779B97F4A7C15 >> (64 - bits.Len64(n-1)); ; i++ {
		slot := slots[8*(i&(n-1)):]
		if have := binary.LittleEndian.Uint64(slot); have == word || have == 0 {
			return slot
		}
	}
}

func hasWord(p []byte, word uint64) bool { return binary.LittleEndian.Uint64(slotOf(p, word)) == word }

// putWord adds a word to a set that has room.
func putWord(p []byte, word uint64) {
	le := binary.LittleEndian
	if word == 0 {
		if le.Uint32(p[4:]) == 0 {
			le.PutUint32(p[4:], 1)
			le.PutUint32(p, le.Uint32(p)+1)
		}
		return
	}
	if slot := slotOf(p, word); le.Uint64(slot) == 0 {
		le.PutUint64(slot, word)
		le.PutUint32(p, le.Uint32(p)+1)
	}
}

func eachWord(p []byte, visit func(word uint64)) {
	if len(p) == 0 {
		return
	}
	if binary.LittleEndian.Uint32(p[4:]) != 0 {
		visit(0)
	}
	for at := wordSetHeader; at < len(p); at += 8 {
		if word := binary.LittleEndian.Uint64(p[at:]); word != 0 {
			visit(word)
		}
	}
}

// join implements part: the smaller set is added to the larger one.
func (s *wordSet) join(p, other []byte) (moved []byte, grown bool) {
	if len(p) < len(other) {
		s.scratch[1] = append(s.scratch[1][:0], other...)
		p, other, grown = s.scratch[1], p, true
	}
	eachWord(other, func(word uint64) {
		if larger, more := s.include(p, word); more {
			s.scratch[1] = append(s.scratch[1][:0], larger...) // the next one may be larger again
			p, grown = s.scratch[1], true
		}
	})
	return p, grown
}

// stringSet counts distinct byte strings.
type stringSet struct {
	over    *field.Field
	scratch [2][]byte
}

// add implements part.
func (s *stringSet) add(p, value []byte) ([]byte, bool, field.State) {
	text, state := s.over.Bytes(value)
	if state != field.There {
		return nil, false, state
	}
	moved, grown := s.include(p, text)
	return moved, grown, field.There
}

func (s *stringSet) include(p, text []byte) (moved []byte, grown bool) {
	hash := xxhash.Sum64(text)
	if len(p) > 0 && findText(p, hash, text) == nil {
		return p, false
	}
	slots, texts := stringSetSize(p)
	if used := usedTexts(p); len(p) == 0 || tight(members(p), slots) || used+textBytes(text) > texts {
		s.scratch[0] = growStrings(s.scratch[0], p, textBytes(text))
		p, grown = s.scratch[0], true
	}
	putText(p, hash, text)
	return p, grown
}

func textBytes(text []byte) int { return 4 + (len(text)+3)&^3 }

func usedTexts(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(p[4:]))
}

// stringSetSize is how many slots a set has, and how many bytes for texts.
func stringSetSize(p []byte) (slots, texts int) {
	if len(p) == 0 {
		return 0, 0
	}
	slots = int(binary.LittleEndian.Uint32(p[8:]))
	return slots, len(p) - stringSetHeader - 8*slots
}

// findText is the free slot where a text belongs, nil if it is a member.
func findText(p []byte, hash uint64, text []byte) []byte {
	le := binary.LittleEndian
	n, _ := stringSetSize(p)
	texts := p[stringSetHeader+8*n:]
	for i := int(hash >> 32); ; i++ {
		slot := p[stringSetHeader+8*(i&(n-1)):]
		at := le.Uint32(slot[4:])
		if at == 0 {
			return slot[:8]
		}
		if le.Uint32(slot) == uint32(hash) {
			have := texts[at-1:]
			if string(have[4:4+le.Uint32(have)]) == string(text) {
				return nil
			}
		}
	}
}

// putText adds a text to a set that has room.
func putText(p []byte, hash uint64, text []byte) {
	le := binary.LittleEndian
	slot := findText(p, hash, text)
	if slot == nil {
		return
	}
	n, _ := stringSetSize(p)
	at := le.Uint32(p[4:])
	to := p[stringSetHeader+8*n+int(at):]
	le.PutUint32(to, uint32(len(text)))
	copy(to[4:], text)
	le.PutUint32(slot, uint32(hash))
	le.PutUint32(slot[4:], 1+at)
	le.PutUint32(p[4:], at+uint32(textBytes(text)))
	le.PutUint32(p, le.Uint32(p)+1)
}

// growStrings makes a set with room for a text of that many bytes.
func growStrings(dst, p []byte, more int) []byte {
	slots, texts := stringSetSize(p)
	if slots == 0 || tight(members(p), slots) {
		slots = max(firstSlots, 2*slots)
	}
	if used := usedTexts(p); used+more > texts {
		texts = (max(2*texts, used+more, 64) + 7) &^ 7
	}
	if (8*slots+texts)%8 != 0 {
		texts += 4
	}
	dst = zeros(dst, stringSetHeader+8*slots+texts)
	binary.LittleEndian.PutUint32(dst[8:], uint32(slots))
	eachText(p, func(text []byte) { putText(dst, xxhash.Sum64(text), text) })
	return dst
}

func eachText(p []byte, visit func(text []byte)) {
	n, _ := stringSetSize(p)
	for at, end := 0, usedTexts(p); at < end; {
		text := p[stringSetHeader+8*n+at:]
		text = text[4 : 4+binary.LittleEndian.Uint32(text)]
		visit(text)
		at += textBytes(text)
	}
}

// join implements part: the smaller set is added to the larger one.
func (s *stringSet) join(p, other []byte) (moved []byte, grown bool) {
	if len(p) < len(other) {
		s.scratch[1] = append(s.scratch[1][:0], other...)
		p, other, grown = s.scratch[1], p, true
	}
	eachText(other, func(text []byte) {
		if larger, more := s.include(p, text); more {
			s.scratch[1] = append(s.scratch[1][:0], larger...) // the next one may be larger again
			p, grown = s.scratch[1], true
		}
	})
	return p, grown
}

// partOf is what is done with an aggregate that has a part.
func partOf(k *kept) part {
	switch {
	case k.Kind != abi.AggregateDistinct:
		return newBest(k)
	case k.Over.Type.Variable():
		return &stringSet{over: k.Over}
	}
	return &wordSet{over: k.Over}
}
