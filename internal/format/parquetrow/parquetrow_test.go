package parquetrow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/wasmill/wasmill/abi"
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

const everything abi.Codec = "row(b: bool, i: i64?, f: f64, t: ms?, \"the s\": utf8, y: bytes?, j: json?, d: decimal(12, 2)?, e: decimal(38, 3)?, " +
	"l: list(utf8?)?, ll: list(list(i64)), r: row(x: i64, y: list(row(z: f64?, w: list(i64?)?)))?)"

var lines = []string{
	`{"b":true,"i":-7,"f":0.5,"t":"2026-01-31T23:59:59.050","the s":"grüezi","y":"AQI=","j":{"a":[1]},"d":-12.5,"e":-12345678901234567890123456789012345.678,"l":["a",null,""],"ll":[[1,2],[],[3]],"r":{"x":1,"y":[{"z":1.5,"w":[1,null]},{},{"w":[]}]}}`,
	`{"b":false,"f":-1e300,"the s":"","ll":[]}`,
	`{"b":true,"i":9223372036854775807,"f":0,"t":-1,"the s":"x","y":"","d":9999999999.99,"e":0.001,"l":[],"ll":[[]],"r":{"x":-9223372036854775808,"y":[]}}`,
}

// rowsOf are those of lines of JSON.
func rowsOf(t testing.TB, codec abi.Codec, lines ...string) (all [][]byte) {
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

// written is a file of rows.
func written(t testing.TB, codec abi.Codec, compression string, limit int, all [][]byte) []byte {
	t.Helper()
	e, err := NewEncoder(codec, nil, compression)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := e.Begin(&b, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		if err := w.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads all rows of a file, and the faults of what is none.
func read(s *abi.Schema, file []byte) (rows [][]byte, faults []string, err error) {
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, nil, err
	}
	for group := range f.Groups() {
		r, err := f.Read(s, group, 0)
		if err != nil {
			return nil, nil, err
		}
		defer r.Close()
		for {
			row, fault, err := r.Next(nil)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, nil, err
			}
			if fault != nil {
				faults = append(faults, fault.Error())
				continue
			}
			rows = append(rows, row)
		}
	}
	return rows, faults, nil
}

// shown are rows as JSON.
func shown(t testing.TB, s *abi.Schema, rows [][]byte) string {
	t.Helper()
	e, err := jsonrow.NewEncoder(s.Codec(), nil, scalar.TimeMillis)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range rows {
		line, err := e.Append(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(line))
	}
	return strings.Join(all, "\n")
}

func TestRowsAreReadAsTheyAreWritten(t *testing.T) {
	var many []string
	for range 100 {
		many = append(many, lines...)
	}
	all := rowsOf(t, everything, many...)
	for compression := range compressions {
		file := written(t, everything, compression, 20_000, all)
		got, faults, err := read(schema(t, everything), file)
		if err != nil || len(faults) > 0 || len(got) != len(all) {
			t.Fatalf("%s: %d rows, %q, %v (expected %d)", compression, len(got), faults, err, len(all))
		}
		for i := range got {
			if !bytes.Equal(got[i], all[i]) {
				t.Fatalf("%s, row %d:\ngot  %x\nwant %x", compression, i, got[i], all[i])
			}
		}
		f, err := Open(bytes.NewReader(file), int64(len(file)))
		if err != nil || f.Groups() < 3 || f.GroupBytes(0) <= 0 || f.GroupBytes(0) > int64(len(file)) {
			t.Errorf("%s: %d groups, the first of %d bytes, %v", compression, f.Groups(), f.GroupBytes(0), err)
		}
	}
}

// A reader that begins in the middle gives the rest, and one of other fields those.
func TestRowsFromTheMiddleAndSomeFields(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf(`{"id":%d,"unwanted":{"a":[%d,%d]},"l":[{"n":%d},{"n":%d}]}`, i, i, i, i, -i))
	}
	const codec = "row(id: i64, unwanted: row(a: list(i64)), l: list(row(n: i64)))"
	file := written(t, codec, "snappy", 0, rowsOf(t, codec, many...))
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	s := schema(t, "row(l: list(row(n: i64, missing: utf8?)), id: i64)")
	for _, from := range []int64{0, 1, 63, 64, 65, 199, 200} {
		r, err := f.Read(s, 0, from)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := from
		for ; ; n++ {
			row, fault, err := r.Next(nil)
			if err == io.EOF {
				break
			}
			if err != nil || fault != nil {
				t.Fatal(err, fault)
			}
			want := fmt.Sprintf(`{"l":[{"n":%d,"missing":null},{"n":%d,"missing":null}],"id":%d}`, n, -n, n)
			if got := shown(t, s, [][]byte{row}); got != want {
				t.Fatalf("row %d from %d on: %s (expected %s)", n, from, got, want)
			}
		}
		if n != 200 {
			t.Errorf("from %d: %d rows", from, n-from)
		}
	}
}

