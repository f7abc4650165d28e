package jsonrow

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// expects is what a value of the field looks like, for a person.
func (n *node) expects() string {
	switch n.typ {
	case abi.TypeBool:
		return "true or false"
	case abi.TypeI64:
		return "a whole number of 64 bits"
	case abi.TypeF64:
		return "a number"
	case abi.TypeMs:
		return `a time such as "2026-01-31T23:59:59.050", or milliseconds`
	case abi.TypeUTF8:
		return "a string"
	case abi.TypeBytes:
		return "a string in base64"
	case abi.TypeDecimal:
		return fmt.Sprintf("a number of %d digits, %d of them behind the point", n.precision, n.scale)
	case abi.TypeList:
		return "a list"
	case abi.TypeRow:
		return "an object"
	}
	return "a value"
}

// value reads the value at p[i], with spaces before it, as one of n.
func (d *Decoder) value(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	if i < len(p) && p[i] <= ' ' {
		i = space(p, i)
	}
	if i == len(p) {
		return d.unexpected(p, i, n.expects()), 0, 0
	}
	c := p[i]
	if c == 'n' && (n.nullable || n.typ != abi.TypeJSON) {
		if !follows(p, i, null) || !n.nullable {
			return d.unexpected(p, i, n.expects()), 0, 0
		}
		return i + len(null), cellNull, 0
	}
	switch n.typ {
	case abi.TypeI64:
		return d.whole(p, i, n)
	case abi.TypeUTF8:
		if c == '"' {
			return d.text(p, i+1)
		}
	case abi.TypeMs:
		return d.time(p, i, n)
	case abi.TypeRow:
		if c == '{' {
			return d.nested(p, i, n)
		}
	case abi.TypeF64:
		return d.float(p, i, n)
	case abi.TypeBool:
		switch {
		case follows(p, i, yes):
			return i + len(yes), cellInPlace, 1
		case follows(p, i, no):
			return i + len(no), cellInPlace, 0
		}
	case abi.TypeDecimal:
		return d.decimal(p, i, n)
	case abi.TypeBytes:
		if c == '"' {
			return d.base64(p, i+1, n)
		}
	case abi.TypeList:
		if c == '[' {
			return d.nested(p, i, n)
		}
	case abi.TypeJSON:
		next = d.skip(p, i, 0)
		return next, cellLine, part(i, max(next, i))
	}
	return d.unexpected(p, i, n.expects()), 0, 0
}

var null, yes, no = []byte("null"), []byte("true"), []byte("false")

// nested reads a row or list into scratch.
func (d *Decoder) nested(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	header := 0
	if n.typ == abi.TypeList {
		header = abi.ListHeaderSize
		next = d.list(p, i, n)
	} else {
		next = d.object(p, i, n)
	}
	if next < 0 {
		return next, 0, 0
	}
	ok, kind, slot := d.keep(p, i, &n.cells, header)
	if !ok {
		return -1, 0, 0
	}
	return next, kind, slot
}

// text reads the string behind the quote at p[i-1].
func (d *Decoder) text(p []byte, i int) (next int, kind cell, slot uint64) {
	end, escaped := d.quote(p, i)
	if end < 0 {
		return end, 0, 0
	}
	if !escaped {
		return end + 1, cellLine, part(i, end)
	}
	from := len(d.scratch)
	d.unescape(p[i:end])
	return end + 1, cellScratch, part(from, len(d.scratch))
}

// content is what a string stands for, in the line or in scratch.
func (d *Decoder) content(p []byte, kind cell, slot uint64) []byte {
	from, to := bounds(slot)
	if kind == cellScratch {
		return d.scratch[from:to]
	}
	return p[from:to]
}

