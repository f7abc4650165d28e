package snapshot

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/wasmill/wasmill/internal/graph"
)

// A seeker gives of each range what a scan of its own gives, also when the one before was not read to its end.
func TestSeekerScansAsOthersDo(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var readers []*Reader
		for range 1 + rng.IntN(5) {
			file, _ := write(t, randomEntries(rng, 1+rng.IntN(800)))
			readers = append(readers, open(t, file).Cut(graph.KeyGroup(rng.IntN(3)), graph.KeyGroup(5+rng.IntN(4))))
		}
		state := testStates[rng.IntN(len(testStates))]
		s := NewSeeker(readers, state.Operator, state.Name)
		for n := range 60 {
			group := graph.KeyGroup(rng.IntN(8))
			rg := Range{From: group, To: group + 1 + graph.KeyGroup(rng.IntN(2)), First: []int64{math.MinInt64, -5, 0}[rng.IntN(3)], Last: []int64{0, math.MaxInt64}[rng.IntN(2)]}
			if rng.IntN(2) == 0 {
				rg.Key = []byte(fmt.Sprint(rng.IntN(800)))
			}
			name := fmt.Sprintf("seed %d, scan %d: %s of %s in %+v", seed, n, state.Name, state.Operator, rg)
			own := rg
			for i, st := range MergeStates(readers) {
				if st.Operator == state.Operator && st.Name == state.Name {
					own.State = i
				}
			}
			got, want := s.Scan(rg), ScanMerged(readers, own)
			for most := 1 + rng.IntN(60); most > 0; most-- {
				more := want.Next()
				if got.Next() != more {
					t.Fatalf("%s: more: %v (expected %v)", name, !more, more)
				}
				if !more {
					break
				}
				if a, b := got.Entry(), want.Entry(); !same(a, b) || got.Age() != want.Age() {
					t.Fatalf("%s: %+v of %d (expected %+v of %d)", name, a, got.Age(), b, want.Age())
				}
			}
			if got.Err() != nil {
				t.Fatal(got.Err())
			}
		}
	}
}
