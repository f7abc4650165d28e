package avrorow

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/cell"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

func schema(t testing.TB, codec abi.Codec) *abi.Schema {
	t.Helper()
	s, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const everything abi.Codec = "row(b: bool, i: i64?, f: f64, t: ms?, s: utf8, y: bytes?, j: json?, d: decimal(12, 2)?, " +
	"l: list(utf8?)?, ll: list(list(i64)), r: row(x: i64, y: list(row(z: f64?)))?)"

// rows are some of them, from JSON.
func rows(t testing.TB, codec abi.Codec, lines ...string) (all [][]byte) {
	t.Helper()
	d := jsonrow.NewDecoder(schema(t, codec))
	for _, line := range lines {
		row, err := d.Decode(nil, []byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, row)
	}
	return all
}

// shown is a row as JSON.
func shown(t testing.TB, s *abi.Schema, row []byte) string {
	t.Helper()
	if err := abi.Validate(s, row); err != nil {
		t.Fatalf("%x: %v", row, err)
	}
	e, err := jsonrow.NewEncoder(s.Codec(), nil, scalar.TimeMillis)
	if err != nil {
		t.Fatal(err)
	}
	line, err := e.Append(nil, row)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// written is a file of rows.
func written(t testing.TB, codec abi.Codec, compression string, all [][]byte) []byte {
	t.Helper()
	e, err := NewEncoder(codec, nil, compression)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	f, err := e.Begin(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		if err := f.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// valuesOf are those of the blocks of a file, unpacked.
func valuesOf(t testing.TB, file []byte) (h *Header, blocks [][]byte) {
	t.Helper()
	h, err := ReadHeader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	u, err := h.Unpacker()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for rest := file[h.Length:]; len(rest) > 0; {
		b, n, err := NextBlock(rest)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := u.Unpack(b.Bytes)
		if err != nil || !bytes.Equal(rest[n-SyncBytes:n], h.Sync[:]) {
			t.Fatalf("block of %d bytes: %v", len(b.Bytes), err)
		}
		blocks = append(blocks, bytes.Clone(unpacked))
		rest = rest[n:]
	}
	return h, blocks
}

var lines = []string{
	`{"b":true,"i":-7,"f":0.5,"t":"2026-01-31T23:59:59.050","s":"grüezi","y":"AQI=","j":{"a":[1]},"d":-12.5,"l":["a",null,""],"ll":[[1,2],[],[3]],"r":{"x":1,"y":[{"z":1.5},{}]}}`,
	`{"b":false,"f":-1e300,"s":"","ll":[]}`,
	`{"b":true,"i":9223372036854775807,"f":0,"t":-1,"s":"x","y":"","d":9999999999.99,"l":[],"ll":[[]],"r":{"x":-9223372036854775808,"y":[]}}`,
}

func TestRowsAreReadAsTheyAreWritten(t *testing.T) {
	s := schema(t, everything)
	all := rows(t, everything, lines...)
	for compression := range Compressions {
		h, blocks := valuesOf(t, written(t, everything, compression, all))
		d, err := NewDecoder(s, h.Schema)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, block := range blocks {
			for ; len(block) > 0; n++ {
				row, size, fault, err := d.Decode([]byte("12345678"), block)
				if err != nil || fault != nil || !bytes.Equal(row[8:], all[n]) {
					t.Fatalf("%s, row %d: %v\ngot  %x\nwant %x", compression, n, err, row[8:], all[n])
				}
				block = block[size:]
			}
		}
		if n != len(all) {
			t.Errorf("%s: %d rows (expected %d)", compression, n, len(all))
		}
	}
}

// What is written is what the library reads.
func TestFilesAreAvro(t *testing.T) {
	r, err := ocf.NewReader(bytes.NewReader(written(t, everything, "snappy", rows(t, everything, lines...))))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got map[string]any
	if err := r.Decode(&got); err != nil {
		t.Fatal(err)
	}
	at, _ := got["t"].(time.Time)
	d, _ := got["d"].(*big.Rat)
	l, _ := got["l"].([]any)
	if got["b"] != true || got["i"] != int64(-7) || at.UnixMilli() != 1769903999050 || got["s"] != "grüezi" || d == nil || d.FloatString(2) != "-12.50" || len(l) != 3 || l[1] != nil {
		t.Errorf("%#v", got)
	}
}

// Files of others have other types, which become rows where nothing is lost, and fields that nobody wants.
func TestTypesOfOthers(t *testing.T) {
	const writer = `{"type":"record","name":"a.E","fields":[
		{"name":"node","type":["null",{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]},{"name":"m","type":{"type":"map","values":["int","string"]}}]}]},
		{"name":"i","type":"int"},{"name":"f","type":"float"},{"name":"fi","type":"long"},
		{"name":"us","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"day","type":["null",{"type":"int","logicalType":"date"}]},
		{"name":"color","type":{"type":"enum","name":"C","symbols":["RED","BLUE"]}},{"name":"fx","type":{"type":"fixed","name":"F","size":3}},
		{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":1}},{"name":"dl","type":"long"},{"name":"text","type":"string"}]}`
	w, err := avro.Parse(writer)
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]any{
		"node": map[string]any{"next": map[string]any{"next": nil, "m": map[string]any{"a": 1, "b": "x"}}, "m": map[string]any{}},
		"i":    7, "f": float32(0.5), "fi": int64(3), "us": int64(-1), "day": 20, "color": "BLUE", "fx": []byte("abc"), "d": big.NewRat(-125, 10), "dl": int64(4), "text": `{"a":1}`,
	}
	datum, err := w.Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	for codec, want := range map[abi.Codec]string{
		"row(text: utf8, color: utf8, i: i64)":                          `{"text":"{\"a\":1}","color":"BLUE","i":7}`,
		"row(f: f64, fi: f64, us: ms, day: ms, fi2: i64?)":              `{"f":0.5,"fi":3,"us":-1,"day":1728000000,"fi2":null}`,
		"row(d: decimal(8, 3), dl: decimal(4, 2), text: json)":          `{"d":-12.500,"dl":4.00,"text":{"a":1}}`,
		"row(fx: bytes, node: row(next: row(next: row(m: i64?)?)?)?)":   "",
		"row(node: row(next: row(next: row(next: row(zz: i64?)?)?)?)?)": `{"node":{"next":{"next":null}}}`,
		"row(fx: bytes)": `{"fx":"YWJj"}`,
	} {
		s := schema(t, codec)
		d, err := NewDecoder(s, writer)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), `field "m": the file has map (expected what makes i64)`) {
				t.Errorf("%s: %v", codec, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", codec, err)
			continue
		}
		row, n, fault, err := d.Decode(nil, datum)
		if err != nil || fault != nil || n != len(datum) {
			t.Errorf("%s: %d of %d bytes, %v", codec, n, len(datum), err)
		} else if got := shown(t, s, row); got != want {
			t.Errorf("%s: %s\nexpected %s", codec, got, want)
		}
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	const writer = `{"type":"record","name":"E","fields":[{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":1}},{"name":"s","type":["null","string"]},
		{"name":"l","type":{"type":"array","items":{"type":"record","name":"R","fields":[{"name":"n","type":["null","long"]}]}}}]}`
	s := schema(t, "row(d: decimal(3, 1), s: utf8?, l: list(row(n: i64)))")
	d, err := NewDecoder(s, writer)
	if err != nil {
		t.Fatal(err)
	}
	good := "\x02\x05" + "\x02\x02x" + "\x02\x02\x04\x00"
	for data, want := range map[string]string{
		good:                                      "",
		"\x04\x7f\xff" + good[2:]:                 "d: does not fit a number of 3 digits, 1 of them behind the point",
		good[:2] + "\x02\x02\xff" + good[5:]:      "s: not UTF-8",
		good[:5] + "\x04\x02\x04\x00\x00":         "l[1].n: null (expected a value)",
		good[:2] + "\x04":                         ErrBroken.Error(),
		good[:2] + "\x02\x7f":                     ErrBroken.Error(),
		good[:5] + "\x80\x80\x80\x80\x80\x80\x04": ErrBroken.Error(),
		"": ErrBroken.Error(),
	} {
		_, n, fault, err := d.Decode(nil, []byte(data+"rest"))
		if fault != nil {
			err = fault
		}
		switch {
		case want == "" && (err != nil || n != len(data)), want != "" && (err == nil || err.Error() != want):
			t.Errorf("%q: %v (expected %s)", data, err, want)
		case err != nil && !errors.Is(err, ErrBroken) && n != len(data):
			t.Errorf("%q: the next value begins at %d (expected %d)", data, n, len(data))
		}
	}
	for codec, want := range map[abi.Codec]string{
		"row(x: i64)":           `no field "x" (the file has d, s, l)`,
		"row(s: i64)":           `field "s": the file has string (expected what makes i64)`,
		"row(d: i64)":           `field "d": the file has bytes decimal (expected what makes i64)`,
		"row(l: list(i64))":     `field "l": elements: the file has record (expected what makes i64)`,
		"row(d: decimal(3, 1))": "",
	} {
		if _, err := NewDecoder(schema(t, codec), writer); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v (expected %s)", codec, err, want)
		}
	}
	if _, err := NewEncoder(`row("first name": utf8)`, nil, "none"); err == nil || !strings.Contains(err.Error(), `field "first name": Avro has no such name`) {
		t.Errorf("a name: %v", err)
	}
}

// Whatever the bytes are, the decoder ends, and what it makes is a row.
func FuzzDecode(f *testing.F) {
	s := schema(f, everything)
	h, blocks := valuesOf(f, written(f, everything, "none", rows(f, everything, lines...)))
	f.Add(blocks[0])
	d, err := NewDecoder(s, h.Schema)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		row, n, fault, err := d.Decode(nil, p)
		if err != nil {
			return
		}
		if n < 1 || n > len(p) {
			t.Fatalf("%d of %d bytes", n, len(p))
		}
		if fault != nil {
			return
		}
		if err := abi.Validate(s, row); err != nil {
			t.Fatalf("%x: %v", p, err)
		}
	})
}

