package operator

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// randomFloats are numbers of one size or of all sizes, some of which take each other away, and now and then one that is none.
func randomFloats(r *rand.Rand) (all []float64) {
	kind := r.IntN(5)
	for range 1 + r.IntN(60) {
		var v float64
		switch kind {
		case 0:
			v = math.Round(r.Float64()*1e5) / 100
		case 1:
			v = r.NormFloat64() * math.Pow(2, float64(r.IntN(200)-100))
		case 2:
			v = math.Float64frombits(r.Uint64() &^ (1 << 52)) // without its last bit an exponent is that of a number
		case 3:
			v = math.Float64frombits(r.Uint64N(1<<54) | r.Uint64N(2)<<63) // the least there are
		case 4:
			v = math.Float64frombits(uint64(2000+r.IntN(47))<<52 | r.Uint64N(1<<52) | r.Uint64N(2)<<63) // the largest
		}
		all = append(all, v)
		if r.IntN(3) == 0 {
			all = append(all, -v)
		}
	}
	if r.IntN(8) == 0 {
		for range 1 + r.IntN(2) {
			all = append(all, []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)}[r.IntN(4)])
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// nearest is the f64 nearest to the sum of numbers.
func nearest(all []float64) float64 {
	sum, other := new(big.Float).SetPrec(2400), 0.0
	for _, v := range all {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			other += v
			continue
		}
		sum.Add(sum, new(big.Float).SetFloat64(v))
	}
	if other != 0 {
		return other
	}
	v, _ := sum.Float64()
	return v + 0 // 0 has no sign
}

// sumOf adds numbers up, in pieces that are folded apart and joined two by two in some order; carrying is how often digits are carried.
func sumOf(r *rand.Rand, all []float64, carrying int) []byte {
	s := &exactSum{}
	parts := make([][]byte, 1+r.IntN(4))
	for _, v := range all {
		p := &parts[r.IntN(len(parts))]
		if moved, grown := s.plus(*p, math.Float64bits(v)); grown {
			*p = bytes.Clone(moved)
		}
		if carrying > 0 && r.IntN(carrying) == 0 {
			*p = bytes.Clone(s.carried(*p))
		}
	}
	for len(parts) > 1 {
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		last := len(parts) - 1
		if moved, grown := s.join(parts[0], parts[last]); grown {
			parts[0] = bytes.Clone(moved)
		}
		parts = parts[:last]
	}
	return parts[0]
}

// A sum is the f64 nearest to what its values amount to, whatever their order is and however they were folded.
func TestExactSums(t *testing.T) {
	oracle.Check(t, 4000, func(t testing.TB, r *rand.Rand) {
		all := randomFloats(r)
		want := math.Float64bits(nearest(all))
		part := sumOf(r, all, []int{0, 3}[r.IntN(2)])
		got, n := exactResult(part)
		if got != want && !(math.IsNaN(math.Float64frombits(got)) && math.IsNaN(math.Float64frombits(want))) {
			t.Fatalf("%v\nare %x (expected %x, %v)", all, got, want, math.Float64frombits(want))
		}
		if int(n) != len(all) {
			t.Fatalf("of %d values (expected %d)", n, len(all))
		}
		if most := exactHeader + 8*exactDigits; len(part) > most {
			t.Fatalf("%d bytes (expected <= %d)", len(part), most)
		}
	})
}

// Terms that would overflow a digit are carried before they do.
func TestExactSumsCarry(t *testing.T) {
	s := &exactSum{}
	for _, v := range []float64{math.MaxFloat64, -math.MaxFloat64, 1 - 0x1p-53, -5e-324} {
		one, _ := s.plus(nil, math.Float64bits(v))
		part, want := bytes.Clone(one), new(big.Float).SetFloat64(v)
		for range 45 {
			other := bytes.Clone(part)
			if moved, grown := s.join(part, other); grown {
				part = bytes.Clone(moved)
			}
			want.Add(want, want)
			f, _ := want.Float64()
			if got, _ := exactResult(part); got != math.Float64bits(f) {
				t.Fatalf("%g: %g (expected %g)", v, math.Float64frombits(got), f)
			}
		}
	}
}

// Sums and averages of f64 in windows and in none are the same to the bit in whatever order their records come, wherever these are
// folded, and however often the operator is emptied: the f64 nearest to the sum.
func TestExactSumsInAnyOrder(t *testing.T) {
	const row = "row(x: f64)"
	schema, err := abi.ParseSchema(row)
	if err != nil {
		t.Fatal(err)
	}
	oracle.Check(t, 1000, func(t testing.TB, r *rand.Rand) {
		c := Config{Kind: abi.OperatorAggregates, Key: "utf8", Value: row, Final: true, Exact: true, Groups: 128, Aggregates: []abi.Aggregate{
			{Name: "sum", Kind: abi.AggregateSum, Field: "x"}, {Name: "mean", Kind: abi.AggregateAvg, Field: "x"},
		}}
		if r.IntN(2) == 0 {
			c.Kind, c.Value, c.Aggregates = abi.OperatorSum, abi.CodecF64, nil
		}
		switch r.IntN(3) {
		case 0:
			c.Window = &abi.Window{Kind: "tumbling", SizeMs: 100}
		case 1:
			c.Window = &abi.Window{Kind: "sliding", SizeMs: 100, SlideMs: 50}
		}
		all := randomFloats(r)
		all = slices.DeleteFunc(all, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
		f, ahead := start(t, c), abi.NewBuilder(PartialColumns(c.Kind, c.Window))
		for rest := all; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps)
			var hashes []uint64
			for _, v := range rest[:n] {
				value := binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
				if c.Kind != abi.OperatorSum {
					var made abi.RowWriter
					made.Reset(schema)
					made.SetF64(0, v)
					value = made.AppendTo(nil)
				}
				w.Append(abi.Record{Key: []byte("key"), Value: value, Timestamp: 50 + r.Int64N(50)})
				hashes = append(hashes, xxhash.Sum64String("key"))
			}
			rest = rest[n:]
			var b abi.Batch
			w.View(&b)
			if r.IntN(2) == 0 {
				foldedAhead(t, c, &b, hashes, ahead)
			} else if err := f.op.Process(&b, hashes, 0, f.out); err != nil {
				t.Fatal(err)
			}
			if r.IntN(3) == 0 {
				f = f.drained(c, ahead)
			}
		}
		if ahead.Len() > 0 {
			f.merge(ahead, r)
		}
		f.fire(abi.MaxTime)
		want := []float64{nearest(all)}
		if c.Kind != abi.OperatorSum {
			want = append(want, want[0]/float64(len(all)))
		}
		var b abi.Batch
		if f.out.View(&b); b.N == 0 {
			t.Fatal("no result")
		}
		for i := range b.N { // each window has all of them
			got := b.Value(i)
			for k, v := range want {
				if !bytes.Contains(got, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))) {
					t.Fatalf("%s in %+v: %x lacks %v, result %d of %v", c.Kind, c.Window, b.Value(i), v, k, all)
				}
			}
		}
		f.close()
	})
}

// foldedAhead appends what records are folded into.
func foldedAhead(t testing.TB, c Config, b *abi.Batch, hashes []uint64, out *abi.Builder) {
	m, err := NewCombiner(c, nil, true)
	if err == nil {
		err = m.Fold(b, 0, b.N, hashes)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Drain(out)
}
