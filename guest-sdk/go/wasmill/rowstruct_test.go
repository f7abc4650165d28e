//go:build !wasip1

package wasmill

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
)

type everyField struct {
	B bool
	I int
	F float64
	T Millis
	S string
	Y []byte
	J JSON
	D Decimal `row:"d,decimal(12, 2)"`
	L []*string
	R struct {
		X int64
		Y string
	}
	N        *int64
	Z        *string
	internal int
	Skipped  chan int `row:"-"`
}

func structOf[T any](t *testing.T) codec[T] {
	t.Helper()
	c, problem := structCodec[T]()
	if problem != "" {
		t.Fatal(problem)
	}
	return c
}

func TestStructsAreGoldenRows(t *testing.T) {
	one, empty, z := "one", "", "12345678"
	v := everyField{B: true, I: -2, F: 2.5, T: 1700000000000, S: "grüezi", J: JSON(`{"a":1}`), D: DecimalOf(-12345), L: []*string{&one, nil, &empty}, Z: &z}
	v.R.X, v.R.Y = 7, "in"
	c := structOf[everyField](t)
	if want := "row(b: bool, i: i64, f: f64, t: ms, s: utf8, y: bytes, j: json, d: decimal(12, 2), l: list(utf8?), r: row(x: i64, y: utf8), n: i64?, z: utf8?)"; c.name != want {
		t.Errorf("codec %s (expected %s)", c.name, want)
	}
	golden := goldenBytes(t, "row-all")
	if got := c.append([]byte("prefix"), v); !bytes.Equal(got[6:], golden) {
		t.Errorf("wrote %x\nwant  %x", got[6:], golden)
	}
	got := c.decode(golden)
	if len(got.Y) == 0 {
		got.Y = nil
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("read %+v\nwant %+v", got, v)
	}
}

func TestStructsAreGoldenKeys(t *testing.T) {
	type composite struct {
		Word *string
		A, B float64
	}
	sea := "sea"
	if got := structOf[composite](t).appendKey(nil, composite{&sea, math.Copysign(0, -1), math.Float64frombits(0x7ff8000000000123)}); !bytes.Equal(got, goldenBytes(t, "key-composite")) {
		t.Errorf("wrote %x", got)
	}
	type nullable struct{ Word *string }
	if got := structOf[nullable](t).appendKey(nil, nullable{}); !bytes.Equal(got, goldenBytes(t, "key-nullable")) {
		t.Errorf("wrote %x", got)
	}
}

func TestStructsOfStructsAndSlices(t *testing.T) {
	type point struct{ X, Y *float64 }
	type path struct {
		ID     int64 `row:"the id"`
		Points []point
		Grid   [][]int64
		At     *point
		Costs  []Decimal `row:"costs,decimal(5, 1)"`
		Counts KeyValue[string, int64]
	}
	c := structOf[path](t)
	if want := `row("the id": i64, points: list(row(x: f64?, y: f64?)), grid: list(list(i64)), at: row(x: f64?, y: f64?)?, costs: list(decimal(5, 1)), counts: row(key: utf8, value: i64))`; c.name != want {
		t.Errorf("codec %s (expected %s)", c.name, want)
	}
	one := 1.5
	v := path{ID: 1, Points: []point{{&one, nil}, {}}, Grid: [][]int64{{1, 2}, {}, {3}}, At: &point{nil, &one}, Costs: []Decimal{DecimalOf(-15)}, Counts: KeyValue[string, int64]{"a", 2}}
	if got := c.decode(c.append(nil, v)); !reflect.DeepEqual(got, v) {
		t.Errorf("read %+v\nwant %+v", got, v)
	}
}

func TestRowsOfMoreThan64Fields(t *testing.T) {
	fields := make([]reflect.StructField, 65)
	for i := range fields {
		fields[i] = reflect.StructField{Name: "F" + strings.Repeat("x", i+1), Type: reflect.TypeFor[*int64]()}
	}
	typ := reflect.StructOf(fields)
	row, problem := newRowStruct(typ, 1)
	if problem != "" {
		t.Fatal(problem)
	}
	v, five := reflect.New(typ), int64(5)
	v.Elem().Field(0).Set(reflect.ValueOf(&five))
	p := row.append(nil, v.UnsafePointer(), false)
	back := reflect.New(typ)
	row.decode(p, back.UnsafePointer())
	if len(p) != 16+65*8 || !reflect.DeepEqual(v.Interface(), back.Interface()) {
		t.Errorf("%d bytes: %x", len(p), p)
	}
}

func TestStructsWithoutACodecSayWhy(t *testing.T) {
	type deep struct{ Next []deep }
	for _, c := range []struct{ got, want string }{
		{second(structCodec[struct{ A chan int }]()), "field A: type chan int (expected bool, int, int64, float64, Millis"},
		{second(structCodec[struct{ A Decimal }]()), "field A: a Decimal without digits"},
		{second(structCodec[struct{ a int }]()), "no exported fields"},
		{second(structCodec[deep]()), "structs and slices more than 16 deep"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s (expected %s)", c.got, c.want)
		}
	}
}

func second[A, B any](_ A, b B) B { return b }

func TestNamesAreLowered(t *testing.T) {
	for name, want := range map[string]string{"DateTime": "dateTime", "ID": "id", "URLPath": "urlPath", "X": "x", "ÄndertSich": "ändertSich"} {
		if got := lowered(name); got != want {
			t.Errorf("%s: %s (expected %s)", name, got, want)
		}
	}
}

type bid struct {
	Auction, Bidder, Price int64
	DateTime               Millis
	Extra                  string
}

func TestStructsWithoutPointersAllocateNothing(t *testing.T) {
	c := structOf[bid](t)
	p := c.append(nil, bid{1, 2, 3, 4, "extra"})
	dst := make([]byte, 0, 256)
	var read bid
	if n := allocsPerRun(100, func() {
		read = c.decode(p)
		dst = c.append(dst[:0], read)
	}); n != 0 || read.Extra != "extra" {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStruct(b *testing.B) {
	c, _ := structCodec[bid]()
	p := c.append(nil, bid{1, 2, 3, 4, "extra"})
	b.ReportAllocs()
	var v bid
	for b.Loop() {
		v = c.decode(p)
		p = c.append(p[:0], v)
		v.Extra = "extra"
	}
}
