//go:build !linux

package spill

import (
	"os"

	"github.com/dgraph-io/ristretto/v2/z"
)

func allocate(f *os.File, from, n int64) error { return zero(f, from, n) }

func allocateBehind(*os.File, int64, int64) error { return nil }

// inMemory makes a file on the disk: what it promises is kept on Linux only.
func inMemory(name string, size int) (*z.MmapFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return z.OpenMmapFileUsing(f, size, true)
}
