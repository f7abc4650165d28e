package snapshot

import (
	"github.com/cespare/xxhash/v2"
)

// A filter answers whether a key may be among those of 64 blocks. It is lines of 64 bytes; a key has 6 bits in one line,
// so a question costs one cache miss. At 10 bits a key, about 1 in 80 keys that are not there passes.
const (
	bloomBits  = 10
	bloomLine  = 64
	bloomProbe = 6
)

func keyHash(p place, key []byte) uint64 {
	h := xxhash.Sum64(key)
	h ^= uint64(p.ns)*0x9E3779B97F4A7C15 + (uint64(p.state)<<16|uint64(p.group))*0xC2B2AE3D27D4EB4F
	// mixed again: the keys of a key group have a remainder of their hashes in common
	h ^= h >> 32
	h *= 0xD6E8FEB86659FD93
	return h ^ h>>32
}

func appendBloom(dst []byte, keys []uint64) []byte {
	lines := (len(keys)*bloomBits + 8*bloomLine - 1) / (8 * bloomLine)
	n := len(dst)
	dst = append(dst, make([]byte, lines*bloomLine)...)
	for _, h := range keys {
		line, bits := bloomPlace(h, lines)
		l := dst[n+line : n+line+bloomLine]
		for range bloomProbe {
			l[bits>>3&63] |= 1 << (bits & 7)
			bits >>= 9
		}
	}
	return dst
}

// bloomPlace is the offset of a key's line, and 6 numbers of 9 bits.
func bloomPlace(h uint64, lines int) (line int, bits uint64) {
	return int(h>>32*uint64(lines)>>32) * bloomLine, (h * 0xFF51AFD7ED558CCD) >> 10
}

func bloomHas(b []byte, h uint64) bool {
	lines := len(b) / bloomLine
	if lines == 0 {
		return false
	}
	line, bits := bloomPlace(h, lines)
	l := b[line : line+bloomLine]
	for range bloomProbe {
		if l[bits>>3&63]&(1<<(bits&7)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
