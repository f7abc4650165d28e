package host

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/jsonfault"
)

// InstanceConfig says what one instance is for.
type InstanceConfig struct {
	Params     map[string]string // the job's parameters
	ManifestID string            // what describe with Params must hash to; empty: anything
	Seed       uint64            // of what the guest sees as randomness
	CallLimit  time.Duration     // 0: the engine's
	// Log takes a line that the guest logged or wrote to stdout or stderr, Metric a change of one of its metrics. They
	// are called on the goroutine that calls the guest, Log at once, Metric when the call has ended well; nil drops.
	Log    func(level abi.LogLevel, text string)
	Metric func(kind abi.MetricKind, name string, value int64)
}

// Instance is a started module: one subtask's guest. Its calls run one at a time, whoever makes them; an error that
// poisons ends it, and it then answers every call with that error.
type Instance struct {
	module   *Module
	config   InstanceConfig
	manifest *abi.Manifest
	params   []byte // config.Params as describe takes them

	manifestBytes []byte
	manifestID    string // SHA-256 of manifestBytes

	mu     sync.Mutex // held while the guest runs, and to close; guards all that follows
	wasm   api.Module
	memory api.Memory
	linear *linearMemory
	dead   *Error // why the instance must be discarded
	closed bool

	exports exports
	input   inputBuffer
	outputs map[uint32]outputs // per open handle
	ctx     callContext        // of calls; kept so that a call allocates nothing
	stack   [4]uint64          // parameters and result of the call that runs

	call  call  // effects of the call that runs
	fuel  fuel  // how long it may still run
	wasi  wasi  // what WASI shows it
	lines lines // what it may still log
	meters
}

// exports are the guest's functions, looked up once: each look-up makes a new call engine.
type exports struct {
	initialize, describe, buffer, open, process, keyed, migrate, close api.Function
}

// outputs are the output numbers of a handle, and the key and value columns that each must bring.
type outputs map[uint32]abi.Columns

// Instantiate starts an instance: it runs the guest's start function and _initialize, and asks it for its manifest.
func (m *Module) Instantiate(ctx context.Context, config InstanceConfig) (*Instance, error) {
	i, err := m.start(ctx, config, 0)
	if err != nil {
		return nil, err
	}
	if err := i.promise(); err != nil {
		i.Close(ctx)
		return nil, err
	}
	return i, nil
}

// start instantiates the module and describes it; fuelLimit bounds what the instance may use up in all, 0 does not.
func (m *Module) start(ctx context.Context, config InstanceConfig, fuelLimit int64) (*Instance, error) {
	if config.CallLimit == 0 {
		config.CallLimit = m.engine.config.CallLimit
	}
	i := &Instance{module: m, config: config, outputs: make(map[uint32]outputs)}
	i.ctx = callContext{context.Background(), i}
	i.params = abi.AppendParams(nil, config.Params)
	i.fuel.init(m.engine.config.Quantum, fuelLimit)
	i.wasi.init(config.Seed)
	stop := context.AfterFunc(ctx, i.Cancel)
	defer stop()
	if err := i.instantiate(); err != nil {
		i.Close(ctx)
		return nil, err
	}
	if err := i.describe(); err != nil {
		i.Close(ctx)
		return nil, err
	}
	return i, nil
}

// instantiate runs everything that comes before the first call.
func (i *Instance) instantiate() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	linear, err := i.module.reserveMemory()
	if err != nil {
		return err
	}
	i.linear = linear
	allocate := experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory { return linear })
	ctx := &callContext{experimental.WithMemoryAllocator(context.Background(), allocate), i}
	i.beginCall("instantiate")
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	wasm, err := i.module.engine.runtime.InstantiateModule(ctx, i.module.compiled, config)
	if err != nil {
		return i.endCall(err)
	}
	i.wasm, i.memory = wasm, wasm.Memory()
	i.fuel.bind(wasm)
	i.exports = exports{
		initialize: wasm.ExportedFunction("_initialize"),
		describe:   wasm.ExportedFunction(abi.ExportDescribe),
		buffer:     wasm.ExportedFunction(abi.ExportBuffer),
		open:       wasm.ExportedFunction(abi.ExportOpen),
		process:    wasm.ExportedFunction(abi.ExportProcess),
		keyed:      wasm.ExportedFunction(abi.ExportKeyed),
		migrate:    wasm.ExportedFunction(abi.ExportMigrate),
		close:      wasm.ExportedFunction(abi.ExportClose),
	}
	if i.exports.initialize == nil {
		return i.endCall(nil)
	}
	i.beginCall("initialize")
	return i.endCall(i.exports.initialize.CallWithStack(&i.ctx, nil))
}

