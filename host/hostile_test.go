package host

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
)

func hostile(t testing.TB, config InstanceConfig) *Instance {
	return guest(t, engine(t), "hostile", config)
}

func TestTrapNamesTheFunctionAndPoisons(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	_, err := do(i, 1)
	e := wantError(t, err, KindTrap, "process: trap in crash: unreachable")
	if want := "crash\nstumble\nprocess"; e.Trace != want {
		t.Errorf("trace %q (expected %q)", e.Trace, want)
	}
	if _, again := do(i, 0, 0); again != err {
		t.Errorf("a poisoned instance answered %v (expected its first error)", again)
	}
}

func TestExitIsAnErrorWithWhatStderrSaid(t *testing.T) {
	var lines []string
	i := hostile(t, InstanceConfig{Log: func(level abi.LogLevel, text string) { lines = append(lines, fmt.Sprint(level, text)) }})
	_, err := do(i, 2, 3)
	e := wantError(t, err, KindExit, "exit status 3: giving up")
	if e.Output != "giving up\nsorry\n" {
		t.Errorf("output %q", e.Output)
	}
	if got := strings.Join(lines, "|"); got != "3giving up|3sorry" {
		t.Errorf("log %q", got)
	}
}

func TestHostPanicBecomesAnError(t *testing.T) {
	i := hostile(t, InstanceConfig{Log: func(abi.LogLevel, string) { panic("log is broken") }})
	_, err := do(i, 10, 1)
	wantError(t, err, KindPanic, "log is broken")
	i = hostile(t, InstanceConfig{Log: func(abi.LogLevel, string) { var m map[string]int; m["x"] = 1 }})
	_, err = do(i, 10, 1)
	e := wantError(t, err, KindPanic, "nil map")
	if !strings.Contains(e.Trace, "hostile_test.go") {
		t.Errorf("trace lacks the Go stack: %s", e.Trace)
	}
}

func TestEffectsOfATrappedCallAreDropped(t *testing.T) {
	metrics := 0
	i := hostile(t, InstanceConfig{Metric: func(abi.MetricKind, string, int64) { metrics++ }})
	if effects, err := do(i, 7, 0); err != nil || len(effects.Emits) != 1 {
		t.Fatalf("without a trap: %v", err)
	}
	effects, err := do(i, 7, 1)
	wantError(t, err, KindTrap)
	if effects != nil {
		t.Error("effects of a call that trapped")
	}
	i = hostile(t, InstanceConfig{Metric: i.config.Metric})
	_, err = do(i, 12, 1)
	wantError(t, err, KindTrap)
	if metrics != 0 {
		t.Errorf("%d metrics of calls that trapped", metrics)
	}
}

// every import that takes a pointer, with arguments that lie outside of memory or are not what they should be. The
// number is the one that the hostile guest knows the import by.
var badPointers = []struct {
	name   string
	number uint32
	args   []uint32
}{
	{"emit past the end", 0, []uint32{0, 0xfffffff0, 64}},
	{"emit whose end wraps", 0, []uint32{0, 16, 0xffffffff}},
	{"emit unknown output", 0, []uint32{7, 1024, 32}},
	{"emit empty", 0, []uint32{0, 1024, 0}},
	{"emit garbage", 0, []uint32{0, 1024, 64}},
	{"emit not aligned to a record's size", 0, []uint32{0, 1023, 64}},
	{"reply", 1, []uint32{0xffffff00, 0x200}},
	{"state", 2, []uint32{1, 0xffffff00, 64, 0, 0}},
	{"log", 3, []uint32{2, 0x7fffffff, 64}},
	{"metric name", 4, []uint32{1, 0xffffffff, 4, 1}},
	{"metric kind", 4, []uint32{9, 1024, 4, 1}},
	{"metric name empty", 4, []uint32{1, 1024, 0, 1}},
	{"metric name long", 4, []uint32{1, 1024, 65, 1}},
	{"param name", 5, []uint32{0xffffffff, 4, 0, 0}},
	{"fail", 6, []uint32{0xffffffff, 32}},
	{"fail garbage", 6, []uint32{1024, 32}},
	{"fail short", 6, []uint32{1024, 3}},
	{"fd_write vectors", 7, []uint32{1, 0xfffffff8, 2, 1024}},
	{"fd_write count", 7, []uint32{1, 1024, 1, 0xfffffffe}},
	{"random_get", 8, []uint32{0xfffffff0, 64}},
	{"clock_time_get", 9, []uint32{0, 0xfffffffc}},
	{"args_sizes_get first", 10, []uint32{0xffffffff, 1024}},
	{"args_sizes_get second", 10, []uint32{1024, 0xfffffffd}},
	{"environ_sizes_get", 11, []uint32{0xffffffff, 1024}},
	{"poll_oneoff in", 12, []uint32{0xffffffd0, 1024, 1, 1024}},
	{"poll_oneoff out", 12, []uint32{1024, 0xfffffff0, 1, 1024}},
	{"poll_oneoff count", 12, []uint32{1024, 1024, 1, 0xffffffff}},
	{"clock_res_get", 13, []uint32{0, 0xfffffffc}},
	{"fd_read", 14, []uint32{0, 1024, 1, 0xffffffff}},
	{"fd_fdstat_get", 15, []uint32{1, 0xfffffff0}},
}

