package meter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmill/wasmill/host/module"
)

// errFuel and errStack are how the host of these tests ends a call.
var (
	errFuel  = errors.New("out of quanta")
	errStack = errors.New("out of stack")
)

// guest is an instance, metered or not.
type guest struct {
	api.Module
	fuel   api.MutableGlobal // nil: not metered
	grant  int64             // what quantum answers
	quanta int               // how many more it grants; below 0: no end
	asked  int               // how often it was called for fuel
	used   int64             // fuel, up to the last call of quantum
	given  int64
}

// spent is the fuel used so far.
func (g *guest) spent() int64 { return g.used + g.given - int64(g.fuel.Get()) }

func (g *guest) quantum(_ context.Context, m api.Module, stack []uint64) {
	if g.fuel == nil { // the module's start runs
		g.fuel = m.ExportedGlobal(ExportFuel).(api.MutableGlobal)
	}
	if uint32(stack[0]) == ReasonStack {
		panic(errStack)
	}
	g.asked++
	g.used = g.spent()
	if g.quanta == 0 {
		panic(errFuel)
	}
	g.quanta--
	g.given = g.grant
	stack[0] = uint64(g.grant)
}

// call returns the results, and the error that ended the call.
func (g *guest) call(t testing.TB, name string, args ...uint64) ([]uint64, error) {
	t.Helper()
	f := g.ExportedFunction(name)
	if f == nil {
		t.Fatalf("no export %s", name)
	}
	return f.Call(context.Background(), args...)
}

type engine struct {
	name   string
	config func() wazero.RuntimeConfig
}

var engines = []engine{{"compiler", wazero.NewRuntimeConfigCompiler}, {"interpreter", wazero.NewRuntimeConfigInterpreter}}

// start instantiates a module whose imports are WASI and test.host, which adds 1 to an i32.
func (e engine) start(t testing.TB, wasm []byte) *guest {
	t.Helper()
	g, err := e.tryStart(t, wasm, &guest{grant: 1000, quanta: -1})
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	return g
}

func (e engine) tryStart(t testing.TB, wasm []byte, g *guest) (*guest, error) {
	t.Helper()
	ctx := context.Background()
	config := e.config().WithMemoryLimitPages(4096).WithDebugInfoEnabled(false)
	if len(wasm) > 1<<20 {
		config = config.WithCompilationCache(compiled(t))
	}
	r := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	_, err := r.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(g.quantum), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}).
		Export(ImportName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.NewHostModuleBuilder("test").NewFunctionBuilder().
		WithFunc(func(x uint32) uint32 { return x + 1 }).Export("host").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	g.Module, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").
		WithStartFunctions("_initialize").WithRandSource(rand.Reader))
	if err != nil {
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	g.fuel, _ = g.ExportedGlobal(ExportFuel).(api.MutableGlobal)
	return g, nil
}

// compiled is the cache of big guests' machine code that all tests share.
func compiled(t testing.TB) wazero.CompilationCache {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = t.TempDir()
	}
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "wasmill", "compiled"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close(context.Background()) })
	return cache
}

func rewrite(t testing.TB, wasm []byte, opt Options) []byte {
	t.Helper()
	out, err := parseAndRewrite(wasm, opt)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parseAndRewrite is Rewrite of a module that is not parsed yet.
func parseAndRewrite(wasm []byte, opt Options) ([]byte, error) {
	m, err := module.Parse(wasm)
	if err != nil {
		return nil, err
	}
	return Rewrite(m, opt)
}
