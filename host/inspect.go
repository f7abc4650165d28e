package host

import (
	"context"

	"github.com/wasmill/wasmill/abi"
)

// Inspection is what is known of a module without trusting it.
type Inspection struct {
	ID                   string // SHA-256 of the upload, in hex
	Size                 int
	Metered              []byte // the module that is to be run
	MeteredID            string
	Manifest             *abi.Manifest // nil with a DescribeError
	ManifestBytes        []byte
	ManifestID           string // SHA-256 of ManifestBytes
	DescribeError        error  // describe failed, and that parameters are missing may be why
	Imports, Exports     []string
	Functions            int
	MemoryMin, MemoryMax uint32 // pages of 64 KiB; MemoryMax 0: as many as the limit allows
}

// Inspect judges an upload without running it, meters it, and asks it for its manifest in a throw-away sandbox. With
// nil params, at upload, a guest that fails for want of parameters is not refused.
func (e *Engine) Inspect(ctx context.Context, wasm []byte, params map[string]string) (*Inspection, error) {
	panic("inspect")
}

// Describe asks a metered module for its manifest with params, in a throw-away sandbox.
func (e *Engine) Describe(ctx context.Context, metered []byte, params map[string]string) ([]byte, *abi.Manifest, error) {
	panic("describe")
}
