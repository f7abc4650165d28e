package host

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/host/meter"
)

// A metered guest counts down a global, fuel, by about one an instruction, and calls quantum when it is used up. That
// call is all the hold there is on a guest that runs: the garbage collector's safe point, the deadline, and the place
// where cancel takes effect.

// Bounds of a quantum in fuel. Measured, a tight loop uses 6 units a nanosecond and memory.fill 13, code that waits for
// memory less than one: the first quantum takes 40 to 250 µs, the upper bound is about what 500 µs can use up.
const (
	firstQuantum = 250_000
	minQuantum   = 1_000
	maxQuantum   = 10_000_000
)

// fuel meters one instance.
type fuel struct {
	canceled atomic.Bool
	used     atomic.Int64 // as of the last quantum or end of call

	global  api.MutableGlobal // nil while a start function runs
	limit   int64             // of used; 0: none
	target  time.Duration     // how long a quantum should last
	quantum int64             // fuel that lasts about so long
	granted int64             // what the global was last set to

	callLimit time.Duration
	started   time.Time // of the call
	last      time.Time // of the quantum
}

func (f *fuel) init(target time.Duration, limit int64) {
	f.target, f.limit, f.quantum = target, limit, firstQuantum
}

// bind finds the global of the instance.
func (f *fuel) bind(wasm api.Module) {
	f.global, _ = wasm.ExportedGlobal(meter.ExportFuel).(api.MutableGlobal)
}

// begin fills the tank for a call.
func (f *fuel) begin(callLimit time.Duration) {
	f.callLimit = callLimit
	f.started = time.Now()
	f.last = f.started
	f.granted = 0
	if f.global != nil {
		f.granted = f.quantum
		f.global.Set(uint64(f.quantum))
	}
}

// end adds what the call used.
func (f *fuel) end() {
	f.settle()
	f.granted = 0
}

// settle adds what was used of the last grant. What the guest overdrew counts too.
func (f *fuel) settle() {
	left := int64(0)
	if f.global != nil {
		left = int64(f.global.Get())
	}
	f.used.Add(f.granted - left)
	f.granted = left
}

// adapt sets the next quantum by how long the last took, in steps that one odd measurement cannot spoil.
func (f *fuel) adapt(now time.Time) {
	took := max(now.Sub(f.last), 1)
	f.last = now
	next := int64(float64(f.quantum) * float64(f.target) / float64(took))
	next = min(max(next, f.quantum/8), f.quantum*2)
	f.quantum = min(max(next, minQuantum), maxQuantum)
}

// quantum is the function a metered guest calls when its fuel is used up (reason 0) or its frames take more than the
// stack limit (reason 1). It answers how much fuel the guest may use until it must call again.
//
//	wasmill_meter.quantum(reason i32) -> fuel i64
//
// A guest cannot import it: an upload that names the module wasmill_meter is refused.
//
// For example, a guest that used up 250,000 units in 1 ms calls quantum(0), and is answered 125,000.
var quantum = hostFunction{
	module: meter.ImportModule, name: meter.ImportName,
	params: []api.ValueType{i32}, results: []api.ValueType{i64},
	call: func(i *Instance, stack []uint64) {
		if uint32(stack[0]) == meter.ReasonStack {
			panic(errorf(KindStackLimit, "its frames take more than %d bytes: endless recursion?", i.module.engine.config.StackLimit))
		}
		stack[0] = uint64(i.nextQuantum())
	},
}

func (i *Instance) nextQuantum() int64 {
	f := &i.fuel
	f.settle()
	if f.canceled.Load() {
		panic(errorf(KindCanceled, "the call was canceled"))
	}
	now := time.Now()
	if took := now.Sub(f.started); took > f.callLimit {
		panic(errorf(KindTimeLimit, "the call takes longer than %v", f.callLimit))
	}
	if f.limit > 0 && f.used.Load() > f.limit {
		panic(errorf(KindTimeLimit, "it uses more than %d units of fuel", f.limit))
	}
	f.adapt(now)
	runtime.Gosched() // lets the garbage collector and other goroutines in
	f.last = time.Now()
	f.granted = f.quantum
	return f.quantum
}

// Cancel ends the call that runs within a quantum, and every later one at once, with KindCanceled. It may be called
// from any goroutine, at any time.
func (i *Instance) Cancel() { i.fuel.canceled.Store(true) }

// Fuel returns how much the instance has used so far, start included: about one unit an instruction. It may be called
// from any goroutine.
func (i *Instance) Fuel() int64 { return i.fuel.used.Load() }
