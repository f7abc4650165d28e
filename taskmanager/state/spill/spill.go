// Package spill keeps what does not fit in memory in a sorted map on the local disk, in Badger. It knows keys, values and
// versions, the files of one map, and how much room there is on the disk; it knows nothing of states, tables or
// checkpoints. A map lives for one attempt of a task: it is made empty, is never synced, and leaves nothing behind.
package spill

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// sizes are what a map is made for.
type sizes struct {
	memTable int64 // bytes that are written before they are a table: there are up to three such, twice (with their logs)
	table    int64 // bytes of a table; one that is merged is built in twice as much, up to a dozen at a time
}

// sizesFor are those of a map that goes with so much memory of entries: it takes about half of that once more, and not
// less than about 25 MB. Tables double with every level, so that those of a large map are not too many to be open.
func sizesFor(budget int64) sizes {
	m := min(max(budget/32, 1<<20), 8<<20)
	return sizes{memTable: m, table: max(m/4, 1<<20)}
}

// MaxKey bounds the keys that a map takes. Values above maxInline have a file each.
const (
	MaxKey    = 32 << 10
	maxInline = 64 << 10
)

// Map is a sorted map with versions. One goroutine writes; any may read.
type Map struct {
	dir   string
	space *Space
	size  sizes
	db    *badger.DB
	large large                 // of the goroutine that writes
	fault atomic.Pointer[error] // the first one: nothing can be written any more, and what is read may be incomplete
}

// fail keeps the first fault.
func (m *Map) fail(err error) { m.fault.CompareAndSwap(nil, &err) }

func (m *Map) failed() error {
	if err := m.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Open makes an empty map in a directory, which it owns from then on: what is there is removed. Budget is the memory that
// the entries have which are not in the map.
func Open(dir string, space *Space, budget int64) (*Map, error) {
	dir = filepath.Clean(dir)
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("open spill: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spill: %w", err)
	}
	if err := space.open(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	size := sizesFor(budget)
	o := badger.DefaultOptions(dir).WithLogger(nil).WithMetricsEnabled(false).WithDetectConflicts(false).
		WithMemTableSize(size.memTable).WithNumMemtables(2).WithNumCompactors(2).WithValueLogFileSize(16 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).WithValueThreshold(maxInline).
		WithChecksumVerificationMode(options.OnTableRead).WithBaseTableSize(size.table).WithBaseLevelSize(32 << 20)
	m := &Map{dir: dir, space: space, size: size}
	m.register()
	var err error
	if m.db, err = badger.OpenManaged(o); err != nil {
		m.unregister()
		return nil, errors.Join(fmt.Errorf("open spill %s: %w", dir, err), space.close(), os.RemoveAll(dir))
	}
	if err := space.Disk.extend(filepath.Join(dir, badger.ManifestFilename)); err != nil {
		return nil, errors.Join(space.full(err), m.Close())
	}
	return m, nil
}

// Close ends the map and removes its directory. Nobody may read or write any more.
func (m *Map) Close() error {
	err := m.db.Close()
	m.unregister()
	return errors.Join(err, m.space.close(), os.RemoveAll(m.dir))
}

// Forget lets go of what was overwritten or deleted at or below a version: it cannot be asked for any more.
func (m *Map) Forget(version uint64) {
	m.db.SetDiscardTs(version)
	m.large.forgotten.Store(version)
}

// Batch is writes that are under way. They can be read once Flush has returned.
type Batch struct {
	m        *Map
	b        *badger.WriteBatch
	bytes    int64
	replaced []replacedFile
}

// Batch begins writes. Keys come best in ascending order.
func (m *Map) Batch() *Batch { return &Batch{m: m, b: m.db.NewManagedWriteBatch()} }

// Put sets a key at a version. Key and value belong to the map from then on. The same again replaces it.
func (b *Batch) Put(key, value []byte, version uint64) error {
	if err := b.take(len(key) + len(value)); err != nil {
		return err
	}
	b.replace(key, version)
	e := badger.NewEntry(key, value)
	if len(value) > maxInline {
		ref, err := b.putLarge(key, value)
		if err != nil {
			return err
		}
		e = badger.NewEntry(key, ref).WithMeta(isLarge)
	}
	return b.wrote(b.b.SetEntryAt(e, version))
}

// Delete removes a key from a version on.
func (b *Batch) Delete(key []byte, version uint64) error {
	if err := b.take(len(key)); err != nil {
		return err
	}
	b.replace(key, version)
	return b.wrote(b.b.DeleteAt(key, version))
}

func (b *Batch) take(n int) error {
	if err := b.m.failed(); err != nil {
		return err
	}
	// Between two looks at the disk lies half of what a memtable holds.
	if every := b.m.size.memTable / 2; b.bytes == 0 || b.bytes+int64(n) > every {
		if err := b.m.space.Check(max(every, int64(n))); err != nil {
			return err
		}
		b.bytes = 0
	}
	b.bytes += int64(n) + 1
	return nil
}

func (b *Batch) wrote(err error) error {
	if err != nil {
		return fmt.Errorf("write spill %s: %w", b.m.dir, err)
	}
	return nil
}

// Flush ends the batch, also after an error.
func (b *Batch) Flush() error {
	if err := errors.Join(b.wrote(b.b.Flush()), b.m.failed()); err != nil {
		return err
	}
	b.m.large.replaced = append(b.m.large.replaced, b.replaced...)
	return b.wrote(b.m.sweep())
}

// Cancel ends a batch of which not everything was written.
func (b *Batch) Cancel() { b.b.Cancel() }

// View reads what is newest. One goroutine uses it.
type View struct {
	m   *Map
	txn *badger.Txn
}

// View begins to read.
func (m *Map) View() View { return View{m, m.db.NewTransactionAt(math.MaxUint64, false)} }

// Close ends the view.
func (v View) Close() { v.txn.Discard() }

// Get calls use with the value of a key, which is valid during the call, and answers whether there is one.
func (v View) Get(key []byte, use func(value []byte) error) (bool, error) {
	for was := uint64(0); ; {
		item, err := v.txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return false, v.m.failed()
		}
		if err == nil {
			err = item.Value(func(stored []byte) error {
				value, err := v.m.value(item.UserMeta(), stored)
				if err != nil {
					return err
				}
				return use(value)
			})
		}
		var replaced *replacedError
		switch {
		case err == nil:
			return true, nil
		case errors.As(err, &replaced) && replaced.number != was: // by what is there now
			was = replaced.number
		default:
			return false, fmt.Errorf("read spill %s: %w", v.m.dir, err)
		}
	}
}

