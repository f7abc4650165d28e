package wasmill

import (
	"encoding/binary"
	"strconv"
)

// KeyValue is a result by key: what Count, Sum, Reduce and Aggregate make. Its bytes are a row(key, value).
type KeyValue[K, V any] struct {
	Key   K
	Value V
}

// Window is a piece of event time, in milliseconds since the Unix epoch; End lies behind it.
type Window struct{ Start, End int64 }

// Windowed is a result by window and key. Its bytes are a row(start, end, key, value).
type Windowed[K, V any] struct {
	Window
	Key   K
	Value V
}

func asKeyValue[K, V any](_ Window, key K, value V) KeyValue[K, V] { return KeyValue[K, V]{key, value} }

func asWindowed[K, V any](w Window, key K, value V) Windowed[K, V] {
	return Windowed[K, V]{w, key, value}
}

func (KeyValue[K, V]) rowCodec(e *Env, user string) any {
	return keyValueCodec(codecOf[K](e, user), codecOf[V](e, user))
}

func (Windowed[K, V]) rowCodec(e *Env, user string) any {
	return windowedCodec(codecOf[K](e, user), codecOf[V](e, user))
}

func (Pair[A, B]) rowCodec(e *Env, user string) any {
	return pairCodec(codecOf[A](e, user), codecOf[B](e, user))
}

// A row of n <= 64 fields: a null bitmap of 8 bytes, a slot of 8 bytes a field (a number in place, anything else as u32
// offset from the row's start and u32 length), then what the offsets lead to, in order, each padded with zeros to 8.
const slots = 8

func keyValueCodec[K, V any](key codec[K], value codec[V]) codec[KeyValue[K, V]] {
	name := "row(key: " + key.field + ", value: " + value.field + ")"
	return codec[KeyValue[K, V]]{
		name: name, field: name,
		append: func(dst []byte, v KeyValue[K, V]) []byte {
			row := len(dst)
			dst = beginRow(dst, 2)
			dst = putField(dst, row, 0, key.fixed, key.append, v.Key)
			return putField(dst, row, 1, value.fixed, value.append, v.Value)
		},
		appendKey: func(dst []byte, v KeyValue[K, V]) []byte {
			row := len(dst)
			dst = beginRow(dst, 2)
			dst = putField(dst, row, 0, key.fixed, key.appendKey, v.Key)
			return putField(dst, row, 1, value.fixed, value.appendKey, v.Value)
		},
		decode: func(p []byte) KeyValue[K, V] {
			checkRow(p, 2)
			return KeyValue[K, V]{key.decode(fieldOf(p, 0, key.fixed)), value.decode(fieldOf(p, 1, value.fixed))}
		},
	}
}

func pairCodec[A, B any](left codec[A], right codec[B]) codec[Pair[A, B]] {
	name := "row(left: " + left.field + ", right: " + right.field + ")"
	return codec[Pair[A, B]]{
		name: name, field: name,
		append: func(dst []byte, v Pair[A, B]) []byte {
			row := len(dst)
			dst = beginRow(dst, 2)
			dst = putField(dst, row, 0, left.fixed, left.append, v.Left)
			return putField(dst, row, 1, right.fixed, right.append, v.Right)
		},
		appendKey: func(dst []byte, v Pair[A, B]) []byte {
			row := len(dst)
			dst = beginRow(dst, 2)
			dst = putField(dst, row, 0, left.fixed, left.appendKey, v.Left)
			return putField(dst, row, 1, right.fixed, right.appendKey, v.Right)
		},
		decode: func(p []byte) Pair[A, B] {
			checkRow(p, 2)
			return Pair[A, B]{left.decode(fieldOf(p, 0, left.fixed)), right.decode(fieldOf(p, 1, right.fixed))}
		},
	}
}

