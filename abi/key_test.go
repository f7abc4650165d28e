package abi

import (
	"bytes"
	"math"
	"testing"
)

func TestFloatKeysHaveOneSpelling(t *testing.T) {
	if got, want := AppendF64Key(nil, math.Copysign(0, -1)), AppendF64Key(nil, 0); !bytes.Equal(got, want) {
		t.Errorf("-0 is %x, 0 is %x", got, want)
	}
	other := math.Float64frombits(0xfff8000000000123)
	if got := AppendF64Key(nil, other); !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}) {
		t.Errorf("NaN is %x", got)
	}
	k, err := NewKeyCodec(CodecF64)
	if err != nil {
		t.Fatal(err)
	}
	if k.Check(AppendF64Key(nil, other)) != nil || k.Check(AppendI64Key(nil, math.MinInt64)) == nil {
		t.Error("the check of f64 keys takes -0, or refuses the NaN of keys")
	}
}

func TestKeyCodecs(t *testing.T) {
	for codec, want := range map[Codec]string{
		"utf8": "", "bytes": "", "i64": "", "f64": "", "acme.order": "", "acme/order-2": "",
		"row(a: utf8?, b: list(f64))":        "",
		"json":                               "codec json: no key, because one value has many spellings (expected bytes, utf8, i64, f64 or row(...))",
		"row(a: i64, b: list(row(c: json)))": `codec "row(a: i64, b: list(row(c: json)))": field b[].c is json: no key, because one value has many spellings`,
		"i32":                                `codec "i32": unknown (expected bytes, utf8, i64, f64, json, row(...), or a name of your own with a dot or slash in it)`,
		"":                                   `codec "": unknown (expected bytes, utf8, i64, f64, json, row(...), or a name of your own with a dot or slash in it)`,
	} {
		_, err := NewKeyCodec(codec)
		if got := message(err); got != want {
			t.Errorf("%q: %s\nexpected %s", codec, got, want)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestKeysAreChecked(t *testing.T) {
	var w RowWriter
	composite := func(f float64) []byte {
		w.Reset(mustSchema(t, "row(a: utf8?, f: f64)"))
		w.SetF64(1, f)
		return w.AppendTo(nil)
	}
	for _, c := range []struct {
		codec Codec
		key   []byte
		want  string
	}{
		{"i64", AppendI64Key(nil, 5), ""},
		{"i64", []byte("1234567"), "key: 7 bytes (expected 8 of i64)"},
		{"utf8", []byte{0xc3}, "key: not UTF-8"},
		{"bytes", []byte{0xc3}, ""},
		{"row(a: utf8?, f: f64)", composite(KeyFloat(math.NaN())), ""},
		{"row(a: utf8?, f: f64)", composite(math.Copysign(0, -1)), "row.f: 0x8000000000000000 is no float of a key (expected 0x0)"},
	} {
		k, err := NewKeyCodec(c.codec)
		if err != nil {
			t.Fatal(err)
		}
		if got := message(k.Check(c.key)); got != c.want {
			t.Errorf("%s %x: %s (expected %s)", c.codec, c.key, got, c.want)
		}
	}
}
