package spill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/ristretto/v2/z"
	"golang.org/x/sys/unix"
)

// allocate takes blocks of the disk for a part of a file, which is as long from then on.
func allocate(f *os.File, from, n int64) error {
	err := fallocate(f, 0, from, n)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return zero(f, from, n)
	}
	return err
}

// allocateBehind takes blocks for what a file may grow by, where the file system can be asked to.
func allocateBehind(f *os.File, end, n int64) error {
	err := fallocate(f, unix.FALLOC_FL_KEEP_SIZE, end, n)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

func fallocate(f *os.File, mode uint32, from, n int64) error {
	for {
		if err := unix.Fallocate(int(f.Fd()), mode, from, n); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// inMemory makes a file that lies on no disk.
func inMemory(name string, size int) (*z.MmapFile, error) {
	fd, err := unix.MemfdCreate(filepath.Base(name), unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory for %s: %w", name, err)
	}
	return z.OpenMmapFileUsing(os.NewFile(uintptr(fd), name), size, true)
}
