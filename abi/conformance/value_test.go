package conformance_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// A value is written as it is read by people, and its codec says which bytes it has:
//
//	"text\xff"      bytes as they are, whatever the codec; "a"*1048576 is a million of them
//	-7              i64, ms
//	0.5  -0  NaN    f64; NaN:7ff8000000000001 is another NaN than the usual one
//	("a", 7)        a row
type (
	number string
	tuple  []any // of string, number, tuple
)

// line is a line of a scenario that is read from the left.
type line struct{ rest string }

// more says whether there is anything left.
func (l *line) more() bool {
	l.rest = strings.TrimLeft(l.rest, " ")
	return l.rest != ""
}

// takes removes prefix, if the line goes on with it.
func (l *line) takes(prefix string) bool {
	rest, ok := strings.CutPrefix(l.rest, prefix)
	if ok {
		l.rest = rest
	}
	return ok
}

// times reads how often what follows is meant: 1024 x.
func (l *line) times() int {
	before, after, ok := strings.Cut(l.rest, " x ")
	n, err := strconv.Atoi(before)
	if !ok || err != nil {
		return 1
	}
	l.rest = after
	return n
}

// value reads a value.
func (l *line) value() (any, error) {
	switch {
	case l.rest == "":
		return nil, fmt.Errorf("a value is missing")
	case l.rest[0] == '"':
		return l.text()
	case l.takes("("):
		return l.tuple()
	}
	end := strings.IndexAny(l.rest+" ", " ,)")
	n := number(l.rest[:end])
	l.rest = l.rest[end:]
	return n, nil
}

func (l *line) text() (any, error) {
	quoted, err := strconv.QuotedPrefix(l.rest)
	if err != nil {
		return nil, fmt.Errorf("text %s: %w", l.rest, err)
	}
	l.rest = l.rest[len(quoted):]
	s, _ := strconv.Unquote(quoted)
	if !l.takes("*") {
		return s, nil
	}
	end := strings.IndexAny(l.rest+" ", " ,)")
	n, err := strconv.Atoi(l.rest[:end])
	l.rest = l.rest[end:]
	return strings.Repeat(s, n), err
}

func (l *line) tuple() (any, error) {
	var t tuple
	for {
		v, err := l.value()
		if err != nil {
			return nil, err
		}
		t = append(t, v)
		if l.takes(")") {
			return t, nil
		}
		if !l.takes(", ") {
			return nil, fmt.Errorf("%q (expected a comma or parenthesis)", l.rest)
		}
	}
}

// encoded reads a value and returns its bytes.
func (l *line) encoded(c abi.Codec) ([]byte, error) {
	v, err := l.value()
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		return []byte(v), nil
	case number:
		bits, err := v.bits(c == abi.CodecF64)
		return binary.LittleEndian.AppendUint64(nil, bits), err
	}
	s, err := abi.ParseSchema(c)
	if err != nil {
		return nil, err
	}
	return encodeRow(s, v.(tuple))
}

func (n number) bits(float bool) (uint64, error) {
	if !float {
		v, err := strconv.ParseInt(string(n), 10, 64)
		return uint64(v), err
	}
	if nan, ok := strings.CutPrefix(string(n), "NaN:"); ok {
		return strconv.ParseUint(nan, 16, 64)
	}
	if n == "NaN" {
		return usualNaN, nil
	}
	v, err := strconv.ParseFloat(string(n), 64)
	return math.Float64bits(v), err
}

func encodeRow(s *abi.Schema, t tuple) ([]byte, error) {
	if len(t) != len(s.Fields) {
		return nil, fmt.Errorf("row of %d values (expected %d)", len(t), len(s.Fields))
	}
	var w abi.RowWriter
	w.Reset(s)
	for i, v := range t {
		switch v := v.(type) {
		case string:
			w.SetBytes(i, []byte(v))
		case number:
			bits, err := v.bits(s.Fields[i].Type == abi.TypeF64)
			if err != nil {
				return nil, err
			}
			w.SetI64(i, int64(bits))
		default:
			return nil, fmt.Errorf("a row in a row")
		}
	}
	return w.AppendTo(nil), nil
}

// printValue is the other way round. Bytes that the codec does not allow are printed as bytes, with the reason.
func printValue(c abi.Codec, p []byte) string {
	switch {
	case c == abi.CodecI64 && len(p) == 8:
		return strconv.FormatInt(int64(binary.LittleEndian.Uint64(p)), 10)
	case c == abi.CodecF64 && len(p) == 8:
		return printFloat(binary.LittleEndian.Uint64(p))
	case strings.HasPrefix(string(c), "row("):
		return printRow(c, p)
	}
	return printText(string(p))
}

// printKey checks that a key has the bytes that keys have in every language.
func printKey(c abi.Codec, p []byte) string {
	if k, err := abi.NewKeyCodec(c); err != nil {
		return err.Error()
	} else if err := k.Check(p); err != nil {
		return fmt.Sprintf("%q (%v)", p, err)
	}
	return printValue(c, p)
}

// usualNaN is the one that keys have.
const usualNaN = 0x7ff8000000000000

func printFloat(bits uint64) string {
	if v := math.Float64frombits(bits); v != v && bits != usualNaN {
		return fmt.Sprintf("NaN:%x", bits)
	}
	return strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
}

// longRun is how many equal bytes are printed as "a"*64.
const longRun = 64

func printText(s string) string {
	var parts []string
	plain := 0 // where the bytes begin that are not printed yet
	for i := 0; i < len(s); {
		end := i + 1
		for end < len(s) && s[end] == s[i] {
			end++
		}
		if end-i >= longRun {
			if plain < i {
				parts = append(parts, strconv.Quote(s[plain:i]))
			}
			parts = append(parts, fmt.Sprintf("%q*%d", s[i:i+1], end-i))
			plain = end
		}
		i = end
	}
	if plain < len(s) || s == "" {
		parts = append(parts, strconv.Quote(s[plain:]))
	}
	return strings.Join(parts, "+")
}

func printRow(c abi.Codec, p []byte) string {
	s, err := abi.ParseSchema(c)
	if err == nil {
		err = abi.Validate(s, p)
	}
	if err != nil {
		return fmt.Sprintf("%q (%v)", p, err)
	}
	fields, row := make([]string, len(s.Fields)), s.Row(p)
	for i, f := range s.Fields {
		switch {
		case f.Type.Variable():
			fields[i] = printText(string(row.Bytes(i)))
		case f.Type == abi.TypeF64:
			fields[i] = printFloat(math.Float64bits(row.F64(i)))
		default:
			fields[i] = strconv.FormatInt(row.I64(i), 10)
		}
	}
	return "(" + strings.Join(fields, ", ") + ")"
}
