package snapshot

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/internal/graph"
)

// A key of a list or map is the state's key, in which a zero byte stands as 00 FF, then 00 01, then the sub key as it is:
//
//	key "a\x00b", sub "xyz"     61 00 FF 62 | 00 01 | 78 79 7A
//
// So keys are ordered by key, then sub key, and everything that a key has begins with the same bytes (KeyPrefix).
const (
	escape     = 0x00
	escapedNul = 0xFF
	endOfKey   = 0x01
)

// JoinKey appends the entry key of a sub key to dst.
func JoinKey(dst, key, sub []byte) []byte {
	return append(KeyPrefix(dst, key), sub...)
}

// KeyPrefix appends what every entry key of a key begins with, and no other.
func KeyPrefix(dst, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			return append(append(dst, key...), escape, endOfKey)
		}
		dst = append(append(dst, key[:i]...), escape, escapedNul)
		key = key[i+1:]
	}
}

// SplitKey takes an entry key apart: key is appended to dst, sub is a part of joined. It answers false when joined is not
// what JoinKey makes.
func SplitKey(dst, joined []byte) (key, sub []byte, ok bool) {
	for {
		i := bytes.IndexByte(joined, escape)
		if i < 0 || i+1 == len(joined) {
			return dst, nil, false
		}
		dst = append(dst, joined[:i]...)
		switch joined[i+1] {
		case endOfKey:
			return dst, joined[i+2:], true
		case escapedNul:
			dst = append(dst, escape)
		default:
			return dst, nil, false
		}
		joined = joined[i+2:]
	}
}

// OwnKey is the key of an entry of an operator's own scope: the key groups from <= group < to of the subtask that wrote it.
func OwnKey(from, to graph.KeyGroup) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(from)), uint16(to))
}

// SplitOwnKey takes an OwnKey apart.
func SplitOwnKey(key []byte) (from, to graph.KeyGroup, ok bool) {
	if len(key) != 4 {
		return 0, 0, false
	}
	return graph.KeyGroup(binary.BigEndian.Uint16(key)), graph.KeyGroup(binary.BigEndian.Uint16(key[2:])), true
}
