package abi

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Keys are compared, hashed and stored as bytes, so the same key must have the same bytes from every language:
//
//	one non-null field       the bytes of its codec: i64 and f64 8 bytes little-endian, utf8 and bytes as they are
//	composite or nullable    a canonical row, of one field if need be: row(word: utf8?)
//	f64, alone or in a row   NaN is 7ff8000000000000 whatever its payload, -0 is 0
//	json                     no key: one value has many spellings

// keyNaN is the one NaN that keys may have.
const keyNaN uint64 = 0x7ff8000000000000

// keyFloatBits returns the bits of v in a key.
func keyFloatBits(v float64) uint64 {
	if v != v {
		return keyNaN
	}
	if v == 0 {
		return 0
	}
	return math.Float64bits(v)
}

// KeyFloat returns v as keys have it: what is set in the row of a composite key.
func KeyFloat(v float64) float64 { return math.Float64frombits(keyFloatBits(v)) }

// AppendI64Key appends the key bytes of v.
func AppendI64Key(dst []byte, v int64) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}

// AppendF64Key appends the key bytes of v.
func AppendF64Key(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, keyFloatBits(v))
}

// KeyCodec is a codec whose bytes may be keys, made ready to check them.
type KeyCodec struct {
	codec  Codec
	schema *Schema // of a row
}

// NewKeyCodec says whether c can be the codec of a key: json cannot, alone or in a row.
func NewKeyCodec(c Codec) (*KeyCodec, error) {
	if c == CodecJSON {
		return nil, fmt.Errorf("codec json: no key, because one value has many spellings (expected bytes, utf8, i64, f64 or row(...))")
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	k := &KeyCodec{codec: c}
	if isRow(c) {
		s, err := ParseSchema(c)
		if err != nil {
			return nil, err
		}
		if path := s.jsonField(); path != "" {
			return nil, fmt.Errorf("codec %q: field %s is json: no key, because one value has many spellings", abbreviate(string(c)), path)
		}
		k.schema = s
	}
	return k, nil
}

// Check says whether p can be a key: bytes that another spelling of the same key would not have.
func (k *KeyCodec) Check(p []byte) error {
	switch {
	case k.schema != nil:
		return validateRow(k.schema, p, true)
	case k.codec == CodecI64 && len(p) != 8, k.codec == CodecF64 && len(p) != 8:
		return fmt.Errorf("key: %d bytes (expected 8 of %s)", len(p), k.codec)
	case k.codec == CodecF64:
		have := binary.LittleEndian.Uint64(p)
		if want := keyFloatBits(math.Float64frombits(have)); have != want {
			return fmt.Errorf("key: %#x is no float of a key (expected %#x)", have, want)
		}
	case k.codec == CodecUTF8 && !utf8.Valid(p):
		return fmt.Errorf("key: not UTF-8")
	}
	return nil
}

// Check says whether c names a codec: one of the list, a row, or a user's own name. That has a dot or a slash in it
// (acme.order, acme/order), so that it can never be the name of a codec that is added here later.
func (c Codec) Check() error {
	switch c {
	case CodecBytes, CodecUTF8, CodecI64, CodecF64, CodecJSON:
		return nil
	}
	if isRow(c) {
		_, err := ParseSchema(c)
		return err
	}
	own := len(c) > 0 && len(c) <= MaxFieldName && strings.ContainsAny(string(c), "./")
	for i := range len(c) {
		own = own && (isNameByte(c[i], i == 0) || i > 0 && strings.IndexByte("./-", c[i]) >= 0)
	}
	if !own {
		return fmt.Errorf("codec %q: unknown (expected bytes, utf8, i64, f64, json, row(...), or a name of your own with a dot or slash in it)", abbreviate(string(c)))
	}
	return nil
}

// isRow says whether c is meant to be a row.
func isRow(c Codec) bool {
	rest, ok := strings.CutPrefix(string(c), "row")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, " "), "(")
}

// jsonField returns the path of the first json field, "" when there is none.
func (s *Schema) jsonField() string {
	for i := range s.Fields {
		if path, ok := s.Fields[i].jsonPath(); ok {
			return s.Fields[i].Name + path
		}
	}
	return ""
}

func (f *Field) jsonPath() (string, bool) {
	switch f.Type {
	case TypeJSON:
		return "", true
	case TypeList:
		path, ok := f.Elem.jsonPath()
		return "[]" + path, ok
	case TypeRow:
		path := f.Row.jsonField()
		return "." + path, path != ""
	}
	return "", false
}
