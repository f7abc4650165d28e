package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/wasmill/wasmill/internal/graph"
)

// A file is, little-endian:
//
//	0   "WASMSNAP"  magic
//	8   version     u32
//	12  CRC32C      u32, of the 12 bytes before
//	16  blocks and filters: 64 blocks, the filter of their keys, 64 blocks, their filter ... the last group may be shorter
//	    footer      parts, each: number u8, length u32, bytes; every number of the list below, once, in order
//	-24 footer      u64, its length
//	-16 CRC32C      u32, of the footer
//	-12 CRC32C      u32, of the 12 bytes before
//	-8  "PANSMSAW"  magic
//
// A block is entries, then the offset u32 of each 16th entry, then the number u32 of those. An entry is
//
//	flags     u8: 0-2 op, 3 a place follows, 4 a version follows, 5 an expiry follows, 6-7 zero
//	place     state uvarint, key group u16, namespace varint: when not that of the entry before, and at each 16th entry
//	version   uvarint, else 0
//	expiry    uvarint, else 0
//	shared    uvarint, bytes that the key has in common with the one before; 0 at each 16th entry
//	lengths   of the rest of the key and of the value, uvarint each
//	key, value
//
// The checksum of a block stands in the footer, with the least prefix of its first key that is above the block before: a
// block that is whole but not in its place does not pass.
const (
	magicBegin = "WASMSNAP"
	magicEnd   = "PANSMSAW"

	headerSize  = 16
	trailerSize = 24
)

// Version is the version of the format; a file of another is refused.
//
// History: 1 first.
const Version = 1

// Parts of the footer. The list only grows; a file with an unknown one is refused.
const (
	partName       = 1 // the name of the file
	partStates     = 2 // JSON
	partProperties = 3 // ops u8 (a bit each), number of entries uvarint
	partBlocks     = 4
	partFilters    = 5
	partSections   = 6
	partNamespaces = 7
	partDeleted    = 8
	parts          = 8
)

const (
	blockTarget     = 32 << 10 // a block is ended when it has reached this size
	restartEvery    = 16       // entries: a search decodes half of them, 3 bytes of place and key prefix are written anew
	blocksPerFilter = 64       // 2 MiB of blocks, so that a filter is 25 KiB at 100 bytes an entry

	// MaxEntry bounds a key and a value together: a record is at most 16 MiB, a list element or an accumulator not more.
	MaxEntry = 64 << 20

	// maxNamespaces bounds the list of namespaces of a state: windows have few, timers many.
	maxNamespaces = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

type block struct {
	offset int64
	length int
	sum    uint32
	sep    place // at or before the first entry, behind the last of the block before
	sepKey []byte
}

type filter struct {
	offset int64
	length int
	sum    uint32
}

// section is what a file has of one state in one key group.
type section struct {
	state   int
	group   graph.KeyGroup
	entries int64
	bytes   int64 // of keys and values
}

// footer is all of a file but its entries.
type footer struct {
	sum        uint32 // of a file that was opened
	name       string
	states     []State
	ops        uint8
	entries    int64
	blocks     []block
	filters    []filter
	sections   []section
	namespaces [][]int64 // by state, ascending; nil: too many to list
	deleted    []place   // of DeleteNamespace, in the order of the file
	order      order
}

func appendHeader(dst []byte) []byte {
	n := len(dst)
	dst = binary.LittleEndian.AppendUint32(append(dst, magicBegin...), Version)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[n:]))
}

func checkHeader(b []byte) error {
	switch {
	case string(b[:8]) != magicBegin:
		return fmt.Errorf("header: %q (expected %q): %w", b[:8], magicBegin, ErrDamaged)
	case binary.LittleEndian.Uint32(b[12:]) != checksum(b[:12]):
		return fmt.Errorf("header: checksum: %w", ErrDamaged)
	case binary.LittleEndian.Uint32(b[8:]) != Version:
		return fmt.Errorf("snapshot version %d (expected %d): %w", binary.LittleEndian.Uint32(b[8:]), Version, ErrUnsupported)
	}
	return nil
}

// appendFooter appends the footer and what stands behind it, and answers the footer's checksum.
func appendFooter(dst []byte, f *footer) (b []byte, sum uint32, err error) {
	states, err := json.Marshal(f.states)
	if err != nil {
		return nil, 0, fmt.Errorf("states: %w", err)
	}
	begin := len(dst)
	part := func(number uint8, encode func(b []byte) []byte) {
		at := len(dst)
		dst = encode(append(dst, number, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-5))
	}
	part(partName, func(b []byte) []byte { return append(b, f.name...) })
	part(partStates, func(b []byte) []byte { return append(b, states...) })
	part(partProperties, func(b []byte) []byte { return binary.AppendUvarint(append(b, f.ops), uint64(f.entries)) })
	part(partBlocks, f.appendBlocks)
	part(partFilters, f.appendFilters)
	part(partSections, f.appendSections)
	part(partNamespaces, f.appendNamespaces)
	part(partDeleted, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(len(f.deleted)))
		for _, p := range f.deleted {
			b = appendPlace(b, p)
		}
		return b
	})
	if len(dst)-begin > math.MaxUint32 {
		return nil, 0, fmt.Errorf("footer of %d bytes (expected <= %d)", len(dst)-begin, math.MaxUint32)
	}
	trailer := len(dst)
	sum = checksum(dst[begin:])
	dst = binary.LittleEndian.AppendUint64(dst, uint64(trailer-begin))
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	dst = binary.LittleEndian.AppendUint32(dst, checksum(dst[trailer:]))
	return append(dst, magicEnd...), sum, nil
}

