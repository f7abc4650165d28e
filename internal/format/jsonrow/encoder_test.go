package jsonrow

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

func TestRowsAreWrittenAsTheyAreRead(t *testing.T) {
	seed := rand.Uint64()
	for n := range 200 {
		g := generator{rand.New(rand.NewPCG(seed, uint64(n)))}
		s := &abi.Schema{Fields: g.fields(1+g.IntN(8), 0)}
		for _, style := range scalar.TimeStyles {
			e, err := NewEncoder(s.Codec(), nil, style)
			if err != nil {
				t.Fatal(err)
			}
			d := NewDecoder(s)
			for range 20 {
				row, err := d.Decode(nil, g.object(s, nil))
				if err != nil {
					continue // a field is missing
				}
				line, err := e.Append(nil, row)
				if err != nil || !json.Valid(line) || bytes.ContainsAny(line, "\n\r") {
					t.Fatalf("seed %d: %s: %x: %s, %v", seed, s.Codec(), row, line, err)
				}
				if again, err := d.Decode(nil, line); err != nil || !bytes.Equal(again, row) {
					t.Fatalf("seed %d: %s: %s: %v\ngot  %x\nwant %x", seed, s.Codec(), line, err, again, row)
				}
			}
		}
	}
}

func TestRowsAreWritten(t *testing.T) {
	from := schema(t, "row(key: utf8, value: i64, at: ms?, price: decimal(12, 3)?, raw: bytes?, j: json?, l: list(row(x: f64))?)")
	row, err := NewDecoder(from).Decode(nil, []byte(`{"key":"a\"\u0001<ä>","value":7,"at":"2026-01-31T23:59:59.050","price":12.5,"raw":"AQ==","j":{"a":  1},"l":[{"x":1e21},{"x":0.5}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		columns []string
		style   scalar.TimeStyle
		want    string
	}{
		{nil, scalar.TimeISO, `{"key":"a\"\u0001<ä>","value":7,"at":"2026-01-31T23:59:59.050Z","price":12.500,"raw":"AQ==","j":{"a":  1},"l":[{"x":1e+21},{"x":0.5}]}`},
		{[]string{"at", "value"}, scalar.TimeSQL, `{"at":"2026-01-31 23:59:59.050","value":7}`},
		{[]string{"at"}, scalar.TimeMillis, `{"at":1769903999050}`},
	} {
		e, err := NewEncoder(from.Codec(), c.columns, c.style)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Append([]byte("> "), row); err != nil || string(got) != "> "+c.want {
			t.Errorf("%s, %v\nexpected %s", got, err, c.want)
		}
	}
}

func TestValuesThatAreNoRows(t *testing.T) {
	for _, c := range []struct {
		codec abi.Codec
		value string
		want  string
		fault string
	}{
		{abi.CodecUTF8, "a\nb", `"a\nb"`, ""},
		{abi.CodecI64, "\xfe\xff\xff\xff\xff\xff\xff\xff", "-2", ""},
		{abi.CodecF64, "\x00\x00\x00\x00\x00\x00\xf8\x7f", "null", ""},
		{abi.CodecF64, "short", "", "f64 of 5 bytes (expected 8)"},
		{abi.CodecBytes, "\x01", `"AQ=="`, ""},
		{abi.CodecJSON, "{\n \"a\": 1}", `{"a":1}`, ""},
		{abi.CodecJSON, `{"a":}`, "", `not JSON: "}" (expected a value)`},
	} {
		e, err := NewEncoder(c.codec, nil, scalar.TimeISO)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Append(nil, []byte(c.value))
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) || c.fault == "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s %q: %s, %v", c.codec, c.value, got, err)
		}
	}
	for codec, want := range map[abi.Codec]string{"acme.order": "which has no JSON form", "utf8": "columns: a"} {
		if _, err := NewEncoder(codec, []string{"a"}, scalar.TimeISO); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

func TestNothingIsAllocatedForARow(t *testing.T) {
	codec := abi.Codec("row(event_type: i64, bid: row(auction: i64, bidder: i64, price: decimal(12, 3), dateTime: ms, extra: utf8)?)")
	row, err := NewDecoder(schema(t, codec)).Decode(nil, []byte(bidLine))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(codec, nil, scalar.TimeSQL)
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 0, 1024)
	if n := allocs.PerRun(100, func() {
		if line, err = e.Append(line[:0], row); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations: %s", n, line)
	}
}
