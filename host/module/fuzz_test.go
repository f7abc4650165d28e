package module

import (
	"errors"
	"runtime"
	"testing"
)

// FuzzParse: no panic, errors of the one kind, and memory in proportion to the input.
func FuzzParse(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add(sound().bytes())
	p := sound()
	p.define(body(OpBlock, byte(0x40), OpI32Const, byte(1), OpBrTable, 1, 0, 1, OpEnd))
	p.tables = [][]byte{join(FuncRef, byte(1), 2, 5)}
	p.elements = [][]byte{join(0, OpI32Const, byte(0), OpEnd, 2, 3, 4), join(5, FuncRef, 1, byte(OpRefFunc), 1, OpEnd)}
	p.data = [][]byte{join(byte(0), OpI32Const, byte(8), OpEnd, "hello")}
	p.customs = [][]byte{join("name", byte(1), 9, 1, 7, "deeper")}
	f.Add(p.bytes())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		var before, after runtime.MemStats
		if len(wasm) > 4096 {
			runtime.ReadMemStats(&before)
		}
		m, err := Parse(wasm)
		if len(wasm) > 4096 {
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > uint64(200*len(wasm)+1<<20) {
				t.Fatalf("%d bytes allocated for %d", used, len(wasm))
			}
		}
		if err == nil {
			err = m.Check(DefaultBudget())
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%T %v", err, err)
		}
	})
}
