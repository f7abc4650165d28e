package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
)

// disk is the checkpoint store that all processes share. It outlives them, and can be made to fail.
type disk struct {
	cluster *Cluster
	dir     string

	mu    sync.Mutex
	fault diskFault // guarded by mu
	name  string    // of the fault
}

// diskFault is what becomes of writes.
type diskFault int

const (
	diskWorks diskFault = iota
	diskFails
	diskFull
	diskSlow
)

func newDisk(x *Cluster) *disk { return &disk{cluster: x, dir: filepath.Join(x.dir, "checkpoints")} }

// open is a store below the disk's root, as one process sees it.
func (d *disk) open(f *fence) func(context.Context, string) (blob.Store, error) {
	return func(_ context.Context, url string) (blob.Store, error) {
		s, err := blob.OpenDir(url)
		if err != nil {
			return nil, err
		}
		return store{s, f, d}, nil
	}
}

// before is what a write has to pass.
func (d *disk) before() error {
	d.mu.Lock()
	fault, name := d.fault, d.name
	d.mu.Unlock()
	if fault == diskWorks {
		return nil
	}
	d.cluster.trace.Effect(name)
	switch fault {
	case diskFails:
		return errors.New("input/output error")
	case diskFull:
		return syscall.ENOSPC
	}
	time.Sleep(5 * time.Second) // virtual
	return nil
}

// diskFault makes writes fail for a while.
func (x *Cluster) diskFault(name string, f diskFault) {
	set := func(f diskFault) {
		x.disk.mu.Lock()
		defer x.disk.mu.Unlock()
		x.disk.fault, x.disk.name = f, name
	}
	set(f)
	x.Sleep(x.someTime(4 * time.Second))
	set(diskWorks)
}

// damage changes a byte of a file that a task would be restored from, or cuts it off; false: there was none.
func (d *disk) damage(seed uint64) bool {
	r := rand.New(rand.NewPCG(seed, 4))
	var files []string
	_ = filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files)
	if len(files) == 0 {
		return false
	}
	path := files[len(files)-1-r.IntN(min(len(files), 3))]
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return false
	}
	if r.IntN(4) == 0 {
		data = data[:r.IntN(len(data))]
	} else {
		data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	}
	d.cluster.trace.Add("damaged %s", path)
	return os.WriteFile(path, data, 0o666) == nil
}

// store is a blob store behind the fence, on a disk that can fail.
type store struct {
	blob.Store
	fence *fence
	disk  *disk
}

func (s store) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := s.disk.before(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return s.fence.do(func() error { return s.Store.Put(ctx, name, r, size) })
}

func (s store) Open(ctx context.Context, name string) (o blob.Object, err error) {
	err = s.fence.do(func() (err error) { o, err = s.Store.Open(ctx, name); return err })
	return o, err
}

func (s store) Delete(ctx context.Context, names ...string) error {
	return s.fence.do(func() error { return s.Store.Delete(ctx, names...) })
}
