package module

import (
	"fmt"
	"unicode/utf8"
)

// reader walks over part of a binary. Its first fault sticks: what is read afterwards is zero, so that callers may look
// at err once per item instead of once per byte. Loops over counts must end on err.
type reader struct {
	p    []byte // the whole binary
	at   int    // offset of the next byte
	end  int    // offset past the last byte that may be read
	what string // the place that errors name, such as "code section"
	err  *Error
}

func (r *reader) fail(at int, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(fmt.Sprintf("%s, byte %#x", r.what, at), format, args...)
		r.at = r.end
	}
}

// short is the fault of a binary that ends too early.
func (r *reader) short(what string) {
	if r.end == len(r.p) {
		r.fail(r.end, "the file ends in the middle of %s", what)
		r.err.hint("the module is truncated: build or upload it again")
		return
	}
	r.fail(r.end, "the section ends in the middle of %s", what)
}

func (r *reader) left() int { return r.end - r.at }

func (r *reader) byte(what string) byte {
	if r.at >= r.end {
		r.short(what)
		return 0
	}
	b := r.p[r.at]
	r.at++
	return b
}

// skip passes over n bytes and returns where they lie.
func (r *reader) skip(n uint64, what string) Span {
	if n > uint64(r.left()) {
		r.short(what)
		return Span{r.end, r.end}
	}
	s := Span{r.at, r.at + int(n)}
	r.at = s.End
	return s
}

// u32 reads an unsigned LEB128 number of at most 32 bits, as strictly as the specification.
func (r *reader) u32(what string) uint32 {
	if r.at < r.end && r.p[r.at] < 0x80 {
		r.at++
		return uint32(r.p[r.at-1])
	}
	at, v := r.at, uint32(0)
	for shift := 0; ; shift += 7 {
		b := r.byte(what)
		if r.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0f {
			r.fail(at, "%s is no 32-bit number", what)
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 number of at most bits bits (32, 33 or 64).
func (r *reader) signed(bits int, what string) int64 {
	at, v := r.at, int64(0)
	for shift := 0; ; shift += 7 {
		b := r.byte(what)
		if r.err != nil {
			return 0
		}
		if left := bits - shift; left < 7 {
			// The bits past the number's must repeat its sign.
			sign := int8(b<<1) >> left
			if b >= 0x80 || sign != 0 && sign != -1 {
				r.fail(at, "%s is no %d-bit number", what, bits)
				return 0
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// count reads how many items follow; each takes at least one byte, so that a count past the end is refused before
// anything is allocated for it.
func (r *reader) count(what string) int {
	at := r.at
	n := r.u32("the number of " + what)
	if int64(n) > int64(r.left()) && r.err == nil {
		if r.end == len(r.p) {
			r.at = r.end
			r.short(what)
		} else {
			r.fail(at, "%d %s in the %d bytes left of the section", n, what, r.left())
		}
		return 0
	}
	return int(n)
}

func (r *reader) name(what string) string {
	at := r.at
	s := r.skip(uint64(r.u32("the length of "+what)), what)
	b := r.p[s.Start:s.End]
	if !utf8.Valid(b) {
		r.fail(at, "%s is not UTF-8", what)
		return ""
	}
	return string(b)
}