// outerPairCodec is pairCodec with null for what an outer join may lack.
func outerPairCodec[A, B any](left codec[A], right codec[B], outer string) codec[OuterPair[A, B]] {
	name := "row(left: " + left.field + nullable(outer == "right" || outer == "full") +
		", right: " + right.field + nullable(outer == "left" || outer == "full") + ")"
	with := func(dst []byte, v OuterPair[A, B], l func([]byte, A) []byte, r func([]byte, B) []byte) []byte {
		row := len(dst)
		dst = beginRow(dst, 2)
		if v.Left == nil {
			dst[row] |= 1
		} else {
			dst = putField(dst, row, 0, left.fixed, l, *v.Left)
		}
		if v.Right == nil {
			dst[row] |= 2
			return dst
		}
		return putField(dst, row, 1, right.fixed, r, *v.Right)
	}
	return codec[OuterPair[A, B]]{
		name: name, field: name,
		append:    func(dst []byte, v OuterPair[A, B]) []byte { return with(dst, v, left.append, right.append) },
		appendKey: func(dst []byte, v OuterPair[A, B]) []byte { return with(dst, v, left.appendKey, right.appendKey) },
		decode: func(p []byte) (v OuterPair[A, B]) {
			checkRow(p, 2)
			if p[0]&1 == 0 {
				l := left.decode(fieldOf(p, 0, left.fixed))
				v.Left = &l
			}
			if p[0]&2 == 0 {
				r := right.decode(fieldOf(p, 1, right.fixed))
				v.Right = &r
			}
			return v
		},
	}
}

func nullable(is bool) string {
	if is {
		return "?"
	}
	return ""
}

func windowedCodec[K, V any](key codec[K], value codec[V]) codec[Windowed[K, V]] {
	name := "row(start: ms, end: ms, key: " + key.field + ", value: " + value.field + ")"
	begin := func(dst []byte, w Window) []byte {
		row := len(dst)
		dst = beginRow(dst, 4)
		binary.LittleEndian.PutUint64(dst[row+slots:], uint64(w.Start))
		binary.LittleEndian.PutUint64(dst[row+slots+8:], uint64(w.End))
		return dst
	}
	return codec[Windowed[K, V]]{
		name: name, field: name,
		append: func(dst []byte, v Windowed[K, V]) []byte {
			row := len(dst)
			dst = begin(dst, v.Window)
			dst = putField(dst, row, 2, key.fixed, key.append, v.Key)
			return putField(dst, row, 3, value.fixed, value.append, v.Value)
		},
		appendKey: func(dst []byte, v Windowed[K, V]) []byte {
			row := len(dst)
			dst = begin(dst, v.Window)
			dst = putField(dst, row, 2, key.fixed, key.appendKey, v.Key)
			return putField(dst, row, 3, value.fixed, value.appendKey, v.Value)
		},
		decode: func(p []byte) Windowed[K, V] {
			checkRow(p, 4)
			return Windowed[K, V]{
				Window{decodeI64(fieldOf(p, 0, true)), decodeI64(fieldOf(p, 1, true))},
				key.decode(fieldOf(p, 2, key.fixed)), value.decode(fieldOf(p, 3, value.fixed)),
			}
		},
	}
}

var zeros [slots + 8*4]byte

// beginRow appends a row of n fields that are zero.
func beginRow(dst []byte, n int) []byte { return append(dst, zeros[:slots+8*n]...) }

// putField writes field i of the row that begins at dst[row]; fields are written in order.
func putField[T any](dst []byte, row, i int, fixed bool, add func([]byte, T) []byte, v T) []byte {
	at, slot := len(dst), row+slots+8*i
	dst = add(dst, v)
	if fixed {
		copy(dst[slot:slot+8], dst[at:])
		return dst[:at]
	}
	binary.LittleEndian.PutUint32(dst[slot:], uint32(at-row))
	binary.LittleEndian.PutUint32(dst[slot+4:], uint32(len(dst)-at))
	return appendPad(dst, len(dst)-at)
}

// checkRow says by a panic that p is too short to be a row of n fields.
func checkRow(p []byte, n int) {
	if len(p) < slots+8*n {
		panic("row of " + strconv.Itoa(len(p)) + " bytes (expected >= " + strconv.Itoa(slots+8*n) + ")")
	}
}

// fieldOf returns the bytes of field i of the row p.
func fieldOf(p []byte, i int, fixed bool) []byte {
	slot := p[slots+8*i : slots+8*i+8]
	if fixed {
		return slot
	}
	at, n := binary.LittleEndian.Uint32(slot), binary.LittleEndian.Uint32(slot[4:])
	return p[at : at+n : at+n]
}

// appendPad appends zeros until n, the length of what is being padded, is a multiple of 8.
func appendPad(dst []byte, n int) []byte { return append(dst, zeros[:-n&7]...) }