func TestEveryBadPointerEndsTheCall(t *testing.T) {
	m := load(t, engine(t), "hostile")
	for _, c := range badPointers {
		t.Run(c.name, func(t *testing.T) {
			i := start(t, m, InstanceConfig{})
			open(t, i, 0, toOutput(0, abi.ColumnValues))
			_, err := do(i, append([]uint32{6, c.number}, c.args...)...)
			e := wantError(t, err, KindBadPointer)
			if e.Function == "" || !strings.Contains(e.Trace, "process") {
				t.Errorf("no trace: %+v", e)
			}
		})
	}
}

func TestParamValueIsWrittenOnlyWhereItFits(t *testing.T) {
	m := load(t, engine(t), "hostile")
	i := start(t, m, InstanceConfig{Params: map[string]string{"name": "Ahab"}})
	open(t, i, 0, toOutput(0, abi.ColumnValues))
	effects, err := do(i, 16)
	if err != nil || !strings.HasPrefix(emitted(effects)[0], "\x04\x00\x00\x00Ahab") {
		t.Fatalf("%v", err)
	}
	// A value that would fit only outside of memory.
	_, err = do(i, 6, 5, namePtr(t, i), 4, 0xfffffffe, 8)
	wantError(t, err, KindBadPointer, "param value")
	i = start(t, m, InstanceConfig{})
	open(t, i, 0, toOutput(0, abi.ColumnValues))
	if effects, err := do(i, 16); err != nil || !strings.HasPrefix(emitted(effects)[0], "\xff\xff\xff\xff") {
		t.Errorf("missing parameter: %v", err)
	}
}

// namePtr finds the text "name" in the guest's memory.
func namePtr(t *testing.T, i *Instance) uint32 {
	view, err := i.read(0, i.memory.Size())
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(view), "name")
	for !strings.HasPrefix(string(view[at:]), "name\x00") && !strings.HasPrefix(string(view[at:]), "name") {
		at++
	}
	return uint32(at)
}

func TestStateIsRefusedClearly(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	_, err := do(i, 6, 2, 1, 1024, 16, 2048, 16)
	wantError(t, err, KindUnsupported, "only a process function has state")
}

func TestFailureReasonOutlivesATrap(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	_, err := do(i, 8, 5, 0)
	if e := wantError(t, err, KindFailed, "record 5: whyw"); e.GuestTrace != "here" {
		t.Errorf("%+v", e)
	}
	_, err = do(i, 8, 6, 1)
	if e := wantError(t, err, KindTrap, "whyw"); e.Record != 6 {
		t.Errorf("%+v", e)
	}
}

func TestUnknownStatusPoisons(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	_, err := do(i, 0, 99)
	wantError(t, err, KindRefused, "status 99")
	i = hostile(t, InstanceConfig{})
	_, err = do(i, 0, uint32(abi.StatusOutOfMemory))
	wantError(t, err, KindMemoryLimit)
}

