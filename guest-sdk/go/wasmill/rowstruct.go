package wasmill

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unsafe"
)

// A struct is a row of its exported fields, in their order. A field is called as in Go with its first letters in lower case
// (DateTime: dateTime, ID: id), or as its tag says:
//
//	type Bid struct {
//		Auction  int64
//		Price    wasmill.Decimal `row:"price,decimal(12, 3)"`
//		DateTime wasmill.Millis
//		Note     *string         // may be null
//		Tags     []string
//		Seen     bool            `row:"-"` // no field of the row
//	}
//
// bool, int and int64, float64, Millis, string, []byte, JSON, Decimal, structs, slices of these, and pointers to them for what
// may be null. What is read shares the memory of the record, so strings and bytes are valid during the call.

// Millis is a time, in milliseconds since the Unix epoch.
type Millis int64

// JSON is one JSON value.
type JSON []byte

// Decimal is the number of a decimal without its point, as the two halves of its two's complement. The tag of the field has its
// digits: `row:"price,decimal(12, 2)"`.
type Decimal struct {
	Lo uint64
	Hi int64
}

// DecimalOf is a decimal of an unscaled number: 1250 is 12.50 in a decimal(12, 2).
func DecimalOf(unscaled int64) Decimal { return Decimal{uint64(unscaled), unscaled >> 63} }

// rowStruct is how a struct is laid out as a row.
type rowStruct struct {
	fields []rowField
}

type rowField struct {
	name   string
	offset uintptr // in the struct
	value  *rowValue
}

// rowValue is a Go type as the type of a field or of an element.
type rowValue struct {
	typ     reflect.Type // without the pointer
	codec   string       // without the question mark
	null    bool         // a pointer: it may be nil
	kind    reflect.Kind // Int64 and Float64 stand for all of theirs; String, Slice (bytes), Array (a list), Struct, Complex128 (a decimal)
	row     *rowStruct
	element *rowValue
}

// structCodec is the codec of the struct T, nil with a reason if it has none.
func structCodec[T any]() (codec[T], string) {
	t := reflect.TypeFor[T]()
	row, problem := newRowStruct(t, 1)
	if problem != "" {
		return codec[T]{}, problem
	}
	name := row.codec()
	add := func(key bool) func(dst []byte, v T) []byte {
		return func(dst []byte, v T) []byte { return row.append(dst, unsafe.Pointer(&v), key) }
	}
	return codec[T]{name: name, field: name, append: add(false), appendKey: add(true), decode: func(p []byte) T {
		var v T
		row.decode(p, unsafe.Pointer(&v))
		return v
	}}, ""
}

// maxNesting is how deep rows and lists may lie in each other.
const maxNesting = 16

