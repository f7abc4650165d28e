package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/meter"
)

// Module is a compiled module, from which instances are started. It is freed when nobody holds it or an instance of it.
type Module struct {
	engine   *Engine
	id       string
	compiled wazero.CompiledModule
	imports  int    // functions imported, that of the meter included
	section  []byte // the manifest's custom section, nil without
}

// ID returns the SHA-256 of the metered module, in hex.
func (m *Module) ID() string { return m.id }

// keptModules is how many modules stay compiled though nobody holds them: those used last, so that a job submitted just
// after its upload, or restarted, does not compile again.
const keptModules = 16

// moduleTable knows the compiled modules of an engine by their hash.
type moduleTable struct {
	mu      sync.Mutex                      // guards all below
	modules map[string]weak.Pointer[Module] // may be dead
	loading map[string]chan struct{}        // closed when the load that runs is over
	kept    []*Module                       // newest last
}

// Load returns the module with the hash meteredID. When it is not compiled in this process yet, fetch is called for its
// bytes, once however many ask at the same time; bytes with another hash are refused. A load that its own caller
// cancelled is taken over by the next.
func (e *Engine) Load(ctx context.Context, meteredID string, fetch func(context.Context) ([]byte, error)) (*Module, error) {
	t := &e.modules
	for {
		m, wait, done := t.acquire(meteredID)
		if m != nil {
			return m, nil
		}
		if wait == nil {
			m, err := e.load(ctx, meteredID, fetch)
			done(m)
			if err != nil {
				return nil, fmt.Errorf("load module %.12s: %w", meteredID, err)
			}
			return m, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("load module %.12s: %w", meteredID, context.Cause(ctx))
		}
	}
}

// acquire returns the module if it is there; else the channel that the running load closes; else, the caller being the
// loader now, the function to call when it is done.
func (t *moduleTable) acquire(id string) (m *Module, wait <-chan struct{}, done func(*Module)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.modules[id].Value(); m != nil {
		t.keep(m)
		return m, nil, nil
	}
	if c, ok := t.loading[id]; ok {
		return nil, c, nil
	}
	if t.modules == nil {
		t.modules, t.loading = make(map[string]weak.Pointer[Module]), make(map[string]chan struct{})
	}
	c := make(chan struct{})
	t.loading[id] = c
	return nil, nil, func(m *Module) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if m != nil {
			t.modules[id] = weak.Make(m)
			t.keep(m)
		}
		delete(t.loading, id)
		close(c)
	}
}

// keep makes m the module used last.
func (t *moduleTable) keep(m *Module) {
	for i, k := range t.kept {
		if k == m {
			t.kept = append(t.kept[:i], t.kept[i+1:]...)
			break
		}
	}
	t.kept = append(t.kept, m)
	if len(t.kept) > keptModules {
		t.kept[0] = nil
		t.kept = t.kept[1:]
	}
}

// forget drops the entry of a module that was freed, unless it was loaded again meanwhile.
func (t *moduleTable) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.modules[id]; ok && p.Value() == nil {
		delete(t.modules, id)
	}
}

func (e *Engine) load(ctx context.Context, id string, fetch func(context.Context) ([]byte, error)) (*Module, error) {
	metered, err := fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if got := hashOf(metered); got != id {
		return nil, fmt.Errorf("verify: its %d bytes have the hash %.12s", len(metered), got)
	}
	return e.compileModule(ctx, id, metered)
}

var errUnmetered = errors.New("it is not metered: only what Inspect returned can be loaded")

func (e *Engine) compileModule(ctx context.Context, id string, metered []byte) (*Module, error) {
	compiled, err := e.compile(ctx, metered)
	if err != nil {
		return nil, err
	}
	m := &Module{engine: e, id: id, compiled: compiled, imports: len(compiled.ImportedFunctions())}
	m.section = bytes.Clone(customSection(metered, abi.ManifestSection))
	if !hasImport(compiled.ImportedFunctions(), meter.ImportModule, meter.ImportName) {
		compiled.Close(ctx)
		return nil, errUnmetered
	}
	runtime.AddCleanup(m, func(c wazero.CompiledModule) {
		c.Close(context.Background())
		e.modules.forget(id)
	}, compiled)
	return m, nil
}

func hasImport(functions []api.FunctionDefinition, from, name string) bool {
	for _, f := range functions {
		if m, n, ok := f.Import(); ok && m == from && n == name {
			return true
		}
	}
	return false
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
