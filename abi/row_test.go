package abi

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/allocs"
)

func mustSchema(t testing.TB, c Codec) *Schema {
	t.Helper()
	s, err := ParseSchema(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaIsPrintedCanonically(t *testing.T) {
	for _, c := range []struct{ in, out Codec }{
		{"row(key: utf8, value: i64)", ""},
		{"row ( key:utf8,value :i64 ? )", "row(key: utf8, value: i64?)"},
		{`row("first name": utf8, "say \"\\\"": bytes, _x1: bool)`, ""},
		{`row("plain": json)`, "row(plain: json)"},
		{"row(a: decimal(38,0), b: list(list(row(c: ms?)?))?)", "row(a: decimal(38, 0), b: list(list(row(c: ms?)?))?)"},
		{"row(row: row(list: list(f64)))", ""},
	} {
		want := c.out
		if want == "" {
			want = c.in
		}
		s := mustSchema(t, c.in)
		if got := s.Codec(); got != want {
			t.Errorf("%s: printed as %s", c.in, got)
		}
		if got := mustSchema(t, want).Codec(); got != want {
			t.Errorf("%s: printed again as %s", want, got)
		}
	}
}

func TestSchemaFaultsNameThePlace(t *testing.T) {
	deep := strings.Repeat("list(", 16) + "i64" + strings.Repeat(")", 16)
	for codec, want := range map[Codec]string{
		"utf8":                        `codec "utf8": not a row`,
		"rows(a: i64)":                `codec "rows(a: i64)": not a row`,
		"row()":                       `codec "row()": byte 4: field name "" (expected 1 to 255 bytes of UTF-8 without control characters)`,
		"row(a: i64":                  `codec "row(a: i64": byte 10: the end (expected , or ))`,
		"row(a: i64) ":                "",
		"row(a: i64)x":                `codec "row(a: i64)x": byte 11: "x" (expected the end)`,
		"row(a: i32)":                 `codec "row(a: i32)": byte 7: "i32)" (expected a type: bool, i64, f64, ms, utf8, bytes, json, decimal, list, row)`,
		"row(a: i64, a: f64)":         `codec "row(a: i64, a: f64)": field "a" stands twice`,
		"row(a: decimal(39, 2))":      `codec "row(a: decimal(39, 2))": decimal(39, 2) at byte 15 (expected 1 <= precision <= 38, 0 <= scale <= precision)`,
		"row(a: decimal(03, 2))":      `codec "row(a: decimal(03, 2))": decimal(-1, 2) at byte 15 (expected 1 <= precision <= 38, 0 <= scale <= precision)`,
		`row("a\n": i64)`:             `codec "row(\"a\\n\": i64)": byte 7: "n\": i64)" (expected \" or \\)`,
		Codec("row(a: " + deep + ")"): `more than 16 lists and rows inside each other`,
	} {
		_, err := ParseSchema(codec)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", codec, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v\nexpected %s", codec, err, want)
		}
	}
}

// everything has one field of every type, the last ones nullable.
const everything = "row(b: bool, i: i64, f: f64, t: ms, s: utf8, y: bytes, j: json, d: decimal(12, 2), " +
	"l: list(utf8?), r: row(x: i64, y: utf8), n: i64?, z: utf8?)"

func writeEverything(w *RowWriter, s *Schema, list, nested, decimal []byte) {
	w.Reset(s)
	w.SetBool(0, true)
	w.SetI64(1, -2)
	w.SetF64(2, 2.5)
	w.SetI64(3, 1700000000000)
	w.SetBytes(4, []byte("grüezi"))
	w.SetBytes(5, nil)
	w.SetBytes(6, []byte(`{"a":1}`))
	w.SetBytes(7, decimal)
	w.SetBytes(8, list)
	w.SetBytes(9, nested)
	w.SetNull(10)
	w.SetBytes(11, []byte("12345678"))
}

