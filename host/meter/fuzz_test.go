package meter

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
)

// FuzzRewrite gives any bytes to Rewrite. What wazero accepts as it was, it must accept metered.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add(randomModule(nil))
	f.Add(randomModule([]byte("\x02\x0f\x03\x01\x02\x03\x04\x05\x06\x07\x08\x0f\x02")))
	f.Add(unusualModule())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		metered, err := parseAndRewrite(wasm, Options{})
		if err != nil || len(wasm) > 10_000 {
			return
		}
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
		defer r.Close(ctx)
		if _, err := r.CompileModule(ctx, wasm); err != nil {
			return
		}
		if _, err := r.CompileModule(ctx, metered); err != nil {
			t.Fatalf("metered: %v", err)
		}
		if limit := 40*len(wasm) + 1000; len(metered) > limit {
			t.Fatalf("%d bytes became %d", len(wasm), len(metered))
		}
	})
}

// FuzzSameResults steers random modules.
func FuzzSameResults(f *testing.F) {
	f.Add([]byte("\x02\x0f\x03\x01\x02\x03\x04\x05\x06\x07\x08\x0f\x02"), uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, x, y uint64) {
		if len(data) > 2000 {
			return
		}
		differ(t, randomModule(data), x&0xffffffff, y&0xffffffff)
	})
}
