// Package readable writes keys and values as JSON, by their codec, for people and their tools to look at: a row is an object
// with its fields by name, a time is RFC 3339. It knows codecs; it does not know what the bytes are for.
package readable

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
)

// Value writes p, which is of the codec c. Bytes, a codec that a user has named, and what is not of its codec are a string
// if they are printable text, else {"hex":"..."}.
func Value(c abi.Codec, p []byte) json.RawMessage {
	switch {
	case c == abi.CodecI64 && len(p) == 8:
		return strconv.AppendInt(nil, int64(binary.LittleEndian.Uint64(p)), 10)
	case c == abi.CodecF64 && len(p) == 8:
		return appendFloat(nil, math.Float64frombits(binary.LittleEndian.Uint64(p)))
	case c == abi.CodecJSON && json.Valid(p):
		return appendJSON(nil, p)
	case c == abi.CodecUTF8 && utf8.Valid(p):
		return appendText(nil, p)
	case strings.HasPrefix(string(c), "row("):
		if s, err := abi.ParseSchema(c); err == nil && abi.Validate(s, p) == nil {
			return appendRow(nil, s, s.Row(p))
		}
	}
	return appendBytes(nil, p)
}

// Time writes milliseconds since the epoch, as a number where RFC 3339 has no year for them.
func Time(ms int64) json.RawMessage {
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return strconv.AppendInt(nil, ms, 10)
	}
	return append(t.AppendFormat([]byte{'"'}, "2006-01-02T15:04:05.999Z07:00"), '"')
}

// cells are the fields of a row or the elements of a list.
type cells interface {
	Null(i int) bool
	I64(i int) int64
	F64(i int) float64
	Bool(i int) bool
	Bytes(i int) []byte
	Decimal(i int) (hi int64, lo uint64)
}

func appendRow(dst []byte, s *abi.Schema, r abi.Row) []byte {
	dst = append(dst, '{')
	for i := range s.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, []byte(s.Fields[i].Name)), ':')
		dst = appendCell(dst, &s.Fields[i], r, i)
	}
	return append(dst, '}')
}

func appendList(dst []byte, elem *abi.Field, l abi.List) []byte {
	dst = append(dst, '[')
	for i := range l.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCell(dst, elem, l, i)
	}
	return append(dst, ']')
}

func appendCell(dst []byte, f *abi.Field, c cells, i int) []byte {
	if c.Null(i) {
		return append(dst, "null"...)
	}
	switch f.Type {
	case abi.TypeBool:
		return strconv.AppendBool(dst, c.Bool(i))
	case abi.TypeI64:
		return strconv.AppendInt(dst, c.I64(i), 10)
	case abi.TypeF64:
		return appendFloat(dst, c.F64(i))
	case abi.TypeMs:
		return append(dst, Time(c.I64(i))...)
	case abi.TypeDecimal:
		hi, lo := c.Decimal(i)
		return appendDecimal(dst, hi, lo, f.Scale)
	case abi.TypeList:
		return appendList(dst, f.Elem, abi.ListOf(c.Bytes(i)))
	case abi.TypeRow:
		return appendRow(dst, f.Row, f.Row.Row(c.Bytes(i)))
	case abi.TypeUTF8:
		return appendText(dst, c.Bytes(i))
	case abi.TypeJSON:
		if json.Valid(c.Bytes(i)) {
			return appendJSON(dst, c.Bytes(i))
		}
	}
	return appendBytes(dst, c.Bytes(i))
}

// appendFloat writes a number; JSON has none for what is not finite.
func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.AppendQuote(dst, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendDecimal writes the two halves of an unscaled number with a point before the last scale digits.
func appendDecimal(dst []byte, hi int64, lo uint64, scale int) []byte {
	n := new(big.Int).Lsh(big.NewInt(hi), 64)
	n.Add(n, new(big.Int).SetUint64(lo))
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n.Neg(n)
	}
	digits := fmt.Sprintf("%0*s", scale+1, n)
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst
}

func appendJSON(dst, p []byte) []byte {
	b := bytes.NewBuffer(dst)
	_ = json.Compact(b, p) // it is valid
	return b.Bytes()
}

func appendText(dst, p []byte) []byte {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(p)) // a string always can be
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func appendBytes(dst, p []byte) []byte {
	if utf8.Valid(p) && !strings.ContainsFunc(string(p), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return appendText(dst, p)
	}
	return append(hex.AppendEncode(append(dst, `{"hex":"`...), p), `"}`...)
}
