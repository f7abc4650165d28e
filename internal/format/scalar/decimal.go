package scalar

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// Decimal is the unscaled number of a decimal: its magnitude in two halves.
type Decimal struct {
	Negative bool
	Hi, Lo   uint64
}

// Halves are those of the two's complement, as rows have them.
func (d Decimal) Halves() (hi int64, lo uint64) {
	if !d.Negative {
		return int64(d.Hi), d.Lo
	}
	lo, borrow := bits.Sub64(0, d.Lo, 0)
	h, _ := bits.Sub64(0, d.Hi, borrow)
	return int64(h), lo
}

// DecimalOf is what Halves has taken apart.
func DecimalOf(hi int64, lo uint64) Decimal {
	if hi >= 0 {
		return Decimal{Hi: uint64(hi), Lo: lo}
	}
	lo, borrow := bits.Sub64(0, lo, 0)
	h, _ := bits.Sub64(0, uint64(hi), borrow)
	return Decimal{Negative: true, Hi: h, Lo: lo}
}

// times10 appends a digit; false: the number has no room in 127 bits.
func (d *Decimal) times10(digit uint64) bool {
	over, hi := bits.Mul64(d.Hi, 10)
	carry, lo := bits.Mul64(d.Lo, 10)
	lo, c := bits.Add64(lo, digit, 0)
	hi, c = bits.Add64(hi, carry, c)
	d.Hi, d.Lo = hi, lo
	return over == 0 && c == 0 && hi < 1<<63
}

// Fits says whether the magnitude has at most precision digits.
func (d Decimal) Fits(precision int) bool {
	limit := Decimal{Lo: 1}
	for range precision {
		limit.times10(0)
	}
	return d.Hi < limit.Hi || d.Hi == limit.Hi && d.Lo < limit.Lo
}

// ParseDecimal reads a number such as -12.50 or 1.25e3, in JSON's grammar, as one of precision digits, scale of them
// behind the point. A number that has other digits than zeros behind those is none: nothing is rounded.
func ParseDecimal(b []byte, precision, scale int) (d Decimal, ok bool) {
	i := 0
	if i < len(b) && b[i] == '-' {
		d.Negative, i = true, 1
	}
	digits := b[i:]
	whole := leadingDigits(digits)
	if whole == 0 || whole > 1 && digits[0] == '0' {
		return d, false
	}
	point, rest := whole, digits[whole:] // where the point stands among the digits
	var fraction []byte
	if len(rest) > 0 && rest[0] == '.' {
		n := leadingDigits(rest[1:])
		if n == 0 {
			return d, false
		}
		fraction, rest = rest[1:1+n], rest[1+n:]
	}
	if len(rest) > 0 {
		exponent, ok := parseExponent(rest)
		if !ok {
			return d, false
		}
		point += exponent
	}
	return d.take(digits[:whole], fraction, point, precision, scale)
}

// take reads the digits of whole and fraction, behind the first point of which the decimal point stands.
func (d Decimal) take(whole, fraction []byte, point, precision, scale int) (Decimal, bool) {
	n := len(whole) + len(fraction)
	for k := range n {
		c := byte('0')
		if k < len(whole) {
			c = whole[k]
		} else {
			c = fraction[k-len(whole)]
		}
		if k >= point+scale {
			if c != '0' {
				return d, false
			}
		} else if !d.times10(uint64(c - '0')) {
			return d, false
		}
	}
	if zero := d.Hi|d.Lo == 0; zero {
		d.Negative = false
		return d, true
	}
	if point+scale-n > precision {
		return d, false
	}
	for k := n; k < point+scale; k++ {
		if !d.times10(0) {
			return d, false
		}
	}
	return d, d.Fits(precision)
}

func leadingDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

func parseExponent(b []byte) (int, bool) {
	if b[0] != 'e' && b[0] != 'E' {
		return 0, false
	}
	b = b[1:]
	sign := 1
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	if n := leadingDigits(b); n == 0 || n != len(b) {
		return 0, false
	}
	e := 0
	for _, c := range b {
		e = min(e*10+int(c-'0'), 1<<30) // beyond that all numbers but zero are out of bounds
	}
	return sign * e, true
}

// AppendDecimal writes the number with scale digits behind its point.
func AppendDecimal(dst []byte, hi int64, lo uint64, scale int) []byte {
	d := DecimalOf(hi, lo)
	if d.Negative {
		dst = append(dst, '-')
	}
	var digits [48]byte
	at := len(digits)
	for d.Hi != 0 {
		const chunk = 1e18
		var low uint64
		hi, rem := d.Hi/chunk, d.Hi%chunk
		d.Lo, low = bits.Div64(rem, d.Lo, chunk)
		d.Hi = hi
		for range 18 {
			at--
			digits[at] = '0' + byte(low%10)
			low /= 10
		}
	}
	var buf [20]byte
	head := strconv.AppendUint(buf[:0], d.Lo, 10)
	if at < len(digits) && d.Lo == 0 {
		head = nil
	}
	at -= copy(digits[at-len(head):], head)
	for len(digits)-at <= scale {
		at--
		digits[at] = '0'
	}
	point := len(digits) - scale
	dst = append(dst, digits[at:point]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[point:]...)
	}
	return dst
}

// Rescale moves the point: by so many digits more behind it, or fewer if they are zeros. false: that loses or overflows digits.
func (d Decimal) Rescale(by int) (Decimal, bool) {
	for ; by > 0; by-- {
		if !d.times10(0) {
			return d, false
		}
	}
	for ; by < 0; by++ {
		var rem uint64
		hi, over := d.Hi/10, d.Hi%10
		d.Lo, rem = bits.Div64(over, d.Lo, 10)
		if d.Hi = hi; rem != 0 {
			return d, false
		}
	}
	return d, true
}

// DecimalOfBytes reads a big-endian two's complement of any length, as Avro and Parquet have it. false: it has no room in 127
// bits.
func DecimalOfBytes(p []byte) (Decimal, bool) {
	if len(p) == 0 {
		return Decimal{}, true
	}
	sign := byte(int8(p[0]) >> 7)
	for len(p) > 16 && p[0] == sign && p[1]>>7 == sign>>7 {
		p = p[1:]
	}
	if len(p) > 16 {
		return Decimal{}, false
	}
	hi, lo := uint64(int64(int8(sign))), uint64(int64(int8(sign)))
	for _, b := range p {
		hi, lo = hi<<8|lo>>56, lo<<8|uint64(b)
	}
	d := DecimalOf(int64(hi), lo)
	return d, d.Hi < 1<<63
}

// AppendDecimalFixed writes a big-endian two's complement of 16 bytes.
func AppendDecimalFixed(dst []byte, hi int64, lo uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(hi)), lo)
}

// AppendDecimalBytes writes the shortest big-endian two's complement.
func AppendDecimalBytes(dst []byte, hi int64, lo uint64) []byte {
	var all [16]byte
	p := AppendDecimalFixed(all[:0], hi, lo)
	for len(p) > 1 && p[0] == byte(int8(p[0])>>7) && p[1]>>7 == p[0]>>7 {
		p = p[1:]
	}
	return append(dst, p...)
}