// What is written is what the library reads, and the columns have the order of the row.
func TestFilesAreParquet(t *testing.T) {
	file := written(t, everything, "zstd", 0, rowsOf(t, everything, lines...))
	type inner struct {
		Z *float64 `parquet:"z"`
	}
	got, err := parquet.Read[struct {
		B bool       `parquet:"b"`
		I *int64     `parquet:"i"`
		T *time.Time `parquet:"t,timestamp(millisecond)"`
		S string     `parquet:"the s"`
		D *int64     `parquet:"d,decimal(2:12)"`
		L []*string  `parquet:"l,list,optional"`
		R *struct {
			X int64   `parquet:"x"`
			Y []inner `parquet:"y,list"`
		} `parquet:"r"`
	}](bytes.NewReader(file), int64(len(file)))
	if err != nil || len(got) != 3 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	r := got[0]
	if !r.B || *r.I != -7 || r.T.UnixMilli() != 1769903999050 || r.S != "grüezi" || *r.D != -1250 || len(r.L) != 3 || r.R.X != 1 || len(r.R.Y) != 3 || *r.R.Y[0].Z != 1.5 {
		t.Errorf("%+v", r)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range f.Root().Columns() {
		names = append(names, c.Name())
	}
	if strings.Join(names, ",") != "b,i,f,t,the s,y,j,d,e,l,ll,r" {
		t.Errorf("columns %q", names)
	}
}

type foreign struct {
	I32  int32             `parquet:"i32"`
	U64  uint64            `parquet:"u64"`
	F32  float32           `parquet:"f32"`
	Us   time.Time         `parquet:"us,timestamp(microsecond)"`
	Ns   time.Time         `parquet:"ns,timestamp(nanosecond)"`
	Day  int32             `parquet:"day,date"`
	Old  deprecated.Int96  `parquet:"old"`
	Raw  []byte            `parquet:"raw"`
	Text string            `parquet:"text,enum"`
	D32  int32             `parquet:"d32,decimal(1:6)"`
	Bare []int64           `parquet:"bare"`
	M    map[string]string `parquet:"m"`
	ID   [16]byte          `parquet:"id,uuid"`
}

// Files of others have other types, which become rows where nothing is lost.
func TestTypesOfOthers(t *testing.T) {
	var b bytes.Buffer
	at := time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	err := parquet.Write(&b, []foreign{
		{-7, 1 << 63, 0.5, at, at, 20, deprecated.Int96{1_000_000, 0, 2440588}, []byte("{}"), "RED", -125, []int64{1, 2}, map[string]string{"a": "b"}, [16]byte{1}},
		{7, 5, 0.25, at, at, -1, deprecated.Int96{0, 0, 2440587}, []byte("\xff"), "BLUE", 9999, nil, nil, [16]byte{2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		codec  abi.Codec
		want   string
		faults string
	}{
		{"row(i32: i64, f32: f64, us: ms, ns: ms, day: ms, old: ms)",
			`{"i32":-7,"f32":0.5,"us":-1,"ns":-1,"day":1728000000,"old":1}` + "\n" + `{"i32":7,"f32":0.25,"us":-1,"ns":-1,"day":-86400000,"old":-86400000}`, ""},
		{"row(u64: i64)", `{"u64":5}`, "u64: 9223372036854775808 (expected < 2^63)"},
		{"row(raw: json, text: utf8)", `{"raw":{},"text":"RED"}`, `raw: not JSON: "\xff" (expected a value)`},
		{"row(raw: utf8)", `{"raw":"{}"}`, `raw: not UTF-8`},
		{"row(d32: decimal(4, 2), bare: list(i64), i32: decimal(3, 1))", `{"d32":-12.50,"bare":[1,2],"i32":-7.0}`, "d32: does not fit a number of 4 digits, 2 of them behind the point"},
		{"row(id: bytes, bare: list(f64))", `{"id":"AQAAAAAAAAAAAAAAAAAAAA==","bare":[1,2]}` + "\n" + `{"id":"AgAAAAAAAAAAAAAAAAAAAA==","bare":[]}`, ""},
		{"row(m: row(key: utf8))", "", `field "m": the file has a map (expected what makes row)`},
		{"row(m: list(utf8))", "", `field "m": the file has a map (expected what makes a list)`},
		{"row(i32: utf8)", "", `field "i32": the file has INT(32,true) (expected what makes utf8)`},
		{"row(bare: i64)", "", `field "bare": the file has a list (expected what makes i64)`},
		{"row(nobody: i64)", "", `no field "nobody" (the file has i32, u64, f32, us, ns, day, old, raw, text, d32, bare, m, id)`},
		{"row(nobody: i64?)", "", `none of the fields is in the file (it has i32, u64, f32, us, ns, day, old, raw, text, d32, bare, m, id)`},
	} {
		s := schema(t, c.codec)
		rows, faults, err := read(s, b.Bytes())
		if c.want == "" {
			if err == nil || err.Error() != c.faults {
				t.Errorf("%s: %v (expected %s)", c.codec, err, c.faults)
			}
			continue
		}
		if err != nil || strings.Join(faults, "\n") != c.faults || shown(t, s, rows) != c.want {
			t.Errorf("%s: %v, %q\ngot  %s\nwant %s", c.codec, err, faults, shown(t, s, rows), c.want)
		}
	}
}

func TestNullsThatMayNotBe(t *testing.T) {
	const codec = "row(id: i64?, l: list(row(n: i64?)?)?)"
	file := written(t, codec, "none", 0, rowsOf(t, codec, `{"id":1,"l":[{"n":1},{"n":null}]}`, `{"id":null,"l":[{"n":1}]}`, `{"id":2,"l":[null]}`, `{"id":3}`, `{"id":4,"l":[{"n":5}]}`))
	s := schema(t, "row(id: i64, l: list(row(n: i64)))")
	rows, faults, err := read(s, file)
	want := []string{"l[1].n: null (expected a value)", "id: null (expected a value)", "l[0]: null (expected a value)", "l: null (expected a value)"}
	if err != nil || strings.Join(faults, "\n") != strings.Join(want, "\n") || shown(t, s, rows) != `{"id":4,"l":[{"n":5}]}` {
		t.Errorf("%s, %q, %v", shown(t, s, rows), faults, err)
	}
}

// Whatever is wrong with a file is an error, or makes rows.
func TestDamageIsNoPanic(t *testing.T) {
	var many []string
	for range 30 {
		many = append(many, lines...)
	}
	s := schema(t, everything)
	for _, compression := range []string{"none", "snappy"} {
		file := written(t, everything, compression, 10_000, rowsOf(t, everything, many...))
		for range 150 {
			p := bytes.Clone(file)
			for range 1 + rand.IntN(3) {
				p[rand.IntN(len(p))] = byte(rand.Uint32())
			}
			rows, _, err := read(s, p)
			if err != nil {
				continue
			}
			for _, row := range rows {
				if err := abi.Validate(s, row); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := Open(strings.NewReader("id,name\n1,x\n"), 12); err == nil || !strings.HasPrefix(err.Error(), "no Parquet file") {
		t.Errorf("text: %v", err)
	}
}

func TestValuesThatAreNoRows(t *testing.T) {
	e, err := NewEncoder("row(a: i64)", nil, "none")
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.Begin(io.Discard, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]byte("x")); !errors.Is(err, ErrValue) {
		t.Errorf("%v", err)
	}
	for codec, want := range map[abi.Codec]string{"utf8": "not a row", "row(a: i64)": "columns: no field"} {
		if _, err := NewEncoder(codec, []string{"b"}, "none"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", codec, err)
		}
	}
	if _, err := NewEncoder("row(a: i64)", nil, "deflate"); err == nil || err.Error() != `compression: "deflate" (expected snappy, none or zstd)` {
		t.Errorf("%v", err)
	}
}

func BenchmarkBid(b *testing.B) {
	const codec = "row(auction: i64, bidder: i64, price: i64, channel: utf8, url: utf8, dateTime: ms, extra: utf8)"
	var many []string
	for i := range 50_000 {
		many = append(many, fmt.Sprintf(`{"auction":%d,"bidder":%d,"price":%d,"channel":"channel-%d","url":"https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=%d","dateTime":"2026-01-01T00:00:00.050","extra":"qwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcv"}`, 1000+i%1000, i%700, i*7919, i%10000, i*31))
	}
	rows := rowsOf(b, codec, many...)
	b.Run("write", func(b *testing.B) {
		e, err := NewEncoder(codec, nil, "snappy")
		if err != nil {
			b.Fatal(err)
		}
		w, err := e.Begin(io.Discard, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := w.Add(rows[n%len(rows)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	file := written(b, codec, "snappy", 0, rows)
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		b.Fatal(err)
	}
	s := schema(b, "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)")
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		var r *Reader
		var row []byte
		for b.Loop() {
			if r == nil {
				if r, err = f.Read(s, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
			row, _, err = r.Next(row[:0])
			if err == io.EOF {
				r.Close()
				r = nil
			} else if err != nil {
				b.Fatal(err)
			}
		}
	})
}
