package readable_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/readable"
)

func row(t *testing.T, codec abi.Codec, set func(w *abi.RowWriter)) []byte {
	t.Helper()
	s, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	var w abi.RowWriter
	w.Reset(s)
	set(&w)
	return w.AppendTo(nil)
}

func TestValue(t *testing.T) {
	const (
		all   = `row(ok: bool, n: i64, x: f64, at: ms, name: utf8, raw: bytes, doc: json, price: decimal(12, 2), tags: list(utf8?), "of <it>": row(a: i64), none: utf8?)`
		money = "row(d: decimal(38, 3))"
		named = "row(n: i64)"
	)
	full := row(t, all, func(w *abi.RowWriter) {
		w.SetBool(0, true)
		w.SetI64(1, math.MinInt64)
		w.SetF64(2, 1.5)
		w.SetI64(3, 1_769_860_800_250)
		w.SetBytes(4, []byte("möwe \"x\"\n"))
		w.SetBytes(5, []byte{0, 255})
		w.SetBytes(6, []byte("{\"a\" :\n 1}"))
		w.SetBytes(7, abi.AppendDecimal(nil, -1, math.MaxUint64-4)) // -5
		var list abi.ListWriter
		list.Reset(2)
		list.SetBytes(0, []byte("a"))
		list.SetNull(1)
		w.SetBytes(8, list.AppendTo(nil))
		w.SetBytes(9, row(t, "row(a: i64)", func(w *abi.RowWriter) { w.SetI64(0, 7) }))
	})
	for _, c := range []struct {
		codec abi.Codec
		value []byte
		want  string
	}{
		{"i64", abi.AppendI64Key(nil, -2), "-2"},
		{"i64", []byte("four"), `"four"`},
		{"f64", abi.AppendF64Key(nil, 0.25), "0.25"},
		{"f64", abi.AppendF64Key(nil, math.Inf(-1)), `"-Inf"`},
		{"utf8", []byte("a\tb"), `"a\tb"`},
		{"utf8", []byte("a\xff"), `{"hex":"61ff"}`},
		{"json", []byte(`[1, 2 ]`), "[1,2]"},
		{"json", []byte(`[1, 2`), `"[1, 2"`},
		{"bytes", []byte("k1"), `"k1"`},
		{"bytes", []byte{1, 2}, `{"hex":"0102"}`},
		{"bytes", nil, `""`},
		{"acme/order", []byte("k\x00"), `{"hex":"6b00"}`},
		{"", []byte("k"), `"k"`},
		{named, []byte("short"), `"short"`},
		{named, make([]byte, 15), `{"hex":"000000000000000000000000000000"}`},
		{money, row(t, money, func(w *abi.RowWriter) { w.SetBytes(0, abi.AppendDecimal(nil, 1, 0)) }), `{"d":18446744073709551.616}`},
		{all, full, `{"ok":true,"n":-9223372036854775808,"x":1.5,"at":"2026-01-31T12:00:00.25Z","name":"möwe \"x\"\n","raw":{"hex":"00ff"},` +
			`"doc":{"a":1},"price":-0.05,"tags":["a",null],"of <it>":{"a":7},"none":null}`},
	} {
		got := string(readable.Value(c.codec, c.value))
		if got != c.want {
			t.Errorf("%s of %q: %s\nexpected %s", c.codec, c.value, got, c.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s of %q: %s is not JSON", c.codec, c.value, got)
		}
	}
}

func TestTime(t *testing.T) {
	for ms, want := range map[int64]string{
		0: `"1970-01-01T00:00:00Z"`, -1: `"1969-12-31T23:59:59.999Z"`, 1_769_860_800_000: `"2026-01-31T12:00:00Z"`,
		math.MaxInt64: "9223372036854775807", math.MinInt64 + 1: "-9223372036854775807",
	} {
		if got := string(readable.Time(ms)); got != want {
			t.Errorf("%d: %s (expected %s)", ms, got, want)
		}
	}
}