// reserveMemory reserves address space for an instance's memory, up to its own maximum or the limit.
func (m *Module) reserveMemory() (*linearMemory, error) {
	limit := uint64(m.engine.config.MemoryLimit)
	memory := m.compiled.ExportedMemories()[abi.ExportMemory]
	if need := uint64(memory.Min()) * pageBytes; need > limit {
		return nil, &Error{Kind: KindMemoryLimit, Step: "instantiate", Record: abi.None,
			Message: fmt.Sprintf("it begins with %d bytes of memory (limit %d)", need, limit)}
	}
	if pages, ok := memory.Max(); ok {
		limit = min(limit, uint64(pages)*pageBytes)
	}
	return newLinearMemory(limit)
}

// maxManifestBytes bounds a manifest: some ten thousand operators.
const maxManifestBytes = 4 << 20

// describe reads the manifest, from the custom section or by asking the guest with the parameters.
func (i *Instance) describe() error {
	raw := i.module.section
	if raw == nil {
		var err error
		if raw, err = i.callDescribe(); err != nil {
			return err
		}
	}
	i.manifestBytes, i.manifestID = raw, hashOf(raw)
	m := new(abi.Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return &Error{Kind: KindManifest, Step: "describe", Record: abi.None,
			Message: jsonfault.Describe(raw, err), Hint: "the SDK must answer one JSON object: see abi/README.md"}
	}
	i.manifest = m
	return nil
}

func (i *Instance) callDescribe() ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.exports.describe == nil {
		return nil, &Error{Kind: KindManifest, Step: "describe", Record: abi.None,
			Message: "the module has neither " + abi.ExportDescribe + " nor a section " + abi.ManifestSection}
	}
	if err := i.beginCall("describe"); err != nil {
		return nil, err
	}
	ptr, err := i.give(Bytes(i.params))
	if err != nil {
		return nil, err
	}
	i.stack = [4]uint64{uint64(ptr), uint64(len(i.params))}
	if err := i.endCall(i.exports.describe.CallWithStack(&i.ctx, i.stack[:])); err != nil {
		return nil, err
	}
	at, size := uint32(i.stack[0]>>32), uint32(i.stack[0])
	view, e := i.read(at, size)
	switch {
	case e != nil:
	case size == 0 && i.call.failure != nil:
		e = &Error{Kind: KindFailed}
		i.addFailure(e)
	case size == 0 || size > maxManifestBytes:
		e = errorf(KindManifest, "manifest of %d bytes (expected 1 <= size <= %d)", size, maxManifestBytes)
	}
	if e != nil {
		return nil, i.die(e, "describe")
	}
	return append([]byte(nil), view...), nil
}

// promise compares the manifest with the one that the job was submitted with.
func (i *Instance) promise() error {
	if i.config.ManifestID == "" || i.config.ManifestID == i.manifestID {
		return nil
	}
	return &Error{Kind: KindManifest, Step: "describe", Record: abi.None, Message: fmt.Sprintf(
		"the guest describes another job graph (%.12s) than when it was submitted (%.12s): a graph may depend on nothing but the job's parameters, not on time, randomness or the order of a map",
		i.manifestID, i.config.ManifestID)}
}

// Manifest returns what the guest described itself as.
func (i *Instance) Manifest() *abi.Manifest { return i.manifest }

// ManifestID returns the SHA-256 of the manifest's bytes, in hex.
func (i *Instance) ManifestID() string { return i.manifestID }

// Close waits for the call that runs (Cancel it first, if it may spin) and frees the instance. What calls returned stays
// valid: it is in memory of the host.
func (i *Instance) Close(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	i.flushLines()
	var err error
	if i.wasm != nil {
		err = i.wasm.Close(ctx)
	}
	if i.linear != nil {
		i.linear.Free() // wazero does not, when instantiation stopped half way
	}
	return err
}

// newRandom makes the source of what random_get answers.
func newRandom(seed uint64) *rand.ChaCha8 {
	var s [32]byte
	for k := range 8 {
		s[k] = byte(seed >> (8 * k))
	}
	return rand.NewChaCha8(s)
}
