package operator

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// exactSum is the part of a sum or average of f64 that nothing is rounded in before its end: whatever order its values come in, and
// however they are folded, it amounts to the same to the bit. The sum is written to the base of 2^32, as those digits between the
// first and the last that some value has had (little-endian):
//
//	0 u8 place of the first digit   1 u8 digits   2 u8 what came that is no number   3 zero   4 u32 terms of a digit   8 u64 values
//	16 i64 for each digit
//
// The digit at place p counts 2^(32p-1074), so the least f64 is 1 at place 0. Digits are carried only when so many terms have been
// added to them that they might overflow: until then each is a sum of its own. Prices between 0.01 and 1,000 have 3 or 4 digits,
// 40 to 48 bytes; no sum has more than 600.
//
// For example, 1.5 + 0.25 is 7 * 2^-2, at place 33 (1,072 bits above the least), where 7 * 2^-2 is 7 * 2^16:
//
//	21 01 00 00 | 02 00 00 00 | 02 00 00 00 00 00 00 00 | 00 00 07 00 00 00 00 00
type exactSum struct {
	over *field.Field
	made []byte // scratch
}

const (
	exactHeader = 16
	exactDigits = 68      // places of any f64, and of what carries over
	exactTerms  = 1 << 30 // of less than 2^32 each: an i64 holds twice as many
	lastBit     = 1074    // the least f64 is 2^-lastBit
)

// What comes that is no number.
const (
	exactNaN = 1 << iota
	exactInf
	exactNegative // -Inf
)

// add implements part.
func (s *exactSum) add(p, value []byte) ([]byte, bool, field.State) {
	word, there := s.over.Word(value)
	if there != field.There {
		return nil, false, there
	}
	moved, grown := s.plus(p, word)
	return moved, grown, field.There
}

// plus adds the f64 of some bits to a part, as add does.
func (s *exactSum) plus(p []byte, word uint64) (moved []byte, grown bool) {
	digits, first := digitsOf(word)
	p, grown = s.room(p, first, digits[:], 1)
	header := (*[exactHeader]byte)(p)
	binary.LittleEndian.PutUint64(header[8:], binary.LittleEndian.Uint64(header[8:])+1)
	if word>>52&0x7ff == 0x7ff {
		header[2] |= beyond(word)
		return p, grown
	}
	for i, d := range digits {
		if d != 0 {
			increase(p[exactHeader+8*(first+i-int(header[0])):], uint64(d))
		}
	}
	return p, grown
}

// digitsOf are the digits of a number; none of what is no number.
func digitsOf(word uint64) (digits [3]int64, first int) {
	exponent, m := int(word>>52&0x7ff), word&(1<<52-1)
	switch exponent {
	case 0:
		exponent = 1
	case 0x7ff:
		return digits, 0
	default:
		m |= 1 << 52
	}
	shift := uint(exponent-1) % 32
	low := m << shift
	digits = [3]int64{int64(low & math.MaxUint32), int64(low >> 32), int64(m >> (64 - shift))}
	if int64(word) < 0 {
		digits = [3]int64{-digits[0], -digits[1], -digits[2]}
	}
	return digits, (exponent - 1) / 32
}

func beyond(word uint64) byte {
	switch {
	case word<<12 != 0:
		return exactNaN
	case int64(word) < 0:
		return exactNegative
	}
	return exactInf
}

// room makes a part that digits from place first on can be added to, those of so many terms.
func (s *exactSum) room(p []byte, first int, digits []int64, terms uint32) (moved []byte, grown bool) {
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	for len(digits) > 0 && digits[0] == 0 {
		digits, first = digits[1:], first+1
	}
	end := first + len(digits)
	had := 0
	if len(p) > 0 {
		if had = int(p[1]); had > 0 && len(digits) > 0 {
			first, end = min(first, int(p[0])), max(end, int(p[0])+had)
		} else if had > 0 {
			first, end = int(p[0]), int(p[0])+had
		}
		if sum := binary.LittleEndian.Uint32(p[4:]) + terms; sum <= exactTerms {
			if binary.LittleEndian.PutUint32(p[4:], sum); end-first == had {
				return p, false
			}
			return s.moved(p, first, end), true
		}
		p = s.carried(p)
		first, end, terms = min(first, int(p[0])), max(end, int(p[0])+int(p[1])), terms+1
	}
	p = s.moved(p, first, end)
	binary.LittleEndian.PutUint32(p[4:], terms)
	return p, true
}

