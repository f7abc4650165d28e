package meter

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// goGuest builds testdata/goguest.
func goGuest(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", out, ".")
	build.Dir = filepath.Join("testdata", "goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the Go guest: %v\n%s", err, b)
	}
	return readFile(t, out)
}

func cGuest(t testing.TB) []byte { return readFile(t, filepath.Join("testdata", "cguest.wasm")) }

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fill puts a text of words into the guest's buffer.
func (g *guest) fill(t testing.TB, size int) {
	t.Helper()
	at, err := g.call(t, "buffer")
	if err != nil {
		t.Fatal(err)
	}
	text, ok := g.Memory().Read(uint32(at[0]), uint32(size))
	if !ok {
		t.Fatal("the buffer does not lie in memory")
	}
	x := uint32(1)
	for i := range text {
		x = x*1664525 + 1013904223
		text[i] = "etaoin"[x>>16%6]
		if x>>24 < 50 {
			text[i] = ' '
		}
	}
}

// workloads are the exports of both guests that compute something of the first n bytes of the buffer; fib takes a
// number instead.
var (
	goWorkloads = []string{"hash", "words", "sorted", "fib", "matrix", "machine", "indirect", "recovered", "goroutines",
		"formatted"}
	cWorkloads = []string{"hash", "hash_one", "words", "sorted", "fib", "machine", "indirect", "moves", "floats"}
)

func argument(name string, size int) uint64 {
	if name == "fib" {
		return 18
	}
	return uint64(size)
}

func TestCGuestComputesTheSameMetered(t *testing.T) {
	wasm := cGuest(t)
	metered := rewrite(t, wasm, Options{})
	for _, e := range engines {
		sameResults(t, e.start(t, wasm), e.start(t, metered), cWorkloads, 20_000)
	}
}

func TestGoGuestComputesTheSameMetered(t *testing.T) {
	wasm := goGuest(t)
	metered := rewrite(t, wasm, Options{})
	g := engines[0].start(t, metered)
	sameResults(t, engines[0].start(t, wasm), g, goWorkloads, 20_000)

	g.quanta = 100
	if _, err := g.call(t, "spin"); !errors.Is(err, errFuel) {
		t.Errorf("spin: %v", err)
	}
	g = engines[0].start(t, metered)
	if _, err := g.call(t, "recurse", 0); !errors.Is(err, errStack) {
		t.Errorf("recurse: %v", err)
	}
}

func sameResults(t *testing.T, was, metered *guest, workloads []string, size int) {
	t.Helper()
	was.fill(t, size)
	metered.fill(t, size)
	for _, name := range workloads {
		want, err1 := was.call(t, name, argument(name, size))
		got, err2 := metered.call(t, name, argument(name, size))
		if err1 != nil || err2 != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v (expected %v %v)", name, got, err2, want, err1)
		}
	}
	if metered.asked == 0 {
		t.Error("quantum was never called")
	}
}

// BenchmarkGuests compares each workload as it was and metered.
func BenchmarkGuests(b *testing.B) {
	const size = 1 << 18
	for _, lang := range []struct {
		name      string
		wasm      []byte
		workloads []string
	}{{"C", cGuest(b), cWorkloads}, {"Go", goGuest(b), goWorkloads}} {
		was, metered := engines[0].start(b, lang.wasm), engines[0].start(b, rewrite(b, lang.wasm, Options{}))
		metered.grant = 2_000_000
		was.fill(b, size)
		metered.fill(b, size)
		for _, name := range lang.workloads {
			run := func(g *guest) func(*testing.B) {
				return func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := g.call(b, name, argument(name, size)); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.Run(lang.name+"/"+name+"/as-it-was", run(was))
			b.Run(lang.name+"/"+name+"/metered", run(metered))
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	wasm := goGuest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		rewrite(b, wasm, Options{})
	}
}