func newRowStruct(t reflect.Type, depth int) (*rowStruct, string) {
	if depth > maxNesting {
		return nil, "structs and slices more than " + strconv.Itoa(maxNesting) + " deep"
	}
	row := &rowStruct{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, more, _ := strings.Cut(f.Tag.Get("row"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = lowered(f.Name)
		}
		v, problem := newRowValue(f.Type, strings.TrimSpace(more), depth)
		if problem != "" {
			return nil, "field " + f.Name + ": " + problem
		}
		row.fields = append(row.fields, rowField{name, f.Offset, v})
	}
	if len(row.fields) == 0 {
		return nil, "no exported fields"
	}
	return row, ""
}

// lowered is a Go name with its first letters in lower case, up to the next word: ID is id, URLPath is urlPath.
func lowered(name string) string {
	letters := []rune(name)
	for i := range letters {
		if i > 0 && i+1 < len(letters) && unicode.IsLower(letters[i+1]) || !unicode.IsUpper(letters[i]) {
			break
		}
		letters[i] = unicode.ToLower(letters[i])
	}
	return string(letters)
}

func newRowValue(t reflect.Type, tag string, depth int) (*rowValue, string) {
	v := &rowValue{typ: t}
	if t.Kind() == reflect.Pointer {
		v.null, v.typ = true, t.Elem()
	}
	switch t := v.typ; {
	case t == reflect.TypeFor[Millis]():
		v.kind, v.codec = reflect.Int64, "ms"
	case t == reflect.TypeFor[JSON]():
		v.kind, v.codec = reflect.Slice, "json"
	case t == reflect.TypeFor[Decimal]():
		if !strings.HasPrefix(tag, "decimal(") {
			return nil, "a Decimal without digits (expected a tag such as `row:\"price,decimal(12, 2)\"`)"
		}
		v.kind, v.codec = reflect.Complex128, tag
	case t.Kind() == reflect.Bool:
		v.kind, v.codec = reflect.Bool, "bool"
	case t.Kind() == reflect.Int64, t.Kind() == reflect.Int && unsafe.Sizeof(0) == 8:
		v.kind, v.codec = reflect.Int64, "i64"
	case t.Kind() == reflect.Int:
		v.kind, v.codec = reflect.Int32, "i64"
	case t.Kind() == reflect.Float64:
		v.kind, v.codec = reflect.Float64, "f64"
	case t.Kind() == reflect.String:
		v.kind, v.codec = reflect.String, "utf8"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		v.kind, v.codec = reflect.Slice, "bytes"
	case t.Kind() == reflect.Slice:
		element, problem := newRowValue(t.Elem(), tag, depth+1)
		if problem != "" {
			return nil, problem
		}
		v.kind, v.element, v.codec = reflect.Array, element, "list("+element.spelled()+")"
	case t.Kind() == reflect.Struct:
		row, problem := newRowStruct(t, depth+1)
		if problem != "" {
			return nil, problem
		}
		v.kind, v.row, v.codec = reflect.Struct, row, row.codec()
	default:
		return nil, "type " + t.String() + " (expected bool, int, int64, float64, Millis, string, []byte, JSON, Decimal, a struct, a slice, or a pointer to one)"
	}
	return v, ""
}

func (v *rowValue) spelled() string {
	if v.null {
		return v.codec + "?"
	}
	return v.codec
}

func (r *rowStruct) codec() string {
	var b strings.Builder
	b.WriteString("row(")
	for i, f := range r.fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(spelledName(f.name) + ": " + f.value.spelled())
	}
	return b.String() + ")"
}

