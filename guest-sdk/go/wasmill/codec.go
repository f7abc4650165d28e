package wasmill

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// codec turns values of type T into bytes and back. name is what the host is told.
type codec[T any] struct {
	name      string
	field     string                       // type of a row's field that holds a T
	fixed     bool                         // always 8 bytes, and in place in a row
	append    func(dst []byte, v T) []byte // as a value
	appendKey func(dst []byte, v T) []byte // as a key: the same key has the same bytes from every language
	decode    func(p []byte) T             // may share the memory of p
}

// Coder is a type that brings its own codec: *T implements it for a T. CodecName names the codec for the host and must
// have a dot in it (acme.order). ReadFrom sets the receiver from what AppendTo wrote; p is valid during the call only.
type Coder interface {
	CodecName() string
	AppendTo(dst []byte) []byte
	ReadFrom(p []byte)
}

// RegisterCodec gives T a codec: a name with a dot in it (acme.order), a function that appends the bytes of a value, and
// one that makes a value of them. decode must not keep p. It is called from init.
func RegisterCodec[T any](name string, append func(dst []byte, v T) []byte, decode func(p []byte) T) {
	guest.codecs[(*T)(nil)] = codec[T]{name: name, field: "bytes", append: append, appendKey: append, decode: decode}
}

// rowed is a type whose codec is a row made of its parameters: KeyValue, Windowed and Pair.
type rowed interface{ rowCodec(e *Env, user string) any }

// codecOf returns the codec of T. A type without one is a fault of the definition, of the function user.
func codecOf[T any](e *Env, user string) codec[T] {
	var zero T
	if c, ok := guest.codecs[(*T)(nil)]; ok {
		return c.(codec[T])
	}
	if c, ok := builtin(any(zero)).(codec[T]); ok {
		return c
	}
	if r, ok := any(zero).(rowed); ok {
		return r.rowCodec(e, user).(codec[T])
	}
	if c, ok := any(new(T)).(Coder); ok {
		return coderCodec[T](c)
	}
	why := "expected string, []byte, int, int64, float64, KeyValue, Windowed, Pair, a struct, or one made with RegisterCodec or Coder"
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Struct {
		c, problem := structCodec[T]()
		if problem == "" {
			return c
		}
		why = problem
	}
	e.Fail("function " + strconv.Quote(user) + ": type " + reflect.TypeFor[T]().String() + " has no codec (" + why + ")")
	return codec[T]{}
}

func builtin(zero any) any {
	switch zero.(type) {
	case string:
		return utf8
	case []byte:
		return octets
	case int64:
		return i64
	case int:
		return codec[int]{
			name: i64.name, field: i64.field, fixed: true,
			append:    func(dst []byte, v int) []byte { return appendI64(dst, int64(v)) },
			appendKey: func(dst []byte, v int) []byte { return appendI64(dst, int64(v)) },
			decode:    func(p []byte) int { return int(decodeI64(p)) },
		}
	case float64:
		return f64
	}
	return nil
}

// coderCodec is the codec of a type that brings its own. The scratch value is what makes the calls through the interface
// free of allocation; a guest runs one call at a time.
func coderCodec[T any](scratch Coder) codec[T] {
	v := any(scratch).(*T)
	add := func(dst []byte, from T) []byte {
		*v = from
		return scratch.AppendTo(dst)
	}
	field := "bytes"
	if name := scratch.CodecName(); strings.HasPrefix(name, "row(") {
		field = name
	}
	return codec[T]{name: scratch.CodecName(), field: field, append: add, appendKey: add, decode: func(p []byte) T {
		var zero T
		*v = zero
		scratch.ReadFrom(p)
		return *v
	}}
}

// Codecs of the types that every language has.
var (
	utf8 = codec[string]{
		name: "utf8", field: "utf8",
		append:    func(dst []byte, v string) []byte { return append(dst, v...) },
		appendKey: func(dst []byte, v string) []byte { return append(dst, v...) },
		decode:    View,
	}
	octets = codec[[]byte]{
		name: "bytes", field: "bytes",
		append:    func(dst []byte, v []byte) []byte { return append(dst, v...) },
		appendKey: func(dst []byte, v []byte) []byte { return append(dst, v...) },
		decode:    func(p []byte) []byte { return p },
	}
	i64 = codec[int64]{name: "i64", field: "i64", fixed: true, append: appendI64, appendKey: appendI64, decode: decodeI64}
	f64 = codec[float64]{
		name: "f64", field: "f64", fixed: true,
		append:    func(dst []byte, v float64) []byte { return appendU64(dst, math.Float64bits(v)) },
		appendKey: func(dst []byte, v float64) []byte { return appendU64(dst, keyFloatBits(v)) },
		decode:    func(p []byte) float64 { return math.Float64frombits(decodeU64(p)) },
	}
)

func appendU64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }
func appendI64(dst []byte, v int64) []byte  { return appendU64(dst, uint64(v)) }
func decodeI64(p []byte) int64              { return int64(decodeU64(p)) }

func decodeU64(p []byte) uint64 {
	if len(p) != 8 {
		panic("number of " + strconv.Itoa(len(p)) + " bytes (expected 8)")
	}
	return binary.LittleEndian.Uint64(p)
}

// keyFloatBits is v as keys have it: one NaN, and no negative zero.
func keyFloatBits(v float64) uint64 {
	if v != v {
		return 0x7ff8000000000000
	}
	if v == 0 {
		return 0
	}
	return math.Float64bits(v)
}

// View is the text that lies in b, which it shares: it is right until b is written to again. What is emitted is done with when emit
// returns, unless a function behind it keeps it, so one buffer does for all that a function emits.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