func everythingRow(t testing.TB) (*Schema, []byte) {
	s := mustSchema(t, everything)
	var lw ListWriter
	lw.Reset(3)
	lw.SetBytes(0, []byte("one"))
	lw.SetNull(1)
	lw.SetBytes(2, nil)
	var nested, w RowWriter
	nested.Reset(s.Fields[9].Row)
	nested.SetBytes(1, []byte("in"))
	nested.SetI64(0, 7)
	writeEverything(&w, s, lw.AppendTo(nil), nested.AppendTo(nil), AppendDecimal(nil, -1, uint64(math.MaxUint64)-12344))
	return s, w.AppendTo([]byte("prefix"))[6:]
}

func TestRowReadsWhatWasWritten(t *testing.T) {
	s, p := everythingRow(t)
	if err := Validate(s, p); err != nil {
		t.Fatal(err)
	}
	r := s.Row(p)
	if !r.Bool(0) || r.I64(1) != -2 || r.F64(2) != 2.5 || r.I64(3) != 1700000000000 || string(r.Bytes(4)) != "grüezi" ||
		len(r.Bytes(5)) != 0 || string(r.Bytes(6)) != `{"a":1}` || !r.Null(10) || r.Null(11) || string(r.Bytes(11)) != "12345678" {
		t.Errorf("row %x reads otherwise than it was written", p)
	}
	if hi, lo := r.Decimal(7); hi != -1 || int64(lo) != -12345 {
		t.Errorf("decimal: %d %d", hi, int64(lo))
	}
	if l := r.List(8); l.Len() != 3 || string(l.Bytes(0)) != "one" || !l.Null(1) || l.Null(2) || len(l.Bytes(2)) != 0 {
		t.Errorf("list: %x", r.Bytes(8))
	}
	if in := r.Row(9, s.Fields[9].Row); in.I64(0) != 7 || string(in.Bytes(1)) != "in" {
		t.Errorf("nested row: %x", r.Bytes(9))
	}
}

