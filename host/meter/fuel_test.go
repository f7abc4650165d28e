package meter

import (
	"testing"

	"github.com/wasmill/wasmill/host/module"
)

// sumTo exports f(n), the sum of 1 to n: nine instructions an iteration.
func sumTo(a *assembly) {
	a.fn("f", types(i32), types(i32), types(i32), block, void, get, 0, i32Eqz, brIf, 0,
		loop, void, get, 0, get, 1, i32Add, set, 1, get, 0, int32(1), i32Sub, tee, 0, brIf, 0, end, end, get, 1)
}

func TestFuelIsAboutTheInstructions(t *testing.T) {
	a := assemble()
	sumTo(a)
	light := a.fn("", types(i32), types(i32), nil, get, 0, int32(3), i32Add)
	a.fn("calls", types(i32), types(i32), nil, get, 0, callOp, int(light), callOp, int(light))
	metered := rewrite(t, a.bytes(), Options{})
	for _, e := range engines {
		g := e.start(t, metered)
		before := g.spent()
		got, err := g.call(t, "f", 1000)
		if err != nil || got[0] != 500500 {
			t.Fatalf("%v %v", got, err)
		}
		if used := g.spent() - before; used < 9000 || used > 10_000 {
			t.Errorf("%s: 1,000 iterations of 9 instructions took %d fuel", e.name, used)
		}
	}
}

// However little the host grants, the guest gets on.
func TestTinyGrantsGetThere(t *testing.T) {
	a := assemble()
	sumTo(a)
	// The same with its loop charged at the header: a br_table may begin it again.
	a.fn("table", types(i32), types(i32), types(i32), loop, void, block, void, get, 0, get, 1, i32Add, set, 1,
		get, 0, int32(1), i32Sub, tee, 0, i32Eqz, brTable, 1, 1, 0, end, end, get, 1)
	metered := rewrite(t, a.bytes(), Options{})
	for _, e := range engines {
		for _, name := range []string{"f", "table"} {
			for _, grant := range []int64{0, 1, 7} {
				g := e.start(t, metered)
				g.grant = grant
				if got, err := g.call(t, name, 100); err != nil || got[0] != 5050 {
					t.Errorf("%s, %s, grants of %d: %v %v", e.name, name, grant, got, err)
				}
			}
		}
	}
}

// What a call took from depth it gives back, on every way out.
func TestDepthComesBack(t *testing.T) {
	a := assemble()
	a.fn("f", types(i32), types(i32), nil, // counts down by recursion, and returns in three ways
		get, 0, i32Eqz, ifOp, void, int32(0), ret, end,
		get, 0, int32(1), i32Sub, callOp, 0, int32(1), i32Add,
		get, 0, int32(3), i32RemU, brIf, 0)
	metered := rewrite(t, a.bytes(), Options{StackLimit: 100 << 10})
	for _, e := range engines {
		g := e.start(t, metered)
		for range 200 {
			if got, err := g.call(t, "f", 500); err != nil || got[0] != 500 {
				t.Fatalf("%s: %v %v", e.name, got, err)
			}
		}
	}
}

// Two calls of quantum in a row must not take what the first granted.
func TestSpentFuelIsExactOverQuanta(t *testing.T) {
	a := assemble()
	sumTo(a)
	metered := rewrite(t, a.bytes(), Options{})
	var want int64
	for i, grant := range []int64{1 << 40, 1000, 100, 3} {
		g := engines[0].start(t, metered)
		g.grant = grant
		if _, err := g.call(t, "f", 5000); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = g.spent()
		} else if g.spent() != want {
			t.Errorf("grants of %d: %d fuel (expected %d)", grant, g.spent(), want)
		}
	}
	if m, err := module.Parse(metered); err != nil || len(m.Functions) != 1 {
		t.Errorf("%v", err)
	}
}
