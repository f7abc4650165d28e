// Package hosttest runs a guest's functions in a unit test, without a cluster: records go into a chain of functions by
// their names, and what they emit comes back. It knows the sandbox and the contract; partitioning, state and windows are
// the engine's, so a keyed function is called here as the engine would call it, and the test keeps its accumulators.
//
//	g := hosttest.Open(t, "bin/guests/wordcount-go.wasm", nil)
//	words := g.Chain("split").Process(hosttest.Values("Call me Ishmael")...)
package hosttest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// engine is one for the test process, which is all that there may be.
var engine = sync.OnceValues(func() (*host.Engine, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return host.NewEngine(context.Background(), host.Config{CacheDir: filepath.Join(dir, "wasmill", "compiled")})
})

// Option changes how a guest is run.
type Option func(*Guest)

// ReplaceInstances starts a new instance for every call. A guest may keep nothing but caches in its memory, so the
// results must be the same.
func ReplaceInstances() Option { return func(g *Guest) { g.replace = true } }

// Seed is the seed of the guest's randomness, 0 without.
func Seed(seed uint64) Option { return func(g *Guest) { g.config.Seed = seed } }

// Guest is a module under test. It is used by one goroutine.
type Guest struct {
	t        testing.TB
	module   *host.Module
	config   host.InstanceConfig
	manifest *abi.Manifest
	instance *host.Instance // nil when the next call needs a new one
	handles  []*abi.Handle  // by number, those that were opened; nil: closed again
	replace  bool
	logs     []string
	metrics  map[string]int64
}

// Open inspects, meters and starts a guest, given as the path of a .wasm file or as its bytes, with job parameters. A
// guest that is refused fails the test.
func Open[G string | []byte](t testing.TB, guest G, params map[string]string, options ...Option) *Guest {
	t.Helper()
	g, err := Try(t, guest, params, options...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Try is Open for a test that expects the error.
func Try[G string | []byte](t testing.TB, guest G, params map[string]string, options ...Option) (*Guest, error) {
	t.Helper()
	wasm, err := bytesOf(guest)
	if err != nil {
		return nil, err
	}
	e, err := engine()
	if err != nil {
		return nil, err
	}
	if params == nil {
		params = map[string]string{}
	}
	metered, err := meteredOf(e, wasm)
	if err != nil {
		return nil, fmt.Errorf("inspect guest: %w", err)
	}
	text, manifest, err := e.Describe(t.Context(), metered.bytes, params)
	if err != nil {
		return nil, fmt.Errorf("inspect guest: %w", err)
	}
	m, err := e.Load(t.Context(), metered.id, func(context.Context) ([]byte, error) { return metered.bytes, nil })
	if err != nil {
		return nil, err
	}
	g := &Guest{t: t, module: m, manifest: manifest, metrics: make(map[string]int64)}
	g.config = host.InstanceConfig{Params: params, ManifestID: fmt.Sprintf("%x", sha256.Sum256(text)), Log: g.log, Metric: g.metric}
	for _, o := range options {
		o(g)
	}
	t.Cleanup(g.drop)
	return g, nil
}

// metered is a module that was inspected: once in a test process, since it takes a second of the race detector's time.
type metered struct {
	id    string
	bytes []byte
}

var inspected sync.Map // [32]byte, the hash of an upload -> metered

func meteredOf(e *host.Engine, wasm []byte) (metered, error) {
	hash := sha256.Sum256(wasm)
	if m, ok := inspected.Load(hash); ok {
		return m.(metered), nil
	}
	in, err := e.Inspect(context.Background(), wasm, nil)
	if err != nil {
		return metered{}, err
	}
	m := metered{in.MeteredID, in.Metered}
	inspected.Store(hash, m)
	return m, nil
}

func bytesOf[G string | []byte](guest G) ([]byte, error) {
	if path, ok := any(guest).(string); ok {
		return os.ReadFile(path)
	}
	return []byte(guest), nil
}

func (g *Guest) log(level abi.LogLevel, text string) {
	g.logs = append(g.logs, text)
	g.t.Logf("guest: %s", text)
}

func (g *Guest) metric(kind abi.MetricKind, name string, value int64) {
	if kind == abi.MetricCounter {
		value += g.metrics[name]
	}
	g.metrics[name] = value
}

// Manifest returns what the guest describes itself as.
func (g *Guest) Manifest() *abi.Manifest { return g.manifest }

// Logs returns the lines that the guest has logged or printed.
func (g *Guest) Logs() []string { return g.logs }

// Metric returns a metric's value, 0 when the guest never changed it.
func (g *Guest) Metric(name string) int64 { return g.metrics[name] }

// Function finds a function of the manifest; one that is not there fails the test.
func (g *Guest) Function(name string) abi.Function {
	g.t.Helper()
	for _, f := range g.manifest.Functions {
		if f.Name == name {
			return f
		}
	}
	g.t.Fatalf("the guest has no function %q", name)
	return abi.Function{}
}

func (g *Guest) start() error {
	i, err := g.module.Instantiate(context.Background(), g.config)
	if err != nil {
		return fmt.Errorf("start instance: %w", err)
	}
	g.instance = i
	for number, h := range g.handles {
		if h == nil {
			continue
		}
		if err := i.Open(uint32(number), h); err != nil {
			return fmt.Errorf("open handle %d: %w", number, err)
		}
	}
	return nil
}

func (g *Guest) drop() {
	if g.instance != nil {
		g.instance.Close(context.Background())
		g.instance = nil
	}
}
