package operator

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// bestPart keeps the n records that come first by a field, in order: minBy, maxBy, first, last, top and bottom.
type bestPart struct {
	over       *field.Field   // nil: they are equal
	then       []*field.Field // decide among equals, the smallest first
	texts      []int          // which of then are of more bytes than an order has
	n          int
	descending bool // the largest come first
	newer      bool // of equals the newest comes first
	bytes      int  // that a value has, 0: any number
	order      []byte
	scratch    [2][]byte
}

// best is a part: u32 entries, u32 offset of the last one, then each as its order, u32 length, u32 zero, value padded to 8. The
// order is a u64 of each field that counts, big-endian: it is compared as bytes. Of text it has the first 8 bytes, and where these are
// the same the texts of the two values decide.
type best []byte

const bestHeader = 8

func (p best) entries() []byte {
	if len(p) == 0 {
		return nil
	}
	return p[bestHeader:]
}

// nextEntry is the first of entries whose order has so many bytes.
func nextEntry(p []byte, order int) (at, value, rest []byte) {
	n := int(binary.LittleEndian.Uint32(p[order:]))
	begin := order + 8
	return p[:order:order], p[begin : begin+n], p[begin+(n+7)&^7:]
}

// orderBytes is how long the order of an entry is.
func (k *kept) orderBytes() int { return 8 * (1 + len(k.Then)) }

func newBest(k *kept) *bestPart {
	p := &bestPart{over: k.Over, then: k.Then, n: k.N, newer: k.Kind == abi.AggregateLast, order: make([]byte, k.orderBytes())}
	p.descending = k.Kind == abi.AggregateMaxBy || k.Kind == abi.AggregateLast || k.Kind == abi.AggregateTop
	if !k.Result.Type.Variable() {
		p.bytes = 8
	}
	for i, f := range k.Then {
		if !f.Ordered() {
			p.texts = append(p.texts, i)
		}
	}
	return p
}

// add implements part.
func (p *bestPart) add(of, value []byte) ([]byte, bool, field.State) {
	if p.bytes > 0 && len(value) != p.bytes {
		return nil, false, field.Broken
	}
	if s := p.rank(value); s != field.There {
		return nil, false, s
	}
	if len(p.then) > 0 {
		if last := p.last(of); last != nil && bytes.Compare(p.order[:8], last[:8]) > 0 {
			return nil, false, field.There // whatever else it has
		}
		if s := p.rankEquals(value); s != field.There {
			return nil, false, s
		}
	}
	if p.refuses(of, p.order, value) {
		return nil, false, field.There
	}
	p.scratch[0] = p.insert(p.scratch[0], of, p.order, value)
	return p.scratch[0], true, field.There
}

// rank sets the first 8 bytes of order to the field that counts.
func (p *bestPart) rank(value []byte) field.State {
	if p.over == nil {
		return field.There
	}
	word, s := p.over.Word(value)
	if s != field.There {
		return s
	}
	order := p.over.Order(word)
	if p.descending {
		order = ^order
	}
	binary.BigEndian.PutUint64(p.order, order)
	return field.There
}

// rankEquals sets the rest of order. What decides among equals may be null, and then comes last.
func (p *bestPart) rankEquals(value []byte) field.State {
	for i, f := range p.then {
		order, s := f.Leading(value)
		if s == field.Broken {
			return s
		}
		binary.BigEndian.PutUint64(p.order[8*(i+1):], order)
	}
	return field.There
}

// last are the entries from the last one on that is kept, nil while there is room.
func (p *bestPart) last(of []byte) []byte {
	if len(of) == 0 || int(binary.LittleEndian.Uint32(of)) < p.n {
		return nil
	}
	return of[binary.LittleEndian.Uint32(of[4:]):]
}

// compare holds a record against one that is kept.
func (p *bestPart) compare(order, value, have, kept []byte) int {
	from := 0
	for _, i := range p.texts {
		to := 8 * (i + 2)
		if c := bytes.Compare(order[from:to], have[from:to]); c != 0 {
			return c
		}
		if c := p.then[i].Compare(value, kept); c != 0 {
			return c
		}
		from = to
	}
	return bytes.Compare(order[from:], have[from:])
}

// refuses says that a record is behind all that are kept, and there is no room.
func (p *bestPart) refuses(of, order, value []byte) bool {
	last := p.last(of)
	if last == nil {
		return false
	}
	have, kept, _ := nextEntry(last, len(order))
	return !p.before(order, value, have, kept)
}

// before says whether a record that comes goes before one that is kept.
func (p *bestPart) before(order, value, have, kept []byte) bool {
	c := p.compare(order, value, have, kept)
	return c < 0 || c == 0 && p.newer
}

// insert writes a part with one record more to dst, and without the last if that is one too many.
func (p *bestPart) insert(dst, of, order, value []byte) []byte {
	dst = append(dst[:0], 0, 0, 0, 0, 0, 0, 0, 0)
	n, last, put := 0, 0, false
	add := func(order, value []byte) {
		if n < p.n {
			n, last = n+1, len(dst)
			dst = append(dst, order...)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
			dst = append(append(dst, value...), padding[:-len(value)&7]...)
		}
	}
	for rest := best(of).entries(); len(rest) > 0; {
		var have, kept []byte
		have, kept, rest = nextEntry(rest, len(order))
		if !put && p.before(order, value, have, kept) {
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

// join implements part.
func (p *bestPart) join(of, other []byte) (moved []byte, grown bool) {
	for rest := best(other).entries(); len(rest) > 0; {
		var order, value []byte
		order, value, rest = nextEntry(rest, len(p.order))
		if !p.refuses(of, order, value) { // of is the part, or in scratch[0]
			p.scratch[1] = p.insert(p.scratch[1], of, order, value)
			p.scratch[0], p.scratch[1] = p.scratch[1], p.scratch[0]
			of, grown = p.scratch[0], true
		}
	}
	return of, grown
}