func TestRowWriterAllocatesNothingAndForgetsTheLastRow(t *testing.T) {
	s := mustSchema(t, "row(key: utf8, value: i64, note: utf8?)")
	var w RowWriter
	dst := make([]byte, 0, 256)
	key, note := []byte("whale"), []byte("white")
	n := allocs.PerRun(100, func() {
		w.Reset(s)
		w.SetBytes(0, key)
		w.SetI64(1, 42)
		w.SetBytes(2, note)
		dst = w.AppendTo(dst[:0])
		if err := Validate(s, dst); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a row", n)
	}
	w.Reset(s)
	dst = w.AppendTo(dst[:0])
	if r := s.Row(dst); len(r.Bytes(0)) != 0 || r.I64(1) != 0 || !r.Null(2) {
		t.Errorf("a new row holds what the last one did: %x", dst)
	}
}

// wideSchema has 65 nullable i64 fields, f0 to f64.
func wideSchema() *Schema {
	s := &Schema{}
	for i := range 65 {
		s.Fields = append(s.Fields, Field{Name: "f" + strconv.Itoa(i), Type: TypeI64, Nullable: true})
	}
	return s
}

func TestMoreThan64FieldsHaveAWiderBitmap(t *testing.T) {
	s := wideSchema()
	var w RowWriter
	w.Reset(s)
	w.SetI64(0, 5)
	p := w.AppendTo(nil)
	if len(p) != 16+65*8 || s.Row(p).I64(0) != 5 || !s.Row(p).Null(64) {
		t.Errorf("row of 65 fields: %d bytes", len(p))
	}
	if err := Validate(s, p); err != nil {
		t.Error(err)
	}
	p[15] = 0x80
	if err := Validate(s, p); err == nil {
		t.Error("a bit behind the last field was accepted")
	}
}

func TestValidateRefusesWhatIsNotCanonical(t *testing.T) {
	s := mustSchema(t, "row(k: utf8, b: bool, n: i64?, d: decimal(3, 1), l: list(row(x: utf8)))")
	inner := s.Fields[4].Elem.Row
	var in, w RowWriter
	in.Reset(inner)
	in.SetBytes(0, []byte("x"))
	var lw ListWriter
	lw.Reset(1)
	lw.SetBytes(0, in.AppendTo(nil))
	w.Reset(s)
	w.SetBytes(0, []byte("key"))
	w.SetBytes(3, AppendDecimal(nil, 0, 999))
	w.SetBytes(4, lw.AppendTo(nil))
	good := w.AppendTo(nil)
	if err := Validate(s, good); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	// 0 bitmap · 8 k 16 b 24 n 32 d 40 l · 48 "key" · 56 decimal · 72 list: 8 header 8 bitmap 8 slot, 96 row: 8 bitmap, 8 slot, 112 "x"
	for want, edit := range map[string]func(p []byte) []byte{
		"row: 0 bytes (expected 48 <= length <= 16777216, a multiple of 8)": func(p []byte) []byte { return nil },
		"row: null bitmap has bit 5 of 5 fields":                            func(p []byte) []byte { p[0] |= 1 << 5; return p },
		"row.k: null (expected a value)":                                    func(p []byte) []byte { p[0] |= 1; return p },
		"row.n: slot of a null is 0x1 (expected 0)":                         func(p []byte) []byte { p[24] = 1; return p },
		"row.b: bool is 0x2 (expected 0 or 1)":                              func(p []byte) []byte { p[16] = 2; return p },
		"row.k: offset 56 (expected 48)":                                    func(p []byte) []byte { p[8] = 56; return p },
		"row.k: length 4294967295 at 48 (the row has 120 bytes)":            func(p []byte) []byte { le.PutUint32(p[12:], math.MaxUint32); return p },
		"row.k: padding behind 3 bytes at 48 is not zero":                   func(p []byte) []byte { p[51] = 1; return p },
		"row.k: not UTF-8":                                                  func(p []byte) []byte { p[48] = 0xff; return p },
		"row.d: decimal of more than 3 digits":                              func(p []byte) []byte { le.PutUint16(p[56:], 1000); return p },
		"row.d: decimal of 15 bytes (expected 16)":                          func(p []byte) []byte { p[36] = 15; return p },
		"row.l: list of 2 elements in 48 bytes, then 0x1 (expected 0)":      func(p []byte) []byte { p[72] = 2; p[76] = 1; return p },
		"row.l[0].x: not UTF-8":                                             func(p []byte) []byte { p[112] = 0xff; return p },
		"row.l[0]: null (expected a value)":                                 func(p []byte) []byte { p[80] = 1; return p },
		"row.l: null bitmap has bit 1 of 1 fields":                          func(p []byte) []byte { p[80] = 2; return p },
		"row: 128 bytes (expected 120)":                                     func(p []byte) []byte { return append(p, make([]byte, 8)...) },
		"row.l: length 48 at 72 (the row has 112 bytes)":                    func(p []byte) []byte { return p[:112] },
	} {
		p := edit(bytes.Clone(good))
		if err := Validate(s, p); err == nil || err.Error() != want {
			t.Errorf("%v\nexpected %s", err, want)
		}
	}
}

func TestDecimalPrecision(t *testing.T) {
	for _, c := range []struct {
		hi        int64
		lo        uint64
		precision int
		fits      bool
	}{
		{0, 9, 1, true}, {0, 10, 1, false}, {-1, ^uint64(8), 1, true}, {-1, ^uint64(9), 1, false},
		{0x4b3b4ca85a86c47a, 0x098a223fffffffff, 38, true}, {0x4b3b4ca85a86c47a, 0x098a224000000000, 38, false},
		{math.MinInt64, 0, 38, false}, {math.MaxInt64, math.MaxUint64, 38, false},
	} {
		if got := fitsPrecision(c.hi, c.lo, c.precision); got != c.fits {
			t.Errorf("%x %x in %d digits: %v", c.hi, c.lo, c.precision, got)
		}
	}
}