func appendPlace(b []byte, p place) []byte {
	b = binary.AppendUvarint(b, uint64(p.state))
	b = binary.LittleEndian.AppendUint16(b, uint16(p.group))
	return binary.AppendVarint(b, p.ns)
}

func (f *footer) appendBlocks(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.blocks)))
	for i := range f.blocks {
		k := &f.blocks[i]
		b = binary.AppendUvarint(b, uint64(k.length))
		b = binary.LittleEndian.AppendUint32(b, k.sum)
		b = appendPlace(b, k.sep)
		b = binary.AppendUvarint(b, uint64(len(k.sepKey)))
		b = append(b, k.sepKey...)
	}
	return b
}

func (f *footer) appendFilters(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.filters)))
	for _, k := range f.filters {
		b = binary.AppendUvarint(b, uint64(k.length))
		b = binary.LittleEndian.AppendUint32(b, k.sum)
	}
	return b
}

func (f *footer) appendSections(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.sections)))
	for _, s := range f.sections {
		b = binary.AppendUvarint(b, uint64(s.state))
		b = binary.LittleEndian.AppendUint16(b, uint16(s.group))
		b = binary.AppendUvarint(b, uint64(s.entries))
		b = binary.AppendUvarint(b, uint64(s.bytes))
	}
	return b
}

func (f *footer) appendNamespaces(b []byte) []byte {
	for _, list := range f.namespaces {
		if list == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(list))+1)
		for _, ns := range list {
			b = binary.AppendVarint(b, ns)
		}
	}
	return b
}

// checkTrailer returns the length of the footer.
func checkTrailer(b []byte, size int64) (int64, error) {
	length := binary.LittleEndian.Uint64(b)
	switch {
	case string(b[16:]) != magicEnd:
		return 0, fmt.Errorf("end: %q (expected %q): %w", b[16:], magicEnd, ErrDamaged)
	case binary.LittleEndian.Uint32(b[12:]) != checksum(b[:12]):
		return 0, fmt.Errorf("end: checksum: %w", ErrDamaged)
	case length > uint64(size-headerSize-trailerSize):
		return 0, fmt.Errorf("end: footer of %d bytes in a file of %d: %w", length, size, ErrDamaged)
	}
	return int64(length), nil
}

// decodeFooter reads the footer of a file whose blocks and filters end at end.
func decodeFooter(b []byte, end int64) (*footer, error) {
	f := &footer{}
	for number := uint8(1); len(b) > 0 || number <= parts; number++ {
		if len(b) < 5 {
			return nil, fmt.Errorf("footer: ends before part %d: %w", number, ErrDamaged)
		}
		if b[0] != number {
			if b[0] > parts {
				return nil, fmt.Errorf("footer: part %d (expected <= %d): %w", b[0], parts, ErrUnsupported)
			}
			return nil, fmt.Errorf("footer: part %d (expected %d): %w", b[0], number, ErrDamaged)
		}
		length := binary.LittleEndian.Uint32(b[1:])
		if uint64(length) > uint64(len(b)-5) {
			return nil, fmt.Errorf("footer: part %d: %d bytes of %d: %w", number, length, len(b)-5, ErrDamaged)
		}
		in := &input{b: b[5 : 5+length]}
		if err := f.decodePart(number, in); err != nil {
			return nil, err
		}
		if in.bad || len(in.b) > 0 {
			return nil, fmt.Errorf("footer: part %d: not as it is written: %w", number, ErrDamaged)
		}
		b = b[5+length:]
	}
	return f, f.place(end)
}