// whole reads an i64. It is nothing else than digits: 1.0 and 1e3 are no whole numbers here, as in encoding/json.
func (d *Decoder) whole(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	at, negative := i, p[i] == '-'
	if negative {
		i++
	}
	var v uint64
	digits := i
	for i < len(p) {
		c := uint64(p[i]) - '0'
		if c > 9 {
			break
		}
		v = v*10 + c
		i++
	}
	switch count := i - digits; {
	case count == 0 || count > 1 && p[digits] == '0' || i < len(p) && (p[i] == '.' || p[i]|0x20 == 'e'):
		return d.unexpected(p, at, n.expects()), 0, 0
	case count > 18:
		exact, err := strconv.ParseInt(view(p[at:i]), 10, 64)
		if err != nil {
			return d.unexpected(p, at, n.expects()), 0, 0
		}
		return i, cellInPlace, uint64(exact)
	}
	if negative {
		v = -v
	}
	return i, cellInPlace, v
}

// view is b as a string, for as long as b stays.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// float reads an f64.
func (d *Decoder) float(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	end := number(p, i)
	if end < 0 {
		return d.unexpected(p, i, n.expects()), 0, 0
	}
	if v, ok := simpleFloat(p[i:end]); ok {
		return end, cellInPlace, math.Float64bits(v)
	}
	v, err := strconv.ParseFloat(view(p[i:end]), 64)
	if err != nil {
		return d.unexpected(p, i, "a number that a float of 64 bits can hold"), 0, 0
	}
	return end, cellInPlace, math.Float64bits(v)
}

// simpleFloat is the number when one division makes it exact: at most 15 digits, and no exponent.
func simpleFloat(b []byte) (float64, bool) {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > 16 {
		return 0, false
	}
	v, point := uint64(0), len(b)-1
	for k, c := range b {
		switch {
		case c == '.':
			point = k
		case c > '9':
			return 0, false
		default:
			v = v*10 + uint64(c-'0')
		}
	}
	f := float64(v) / tens[len(b)-1-point]
	if v >= 1<<53 {
		return 0, false
	}
	if negative {
		f = -f
	}
	return f, true
}

// decimal reads a decimal: a number, or a string of one.
func (d *Decoder) decimal(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	var digits []byte
	if p[i] == '"' {
		if next, kind, slot = d.text(p, i+1); next < 0 {
			return next, 0, 0
		}
		digits = d.content(p, kind, slot)
	} else {
		if next = number(p, i); next < 0 {
			return d.unexpected(p, i, n.expects()), 0, 0
		}
		digits = p[i:next]
	}
	v, ok := scalar.ParseDecimal(digits, n.precision, n.scale)
	if !ok {
		return d.unexpected(p, i, n.expects()), 0, 0
	}
	from := len(d.scratch)
	hi, lo := v.Halves()
	d.scratch = abi.AppendDecimal(d.scratch, hi, lo)
	return next, cellScratch, part(from, len(d.scratch))
}

// time reads an ms: a string, or a number of milliseconds.
func (d *Decoder) time(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	if p[i] != '"' {
		return d.whole(p, i, n)
	}
	next, kind, slot = d.text(p, i+1)
	if next < 0 {
		return next, 0, 0
	}
	ms, ok := d.times.Parse(d.content(p, kind, slot))
	if !ok {
		return d.unexpected(p, i, n.expects()), 0, 0
	}
	return next, cellInPlace, uint64(ms)
}

// base64 reads bytes, as encoding/json writes them.
func (d *Decoder) base64(p []byte, i int, n *node) (next int, kind cell, slot uint64) {
	next, kind, slot = d.text(p, i)
	if next < 0 {
		return next, 0, 0
	}
	encoded := d.content(p, kind, slot)
	from := len(d.scratch)
	scratch, to := grow(d.scratch, base64.StdEncoding.DecodedLen(len(encoded)))
	size, err := base64.StdEncoding.Decode(to, encoded)
	if err != nil {
		return d.unexpected(p, i-1, n.expects()), 0, 0
	}
	d.scratch = scratch[:from+size]
	return next, cellScratch, part(from, from+size)
}
