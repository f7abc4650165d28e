package spill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger writes to its files by memory maps, so a block that the disk has not got is a fault that ends the process; and a
// table that its compaction cannot create is left out without a word, with what was in it. So all of its files are made
// here, and none is ever refused:
//
//   - Tables get their blocks before they are mapped: out of what is free, else out of the ballast, else they lie in
//     memory, and the map is at fault.
//   - Logs are for those who open a map again. Nobody does, so they lie in memory from the beginning.

// open maps by directory, for the one function that all Badger databases of a process make their files with.
var open = struct {
	once sync.Once
	mu   sync.Mutex
	maps map[string]*Map
}{maps: map[string]*Map{}}

func (m *Map) register() {
	open.once.Do(func() { z.OpenFile = openFile })
	open.mu.Lock()
	open.maps[m.dir] = m
	open.mu.Unlock()
}

func (m *Map) unregister() {
	open.mu.Lock()
	delete(open.maps, m.dir)
	open.mu.Unlock()
}

func openFile(name string, flag, size int) (*z.MmapFile, error) {
	open.mu.Lock()
	m := open.maps[filepath.Dir(name)]
	open.mu.Unlock()
	if m == nil {
		return nil, fmt.Errorf("open %s: it is of no map", name)
	}
	f, err := m.openFile(name, flag, size)
	if err != nil && !errors.Is(err, z.NewFile) {
		m.fail(err)
	}
	return f, err
}

func (m *Map) openFile(name string, flag, size int) (*z.MmapFile, error) {
	if filepath.Ext(name) != ".sst" {
		return inMemory(name, size)
	}
	err := m.space.Disk.extend(filepath.Join(m.dir, badger.ManifestFilename))
	if err == nil {
		var made *z.MmapFile
		if made, err = m.space.Disk.create(name, flag, size); err == nil {
			return made, z.NewFile
		}
	}
	m.fail(m.space.full(err))
	return inMemory(name, size)
}

// create makes a file of which every block is allocated, and maps it.
func (d *Disk) create(name string, flag, size int) (made *z.MmapFile, err error) {
	err = d.pressed(int64(size), func() error {
		f, err := os.OpenFile(name, flag, 0o600)
		if err != nil {
			return err
		}
		var data []byte
		if err = allocate(f, 0, int64(size)); err == nil {
			data, err = z.Mmap(f, true, int64(size))
		}
		if err != nil {
			return errors.Join(err, f.Close(), os.Remove(name))
		}
		made = &z.MmapFile{Data: data, Fd: f}
		return nil
	})
	return made, err
}

// tail is the room behind the end of Badger's manifest: what it adds to that for a table it writes, and could not do
// without; it would try for ever.
const tail = 64 << 10

// extend has the blocks allocated that a file will grow into.
func (d *Disk) extend(name string) error {
	return d.pressed(tail, func() error {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return allocateBehind(f, info.Size(), tail)
	})
}

// zero is how blocks are allocated where the file system cannot be asked to.
func zero(f *os.File, from, n int64) error {
	var zeros [64 << 10]byte
	for end := from + n; from < end; {
		some, err := f.WriteAt(zeros[:min(end-from, int64(len(zeros)))], from)
		if err != nil {
			return err
		}
		from += int64(some)
	}
	return nil
}
