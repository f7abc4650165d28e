package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// The guests of these tests are built from C, and committed so that a test needs no compiler.
//
//go:generate -command guest clang-19 --target=wasm32 -nostdlib -O2 -fno-builtin -Wall -Wno-incompatible-library-redeclaration -fuse-ld=/usr/bin/wasm-ld-19 -Wl,--no-entry -Wl,-z,stack-size=16384
//go:generate guest -o testdata/upper.wasm testdata/upper.c
//go:generate guest -o testdata/hostile.wasm testdata/hostile.c
//go:generate guest -o testdata/start.wasm testdata/start.c

func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "wasmill", "compiled")
}

func newEngine(t testing.TB, config Config) *Engine {
	t.Helper()
	config.CacheDir = cacheDir()
	e, err := NewEngine(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

// testEngine is the one with default limits, shared by the tests.
var testEngine = sync.OnceValues(func() (*Engine, error) {
	return NewEngine(context.Background(), Config{CacheDir: cacheDir(), MemoryLimit: 16 << 20})
})

func engine(t testing.TB) *Engine {
	t.Helper()
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func guestBytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inspect(t testing.TB, e *Engine, name string) *Inspection {
	t.Helper()
	in, err := e.Inspect(context.Background(), guestBytes(t, name), nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func load(t testing.TB, e *Engine, name string) *Module {
	t.Helper()
	in := inspect(t, e, name)
	m, err := e.Load(context.Background(), in.MeteredID, func(context.Context) ([]byte, error) { return in.Metered, nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func start(t testing.TB, m *Module, config InstanceConfig) *Instance {
	t.Helper()
	i, err := m.Instantiate(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close(context.Background()) })
	return i
}

// toOutput is a handle of one function whose main output is output 0.
func toOutput(function uint32, columns abi.Columns) *abi.Handle {
	return &abi.Handle{Functions: []abi.HandleFunction{{Function: function, Upstream: abi.None,
		Outputs: []abi.HandleOutput{{Number: 0, Columns: columns}}}}}
}

func open(t testing.TB, i *Instance, handle uint32, h *abi.Handle) {
	t.Helper()
	if err := i.Open(handle, h); err != nil {
		t.Fatal(err)
	}
}

// guest starts an instance with handle 0 open.
func guest(t testing.TB, e *Engine, name string, config InstanceConfig) *Instance {
	t.Helper()
	i := start(t, load(t, e, name), config)
	open(t, i, 0, toOutput(0, abi.ColumnValues))
	return i
}

var header = abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 5000, Split: abi.None, Parallelism: 1}

// values is a batch of records with these values.
func values(vs ...string) *abi.Builder {
	b := abi.NewBuilder(abi.ColumnValues)
	for _, v := range vs {
		b.Append(abi.Record{Value: []byte(v)})
	}
	return b
}

// deed is the batch that makes the hostile guest do something.
func deed(words ...uint32) *abi.Builder {
	b := abi.NewBuilder(abi.ColumnValues)
	var v []byte
	for _, w := range words {
		v = binary.LittleEndian.AppendUint32(v, w)
	}
	b.Append(abi.Record{Value: v})
	return b
}

// do makes a hostile instance do something and returns what came of it.
func do(i *Instance, words ...uint32) (*Effects, error) { return i.Process(0, &header, deed(words...)) }

// wantError checks the way a call died.
func wantError(t testing.TB, err error, kind Kind, parts ...string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (expected kind %v)", err, kind)
	}
	if e.Kind != kind {
		t.Fatalf("kind %v (expected %v): %v", e.Kind, kind, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
	return e
}

func emitted(effects *Effects) []string {
	var out []string
	for _, e := range effects.Emits {
		for k := range e.Batch.N {
			out = append(out, string(e.Batch.Value(k)))
		}
	}
	return out
}

func TestBatchGoesThroughTheGuest(t *testing.T) {
	i := guest(t, engine(t), "upper", InstanceConfig{})
	b := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnValues)
	b.Append(abi.Record{Timestamp: 17, Value: []byte("call me")})
	b.Append(abi.Record{Timestamp: 12, Value: []byte("Ishmael")})
	for range 3 {
		effects, err := i.Process(0, &header, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(emitted(effects), "|"); got != "CALL ME|ISHMAEL" {
			t.Errorf("emitted %q", got)
		}
		if !effects.HasWatermark || effects.Watermark != 17 {
			t.Errorf("watermark %v %d (expected 17)", effects.HasWatermark, effects.Watermark)
		}
	}
	encoded := b.Encode(abi.AlignedBytes(b.Size()))
	effects, err := i.Process(0, &header, Bytes(encoded))
	if err != nil || len(effects.Emits) != 1 || effects.Emits[0].Batch.N != 2 {
		t.Errorf("an encoded batch: %v, %+v", err, effects)
	}
}

func TestKeyedCallAnswersNewAccumulators(t *testing.T) {
	i := start(t, load(t, engine(t), "upper"), InstanceConfig{})
	open(t, i, 1, toOutput(2, 0))
	le := binary.LittleEndian
	var g abi.GroupsWriter
	g.Reset()
	for _, k := range []string{"a", "longer key"} {
		g.Begin(abi.Group{Key: []byte(k)})
		g.List(abi.ListAccumulators, 0, 1, nil, [][]byte{le.AppendUint64(nil, 100)})
		g.List(abi.ListInput0, 0, 2, nil, [][]byte{le.AppendUint64(nil, 3), le.AppendUint64(nil, uint64(len(k)))})
		g.EndGroup()
	}
	effects, err := i.Keyed(1, abi.VerbAccumulate, &header, &g, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := effects.Reply
	for k, want := range []uint64{104, 113} {
		entry, rest, err := abi.NextReplyEntry(p)
		if err != nil {
			t.Fatal(err)
		}
		action, _, err := abi.NextAction(entry.Actions)
		if err != nil || entry.Group != uint32(k) || action.Op != abi.ActionPut || le.Uint64(action.Value) != want {
			t.Errorf("group %d: %+v, %+v, %v (expected put %d)", k, entry, action, err, want)
		}
		p = rest
	}
	_, err = i.Keyed(1, abi.VerbMerge, &header, &g, nil)
	wantError(t, err, KindRefused, "does not know the verb")
}

func TestReplyThatDoesNotParseIsABadPointer(t *testing.T) {
	i := guest(t, engine(t), "hostile", InstanceConfig{})
	var g abi.GroupsWriter
	g.Reset()
	g.Begin(abi.Group{Key: []byte("a key of twenty byte")})
	g.EndGroup()
	_, err := i.Keyed(0, abi.VerbAccumulate, &header, &g, nil)
	wantError(t, err, KindBadPointer, "reply")
}

func TestFailKeepsTheInstance(t *testing.T) {
	i := guest(t, engine(t), "upper", InstanceConfig{})
	_, err := i.Process(0, &header, values("good", "bad", "x"))
	e := wantError(t, err, KindFailed, "process: record 1: bad record")
	if e.Record != 1 || e.Kind.Poisoned() {
		t.Errorf("%+v", e)
	}
	if effects, err := i.Process(0, &header, values("good")); err != nil || len(effects.Emits) != 1 {
		t.Errorf("after fail: %v", err)
	}
}

func TestLoadCompilesOnceAndVerifies(t *testing.T) {
	e := newEngine(t, Config{})
	in := inspect(t, engine(t), "upper")
	var mu sync.Mutex
	fetches := 0
	fetch := func(context.Context) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		fetches++
		return in.Metered, nil
	}
	var group sync.WaitGroup
	mods := make([]*Module, 8)
	for k := range mods {
		group.Go(func() {
			m, err := e.Load(context.Background(), in.MeteredID, fetch)
			if err != nil {
				t.Error(err)
			}
			mods[k] = m
		})
	}
	group.Wait()
	for _, m := range mods {
		if m != mods[0] {
			t.Error("two modules of one hash")
		}
	}
	if fetches != 1 {
		t.Errorf("%d fetches (expected 1)", fetches)
	}
	other := hashOf([]byte("another"))
	_, err := e.Load(context.Background(), other, fetch)
	if err == nil || !strings.Contains(err.Error(), "verify") {
		t.Errorf("wrong bytes: %v", err)
	}
	unmetered := guestBytes(t, "upper")
	_, err = e.Load(context.Background(), hashOf(unmetered), func(context.Context) ([]byte, error) { return unmetered, nil })
	if !errors.Is(err, errUnmetered) {
		t.Errorf("unmetered module: %v", err)
	}
}

func TestLoadIsTakenOverFromACallerThatGaveUp(t *testing.T) {
	e := newEngine(t, Config{})
	in := inspect(t, engine(t), "upper")
	ctx, cancel := context.WithCancel(context.Background())
	began := make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := e.Load(ctx, in.MeteredID, func(ctx context.Context) ([]byte, error) {
			close(began)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		first <- err
	}()
	<-began
	second := make(chan error)
	go func() {
		_, err := e.Load(context.Background(), in.MeteredID, func(context.Context) ([]byte, error) { return in.Metered, nil })
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
}

// withSection makes another module that does the same.
func withSection(wasm []byte, name string) []byte {
	section := append([]byte{byte(len(name))}, name...)
	return append(append(bytes.Clone(wasm), 0, byte(len(section))), section...)
}

func TestModulesThatNobodyHoldsAreFreed(t *testing.T) {
	e := newEngine(t, Config{})
	const n = 2 * keptModules
	for k := range n {
		if _, err := e.Inspect(context.Background(), withSection(guestBytes(t, "start"), fmt.Sprint("copy ", k)), nil); err != nil {
			t.Fatal(err)
		}
	}
	known := func() int {
		e.modules.mu.Lock()
		defer e.modules.mu.Unlock()
		return len(e.modules.modules)
	}
	for range 1000 {
		if known() == keptModules {
			return
		}
		runtime.GC()
	}
	t.Errorf("%d modules are kept (expected %d)", known(), keptModules)
}

func TestConcurrentInstances(t *testing.T) {
	m := load(t, engine(t), "upper")
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			i, err := m.Instantiate(context.Background(), InstanceConfig{Seed: uint64(k)})
			if err != nil {
				t.Error(err)
				return
			}
			defer i.Close(context.Background())
			if err := i.Open(0, toOutput(0, abi.ColumnValues)); err != nil {
				t.Error(err)
			}
			for n := range 50 {
				want := strings.Repeat("ab", n+k)
				effects, err := i.Process(0, &header, values(want))
				if err != nil || emitted(effects)[0] != strings.ToUpper(want) {
					t.Error(err, emitted(effects))
				}
			}
		})
	}
	group.Wait()
}

func TestInputBufferGrowsWithTheBatch(t *testing.T) {
	i := guest(t, engine(t), "upper", InstanceConfig{})
	for _, n := range []int{1, 100_000, 10, 1_000_000} {
		effects, err := i.Process(0, &header, values(strings.Repeat("x", n)))
		if err != nil || len(emitted(effects)[0]) != n {
			t.Fatalf("value of %d bytes: %v", n, err)
		}
	}
}

func TestManifestIDIsTheHashOfTheBytes(t *testing.T) {
	in := inspect(t, engine(t), "upper")
	if len(in.ManifestID) != 2*sha256.Size || in.Manifest.Name != "upper" || in.DescribeError != nil {
		t.Errorf("%+v", in)
	}
	start(t, load(t, engine(t), "upper"), InstanceConfig{ManifestID: in.ManifestID})
}
