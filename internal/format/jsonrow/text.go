package jsonrow

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones     = 0x0101010101010101
	highBits = 0x8080808080808080
)

// ending has the high bit of each byte of x set that is a quote, a backslash or a control character, exactly up to the
// first of them.
func ending(x uint64) uint64 {
	quote, backslash := x^ones*'"', x^ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*' ')&^x) & highBits
}

// quote finds the quote that ends the string whose first byte is p[i]; -1: there is a fault. It checks escapes, and says
// whether there are any.
func (d *Decoder) quote(p []byte, i int) (end int, escaped bool) {
	high := d.high
	for {
		for i+8 <= len(p) {
			x := binary.LittleEndian.Uint64(p[i:])
			high |= x
			if m := ending(x); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		for i < len(p) && p[i] >= ' ' && p[i] != '"' && p[i] != '\\' {
			high |= uint64(p[i])
			i++
		}
		if i < len(p) && p[i] == '"' {
			d.high = high
			return i, escaped
		}
		if i == len(p) || p[i] != '\\' {
			return d.unexpected(p, i, "the string's closing quote; control characters in it are escaped"), false
		}
		n := escapeLength(p[i:])
		if n == 0 {
			return d.unexpected(p, i, `an escape: one of \" \\ \/ \b \f \n \r \t, or \u and four hexadecimal digits`), false
		}
		escaped = true
		i += n
	}
}

// escapeLength is that of the escape at the beginning of p; 0: it is none.
func escapeLength(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(p) >= 6 && codeUnit(p[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

// codeUnit is the number of four hexadecimal digits, -1 when they are none.
func codeUnit(p []byte) rune {
	var r rune
	for _, c := range p {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends to scratch what a string with escapes, which are right, stands for, and returns it. Half of a pair of
// surrogates is U+FFFD, as in encoding/json.
func (d *Decoder) unescape(p []byte) []byte {
	from := len(d.scratch)
	for i := 0; i < len(p); {
		if p[i] != '\\' {
			d.scratch = append(d.scratch, p[i])
			i++
			continue
		}
		if p[i+1] != 'u' {
			d.scratch = append(d.scratch, escapes[p[i+1]])
			i += 2
			continue
		}
		r := codeUnit(p[i+2 : i+6])
		i += 6
		if utf16.IsSurrogate(r) {
			second := rune(-1)
			if len(p)-i >= 6 && p[i] == '\\' && p[i+1] == 'u' {
				second = codeUnit(p[i+2 : i+6])
			}
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				i += 6
			}
		}
		d.scratch = utf8.AppendRune(d.scratch, r)
	}
	return d.scratch[from:]
}

var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
