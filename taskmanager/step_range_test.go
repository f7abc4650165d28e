package taskmanager

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/oracle"
)

// Bounds ascend, so every key has one range, and no range but those of a key that many records have is far from its share.
func TestBoundsCutKeysIntoEqualShares(t *testing.T) {
	oracle.Check(t, 1000, func(t testing.TB, r *rand.Rand) {
		var keys []sampled
		total, largest := 0.0, 0.0
		of := map[string]float64{}
		for range 1 + r.IntN(300) {
			k := sampled{[]byte(fmt.Sprintf("%03d", r.IntN(1+r.IntN(500)))), 1 + float64(r.IntN(3))}
			keys = append(keys, k)
			total += k.weight
			of[string(k.key)] += k.weight
			largest = max(largest, of[string(k.key)])
		}
		ranges := 1 + r.IntN(8)
		bounds := boundsOf(slices.Clone(keys), ranges)
		if len(bounds) > ranges-1 {
			t.Fatalf("%d bounds of %d ranges and %d keys", len(bounds), ranges, len(of))
		}
		if !slices.IsSortedFunc(bounds, bytes.Compare) {
			t.Fatalf("bounds %q", bounds)
		}
		has := make([]float64, ranges)
		for _, k := range keys {
			to, found := slices.BinarySearchFunc(bounds, k.key, bytes.Compare)
			if found {
				to++
			}
			has[to] += k.weight
		}
		for i, n := range has {
			if n > total/float64(ranges)+2*largest {
				t.Fatalf("range %d has %v of %v, of %d ranges: %v", i, n, total, ranges, has)
			}
		}
	})
}

// A sample tells how many records there are, and of them all, or a part in which each is as likely as another.
func TestASampleIsOfAllRecords(t *testing.T) {
	for _, n := range []int{0, 10, sampleKeys, 20 * sampleKeys} {
		order, err := field.NewOrder(abi.CodecI64, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := &sampleStep{name: "sample", order: order, chance: rand.New(rand.NewPCG(0, 1)), passed: abi.MinTime}
		r := &rangeStep{name: "range", order: order, receivers: 2}
		s.outlet.steps = []step{r}
		w := abi.NewBuilder(abi.ColumnKeys)
		for i := range n {
			w.Append(abi.Record{Key: abi.AppendI64Key(nil, int64(i))})
		}
		var b batch
		w.View(&b.Batch)
		if err := s.process(&b); err != nil {
			t.Fatal(err)
		}
		told := learned{r}
		s.outlet.steps = []step{told}
		if _, err := s.advance(0); err != nil || s.passed != abi.MinTime {
			t.Fatalf("a watermark passed: %v", err)
		}
		if _, err := s.advance(abi.MaxTime); err != nil {
			t.Fatal(err)
		}
		if len(r.samples) != min(n, sampleKeys) {
			t.Fatalf("%d of %d keys", len(r.samples), n)
		}
		weight, upper := 0.0, 0
		middle, _ := order.Append(nil, abi.AppendI64Key(nil, int64(n/2)))
		for _, k := range r.samples {
			weight += k.weight
			if bytes.Compare(k.key, middle) >= 0 {
				upper++
			}
		}
		if int(weight+0.5) != n {
			t.Errorf("%d records are told of as %v", n, weight)
		}
		if off := upper - len(r.samples)/2; off < -200 || off > 200 {
			t.Errorf("%d of %d keys are in the upper half", upper, len(r.samples))
		}
	}
}

// learned gives a range operator a sample.
type learned struct{ *rangeStep }

func (l learned) process(b *batch) error { return l.learn(b) }

func TestASampleThatIsNone(t *testing.T) {
	w := abi.NewBuilder(abi.ColumnValues)
	w.Append(abi.Record{Value: []byte("123456789")})
	var b batch
	w.View(&b.Batch)
	b.input = 1
	if err := (&rangeStep{}).process(&b); err == nil {
		t.Error("it was read")
	}
}
