package field

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// The bytes of two keys of a row compare as their fields do, each in its direction.
func TestOrderIsThatOfTheFields(t *testing.T) {
	const codec abi.Codec = "row(n: i64?, f: f64, s: utf8, b: bool, d: decimal(20, 2))"
	schema, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		n    *int64
		f    float64
		s    string
		b    bool
		d    int64
		text []byte
	}
	var w abi.RowWriter
	w.Reset(schema)
	make := func(r *rand.Rand) (k key) {
		if n := r.Int64N(5) - 2; n != 2 {
			k.n = &n
		}
		k.f = []float64{math.Inf(-1), -1.5, 0, 2, math.Inf(1), math.NaN()}[r.IntN(6)]
		k.s = []string{"", "a", "a\x00", "a\x00b", "ab", "b"}[r.IntN(6)]
		k.b, k.d = r.IntN(2) == 0, r.Int64N(7)-3
		if w.SetI64(0, 0); k.n != nil {
			w.SetI64(0, *k.n)
		} else {
			w.SetNull(0)
		}
		w.SetF64(1, k.f)
		w.SetBytes(2, []byte(k.s))
		w.SetBool(3, k.b)
		w.SetBytes(4, abi.AppendDecimal(nil, k.d>>63, uint64(k.d)))
		k.text = w.AppendTo(nil)
		return k
	}
	compare := func(a, b key, down []bool) int {
		null := func(p *int64) int64 {
			if p == nil {
				return math.MinInt64
			}
			return *p
		}
		nan := func(f float64) (int, float64) {
			if f != f {
				return 1, 0
			}
			return 0, f
		}
		an, af := nan(a.f)
		bn, bf := nan(b.f)
		flag := map[bool]int{true: 1}
		for i, c := range []int{
			cmp.Compare(null(a.n), null(b.n)), cmp.Or(cmp.Compare(an, bn), cmp.Compare(af, bf)), strings.Compare(a.s, b.s), cmp.Compare(flag[a.b], flag[b.b]), cmp.Compare(a.d, b.d),
		} {
			if c != 0 && down[i] {
				return -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
	oracle.Check(t, 2000, func(t testing.TB, r *rand.Rand) {
		var by []string
		down := []bool{}
		for range schema.Fields {
			d := r.IntN(2) == 0
			down = append(down, d)
			by = append(by, map[bool]string{true: abi.Descending, false: abi.Ascending}[d])
		}
		o, err := NewOrder(codec, by)
		if err != nil {
			t.Fatal(err)
		}
		a, b := make(r), make(r)
		x, okX := o.Append(nil, a.text)
		y, okY := o.Append(nil, b.text)
		if !okX || !okY {
			t.Fatal("a key is not read")
		}
		if have, want := bytes.Compare(x, y), compare(a, b, down); have != want {
			t.Fatalf("%+v and %+v, down %v: %d (expected %d)", a, b, down, have, want)
		}
	})
}

func TestOrderRefusals(t *testing.T) {
	for _, c := range []struct {
		key  abi.Codec
		by   []string
		want string
	}{
		{"row(a: list(i64))", nil, `of field "a", which is a list`},
		{"row(a: i64, b: i64, c: i64)", []string{"asc", "desc"}, "2 of keys that have 3 fields (expected one, or one for each)"},
		{"i64", []string{"asc", "desc"}, "2 of keys that have 1 fields"},
	} {
		if _, err := NewOrder(c.key, c.by); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s by %v: %v (expected %s)", c.key, c.by, err, c.want)
		}
	}
	o, err := NewOrder("i64", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := o.Append(nil, []byte("abc")); ok {
		t.Error("3 bytes are an i64")
	}
}
