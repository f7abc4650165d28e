package operator

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/oracle"
)

var totalKinds = []string{abi.AggregateMinBy, abi.AggregateMaxBy, abi.AggregateFirst, abi.AggregateLast, abi.AggregateTop, abi.AggregateBottom}

// randomSchema has a number to order by and other fields, of the types that decide among equals and some that do not.
func randomSchema(r *rand.Rand) *abi.Schema {
	types := []abi.FieldType{abi.TypeI64, abi.TypeMs, abi.TypeF64, abi.TypeUTF8, abi.TypeBytes, abi.TypeBool}
	s := &abi.Schema{Fields: []abi.Field{{Name: "a", Type: types[r.IntN(3)], Nullable: r.IntN(3) == 0}}}
	for _, name := range []string{"b", "c"}[:r.IntN(3)] {
		s.Fields = append(s.Fields, abi.Field{Name: name, Type: types[r.IntN(len(types))], Nullable: r.IntN(3) == 0})
	}
	return s
}

// setField gives a row one of few values, among them those that an order may take for each other.
func setField(w *abi.RowWriter, r *rand.Rand, i int, f *abi.Field) {
	null, pick := r.IntN(4) == 0, r.IntN(4)
	switch {
	case f.Nullable && null:
		w.SetNull(i)
	case f.Type == abi.TypeF64:
		w.SetF64(i, []float64{0, math.Copysign(0, -1), math.Float64frombits(0x7ff8000000000000), math.Float64frombits(0x7ff8000000000001)}[pick])
	case f.Type == abi.TypeBool:
		w.SetBool(i, pick%2 == 0)
	case f.Type.Variable():
		w.SetBytes(i, []byte([]string{"", "eight by", "eight bytes", "\xff\xff\xff\xff\xff\xff\xff\xff"}[pick]))
	default:
		w.SetI64(i, []int64{math.MaxInt64, math.MinInt64, -1, 1}[pick])
	}
}

// An aggregate that is total keeps the same records, byte for byte, in whatever order they come and however they are folded ahead.
func TestTotalAggregatesKeepTheSameInAnyOrder(t *testing.T) {
	total, not := 0, 0
	oracle.Check(t, 6000, func(t testing.TB, r *rand.Rand) {
		s := randomSchema(r)
		asked := abi.Aggregate{Name: "kept", Kind: totalKinds[r.IntN(len(totalKinds))], Field: "a"}
		if asked.Kind == abi.AggregateTop || asked.Kind == abi.AggregateBottom {
			asked.N = 1 + r.IntN(4)
		}
		var alike []*field.Field
		for _, f := range s.Fields[1:] {
			found, err := field.Find(s.Codec(), f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if r.IntN(3) == 0 {
				alike = append(alike, found)
			} else if found.Decides() {
				asked.Then = append(asked.Then, f.Name)
			}
		}
		made, err := field.NewAggregates(s.Codec(), []abi.Aggregate{asked})
		if err != nil {
			t.Fatal(err)
		}
		if !made[0].Total(s.Codec(), alike) {
			not++
			return
		}
		total++
		values := alikeRows(r, s, alike)
		want := keptOf(t, &made[0], values, len(values))
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if got := keptOf(t, &made[0], values, r.IntN(len(values)+1)); !bytes.Equal(got, want) {
			t.Fatalf("%s by %+v, alike %d:\n%x\nin another order\n%x", s.Codec(), asked, len(alike), got, want)
		}
	})
	if total < 500 || not < 500 {
		t.Fatalf("%d were total, %d not", total, not)
	}
}

// alikeRows are rows that have some fields in common, as keys tell them: one of f64 is some NaN in all of them.
func alikeRows(r *rand.Rand, s *abi.Schema, alike []*field.Field) (values [][]byte) {
	common := r.Uint64()
	for range 1 + r.IntN(12) {
		var w abi.RowWriter
		w.Reset(s)
		for i := range s.Fields {
			f := &s.Fields[i]
			switch {
			case !slices.ContainsFunc(alike, func(a *field.Field) bool { return a.Name == f.Name }):
				setField(&w, r, i, f)
			case f.Type == abi.TypeF64:
				w.SetF64(i, math.Float64frombits(0x7ff8000000000000|r.Uint64N(2)))
			default:
				setField(&w, rand.New(rand.NewPCG(common, uint64(i))), i, f)
			}
		}
		values = append(values, w.AppendTo(nil))
	}
	return values
}

// keptOf folds values one by one, those from split on apart, as those that are folded ahead are.
func keptOf(t testing.TB, a *field.Aggregate, values [][]byte, split int) []byte {
	fold := func(values [][]byte) (part []byte) {
		p := newBest(&kept{Aggregate: *a})
		for _, v := range values {
			moved, grown, s := p.add(part, v)
			if s == field.Broken {
				t.Fatalf("%x is broken", v)
			}
			if grown {
				part = bytes.Clone(moved)
			}
		}
		return part
	}
	one, other := fold(values[:split]), fold(values[split:])
	if len(other) == 0 {
		return one
	}
	if moved, grown := newBest(&kept{Aggregate: *a}).join(one, other); grown {
		return bytes.Clone(moved)
	}
	return one
}
