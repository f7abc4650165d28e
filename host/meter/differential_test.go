package meter

import (
	"bytes"
	"context"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// outcome is all that a call of f changed.
type outcome struct {
	results []uint64
	trap    string // first line of the error
	memory  []byte
	global  uint64
}

func (e engine) outcome(t testing.TB, wasm []byte, g *guest, args ...uint64) (outcome, error) {
	t.Helper()
	g, err := e.tryStart(t, wasm, g)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	defer g.Close(context.Background())
	var o outcome
	o.results, err = g.call(t, "f", args...)
	if err != nil {
		o.trap, _, _ = strings.Cut(err.Error(), "\n")
	}
	m, _ := g.Memory().Read(0, g.Memory().Size())
	o.memory = slices.Clone(m)
	o.global = g.ExportedGlobal("global").Get()
	return o, err
}

func (o outcome) equal(p outcome) bool {
	return slices.Equal(o.results, p.results) && o.trap == p.trap && bytes.Equal(o.memory, p.memory) && o.global == p.global
}

// differ runs a module metered and, when that came to an end, as it was, on all engines. It says whether it did.
func differ(t testing.TB, wasm []byte, args ...uint64) bool {
	t.Helper()
	metered := rewrite(t, wasm, Options{StackLimit: 64 << 10})
	var want outcome
	for i, e := range engines {
		o, err := e.outcome(t, metered, &guest{grant: 1000, quanta: 30}, args...)
		if errors.Is(err, errFuel) || errors.Is(err, errStack) {
			if i > 0 && o.trap != want.trap {
				t.Fatalf("%s: %s, %s: %s", engines[0].name, want.trap, e.name, o.trap)
			}
			want.trap = o.trap
			continue
		}
		if i > 0 && !o.equal(want) {
			t.Fatalf("metered, %s: %v %q %d, %s: %v %q %d", engines[0].name, want.results, want.trap, want.global,
				e.name, o.results, o.trap, o.global)
		}
		want = o
	}
	if want.memory == nil {
		return false
	}
	for _, e := range engines {
		o, _ := e.outcome(t, wasm, &guest{}, args...)
		if !o.equal(want) {
			t.Fatalf("metered: %v %q %d; as it was, %s: %v %q %d", want.results, want.trap, want.global, e.name, o.results,
				o.trap, o.global)
		}
	}
	return true
}

func TestRandomModulesDoTheSameMetered(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 60
	}
	ended := 0
	for seed := range n {
		rng := mathrand.New(mathrand.NewPCG(uint64(seed), 3))
		data := make([]byte, 600)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		wasm := randomModule(data)
		if differ(t, wasm, uint64(rng.Uint32N(8)), uint64(rng.Uint32N(100))) {
			ended++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d of %d came to an end", ended, n)
	if ended < n/4 {
		t.Errorf("%d of %d modules came to an end (expected >= a quarter)", ended, n)
	}
}