func TestDamageIsNoPanic(t *testing.T) {
	s := schema(t, everything)
	h, blocks := valuesOf(t, written(t, everything, "none", rows(t, everything, lines...)))
	d, err := NewDecoder(s, h.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		p := bytes.Clone(blocks[0])
		for range 1 + rand.IntN(3) {
			p[rand.IntN(len(p))] = byte(rand.Uint32())
		}
		if row, _, fault, err := d.Decode(nil, p); err == nil && fault == nil {
			if err := abi.Validate(s, row); err != nil {
				t.Fatalf("%x: %v", p, err)
			}
		}
	}
}

func BenchmarkBid(b *testing.B) {
	const codec = "row(auction: i64, bidder: i64, price: i64, channel: utf8, url: utf8, dateTime: ms, extra: utf8)"
	line := `{"auction":1123,"bidder":1874,"price":2391875,"channel":"channel-4711","url":"https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=1342177280","dateTime":"2026-01-01T00:00:00.050","extra":"qwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcv"}`
	h, blocks := valuesOf(b, written(b, codec, "none", rows(b, codec, line)))
	d, err := NewDecoder(schema(b, "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)"), h.Schema)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var row []byte
	for b.Loop() {
		var fault *cell.Fault
		if row, _, fault, err = d.Decode(row[:0], blocks[0]); err != nil || fault != nil {
			b.Fatal(err, fault)
		}
	}
}