func (f *footer) decodePart(number uint8, in *input) error {
	switch number {
	case partName:
		f.name = string(in.bytes(len(in.b)))
	case partStates:
		d := json.NewDecoder(bytes.NewReader(in.bytes(len(in.b))))
		d.DisallowUnknownFields()
		if err := d.Decode(&f.states); err != nil {
			return fmt.Errorf("footer: states: %w: %w", err, ErrUnsupported)
		}
		if err := checkStates(f.states); err != nil {
			return fmt.Errorf("footer: %w: %w", err, ErrDamaged)
		}
		f.order = operatorsOf(f.states)
	case partProperties:
		f.ops, f.entries = in.byte(), int64(in.uvarint())
		if unknown := f.ops &^ knownOps; unknown != 0 {
			return fmt.Errorf("footer: entries of unknown kinds (bits %#x): %w", unknown, ErrUnsupported)
		}
	case partBlocks:
		f.blocks = make([]block, in.count(7))
		for i := range f.blocks {
			k := &f.blocks[i]
			k.length, k.sum, k.sep = in.int(), in.u32(), in.place(len(f.states))
			k.sepKey = in.bytes(in.int())
		}
	case partFilters:
		f.filters = make([]filter, in.count(5))
		for i := range f.filters {
			f.filters[i] = filter{length: in.int(), sum: in.u32()}
		}
	case partSections:
		f.sections = make([]section, in.count(5))
		for i := range f.sections {
			p := in.stateAndGroup(len(f.states))
			f.sections[i] = section{state: p.state, group: p.group, entries: int64(in.uvarint()), bytes: int64(in.uvarint())}
		}
	case partNamespaces:
		f.namespaces = make([][]int64, len(f.states))
		for i := range f.namespaces {
			n := in.int()
			if n == 0 || n-1 > len(in.b) {
				in.bad = in.bad || n != 0
				continue
			}
			f.namespaces[i] = make([]int64, n-1)
			for k := range f.namespaces[i] {
				f.namespaces[i][k] = in.varint()
			}
		}
	case partDeleted:
		f.deleted = make([]place, in.count(4))
		for i := range f.deleted {
			f.deleted[i] = in.place(len(f.states))
		}
	}
	return nil
}

// place gives blocks and filters their offsets, and checks that what the footer lists fits together.
func (f *footer) place(end int64) error {
	if want := (len(f.blocks) + blocksPerFilter - 1) / blocksPerFilter; len(f.filters) != want {
		return fmt.Errorf("footer: %d filters of %d blocks (expected %d): %w", len(f.filters), len(f.blocks), want, ErrDamaged)
	}
	at := int64(headerSize)
	for i := range f.blocks {
		b := &f.blocks[i]
		b.offset = at
		at += int64(b.length)
		if i > 0 && f.order.compareKeys(f.blocks[i-1].sep, f.blocks[i-1].sepKey, b.sep, b.sepKey) > 0 {
			return fmt.Errorf("footer: block %d lies before the one before: %w", i, ErrDamaged)
		}
		if i%blocksPerFilter == blocksPerFilter-1 || i == len(f.blocks)-1 {
			k := &f.filters[i/blocksPerFilter]
			k.offset = at
			at += int64(k.length)
		}
		if at > end {
			return fmt.Errorf("footer: block %d ends behind byte %d: %w", i, end, ErrDamaged)
		}
	}
	if at != end {
		return fmt.Errorf("footer: blocks end at byte %d (expected %d): %w", at, end, ErrDamaged)
	}
	var entries int64
	for i, s := range f.sections {
		if i > 0 && f.order.compare(place{f.sections[i-1].state, f.sections[i-1].group, 0}, place{s.state, s.group, 0}) >= 0 {
			return fmt.Errorf("footer: section %d lies before the one before: %w", i, ErrDamaged)
		}
		entries += s.entries
	}
	if entries != f.entries {
		return fmt.Errorf("footer: %d entries in sections (expected %d): %w", entries, f.entries, ErrDamaged)
	}
	return nil
}

// input reads what append functions of package binary wrote. After the first fault it reads zeros.
type input struct {
	b   []byte
	bad bool
}

func (in *input) bytes(n int) []byte {
	if n < 0 || n > len(in.b) {
		in.b, in.bad = nil, true
		return nil
	}
	b := in.b[:n:n]
	in.b = in.b[n:]
	return b
}

func (in *input) byte() byte {
	if b := in.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *input) u16() uint16 {
	if b := in.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (in *input) u32() uint32 {
	if b := in.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (in *input) uvarint() uint64 {
	v, n := binary.Uvarint(in.b)
	if n <= 0 || v > math.MaxInt64 {
		in.b, in.bad = nil, true
		return 0
	}
	in.b = in.b[n:]
	return v
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.b)
	if n <= 0 {
		in.b, in.bad = nil, true
		return 0
	}
	in.b = in.b[n:]
	return v
}

// int is a uvarint that fits 31 bits.
func (in *input) int() int {
	v := in.uvarint()
	if v > math.MaxInt32 {
		in.b, in.bad = nil, true
		return 0
	}
	return int(v)
}

// count is the number of things of at least size bytes each that follow.
func (in *input) count(size int) int {
	n := in.int()
	if n > len(in.b)/size {
		in.b, in.bad = nil, true
		return 0
	}
	return n
}

func (in *input) stateAndGroup(states int) place {
	p := place{state: in.int(), group: graph.KeyGroup(in.u16())}
	if p.state >= states {
		in.b, in.bad = nil, true
		p.state = 0
	}
	return p
}

func (in *input) place(states int) place {
	p := in.stateAndGroup(states)
	p.ns = in.varint()
	return p
}
