package state

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
)

// Lists, maps, timers and pieces are tables too, with an entry for each element, whose key is
//
//	List   the key, then the number of the element, a u64 big-endian: as snapshot.JoinKey makes it
//	Map    the key, then the sub key: as snapshot.JoinKey makes it
//	Timer  the time, 8 bytes whose order is that of the numbers, then the key; the entry has no value
//	Piece  the key, then the number of the piece, a u32 big-endian: as snapshot.JoinKey makes it
//
// and which lies in the key group of the key alone. Files name elements alike, but have the time as the namespace.

// elements says whether entries of the kind are elements of a key.
func (k Kind) elements() bool { return k > Bytes }

// ordered says whether they are walked through in an order.
func (k Kind) ordered() bool { return k.elements() && k != Piece }

// ownerHash is the hash of the key that an entry belongs to. It chooses the key group.
func (k Kind) ownerHash(key []byte) uint64 {
	hash, _ := k.split(key)
	return hash
}

// split is the hash of the key that an entry belongs to, and what its own key has beside that.
func (k Kind) split(key []byte) (owner uint64, sub []byte) {
	switch k {
	case List, Map, Piece:
		if i := bytes.IndexByte(key, 0); i >= 0 && i+1 < len(key) && key[i+1] != escaped {
			return xxhash.Sum64(key[:i]), key[i+2:]
		}
		var room [64]byte // most keys have room there
		owner, sub, _ := snapshot.SplitKey(room[:0], key)
		return xxhash.Sum64(owner), sub
	case Timer:
		return xxhash.Sum64(key[timeBytes:]), key[:timeBytes]
	}
	return xxhash.Sum64(key), nil
}

const (
	timeBytes = 8
	escaped   = 0xFF // behind a zero byte of a key that has one
)

// standing orders the entries of a kind, as far as two numbers can, so that keys are hardly looked at; the rest is the order of
// their keys. What does not belong to the same key has no order in lists and maps.
type standing struct {
	rank uint64 // the time of a timer, else the hash of the key that the entry belongs to
	head uint64 // of the key of a timer, else of the sub key
}

func (a standing) before(b standing) bool {
	return a.rank < b.rank || a.rank == b.rank && a.head < b.head
}

func (k Kind) standingOf(key []byte) standing {
	switch {
	case k != Timer:
		owner, sub := k.split(key)
		return standing{owner, headOf(sub, 0)}
	case len(key) < timeBytes: // before all
		return standing{}
	}
	return standing{binary.BigEndian.Uint64(key), headOf(key, timeBytes)}
}

// appendTime appends a time so that the order of the bytes is that of the times.
func appendTime(dst []byte, time int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(time)^1<<63)
}

func timeOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ 1<<63) }

// inFile is where an entry of a table in namespace ns stands in files.
func (k Kind) inFile(ns int64, key []byte) (int64, []byte) {
	if k == Timer {
		return timeOf(key), key[timeBytes:]
	}
	return ns, key
}

// appendKey appends the key that an entry of a file has in its table.
func (k Kind) appendKey(dst []byte, e *snapshot.Entry) []byte {
	if k == Timer {
		dst = appendTime(dst, e.Namespace)
	}
	return append(dst, e.Key...)
}
