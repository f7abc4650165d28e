package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/wasmill/wasmill/abi"
)

// The conformance guests must answer the same whether they are metered or not, and compiled or interpreted: that they are
// metered no user must notice, and a fault of wazero's compiler shows as a difference from its interpreter.
func TestMeteringAndCompilerChangeNoAnswer(t *testing.T) {
	for name, wasm := range conformanceGuests(t) {
		t.Run(name, func(t *testing.T) {
			metered, err := engine(t).Inspect(t.Context(), wasm, map[string]string{})
			if err != nil {
				t.Fatal(err)
			}
			interpreter := &Engine{config: Config{}.withDefaults()}
			interpreter.runtime = wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
			t.Cleanup(func() { interpreter.Close(context.Background()) })
			if err := interpreter.provide(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := answersOf(t, startAny(t, engine(t), metered.Metered))
			compare(t, "unmetered", answersOf(t, startAny(t, engine(t), wasm)), want)
			compare(t, "interpreted", answersOf(t, startAny(t, interpreter, metered.Metered)), want)
		})
	}
}

// conformanceGuests are the guest of C, which is committed, and that of Go, which is built.
func conformanceGuests(t *testing.T) map[string][]byte {
	t.Helper()
	built := filepath.Join(t.TempDir(), "go.wasm")
	build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", built, "./conformance")
	build.Dir = filepath.Join("..", "guest-sdk", "go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the Go guest: %v\n%s", err, out)
	}
	guests := make(map[string][]byte)
	for name, path := range map[string]string{"go": built, "c": "../abi/conformance/testdata/c.wasm"} {
		wasm, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		guests[name] = wasm
	}
	return guests
}

// startAny starts an instance of a module that need not be metered.
func startAny(t *testing.T, e *Engine, wasm []byte) *Instance {
	t.Helper()
	compiled, err := e.compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { compiled.Close(context.Background()) })
	m := &Module{engine: e, compiled: compiled, imports: len(compiled.ImportedFunctions())}
	return start(t, m, InstanceConfig{})
}

// answer is what came of one call.
type answer struct{ call, effects string }

func compare(t *testing.T, who string, got, want []answer) {
	t.Helper()
	for k, w := range want {
		if got[k] != w {
			t.Fatalf("%s, %s:\n%.500q\nexpected\n%.500q", who, w.call, got[k].effects, w.effects)
		}
	}
}

// answersOf calls every function of the guest, and every two that can follow each other, with the same made-up records
// in every run. Some of them make functions fail.
func answersOf(t *testing.T, i *Instance) (answers []answer) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	handle := uint32(0)
	run := func(call string, functions []abi.HandleFunction, in func() (*Effects, error)) {
		handle++
		last := &functions[len(functions)-1]
		last.Outputs = []abi.HandleOutput{{Columns: abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues | abi.ColumnKinds | abi.ColumnHeaders}}
		open(t, i, handle, &abi.Handle{Functions: functions})
		for range 2 {
			answers = append(answers, answer{call, render(in())})
		}
		if err := i.CloseHandle(handle); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range i.Manifest().Functions {
		head := abi.HandleFunction{Function: f.ID, Upstream: abi.None}
		if f.Accumulator != "" {
			for _, verb := range []abi.Verb{abi.VerbAccumulate, abi.VerbMerge, abi.VerbResult} {
				run(fmt.Sprintf("%s, verb %d", f.Name, verb), []abi.HandleFunction{head}, func() (*Effects, error) {
					return i.Keyed(handle, verb, &header, groupsFor(random, f, verb), nil)
				})
			}
			continue
		}
		process := func() (*Effects, error) { return i.Process(handle, &header, batchFor(random, f)) }
		run(f.Name, []abi.HandleFunction{head}, process)
		for _, next := range i.Manifest().Functions {
			if next.Accumulator == "" && next.Inputs[0] == f.Output {
				run(f.Name+", "+next.Name, []abi.HandleFunction{head, {Function: next.ID}}, process)
			}
		}
	}
	return answers
}

// render prints all that a call did.
func render(effects *Effects, err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return fmt.Sprintf("%v: record %d: %s", e.Kind, e.Record, e.Message)
	case err != nil:
		return err.Error()
	}
	var s strings.Builder
	for _, emit := range effects.Emits {
		fmt.Fprintf(&s, "%d: %s\n", emit.Output, emit.Bytes)
	}
	fmt.Fprintf(&s, "%s %v %d", effects.Reply, effects.HasWatermark, effects.Watermark)
	return s.String()
}

func batchFor(random *rand.Rand, f abi.Function) *abi.Builder {
	b := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues | abi.ColumnKinds | abi.ColumnHeaders)
	for range random.IntN(10) {
		b.Append(abi.Record{
			Timestamp: random.Int64N(1e6), Kind: abi.ChangeKind(random.IntN(4)),
			Key: valueFor(random, abi.CodecUTF8), Value: valueFor(random, f.Inputs[0]), Headers: valueFor(random, abi.CodecUTF8),
		})
	}
	return b
}

// groupsFor makes groups for a verb: only merge takes more than one accumulator, only accumulate takes records.
func groupsFor(random *rand.Rand, f abi.Function, verb abi.Verb) *abi.GroupsWriter {
	w := new(abi.GroupsWriter)
	w.Reset()
	values := func(c abi.Codec, most int) (list [][]byte) {
		for range random.IntN(most + 1) {
			list = append(list, valueFor(random, c))
		}
		return list
	}
	accumulators, records := 1, 0
	switch verb {
	case abi.VerbAccumulate:
		records = 5
	case abi.VerbMerge:
		accumulators = 5
	}
	for k := range random.IntN(10) {
		w.Begin(abi.Group{Flags: abi.GroupHasWindow, WindowStart: int64(k), WindowEnd: int64(k) + 1000, Key: valueFor(random, f.Key)})
		list := values(f.Accumulator, accumulators)
		w.List(abi.ListAccumulators, 0, len(list), nil, list)
		list = values(f.Inputs[0], records)
		w.List(abi.ListInput0, 0, len(list), nil, list)
		w.EndGroup()
	}
	return w
}

// valueFor makes a value of a codec up: short texts, and small numbers, so that no float becomes a NaN: its bits are left
// open by WebAssembly. It is little, because under the race detector the interpreter takes 15 times as long.
func valueFor(random *rand.Rand, c abi.Codec) []byte {
	switch c {
	case abi.CodecI64:
		return abi.AppendI64Key(nil, random.Int64N(20))
	case abi.CodecF64:
		return abi.AppendF64Key(nil, random.Float64()*100+1)
	case abi.CodecUTF8:
		if random.IntN(200) == 0 {
			return []byte("bad")
		}
		return bytes.Repeat([]byte("The whale \xff, "), 4)[:random.IntN(40)]
	}
	s, err := abi.ParseSchema(c)
	if err != nil {
		panic(err)
	}
	var w abi.RowWriter
	w.Reset(s)
	for k, field := range s.Fields {
		if field.Type.Variable() {
			w.SetBytes(k, valueFor(random, abi.CodecUTF8))
		} else {
			w.SetI64(k, random.Int64N(20)+1)
		}
	}
	return w.AppendTo(nil)
}
