// Package eventfile is the compact file of Nexmark events: blocks of events, each with its checksum, and behind them an index by
// which the file can be cut up and is known to be whole. It knows bytes, and nothing of where they lie.
//
//	file    = "WMNEXMRK" block ... index trailer
//	block   = event ...                                    about 64 KiB
//	event   = kind u8 · time varint · field ...            of all fields but dateTime, in the order of Kind.Fields
//	field   = number varint | time varint | text: length uvarint, bytes
//	index   = a line a block: offset u64 · bytes u32 · events u32 · oldest i64 · newest i64 · CRC32C of the block u32 · zero u32
//	trailer = offset of the index u64 · events u64 · blocks u32 · CRC32C of the index and of the trailer before it u32 · "WMNEXEND"
//
// A varint is zigzag, as of encoding/binary. The time of an event is the difference to the event before it in the block, and to 0
// of the first; another time is the difference to the event's. Other integers are little-endian, times are milliseconds since the
// Unix epoch. A bid at the same millisecond as the event before it, in auction 1000 by person 1001 for 250, of channel "a" with URL
// "b" and no extra:
//
//	02  00  d0 0f  d2 0f  f4 03  01 61  01 62  00
package eventfile

import (
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	head       = "WMNEXMRK"
	tail       = "WMNEXEND"
	entrySize  = 40
	trailSize  = 32
	blockBytes = 64 << 10 // a block ends behind so many
	maxBlock   = 64 << 20 // bytes of one, when it is read
)

// ErrNotWhole says that a file has no index at its end: it was cut off, or is something else.
var ErrNotWhole = errors.New("is no whole file of events: it has no index at its end")

// ErrDamaged is what errors about bytes that are not as they were written wrap.
var ErrDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Block is a part of the file that can be read by itself.
type Block struct {
	Offset         int64
	Bytes          uint32
	Events         uint32
	Oldest, Newest int64 // event times in it
	sum            uint32
}
