// Package host is the sandbox: it runs guests, modules of WebAssembly that nobody here trusts, and is the only importer
// of wazero. It knows the contract of package abi: how to judge an upload, compile a module once, start instances of
// it, hand them batches and take theirs. It knows nothing of jobs, tasks, channels or state, and starts no goroutine: a
// guest runs on its caller's.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/wasmill/wasmill/host/module"
)

// Config sets the limits of every instance. The zero value of a field means its default.
type Config struct {
	CacheDir    string        // holds compiled native code, so never writable by tenants; empty: compile anew in each process
	MemoryLimit int64         // bytes of linear memory of an instance, default 256 MiB
	CallLimit   time.Duration // one call into a guest, default 10 s
	StackLimit  int           // bytes of Wasm frames, default 8 MiB
	Quantum     time.Duration // how long a guest runs before it must look at the host, default 500 µs
}

func (c Config) withDefaults() Config {
	if c.MemoryLimit == 0 {
		c.MemoryLimit = 256 << 20
	}
	if c.CallLimit == 0 {
		c.CallLimit = 10 * time.Second
	}
	if c.StackLimit == 0 {
		c.StackLimit = 8 << 20
	}
	if c.Quantum == 0 {
		c.Quantum = 500 * time.Microsecond
	}
	return c
}

// Engine compiles modules and starts instances. A process has one: wazero mixes up function types between runtimes
// that share compiled modules in memory. Sharing a cache directory between processes is fine. All methods may be called
// from any goroutine.
type Engine struct {
	config  Config
	cache   wazero.CompilationCache // nil without a directory
	runtime wazero.Runtime
	modules moduleTable
}

// NewEngine returns an engine, to be closed when all its instances are.
func NewEngine(ctx context.Context, config Config) (*Engine, error) {
	e := &Engine{config: config.withDefaults()}
	// Line tables are left alone: metering moves the code that they describe.
	rc := wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
	if e.config.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(e.config.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open compile cache %s: %w", e.config.CacheDir, err)
		}
		e.cache, rc = cache, rc.WithCompilationCache(cache)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	if err := e.provide(ctx); err != nil {
		e.Close(ctx)
		return nil, err
	}
	return e, nil
}

// provide registers every host function that a guest may import. They are compiled once for all instances: which
// instance calls, they learn from the call's context (see callContext).
func (e *Engine) provide(ctx context.Context) error {
	builders := make(map[string]wazero.HostModuleBuilder)
	for _, f := range hostFunctions() {
		b := builders[f.module]
		if b == nil {
			b = e.runtime.NewHostModuleBuilder(f.module)
			builders[f.module] = b
		}
		b.NewFunctionBuilder().WithGoModuleFunction(f.adapt(), f.params, f.results).WithName(f.name).Export(f.name)
	}
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("provide host module %s: %w", name, err)
		}
	}
	return nil
}

// Close frees the engine's memory; the cache directory stays.
func (e *Engine) Close(ctx context.Context) error {
	err := e.runtime.Close(ctx)
	if e.cache != nil {
		if cerr := e.cache.Close(ctx); err == nil {
			err = cerr
		}
	}
	return err
}

// compile turns metered bytes into native code, from the cache directory if it can. Code that is not valid is refused
// with a *module.Error.
func (e *Engine) compile(ctx context.Context, metered []byte) (wazero.CompiledModule, error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	compiled, err := e.runtime.CompileModule(ctx, metered)
	if isFileError(err) { // the cache cannot be written: what was compiled is in memory nevertheless
		compiled, err = e.runtime.CompileModule(ctx, metered)
	}
	switch {
	case err == nil:
		return compiled, nil
	case isFileError(err) || strings.HasPrefix(err.Error(), "compilationcache:"):
		return nil, fmt.Errorf("read compile cache %s: %w (remove it if this persists)", e.config.CacheDir, err)
	}
	return nil, &module.Error{Place: "code", Problem: err.Error(), Hint: "the compiler that made the module is at fault, or the file is damaged"}
}

func isFileError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// hostFunction is one function that guests may import. Its call reads parameters from the stack and leaves its result
// there; it ends the guest's call by panicking with an *Error.
type hostFunction struct {
	module, name    string
	params, results []api.ValueType
	call            func(i *Instance, stack []uint64)
}

var (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// adapt makes f a function of wazero's. The instance comes with the context: wazero hands the one of the call to the
// host function as it is, so a type assertion finds it in a nanosecond. (An import resolver per instance would need
// the host modules compiled for each instance, 8 functions and 46 of WASI.)
func (f *hostFunction) adapt() api.GoModuleFunc {
	call := f.call
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		i := ctx.(*callContext).instance
		if i.memory == nil { // only in a start function: instantiation has not returned yet
			i.memory = mod.Memory()
		}
		call(i, stack)
	}
}

// callContext is the context of every call into a guest: the one that it was made of, and the instance that is called.
type callContext struct {
	context.Context
	instance *Instance
}

// hostFunctions lists all of them. A guest that imports any other is refused at upload.
func hostFunctions() []hostFunction {
	return append([]hostFunction{emit, reply, watermark, state, log, metric, param, fail, quantum}, wasiFunctions()...)
}
