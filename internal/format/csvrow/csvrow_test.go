package csvrow

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
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

func decoder(t testing.TB, codec abi.Codec, names []string) *Decoder {
	t.Helper()
	d, err := NewDecoder(schema(t, codec), ',', names)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const everything abi.Codec = "row(b: bool?, i: i64?, f: f64?, t: ms?, s: utf8, n: utf8?, y: bytes?, j: json?, d: decimal(12, 2)?)"

// What is written is read again, and by what is read are rows written the same.
func TestRecordsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, style := range scalar.TimeStyles {
		e, err := NewEncoder(everything, nil, ',', style)
		if err != nil {
			t.Fatal(err)
		}
		names, err := Names(e.Header(), ',')
		if err != nil || strings.Join(names, "") != "biftsnyjd" {
			t.Fatalf("header %q: %q, %v", e.Header(), names, err)
		}
		d := decoder(t, everything, names)
		for _, record := range []string{
			`true,-7,0.5,2026-01-31T23:59:59.050Z,x,"",AQI=,"{""a"":[1,2]}",-12.50`,
			`false,9223372036854775807,1e+300,1969-12-31T23:59:59.999Z,"a,b""c` + "\n" + `d",,,,`,
			`,,NaN,,"",ä€,"",,0.00`,
		} {
			row, err := d.Decode([]byte("12345678"), []byte(record))
			if err != nil {
				t.Fatalf("%s: %v", record, err)
			}
			if err := abi.Validate(d.schema, row[8:]); err != nil {
				t.Fatalf("%s: %v", record, err)
			}
			again, err := e.Append(nil, row[8:])
			if err != nil || style == scalar.TimeISO && string(again) != record {
				t.Errorf("%s: written as %s, %v", record, again, err)
			}
			if back, err := d.Decode(nil, again); err != nil || !bytes.Equal(back, row[8:]) {
				t.Errorf("%s: written as %s and read as another row, %v", record, again, err)
			}
		}
	}
}

func TestColumnsAreFoundByName(t *testing.T) {
	d := decoder(t, "row(b: i64, a: utf8)", []string{"a", "unwanted", "b"})
	row, err := d.Decode(nil, []byte(`x,"un""wanted",7`))
	if r := d.schema.Row(row); err != nil || r.I64(0) != 7 || string(r.Bytes(1)) != "x" {
		t.Errorf("%x, %v", row, err)
	}
	for want, names := range map[string][]string{
		`no column "b" (the columns are ["a" "c"])`: {"a", "c"},
		`two columns "a"`: {"a", "b", "a"},
	} {
		if _, err := NewDecoder(d.schema, ',', names); err == nil || err.Error() != want {
			t.Errorf("%q: %v (expected %s)", names, err, want)
		}
	}
	if _, err := NewDecoder(schema(t, "row(l: list(i64))"), ',', nil); err == nil || err.Error() != `field "l" is a list, which CSV has no form of` {
		t.Errorf("a list: %v", err)
	}
	e, err := NewEncoder("row(a: utf8, b: i64)", []string{"b"}, ';', scalar.TimeISO)
	if err != nil {
		t.Fatal(err)
	}
	var w abi.RowWriter
	w.Reset(schema(t, "row(a: utf8, b: i64)"))
	w.SetI64(1, 3)
	if line, err := e.Append(nil, w.AppendTo(nil)); err != nil || string(line) != "3" || string(e.Header()) != "b" {
		t.Errorf("%s, %v", line, err)
	}
	for codec, want := range map[abi.Codec]string{"utf8": "which has no columns", "row(a: row(b: i64))": "which CSV has no form of"} {
		if _, err := NewEncoder(codec, nil, ',', scalar.TimeISO); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	d := decoder(t, "row(i: i64, s: utf8?, d: decimal(4, 1)?)", nil)
	for record, want := range map[string]Fault{
		`x,,`:         {0, "i", `"x" (expected a whole number of 64 bits)`},
		`,,`:          {0, "i", `"" (expected a whole number of 64 bits)`},
		`1,a`:         {3, "", `2 columns (expected 3)`},
		`1,a,1,2`:     {6, "", `more than 3 columns`},
		`1,a"b,1`:     {3, "", `a " in a column that does not begin with one`},
		`1,"a`:        {2, "", `no closing " (one in a later line is only looked for with quotedNewlines)`},
		`1,"a"b,1`:    {5, "", `'b' behind the closing " (expected ',', or the end)`},
		`1,a,1.55`:    {4, "d", `"1.55" (expected a number of 4 digits, 1 of them behind the point)`},
		"1,\xff,1":    {0, "", `not UTF-8`},
		`1,"a""",1.x`: {8, "d", `"1.x" (expected a number of 4 digits, 1 of them behind the point)`},
	} {
		_, err := d.Decode(nil, []byte(record))
		var f *Fault
		if !errors.As(err, &f) || *f != want {
			t.Errorf("%s: %+v\nexpected %+v", record, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, record := range []string{`a,b,c`, `"a","b""",c`, `,,`, `"",a,""`, `a,b`, `a"b,c,d`, `"a"b,c,d`, "\"a\nb\",c,d", `"a,b`, ``} {
		f.Add([]byte(record))
	}
	d := decoder(f, "row(a: utf8, b: utf8, c: utf8)", nil)
	f.Fuzz(func(t *testing.T, record []byte) {
		if bytes.ContainsAny(record, "\r\n") || len(record) == 0 {
			return // it is not one record to encoding/csv
		}
		r := csv.NewReader(bytes.NewReader(record))
		want, wrong := r.Read()
		if wrong == nil && (len(want) != 3 || !utf8.Valid(record)) {
			wrong = errors.New("no row")
		}
		row, err := d.Decode(nil, record)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%q: %v (encoding/csv: %v)", record, err, wrong)
		}
		if err != nil {
			return
		}
		v := d.schema.Row(row)
		if got := []string{string(v.Bytes(0)), string(v.Bytes(1)), string(v.Bytes(2))}; !slices.Equal(got, want) {
			t.Fatalf("%q: %q (encoding/csv: %q)", record, got, want)
		}
	})
}

const bid = `1123,1874,2391875,channel-4711,"https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=1342177280",2026-01-01T00:00:00.050,qwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcv`

func TestNothingIsAllocated(t *testing.T) {
	const codec abi.Codec = "row(auction: i64, price: decimal(12, 3), dateTime: ms, extra: utf8)"
	d := decoder(t, codec, strings.Split("auction,bidder,price,channel,url,dateTime,extra", ","))
	e, err := NewEncoder(codec, nil, ',', scalar.TimeSQL)
	if err != nil {
		t.Fatal(err)
	}
	record := []byte(bid)
	row, line := make([]byte, 0, 1024), make([]byte, 0, 1024)
	if n := allocs.PerRun(100, func() {
		if row, err = d.Decode(row[:0], record); err != nil {
			t.Fatal(err)
		}
		if line, err = e.Append(line[:0], row); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBid(b *testing.B) {
	d := decoder(b, "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)", strings.Split("auction,bidder,price,channel,url,dateTime,extra", ","))
	record := []byte(bid)
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	var row []byte
	for b.Loop() {
		var err error
		if row, err = d.Decode(row[:0], record); err != nil {
			b.Fatal(err)
		}
	}
}
