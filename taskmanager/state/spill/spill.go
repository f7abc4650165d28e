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

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Sizes of one map, which takes about 25 MB of memory, and an index of about 2 bytes a key.
const (
	memTable = 8 << 20
	// MaxKey and MaxValue bound what a map takes: larger values would go to Badger's value log, which has to be
	// collected; larger keys it does not take.
	MaxKey   = 32 << 10
	MaxValue = 1 << 20
)

// Map is a sorted map with versions. One goroutine writes; any may read.
type Map struct {
	dir   string
	space *Space
	db    *badger.DB
}

// Open makes an empty map in a directory, which it owns from then on: what is there is removed.
func Open(dir string, space *Space) (*Map, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("open spill: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spill: %w", err)
	}
	if err := space.open(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	o := badger.DefaultOptions(dir).WithLogger(nil).WithMetricsEnabled(false).WithDetectConflicts(false).
		WithMemTableSize(memTable).WithNumMemtables(2).WithNumCompactors(2).WithValueLogFileSize(16 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).WithValueThreshold(MaxValue).
		WithChecksumVerificationMode(options.OnTableRead).WithBaseTableSize(8 << 20).WithBaseLevelSize(32 << 20)
	db, err := badger.OpenManaged(o)
	if err != nil {
		space.close()
		return nil, errors.Join(fmt.Errorf("open spill %s: %w", dir, err), os.RemoveAll(dir))
	}
	return &Map{dir: dir, space: space, db: db}, nil
}

// Close ends the map and removes its directory. Nobody may read or write any more.
func (m *Map) Close() error {
	err := m.db.Close()
	m.space.close()
	return errors.Join(err, os.RemoveAll(m.dir))
}

// Forget lets go of what was overwritten or deleted at or below a version: it cannot be asked for any more.
func (m *Map) Forget(version uint64) { m.db.SetDiscardTs(version) }

// Batch is writes that are under way. They can be read once Flush has returned.
type Batch struct {
	m     *Map
	b     *badger.WriteBatch
	bytes int64
}

// Batch begins writes. Keys come best in ascending order.
func (m *Map) Batch() *Batch { return &Batch{m: m, b: m.db.NewManagedWriteBatch()} }

// Put sets a key at a version. Key and value belong to the map from then on. The same again replaces it.
func (b *Batch) Put(key, value []byte, version uint64) error {
	if err := b.take(len(key) + len(value)); err != nil {
		return err
	}
	return b.wrote(b.b.SetEntryAt(badger.NewEntry(key, value), version))
}

// Delete removes a key from a version on.
func (b *Batch) Delete(key []byte, version uint64) error {
	if err := b.take(len(key)); err != nil {
		return err
	}
	return b.wrote(b.b.DeleteAt(key, version))
}

// checkEvery is how many bytes are written between two looks at the disk: what a memtable holds.
const checkEvery = memTable / 2

func (b *Batch) take(n int) error {
	if b.bytes == 0 || b.bytes+int64(n) > checkEvery {
		if err := b.m.space.Check(checkEvery); err != nil {
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
func (b *Batch) Flush() error { return b.wrote(b.b.Flush()) }

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
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err == nil {
		err = item.Value(use)
	}
	if err != nil {
		return false, fmt.Errorf("read spill %s: %w", v.m.dir, err)
	}
	return true, nil
}

// Iterator steps through the keys that begin with a prefix, in ascending order. One goroutine uses it, and closes it before
// the view that it is of.
type Iterator struct {
	m     *Map
	it    *badger.Iterator
	value []byte
	// sought is where the last Seek began, if there was no Next since; nothing is between it and where the iterator is. What
	// was deleted there may be much, and is passed once.
	sought []byte
	steady bool
}

// Iterator makes one, which is nowhere before Seek.
func (v View) Iterator(prefix []byte) *Iterator {
	return &Iterator{m: v.m, it: v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})}
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
	if !i.it.Valid() {
		return false, nil
	}
	if err := i.it.Item().Value(func(v []byte) error { i.value = v; return nil }); err != nil {
		return false, fmt.Errorf("read spill %s: %w", i.m.dir, err)
	}
	return true, nil
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
		if err := item.Value(func(value []byte) error { fault = yield(item.Key(), value, false); return nil }); err != nil {
			return fmt.Errorf("read spill %s: %w", m.dir, err)
		}
		if fault != nil {
			return fault
		}
	}
	return nil
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