// spelledName quotes a name that is no identifier of ASCII.
func spelledName(name string) string {
	plain := name != ""
	for i, c := range []byte(name) {
		plain = plain && (c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9')
	}
	if plain {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// inPlace says whether values lie in slots.
func (v *rowValue) inPlace() bool {
	return v.kind == reflect.Bool || v.kind == reflect.Int64 || v.kind == reflect.Int32 || v.kind == reflect.Float64
}

func nullBytes(n int) int { return (n + 63) / 64 * 8 }

// append writes the struct at p as a row behind dst.
func (r *rowStruct) append(dst []byte, p unsafe.Pointer, key bool) []byte {
	row, n := len(dst), len(r.fields)
	dst = appendZeros(dst, nullBytes(n)+8*n)
	for i := range r.fields {
		f := &r.fields[i]
		dst = f.value.append(dst, unsafe.Add(p, f.offset), row, row, i, n, key)
	}
	return dst
}

// append writes value i of the n of a row or list behind dst: those begin at dst[begin], and their bitmap at dst[nulls].
func (v *rowValue) append(dst []byte, p unsafe.Pointer, begin, nulls, i, n int, key bool) []byte {
	if v.null {
		if p = *(*unsafe.Pointer)(p); p == nil {
			dst[nulls+i/8] |= 1 << (i % 8)
			return dst
		}
	}
	slot := nulls + nullBytes(n) + 8*i
	if v.inPlace() {
		binary.LittleEndian.PutUint64(dst[slot:], v.bits(p, key))
		return dst
	}
	at := len(dst)
	dst = v.appendPart(dst, p, key)
	binary.LittleEndian.PutUint32(dst[slot:], uint32(at-begin))
	binary.LittleEndian.PutUint32(dst[slot+4:], uint32(len(dst)-at))
	return appendPad(dst, len(dst)-at)
}

func (v *rowValue) bits(p unsafe.Pointer, key bool) uint64 {
	switch v.kind {
	case reflect.Bool:
		return uint64(*(*uint8)(p))
	case reflect.Int32:
		return uint64(int64(*(*int32)(p)))
	case reflect.Float64:
		f := *(*float64)(p)
		if key {
			return keyFloatBits(f)
		}
		return math.Float64bits(f)
	}
	return *(*uint64)(p)
}

func (v *rowValue) appendPart(dst []byte, p unsafe.Pointer, key bool) []byte {
	switch v.kind {
	case reflect.String:
		return append(dst, *(*string)(p)...)
	case reflect.Slice:
		return append(dst, *(*[]byte)(p)...)
	case reflect.Complex128:
		d := (*Decimal)(p)
		return appendI64(appendU64(dst, d.Lo), d.Hi)
	case reflect.Struct:
		return v.row.append(dst, p, key)
	}
	s := (*sliceHeader)(p)
	begin, n := len(dst), s.len
	dst = appendZeros(appendU64(dst, uint64(uint32(n))), nullBytes(n)+8*n)
	size := v.typ.Elem().Size()
	for i := range n {
		dst = v.element.append(dst, unsafe.Add(s.data, uintptr(i)*size), begin, begin+8, i, n, key)
	}
	return dst
}

// sliceHeader is a slice of any type. With reflect, what is decoded into would be moved to the heap.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

func appendZeros(dst []byte, n int) []byte {
	for ; n > len(zeros); n -= len(zeros) {
		dst = append(dst, zeros[:]...)
	}
	return append(dst, zeros[:n]...)
}

// decode reads the row p into the struct at into, which is zero.
func (r *rowStruct) decode(p []byte, into unsafe.Pointer) {
	n := len(r.fields)
	if len(p) < nullBytes(n)+8*n {
		panic("row of " + strconv.Itoa(len(p)) + " bytes (expected >= " + strconv.Itoa(nullBytes(n)+8*n) + ")")
	}
	for i := range r.fields {
		f := &r.fields[i]
		f.value.decode(p, 0, i, n, unsafe.Add(into, f.offset))
	}
}

// decode reads value i of the n of the row or list p, whose bitmap begins at p[nulls].
func (v *rowValue) decode(p []byte, nulls, i, n int, into unsafe.Pointer) {
	if v.null {
		if p[nulls+i/8]&(1<<(i%8)) != 0 {
			return
		}
		made := reflect.New(v.typ).UnsafePointer()
		*(*unsafe.Pointer)(into) = made
		into = made
	}
	at := nulls + nullBytes(n) + 8*i
	slot := binary.LittleEndian.Uint64(p[at : at+8])
	switch v.kind {
	case reflect.Bool:
		*(*bool)(into) = slot != 0
	case reflect.Int64, reflect.Float64:
		*(*uint64)(into) = slot
	case reflect.Int32:
		*(*int32)(into) = int32(slot)
	default:
		from, size := uint32(slot), uint32(slot>>32)
		v.decodePart(p[from:from+size:from+size], into)
	}
}

func (v *rowValue) decodePart(p []byte, into unsafe.Pointer) {
	switch v.kind {
	case reflect.String:
		*(*string)(into) = unsafe.String(unsafe.SliceData(p), len(p))
	case reflect.Slice:
		*(*[]byte)(into) = p
	case reflect.Complex128:
		*(*Decimal)(into) = Decimal{binary.LittleEndian.Uint64(p), int64(binary.LittleEndian.Uint64(p[8:]))}
	case reflect.Struct:
		v.row.decode(p, into)
	default:
		n := int(binary.LittleEndian.Uint32(p))
		if len(p) < 8+nullBytes(n)+8*n {
			panic("list of " + strconv.Itoa(n) + " elements in " + strconv.Itoa(len(p)) + " bytes")
		}
		list := reflect.MakeSlice(v.typ, n, n).UnsafePointer()
		*(*sliceHeader)(into) = sliceHeader{list, n, n}
		size := v.typ.Elem().Size()
		for i := range n {
			v.element.decode(p, 8, i, n, unsafe.Add(list, uintptr(i)*size))
		}
	}
}
