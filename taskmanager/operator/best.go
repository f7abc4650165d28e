package operator

import (
	"encoding/binary"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// bestPart keeps the n records that come first by a field, in order: minBy, maxBy, first, last, top and bottom.
type bestPart struct {
	over       *field.Field // nil: they are equal
	n          int
	descending bool // the largest come first
	newer      bool // of equals the newest comes first
	bytes      int  // that a value has, 0: any number
	scratch    [2][]byte
}

// best is a part: u32 entries, u32 offset of the last one, then each as u64 order, u32 length, u32 zero, value padded to 8.
type best []byte

const (
	bestHeader  = 8
	entryHeader = 16
)

func (p best) entries() []byte {
	if len(p) == 0 {
		return nil
	}
	return p[bestHeader:]
}

func nextEntry(p []byte) (order uint64, value, rest []byte) {
	n := binary.LittleEndian.Uint32(p[8:])
	end := entryHeader + (n+7)&^7
	return binary.LittleEndian.Uint64(p), p[entryHeader : entryHeader+n], p[end:]
}

func newBest(k *kept) *bestPart {
	p := &bestPart{over: k.Over, n: k.N, newer: k.Kind == abi.AggregateLast}
	p.descending = k.Kind == abi.AggregateMaxBy || k.Kind == abi.AggregateLast || k.Kind == abi.AggregateTop
	if !k.Result.Type.Variable() {
		p.bytes = 8
	}
	return p
}

// add implements part.
func (p *bestPart) add(of, value []byte) ([]byte, bool, field.State) {
	if p.bytes > 0 && len(value) != p.bytes {
		return nil, false, field.Broken
	}
	order := uint64(0)
	if p.over != nil {
		word, s := p.over.Word(value)
		if s != field.There {
			return nil, false, s
		}
		if order = p.over.Order(word); p.descending {
			order = math.MaxUint64 - order
		}
	}
	if p.refuses(of, order) {
		return nil, false, field.There
	}
	p.scratch[0] = p.insert(p.scratch[0], of, order, value)
	return p.scratch[0], true, field.There
}

// refuses says that a record of that order is behind all that are kept, and there is no room.
func (p *bestPart) refuses(of []byte, order uint64) bool {
	if len(of) == 0 || int(binary.LittleEndian.Uint32(of)) < p.n {
		return false
	}
	last := binary.LittleEndian.Uint64(of[binary.LittleEndian.Uint32(of[4:]):])
	return order > last || order == last && !p.newer
}

// insert writes a part with one record more to dst, and without the last if that is one too many.
func (p *bestPart) insert(dst, of []byte, order uint64, value []byte) []byte {
	dst = append(dst[:0], 0, 0, 0, 0, 0, 0, 0, 0)
	n, last, put := 0, 0, false
	add := func(order uint64, value []byte) {
		if n < p.n {
			n, last = n+1, len(dst)
			dst = binary.LittleEndian.AppendUint64(dst, order)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
			dst = append(append(dst, value...), padding[:-len(value)&7]...)
		}
	}
	for rest := best(of).entries(); len(rest) > 0; {
		var have uint64
		var kept []byte
		have, kept, rest = nextEntry(rest)
		if !put && (order < have || order == have && p.newer) {
			add(order, value)
			put = true
		}
		add(have, kept)
	}
	if !put {
		add(order, value)
	}
	binary.LittleEndian.PutUint32(dst, uint32(n))
	binary.LittleEndian.PutUint32(dst[4:], uint32(last))
	return dst
}

var padding [7]byte

// merge implements part: records of b came behind those of a.
func (p *bestPart) merge(a, b []byte) []byte {
	merged, next := append(p.scratch[0][:0], a...), p.scratch[1]
	for rest := best(b).entries(); len(rest) > 0; {
		var order uint64
		var value []byte
		order, value, rest = nextEntry(rest)
		if !p.refuses(merged, order) {
			next = p.insert(next, merged, order, value)
			merged, next = next, merged
		}
	}
	p.scratch[0], p.scratch[1] = merged, next
	return merged
}