// moved is a part with the digits from first up to end, among which are those that it has.
func (s *exactSum) moved(p []byte, first, end int) []byte {
	var copied [exactHeader + 8*exactDigits]byte
	n := exactHeader + 8*(end-first)
	if len(p) > 0 {
		copy(copied[:exactHeader], p)
		if p[1] > 0 {
			copy(copied[exactHeader+8*(int(p[0])-first):], p[exactHeader:])
		}
	}
	copied[0], copied[1] = byte(first), byte(end-first)
	s.made = append(s.made[:0], copied[:n]...)
	return s.made
}

// carried is a part whose digits are less than 2^32, but for the sign of the last.
func (s *exactSum) carried(p []byte) []byte {
	var digits [exactDigits]int64
	first, n := readDigits(p, &digits)
	n = carry(&digits, n)
	p = s.moved(p[:exactHeader:exactHeader], first, first)
	p[1] = byte(n)
	for _, d := range digits[:n] {
		p = binary.LittleEndian.AppendUint64(p, uint64(d))
	}
	s.made = p
	return p
}

func readDigits(p []byte, digits *[exactDigits]int64) (first, n int) {
	n = int(p[1])
	for i := range n {
		digits[i] = int64(binary.LittleEndian.Uint64(p[exactHeader+8*i:]))
	}
	return int(p[0]), n
}

// carry has all but the last of n digits be from 0 up to 2^32, and the last from -2^32, and answers how many there are now.
func carry(digits *[exactDigits]int64, n int) int {
	for i := 0; i < n; i++ {
		over := digits[i] >> 32
		if i == n-1 {
			if over == 0 || over == -1 || n == exactDigits {
				break
			}
			digits[n] = 0
			n++
		}
		digits[i] &= math.MaxUint32
		digits[i+1] += over
	}
	return n
}

// join implements part.
func (s *exactSum) join(p, other []byte) ([]byte, bool) {
	if len(other) == 0 {
		return p, false
	}
	terms := binary.LittleEndian.Uint32(other[4:])
	var digits [exactDigits]int64
	first, n := readDigits(other, &digits)
	p, grown := s.room(p, first, digits[:n], terms)
	p[2] |= other[2]
	increase(p[8:], binary.LittleEndian.Uint64(other[8:]))
	for i, d := range digits[:n] {
		if d != 0 {
			increase(p[exactHeader+8*(first+i-int(p[0])):], uint64(d))
		}
	}
	return p, grown
}

// exactResult is the f64, as bits, that is nearest to the sum of a part, and of how many values it is.
func exactResult(p []byte) (word, values uint64) {
	if len(p) == 0 {
		return 0, 0
	}
	values = binary.LittleEndian.Uint64(p[8:])
	switch p[2] {
	case 0:
	case exactInf:
		return math.Float64bits(math.Inf(1)), values
	case exactNegative:
		return math.Float64bits(math.Inf(-1)), values
	default:
		return math.Float64bits(math.NaN()), values
	}
	var digits [exactDigits]int64
	first, n := readDigits(p, &digits)
	n = carry(&digits, n)
	sign := uint64(0)
	if n > 0 && digits[n-1] < 0 {
		sign = 1 << 63
		for i := range n {
			digits[i] = -digits[i]
		}
		n = carry(&digits, n)
	}
	for n > 0 && digits[n-1] == 0 {
		n--
	}
	if n == 0 {
		return 0, values
	}
	return sign | rounded(digits[:n], 32*first), values
}

// rounded is the f64 that is nearest to digits, of which the first counts 2^at times the least f64: of two the even one. Each digit is
// from 0 up to 2^32, the last not 0.
func rounded(digits []int64, at int) uint64 {
	last := len(digits) - 1
	top := 32*last + bits.Len64(uint64(digits[last])) - 1
	kept, half, rest := uint64(0), uint64(0), false
	drop := max(top-52, -at) // bits that an f64 has no place for
	for i, d := range digits {
		d, under := uint64(d), drop-32*i
		if under <= 0 {
			kept |= d << -under
			continue
		}
		if under <= 32 {
			kept |= d >> under
			half = d >> (under - 1) & 1
			d &= 1<<(under-1) - 1
		}
		rest = rest || d != 0
	}
	if half == 1 && (rest || kept&1 == 1) {
		kept++
	}
	// The first bit of an f64 that has all 53 is not written: it adds 1 to the exponent, as a carry out of them does.
	if word := uint64(at+drop)<<52 + kept; word < math.Float64bits(math.Inf(1)) {
		return word
	}
	return math.Float64bits(math.Inf(1))
}

// exact is the result of a sum or average from its part.
func (k *kept) exact(part []byte) (word uint64, there bool) {
	word, n := exactResult(part)
	if k.Kind == abi.AggregateAvg && n > 0 {
		word = math.Float64bits(math.Float64frombits(word) / float64(n))
	}
	return word, n > 0
}
