package operator

import (
	"encoding/binary"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// layout is how the accumulator of aggregates lies in bytes:
//
//	words of all aggregates, then the parts of those that have one, in their order
//
// An aggregate is one or two words that are changed in place, or the place of a part: u32 offset, u32 length.
type layout struct {
	kept    []kept
	size    int   // of the words, in bytes
	parts   []int // where the places of parts lie
	initial []byte
}

// kept is an aggregate in an accumulator.
type kept struct {
	field.Aggregate
	at     int  // its first word
	counts bool // the second word says of how many values the first is
	filter int  // its number
	words  *words
	part   part // nil: words are all that it has
}

// words are what is done with an aggregate that is words.
type words struct {
	initial uint64
	add     func(k *kept, acc []byte, word uint64)
	merge   func(a, b uint64) uint64
	result  func(k *kept, acc []byte) (word uint64, there bool)
}

// part is what is done with an aggregate that has a part.
type part interface {
	// add adds a value to a part, in place, or answers what takes the part's place; valid until the next call.
	add(p, value []byte) (moved []byte, grown bool, s field.State)
	// join adds another part, whose records came behind those of p, in place, or answers what takes the place of p; valid
	// until the next call.
	join(p, other []byte) (moved []byte, grown bool)
}

// newLayout is that of aggregates. exact: sums of f64 are not rounded before their end.
func newLayout(list []field.Aggregate, exact bool) *layout {
	l := &layout{}
	for _, a := range list {
		k := kept{Aggregate: a, at: l.size}
		if k.Kind == abi.AggregateCount && k.Over != nil && !k.Over.Nullable {
			k.Over = nil // it is there in every record
		}
		word := uint64(0)
		if exact && k.addsFloats() {
			k.part = &exactSum{over: k.Over}
		} else if k.words = wordsOf(&k); k.words == nil {
			k.part = partOf(&k)
		}
		if k.part != nil {
			l.parts = append(l.parts, l.size)
		} else {
			word = k.words.initial
			k.counts = k.Kind == abi.AggregateAvg || k.Kind != abi.AggregateCount && k.MayLack()
		}
		l.initial = binary.LittleEndian.AppendUint64(l.initial, word)
		if k.counts {
			l.initial = binary.LittleEndian.AppendUint64(l.initial, 0)
		}
		l.size = len(l.initial)
		l.kept = append(l.kept, k)
	}
	for _, at := range l.parts {
		place(l.initial[at:], l.size, 0)
	}
	return l
}

// addsFloats says whether an aggregate adds up f64.
func (k *kept) addsFloats() bool {
	return (k.Kind == abi.AggregateSum || k.Kind == abi.AggregateAvg) && k.Over.Type == abi.TypeF64
}

func place(slot []byte, at, n int) {
	binary.LittleEndian.PutUint32(slot, uint32(at))
	binary.LittleEndian.PutUint32(slot[4:], uint32(n))
}

// part is that whose place lies at at.
func (l *layout) part(acc []byte, at int) []byte {
	from, n := binary.LittleEndian.Uint32(acc[at:]), binary.LittleEndian.Uint32(acc[at+4:])
	return acc[from : from+n : from+n]
}

// replace writes acc with another part to dst, which is none of the two.
func (l *layout) replace(dst, acc []byte, at int, part []byte) []byte {
	dst = append(dst[:0], acc[:l.size]...)
	for _, p := range l.parts {
		one := part
		if p != at {
			one = l.part(acc, p)
		}
		place(dst[p:], len(dst), len(one))
		dst = append(dst, one...)
	}
	return dst
}

// merge adds b to a, and returns it and what may be used as scratch from then on: a and scratch are exchanged as need be.
func (l *layout) merge(a, b, scratch []byte) (merged, rest []byte) {
	for i := range l.kept {
		k := &l.kept[i]
		if k.part == nil {
			k.join(a, b)
			continue
		}
		if part, grown := k.part.join(l.part(a, k.at), l.part(b, k.at)); grown {
			scratch = l.replace(scratch, a, k.at, part)
			a, scratch = scratch, a
		}
	}
	return a, scratch
}

// join adds the words of the aggregate in b to those in a.
func (k *kept) join(a, b []byte) {
	le := binary.LittleEndian
	le.PutUint64(a[k.at:], k.words.merge(le.Uint64(a[k.at:]), le.Uint64(b[k.at:])))
	if k.counts {
		le.PutUint64(a[k.at+8:], le.Uint64(a[k.at+8:])+le.Uint64(b[k.at+8:]))
	}
}

// subtractable says whether one accumulator can be taken out of another. With f64 that would lose digits.
func (l *layout) subtractable() bool {
	for i := range l.kept {
		switch k := &l.kept[i]; k.Kind {
		case abi.AggregateCount:
		case abi.AggregateSum, abi.AggregateAvg:
			if k.Over.Type != abi.TypeI64 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// subtract takes part out of all, where layout is subtractable.
func (l *layout) subtract(all, part []byte) {
	for at := 0; at < l.size; at += 8 {
		minusI64(all[at:], part[at:])
	}
}

// wordsOf is what is done with an aggregate that is words, nil for another.
func wordsOf(k *kept) *words {
	switch k.Kind {
	case abi.AggregateCount:
		return &words{add: func(_ *kept, acc []byte, _ uint64) { increase(acc, 1) }, merge: plusI64, result: first}
	case abi.AggregateSum, abi.AggregateAvg:
		w := &words{add: addI64, merge: plusI64, result: first}
		if k.Over.Type == abi.TypeF64 {
			w.add, w.merge = addF64, plusF64
		}
		if k.Kind == abi.AggregateAvg {
			w.result = average
		}
		return w
	case abi.AggregateMin:
		return &words{initial: math.MaxUint64, add: addMin, merge: func(a, b uint64) uint64 { return min(a, b) }, result: ordinal}
	case abi.AggregateMax:
		return &words{add: addMax, merge: func(a, b uint64) uint64 { return max(a, b) }, result: ordinal}
	}
	return nil
}

func increase(acc []byte, by uint64) {
	binary.LittleEndian.PutUint64(acc, binary.LittleEndian.Uint64(acc)+by)
}

// one counts a value, if the aggregate counts them.
func (k *kept) one(acc []byte) {
	if k.counts {
		increase(acc[8:], 1)
	}
}

func addI64(k *kept, acc []byte, word uint64) {
	increase(acc, word)
	k.one(acc)
}

func addF64(k *kept, acc []byte, word uint64) {
	binary.LittleEndian.PutUint64(acc, plusF64(binary.LittleEndian.Uint64(acc), word))
	k.one(acc)
}

func addMin(k *kept, acc []byte, word uint64) {
	if order := k.Over.Order(word); order < binary.LittleEndian.Uint64(acc) {
		binary.LittleEndian.PutUint64(acc, order)
	}
	k.one(acc)
}

func addMax(k *kept, acc []byte, word uint64) {
	if order := k.Over.Order(word); order > binary.LittleEndian.Uint64(acc) {
		binary.LittleEndian.PutUint64(acc, order)
	}
	k.one(acc)
}

// values is of how many values the aggregate is; 1 where there is always one.
func (k *kept) values(acc []byte) uint64 {
	if k.counts {
		return binary.LittleEndian.Uint64(acc[8:])
	}
	return 1
}

func first(k *kept, acc []byte) (uint64, bool) {
	return binary.LittleEndian.Uint64(acc), k.values(acc) > 0
}

func ordinal(k *kept, acc []byte) (uint64, bool) {
	return k.Over.Ordinal(binary.LittleEndian.Uint64(acc)), k.values(acc) > 0
}

// average of i64 is cut off towards zero.
func average(k *kept, acc []byte) (uint64, bool) {
	n, sum := k.values(acc), binary.LittleEndian.Uint64(acc)
	switch {
	case n == 0:
		return 0, false
	case k.Over.Type == abi.TypeF64:
		return math.Float64bits(math.Float64frombits(sum) / float64(n)), true
	}
	return uint64(int64(sum) / int64(n)), true
}
