package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A list is wrong when it holds a number above 500 behind one above 700: of hundreds of draws the two are left, as small as
// they can be.
func TestACaseIsMadeSmall(t *testing.T) {
	test := func(t testing.TB, r *rand.Rand) {
		var list []int
		for range r.IntN(300) {
			list = append(list, r.IntN(1000))
		}
		for i, v := range list {
			for _, w := range list[:i] {
				if w > 700 && v > 500 {
					t.Fatalf("%v", list)
				}
			}
		}
	}
	drawn := &tape{more: rand.NewPCG(3, 0)}
	if attempt(t, drawn, test) == "" {
		t.Fatal("the case passes")
	}
	_, said := shrink(drawn.values, func(values []uint64) string { return attempt(t, &tape{values: values}, test) })
	var w, v int
	if n, err := fmt.Sscanf(said, "[%d %d]", &w, &v); n != 2 || err != nil {
		t.Fatalf("%s is left (expected two numbers)", said)
	}
	if w != 701 || v != 501 {
		t.Errorf("%s (expected [701 501])", said)
	}
}

func TestWhatACaseFailsBy(t *testing.T) {
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"passes": {func(testing.TB) {}, ""},
		"error":  {func(t testing.TB) { t.Errorf("one"); t.Errorf("two") }, "one"},
		"fatal":  {func(t testing.TB) { t.Fatal("one"); t.Error("two") }, "one"},
		"panic":  {func(testing.TB) { panic("one") }, "panic: one"},
	} {
		said := attempt(t, &tape{}, func(t testing.TB, _ *rand.Rand) { c.test(t) })
		if !strings.HasPrefix(said, c.want) || (said == "") != (c.want == "") {
			t.Errorf("%s: %q (expected %q)", name, said, c.want)
		}
	}
}

// Where a tape ends, the smallest numbers follow, whatever the range: nothing waits for another one for ever.
func TestBehindATape(t *testing.T) {
	r := rand.New(&tape{})
	for n := 1; n < 5000; n++ {
		if v := r.IntN(n); v != 0 {
			t.Fatalf("%d of %d (expected 0)", v, n)
		}
	}
	if v := r.Int64N(1 << 40); v != 0 && v > 1<<33 {
		t.Errorf("%d", v)
	}
}

// A test that draws until it has a large number comes to no end behind a tape, and does not fail.
func TestACaseThatDrawsForEver(t *testing.T) {
	said := attempt(t, &tape{}, func(t testing.TB, r *rand.Rand) {
		for r.IntN(10) < 5 {
		}
		t.Error("it has ended")
	})
	if said != "" {
		t.Error(said)
	}
}
