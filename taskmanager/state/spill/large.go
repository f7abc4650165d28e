package spill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
)

// large is the values that are too large for Badger, which would copy them each time that it merges its tables: each lies in
// a file of its own, which is written once, and Badger has its number.
//
// A value that was replaced or deleted is needed until its version is forgotten, and until nobody can find its number any
// more. The goroutine that writes removes its file then.
type large struct {
	last      uint64            // number that was given
	newest    map[string]uint64 // numbers by key: what a key has now; it may not be to be read yet
	replaced  []replacedFile    // in batches that have ended
	forgotten atomic.Uint64     // version
}

type replacedFile struct {
	number uint64
	until  uint64 // version from which on the key has something else
}

// isLarge is Badger's user meta of an entry whose value is the number and the length of a large one.
const isLarge = 1

const largeRef = 16

func (m *Map) largeFile(number uint64) string {
	return filepath.Join(m.dir, fmt.Sprintf("value-%d", number))
}

// putLarge writes a value, and returns what Badger has in its place.
func (b *Batch) putLarge(key, value []byte) ([]byte, error) {
	l := &b.m.large
	l.last++
	name := b.m.largeFile(l.last)
	err := b.m.space.Disk.pressed(0, func() error {
		err := os.WriteFile(name, value, 0o600)
		if err != nil {
			err = errors.Join(err, os.Remove(name))
		}
		return err
	})
	if err != nil {
		return nil, b.m.space.full(err)
	}
	if l.newest == nil {
		l.newest = map[string]uint64{}
	}
	l.newest[string(key)] = l.last
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, l.last), uint64(len(value))), nil
}

// replace takes note of a key that is written at a version.
func (b *Batch) replace(key []byte, version uint64) {
	l := &b.m.large
	if len(l.newest) == 0 {
		return
	}
	if was, ok := l.newest[string(key)]; ok {
		delete(l.newest, string(key))
		b.replaced = append(b.replaced, replacedFile{was, version})
	}
}

// sweep removes the files that nobody asks for any more.
func (m *Map) sweep() (err error) {
	l := &m.large
	forgotten := l.forgotten.Load()
	l.replaced = slices.DeleteFunc(l.replaced, func(f replacedFile) bool {
		if f.until > forgotten {
			return false
		}
		err = errors.Join(err, os.Remove(m.largeFile(f.number)))
		return true
	})
	return err
}

// value reads what an entry of Badger stands for. errReplaced says that it is to be looked for once more.
func (m *Map) value(meta byte, stored []byte) ([]byte, error) {
	if meta != isLarge {
		return stored, nil
	}
	if len(stored) != largeRef {
		return nil, fmt.Errorf("read spill %s: a reference to a value has %d bytes (expected %d)", m.dir, len(stored), largeRef)
	}
	number, n := binary.LittleEndian.Uint64(stored), binary.LittleEndian.Uint64(stored[8:])
	value, err := os.ReadFile(m.largeFile(number))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &replacedError{number}
	case err != nil:
		return nil, fmt.Errorf("read spill: %w", err)
	case uint64(len(value)) != n:
		return nil, fmt.Errorf("read spill %s: %d bytes (expected %d)", m.largeFile(number), len(value), n)
	}
	return value, nil
}

// replacedError says that a value was replaced between reading its number and its file.
type replacedError struct{ number uint64 }

func (e *replacedError) Error() string {
	return fmt.Sprintf("read spill: value %d is not there", e.number)
}