// Iterator steps through the keys that begin with a prefix, in ascending order. One goroutine uses it, and closes it before
// the view that it is of.
type Iterator struct {
	view  View
	it    *badger.Iterator
	value []byte
	// sought is where the last Seek began, if there was no Next since; nothing is between it and where the iterator is. What
	// was deleted there may be much, and is passed once.
	sought []byte
	steady bool
}

// Iterator makes one, which is nowhere before Seek.
func (v View) Iterator(prefix []byte) *Iterator {
	return &Iterator{view: v, it: v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})}
}

// Close ends the iterator.
func (i *Iterator) Close() { i.it.Close() }

// Seek goes to the first key at or behind from, and answers whether there is one.
func (i *Iterator) Seek(from []byte) (bool, error) {
	if i.steady && bytes.Compare(i.sought, from) <= 0 && (!i.it.Valid() || bytes.Compare(i.it.Item().Key(), from) >= 0) {
		return i.it.Valid(), nil
	}
	i.it.Seek(from)
	i.sought, i.steady = append(i.sought[:0], from...), true
	return i.read()
}

// Next goes to the next key, and answers whether there is one.
func (i *Iterator) Next() (bool, error) {
	i.it.Next()
	i.steady = false
	return i.read()
}

func (i *Iterator) read() (bool, error) {
	for {
		if err := i.view.m.failed(); err != nil || !i.it.Valid() {
			return false, err
		}
		item := i.it.Item()
		err := item.Value(func(v []byte) (err error) { i.value, err = i.view.m.value(item.UserMeta(), v); return err })
		var replaced *replacedError
		if !errors.As(err, &replaced) {
			if err != nil {
				return false, fmt.Errorf("read spill %s: %w", i.view.m.dir, err)
			}
			return true, nil
		}
		there, err := i.view.Get(item.Key(), func(v []byte) error { i.value = v; return nil })
		if err != nil || there {
			return there, err
		}
		i.it.Next() // it was deleted
	}
}

// Key and Value are where Seek or Next went to, valid until the next one.
func (i *Iterator) Key() []byte   { return i.it.Item().Key() }
func (i *Iterator) Value() []byte { return i.value }

// Version is that at which the key was put.
func (i *Iterator) Version() uint64 { return i.it.Item().Version() }

// Scan calls yield for the keys that begin with prefix, at or behind from, in ascending order, until it answers false. The
// slices are valid during the call.
func (v View) Scan(prefix, from []byte, yield func(key, value []byte) bool) error {
	it := v.Iterator(prefix)
	defer it.Close()
	there, err := it.Seek(from)
	for ; there && err == nil && yield(it.Key(), it.Value()); there, err = it.Next() {
	}
	return err
}

// ScanVersion calls yield for the keys that begin with prefix and were put or deleted at one version, in ascending order.
// It is right as long as nothing below the version was forgotten with Forget.
func (m *Map) ScanVersion(version uint64, prefix []byte, yield func(key, value []byte, deleted bool) error) error {
	txn := m.db.NewTransactionAt(version, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, SinceTs: version - 1, AllVersions: true})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if item.IsDeletedOrExpired() {
			if err := yield(item.Key(), nil, true); err != nil {
				return err
			}
			continue
		}
		var fault error
		err := item.Value(func(stored []byte) error {
			value, err := m.value(item.UserMeta(), stored)
			if err == nil {
				fault = yield(item.Key(), value, false)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read spill %s: %w", m.dir, err)
		}
		if fault != nil {
			return fault
		}
	}
	return m.failed()
}

// DeleteAll removes all keys that begin with prefix, from a version on.
func (m *Map) DeleteAll(prefix []byte, version uint64) error {
	v := m.View()
	defer v.Close()
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	b := m.Batch()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := b.Delete(bytes.Clone(it.Item().Key()), version); err != nil {
			b.Cancel()
			return err
		}
	}
	return b.Flush()
}