func TestCancelEndsASpin(t *testing.T) {
	for _, shape := range []uint32{3, 19} {
		fastest := time.Hour
		for range 3 { // the machine may be busy
			fastest = min(fastest, cancelSpin(t, shape))
		}
		if fastest > 50*time.Millisecond {
			t.Errorf("cancel took %v (expected < 50ms)", fastest)
		}
	}
}

// cancelSpin returns how long a guest that spins lived after it was canceled.
func cancelSpin(t *testing.T, shape uint32) time.Duration {
	i := hostile(t, InstanceConfig{})
	done := make(chan time.Time)
	var err error
	go func() {
		_, err = do(i, shape)
		done <- time.Now()
	}()
	for used := i.Fuel(); i.Fuel() < used+3*minQuantum; { // until it spins
		runtime.Gosched()
	}
	canceled := time.Now()
	i.Cancel()
	took := (<-done).Sub(canceled)
	wantError(t, err, KindCanceled)
	return took
}

func TestCancelBeforeACallEndsIt(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	i.Cancel()
	_, err := do(i, 0, 0)
	wantError(t, err, KindCanceled)
}

func TestCallLimit(t *testing.T) {
	i := hostile(t, InstanceConfig{CallLimit: 20 * time.Millisecond})
	began := time.Now()
	_, err := do(i, 3)
	wantError(t, err, KindTimeLimit, "longer than 20ms")
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestEndlessRecursion(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	_, err := do(i, 4)
	e := wantError(t, err, KindStackLimit)
	if e.Function != "recurse" {
		t.Errorf("function %q", e.Function)
	}
}

func TestMemoryLimit(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	if _, err := do(i, 5, 0); err != nil {
		t.Fatalf("a guest that lives with what it has: %v", err)
	}
	if size := i.memory.Size(); size > 16<<20 {
		t.Errorf("memory of %d bytes (limit 16 MiB)", size)
	}
	_, err := do(i, 5, 1)
	wantError(t, err, KindMemoryLimit, "beyond 16777216 bytes")
}

func TestFuelIsWhatTheGuestDoes(t *testing.T) {
	used := func(rounds uint32) int64 {
		i := hostile(t, InstanceConfig{})
		if _, err := do(i, 18, 1); err != nil { // grows the input buffer
			t.Fatal(err)
		}
		before := i.Fuel()
		if _, err := do(i, 18, rounds); err != nil {
			t.Fatal(err)
		}
		return i.Fuel() - before
	}
	few, many := used(1000), used(1_000_000)
	if few != used(1000) || many < 500*few || many > 1500*few {
		t.Errorf("1,000 rounds use %d (then %d), 1,000,000 use %d", few, used(1000), many)
	}
}

func TestOutputLimit(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	if effects, err := do(i, 9, 10_000); err != nil || len(effects.Emits) != 10_000 {
		t.Fatalf("%v", err)
	}
	_, err := do(i, 9, maxEmitBatches+1)
	wantError(t, err, KindOutputLimit, "batches")
	i = hostile(t, InstanceConfig{})
	_, err = do(i, 21, 65, 1<<20)
	wantError(t, err, KindOutputLimit, "bytes")
}

func TestManifestThatIsNotThePromisedOne(t *testing.T) {
	m := load(t, engine(t), "hostile")
	params := map[string]string{"lie": "yes"}
	first := start(t, m, InstanceConfig{Params: params, Seed: 1})
	if _, err := m.Instantiate(context.Background(), InstanceConfig{Params: params, Seed: 1, ManifestID: first.ManifestID()}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	_, err := m.Instantiate(context.Background(), InstanceConfig{Params: params, Seed: 2, ManifestID: first.ManifestID()})
	wantError(t, err, KindManifest, "another job graph")
}

func TestDescribeThatDiesIsNoRefusalWithoutParameters(t *testing.T) {
	e, wasm := engine(t), guestBytes(t, "hostile")
	in := inspect(t, e, "hostile")
	for param, kind := range map[string]Kind{"trap": KindTrap, "spin": KindTimeLimit, "fail": KindBadPointer, "json": KindManifest} {
		_, err := e.Inspect(context.Background(), wasm, map[string]string{param: "1"})
		wantError(t, err, kind, "describe")
		_, _, err = e.Describe(context.Background(), in.Metered, map[string]string{param: "1"})
		wantError(t, err, kind)
	}
}

func TestInstanceMemoryGoesBackWithTheInstance(t *testing.T) {
	m := load(t, engine(t), "hostile")
	for range 200 { // of up to 16 MiB each, 3 GiB in all: more than stays mapped by luck
		i := start(t, m, InstanceConfig{})
		open(t, i, 0, toOutput(0, 0))
		if _, err := do(i, 5, 0); err != nil {
			t.Fatal(err)
		}
		i.Close(context.Background())
		if i.linear.reserved != nil {
			t.Fatal("memory is still mapped")
		}
		if _, err := do(i, 0, 0); err == nil {
			t.Fatal("a closed instance answered")
		}
	}
}

// A guest that spins must not keep the garbage collector, and with it every goroutine of the process, waiting.
func TestGarbageCollectorUnderASpin(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	done := make(chan error)
	go func() {
		_, err := do(i, 3)
		done <- err
	}()
	for used := i.Fuel(); i.Fuel() < used+50*minQuantum; {
		runtime.Gosched()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var longest, sum time.Duration
	const rounds = 20
	for range rounds {
		began := time.Now()
		runtime.GC()
		took := time.Since(began)
		longest, sum = max(longest, took), sum+took
	}
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	pause := time.Duration(0)
	for _, p := range stats.Pause[:min(rounds, len(stats.Pause))] {
		pause = max(pause, p)
	}
	i.Cancel()
	wantError(t, <-done, KindCanceled)
	t.Logf("beside a guest that spins: a collection took %v at most, %v on average; longest pause %v", longest, sum/rounds, pause)
	if pause > 250*time.Millisecond { // an unmetered guest would hold it as long as it likes
		t.Errorf("longest pause %v (expected a few ms on an idle machine)", pause)
	}
}

func TestBatchesThatParseAndAreWrongNevertheless(t *testing.T) {
	m := load(t, newEngine(t, Config{MemoryLimit: 64 << 20}), "hostile")
	for name, c := range map[string]struct {
		words []uint32
		want  string
	}{
		"a column is missing":          {[]uint32{22, 0, 0}, "output 0: batch.columns: 0x0 (lacks 0x4 of those wanted)"},
		"more records than bytes":      {[]uint32{22, 1 << 31, 1}, "output 1: batch.n: 2147483648 records in 32 bytes"},
		"a record is beyond the limit": {[]uint32{21, 1, abi.MaxRecordBytes + 8}, "record 0: 16777224 bytes (limit 16777216)"},
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t, m, InstanceConfig{})
			h := toOutput(0, abi.ColumnValues)
			h.Functions[0].Outputs = append(h.Functions[0].Outputs, abi.HandleOutput{Tag: 1, Number: 1})
			open(t, i, 0, h)
			_, err := do(i, c.words...)
			wantError(t, err, KindBadPointer, c.want)
		})
	}
}

// Whatever a guest passes to a host function, the host does not panic, and an instance that is poisoned says so.
func FuzzHostFunctions(f *testing.F) {
	for _, c := range badPointers {
		args := append(append([]uint32{}, c.args...), 0, 0, 0, 0, 0)
		f.Add(c.number, args[0], args[1], args[2], args[3], args[4])
	}
	m := load(f, engine(f), "hostile")
	f.Fuzz(func(t *testing.T, number, a, b, c, d, e uint32) {
		i := start(t, m, InstanceConfig{Params: map[string]string{"name": "Ahab"}, Log: func(abi.LogLevel, string) {}})
		open(t, i, 0, toOutput(0, 0))
		_, err := do(i, 6, number%16, a, b, c, d, e)
		if err == nil {
			return
		}
		if failed, ok := err.(*Error); !ok || failed.Kind == KindPanic {
			t.Fatal(err)
		}
	})
}
