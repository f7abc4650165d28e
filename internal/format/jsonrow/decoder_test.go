package jsonrow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
)

func f64bits(v float64) uint64 { return math.Float64bits(v) }

func schema(t testing.TB, codec abi.Codec) *abi.Schema {
	t.Helper()
	s, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const everything abi.Codec = "row(b: bool?, i: i64?, f: f64?, t: ms?, s: utf8, y: bytes?, j: json?, d: decimal(12, 2)?, " +
	"l: list(utf8?)?, ll: list(list(i64))?, r: row(x: i64, y: utf8?, z: list(row(q: f64?))?)?, \"a b\": utf8?)"

// check holds a line against the model.
func check(t testing.TB, d *Decoder, s *abi.Schema, line []byte) {
	t.Helper()
	prefix := []byte("12345678")
	got, err := d.Decode(prefix, line)
	want, wrong := modelRow(s, line)
	switch {
	case err != nil && !bytes.Equal(got, prefix):
		t.Fatalf("%q: an error, and %d bytes appended", line, len(got)-len(prefix))
	case err != nil && wrong == nil && !twice(line):
		t.Fatalf("%q: %v (encoding/json takes it)", line, err)
	case err == nil && wrong != nil:
		t.Fatalf("%q: taken, as %x (encoding/json: %v)", line, got, wrong)
	case err == nil && !bytes.Equal(got[len(prefix):], want):
		t.Fatalf("%q:\ngot  %x\nwant %x", line, got[len(prefix):], want)
	case err == nil:
		if err := abi.Validate(s, got[len(prefix):]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	var f *Fault
	if errors.As(err, &f) && (f.At < 0 || f.At > len(line)) {
		t.Fatalf("%q: fault at byte %d", line, f.At)
	}
}

var lines = []string{
	`{"s":"x"}`, `{"s":""}`, ` { "s" : "x" } `, `{"s":"x","s":"y"}`, `{"s":"\u00e4\ud83d\ude00\ud83d\"\\\/\b\f\n\r\t"}`, `{"s":"\ud83d\u0041"}`,
	`{"s":"x","i":9223372036854775807}`, `{"s":"x","i":-9223372036854775808}`, `{"s":"x","i":9223372036854775808}`, `{"s":"x","i":-0}`, `{"s":"x","i":01}`,
	`{"s":"x","i":1.0}`, `{"s":"x","i":1e3}`, `{"s":"x","i":"1"}`, `{"s":"x","i":null}`, `{"s":null}`, `{}`, `null`, `[]`, ``, `{"s":"x"}x`, `{"s":"x",}`, `{,"s":"x"}`,
	`{"s":"x","f":1.5e300}`, `{"s":"x","f":1e400}`, `{"s":"x","f":-0.0}`, `{"s":"x","f":0.1}`, `{"s":"x","f":123456789012345.5}`, `{"s":"x","f":1.}`, `{"s":"x","f":-}`, `{"s":"x","f":.5}`,
	`{"s":"x","f":9007199254740993}`, `{"s":"x","f":179769313486231580793728971405301e276}`,
	`{"s":"x","t":"2026-01-31T23:59:59.050"}`, `{"s":"x","t":"2026-01-31 23:59:59"}`, `{"s":"x","t":1769903999050}`, `{"s":"x","t":"2026-01-31T23:59:59.05Z"}`, `{"s":"x","t":"2026-01-31"}`,
	`{"s":"x","y":"AQID"}`, `{"s":"x","y":"AQI="}`, `{"s":"x","y":"\/\/8="}`, `{"s":"x","y":"AQI"}`, `{"s":"x","y":""}`,
	`{"s":"x","j":{"a":[1,2,{"b":null}],"c":true}}`, `{"s":"x","j":null}`, `{"s":"x","j":"t"}`, `{"s":"x","j":[1,]}`, `{"s":"x","j":{"a" 1}}`,
	`{"s":"x","d":12.5}`, `{"s":"x","d":"-12.50"}`, `{"s":"x","d":1.255}`, `{"s":"x","d":1e3}`, `{"s":"x","d":""}`, `{"s":"x","d":99999999999}`,
	`{"s":"x","l":["a",null,"\n",""]}`, `{"s":"x","l":[]}`, `{"s":"x","l":[1]}`, `{"s":"x","l":["a",]}`, `{"s":"x","ll":[[1,2],[],[3]]}`, `{"s":"x","ll":[[1,2],null]}`,
	`{"s":"x","r":{"x":1}}`, `{"s":"x","r":{"x":1,"y":"z","z":[{"q":1.5},{},{"q":null}]}}`, `{"s":"x","r":{}}`, `{"s":"x","r":{"x":1,"x":2},"r":{"x":3}}`, `{"r":{"x":1,"y":"a"},"s":"x","r":{"x":2}}`,
	`{"s":"x","b":true}`, `{"s":"x","b":false}`, `{"s":"x","b":tru}`, `{"s":"x","b":nul}`, `{"s":"x","a b":"q"}`, `{"s":"x","a\u0020b":"q"}`, `{"\u0073":"x"}`,
	`{"unwanted":{"deep":[[[{"x":"\u12"}]]]},"s":"x"}`, `{"unwanted":{"deep":[[[{"x":"\u1234"}]]]},"s":"x"}`, `{"u":1e,"s":"x"}`, `{"u":-1.5E+10,"s":"x"}`,
	"{\"s\":\"a\tb\"}", "{\"u\":\"a\tb\",\"s\":\"x\"}", "{\"s\":\"\xff\"}", "{\"u\":\"\xff\",\"s\":\"x\"}", "{\"s\":\"gr\u00fcezi, gr\u00fcezi\"}", "\ufeff{\"s\":\"x\"}", "{\"s\":\"x\"\xff}",
	`{"s":"` + strings.Repeat("long ", 100) + `"}`, `{"s":"x`, `{"s":"x\`, `{"s`, `{"s"`, `{"s":`, `{"s":"12345678"}`, `{"s":"1234567\""}`,
}

func TestLinesAreReadAsEncodingJSONReadsThem(t *testing.T) {
	s := schema(t, everything)
	d := NewDecoder(s)
	for range 2 { // the second time in another order, from what was learned
		for _, line := range lines {
			check(t, d, s, []byte(line))
			check(t, NewDecoder(s), s, []byte(line))
		}
		slices.Reverse(lines)
	}
}

func FuzzDecode(f *testing.F) {
	for _, line := range lines {
		f.Add([]byte(line))
	}
	s := schema(f, everything)
	d := NewDecoder(s) // what it has learned from one line must not change what it makes of the next
	f.Fuzz(func(t *testing.T, line []byte) {
		check(t, d, s, line)
		check(t, NewDecoder(s), s, line)
	})
}

func TestRandomLinesAreReadAsEncodingJSONReadsThem(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range 100 {
		g := generator{random}
		s := &abi.Schema{Fields: g.fields(1+random.IntN(8), 0)}
		if _, err := abi.ParseSchema(s.Codec()); err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(s)
		for range 100 {
			line := g.object(s, nil)
			check(t, d, s, line)
			check(t, d, s, g.damage(line))
		}
	}
}

// generator makes schemas and lines of them up.
type generator struct{ *rand.Rand }

func (g generator) fields(n, depth int) []abi.Field {
	all := make([]abi.Field, n)
	for i := range all {
		all[i] = g.field(depth)
		all[i].Name = fmt.Sprintf("%c%d", 'a'+rune(g.IntN(4)), i)
	}
	return all
}

func (g generator) field(depth int) abi.Field {
	f := abi.Field{Type: abi.FieldType(1 + g.IntN(10)), Nullable: g.IntN(3) > 0}
	if depth > 2 && f.Type > abi.TypeDecimal {
		f.Type = abi.TypeI64
	}
	switch f.Type {
	case abi.TypeDecimal:
		f.Precision = 1 + g.IntN(38)
		f.Scale = g.IntN(f.Precision + 1)
	case abi.TypeList:
		elem := g.field(depth + 1)
		f.Elem = &elem
	case abi.TypeRow:
		f.Row = &abi.Schema{Fields: g.fields(1+g.IntN(4), depth+1)}
	}
	return f
}

func (g generator) space(b []byte) []byte {
	if g.IntN(10) == 0 {
		return append(b, " \t\r\n"[g.IntN(4)])
	}
	return b
}

func (g generator) object(s *abi.Schema, b []byte) []byte {
	b = append(b, '{')
	order := g.Perm(len(s.Fields))
	if g.IntN(3) > 0 {
		slices.Sort(order)
	}
	if len(order) > 0 && g.IntN(5) == 0 {
		order = append(order, order[g.IntN(len(order))]) // a key that stands twice
	}
	n := 0
	comma := func() {
		if n++; n > 1 {
			b = append(g.space(b), ',')
		}
		b = g.space(b)
	}
	for _, i := range order {
		if g.IntN(10) == 0 {
			comma()
			b = append(append(fmt.Appendf(b, `"u%d"`, g.IntN(3)), ':'), g.any(0)...)
		}
		f := &s.Fields[i]
		if g.IntN(15) == 0 {
			continue
		}
		comma()
		key, _ := json.Marshal(f.Name)
		b = append(g.space(append(g.space(append(b, key...)), ':')), g.value(f)...)
	}
	return append(g.space(b), '}')
}

// any is a value that nobody wants.
func (g generator) any(depth int) []byte {
	f := g.field(depth)
	return g.value(&f)
}

func (g generator) value(f *abi.Field) []byte {
	if f.Nullable && g.IntN(5) == 0 {
		return []byte("null")
	}
	switch f.Type {
	case abi.TypeBool:
		return []byte([]string{"true", "false"}[g.IntN(2)])
	case abi.TypeI64:
		return fmt.Appendf(nil, "%d", g.Int64()>>g.IntN(64)*int64(1-2*g.IntN(2)))
	case abi.TypeF64:
		return g.number()
	case abi.TypeMs:
		return []byte([]string{`"2026-01-31T23:59:59.050"`, `"2024-02-29 00:00:00"`, "12345", `"1969-12-31T23:59:59.999Z"`, `"2023-02-29T00:00:00"`}[g.IntN(5)])
	case abi.TypeUTF8, abi.TypeJSON:
		text := make([]rune, g.IntN(20))
		for i := range text {
			text[i] = []rune{'a', '"', '\\', 'ä', '€', '😀', '\n', 0, '/', 'b', 'c', 'd'}[g.IntN(12)]
		}
		quoted, _ := json.Marshal(string(text))
		return quoted
	case abi.TypeBytes:
		b := make([]byte, g.IntN(6))
		for i := range b {
			b[i] = byte(g.Uint32())
		}
		quoted, _ := json.Marshal(b)
		return quoted
	case abi.TypeDecimal:
		if g.IntN(4) == 0 {
			return g.number()
		}
		whole := strings.TrimLeft(fmt.Sprintf("%0*d", f.Precision, g.Uint64()), "0")
		if len(whole) > f.Precision-f.Scale {
			whole = whole[:f.Precision-f.Scale]
		}
		if whole = strings.TrimLeft(whole, "0"); whole == "" {
			whole = "0"
		}
		if f.Scale > 0 && g.IntN(3) > 0 {
			whole += "." + fmt.Sprintf("%0*d", f.Scale, g.IntN(10))
		}
		return []byte(whole)
	case abi.TypeList:
		b := []byte{'['}
		for i := range g.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(g.space(b), g.value(f.Elem)...)
		}
		return append(b, ']')
	}
	return g.object(f.Row, nil)
}

func (g generator) number() []byte {
	v := math.Float64frombits(g.Uint64())
	switch g.IntN(3) {
	case 0:
		v = float64(g.IntN(1000)) / 8
	case 1:
		v = float64(g.Int64N(1<<60)) / 1000
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	b, _ := json.Marshal(v)
	return b
}

// damage changes a byte of the line, or cuts it off.
func (g generator) damage(line []byte) []byte {
	line = slices.Clone(line)
	i := g.IntN(len(line))
	switch g.IntN(4) {
	case 0:
		return line[:i]
	case 1:
		return slices.Delete(line, i, i+1)
	case 2:
		return slices.Insert(line, i, `{}[]",:\0-.eun`[g.IntN(14)])
	}
	line[i] = byte(g.Uint32())
	return line
}

func TestFaultsNameThePlace(t *testing.T) {
	d := NewDecoder(schema(t, "row(id: i64, price: decimal(6, 2)?, at: ms?, items: list(row(n: i64))?)"))
	for line, want := range map[string]Fault{
		`{"price":1}`:                               {10, "id", "missing (expected a whole number of 64 bits)"},
		`{"id":null}`:                               {6, "id", `"null}" (expected a whole number of 64 bits)`},
		`{"id":1,"price":1.005}`:                    {16, "price", `"1.005}" (expected a number of 6 digits, 2 of them behind the point)`},
		`{"id":1,"at":"yesterday"}`:                 {13, "at", `"\"yesterday\"}" (expected a time such as "2026-01-31T23:59:59.050", or milliseconds)`},
		`{"id":1,"items":[{"n":1},{"n":"2"}]}`:      {30, "items[1].n", `"\"2\"}]}" (expected a whole number of 64 bits)`},
		`{"id":1`:                                   {7, "", `the end of the line (expected , or })`},
		`{"id":1} {"id":2}`:                         {9, "", `"{\"id\":2}" (expected the end)`},
		`id=1`:                                      {0, "", `"id=1" (expected an object)`},
		"{\"id\":1,\"unwanted\":\"gr\xfcezi\"}":     {22, "", "not UTF-8"},
		`{"id":1,"unwanted":"` + "a\tb" + `"}`:      {21, "", `"\tb\"}" (expected the string's closing quote; control characters in it are escaped)`},
		`{"id":1,"unwanted":"\x"}`:                  {20, "", `"\\x\"}" (expected an escape: one of \" \\ \/ \b \f \n \r \t, or \u and four hexadecimal digits)`},
		`{"id":1,"u":` + strings.Repeat("[", 10001): {10012, "", "too many objects and lists in each other"},
	} {
		_, err := d.Decode(nil, []byte(line))
		var f *Fault
		if !errors.As(err, &f) || *f != want {
			t.Errorf("%.60s: %+v\nexpected %+v", line, err, want)
		}
	}
}

func TestLinesThatGrowAreRefused(t *testing.T) {
	s := schema(t, "row(l: list(row(a: i64?, b: i64?, c: i64?, d: i64?, e: i64?, f: i64?)))")
	line := []byte(`{"l":[` + strings.Repeat("{},", 350_000) + `{}]}`)
	if _, err := NewDecoder(s).Decode(nil, line); err == nil || !strings.Contains(err.Error(), "larger than a record may be") {
		t.Errorf("%v", err)
	}
}

const bidLine = `{"event_type":2,"person":null,"auction":null,"bid":{"auction":1123,"bidder":1874,"price":2391875,"channel":"channel-4711","url":"https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=1342177280","dateTime":"2026-01-01T00:00:00.050","extra":"qwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcvbnmqwertzuiopasdfghjklyxcv"}}`

func TestNothingIsAllocatedForALine(t *testing.T) {
	for _, codec := range []abi.Codec{
		"row(bid: row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)?)",
		"row(event_type: i64, bid: row(url: utf8, extra: json, price: decimal(12, 3))?)",
	} {
		d := NewDecoder(schema(t, codec))
		line := []byte(strings.Replace(bidLine, "1123", `1123 `, 1))
		var row []byte
		if n := allocs.PerRun(100, func() {
			var err error
			if row, err = d.Decode(row[:0], line); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", codec, n)
		}
	}
}

func BenchmarkBid(b *testing.B) {
	d := NewDecoder(schema(b, "row(bid: row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)?)"))
	line := []byte(bidLine)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	var row []byte
	for b.Loop() {
		var err error
		if row, err = d.Decode(row[:0], line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBidEncodingJSON(b *testing.B) {
	var event struct {
		Bid *struct {
			Auction, Bidder, Price int64
			DateTime, Extra        string
		}
	}
	line := []byte(bidLine)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if err := json.Unmarshal(line, &event); err != nil {
			b.Fatal(err)
		}
	}
}
