// Package state keeps what a task's operators remember of their keys. It knows tables of entries, resolved a batch at a
// time, and where they lie in memory; it knows nothing of windows, watermarks, guests or what a value means.
//
// A table is named by the state it belongs to and by a namespace, a window as a rule, so that what a window held is
// dropped whole. Inside a table an entry is found by its key's bytes and their xxhash64. A task owns the key groups that
// its keys fall in; the group is a function of the hash, so no table stores it.
package state

import (
	"math"

	"github.com/wasmill/wasmill/abi"
)

// Kind says what a state's values are.
type Kind uint8

const (
	Words Kind = 1 // one u64 an entry, zero when the entry is new
	Bytes Kind = 2 // a byte string an entry, absent when the entry is new
)

// Spec names a state: the operator's uid, the state's name there, and what it holds.
type Spec struct {
	Operator string
	Name     string
	Kind     Kind
}

// Namespace is a part of a state that is dropped as a whole: the start of a window in milliseconds, or Global.
type Namespace int64

// Global is the namespace of a state that is not cut by time.
const Global Namespace = math.MinInt64

// Entry is one key of one table. It is valid until the next Resolve or Scan of its table.
type Entry uint32

// Store holds the tables of one task. All methods are called by the task's goroutine, but Size, which any may call.
type Store interface {
	// Table returns the table of a state in a namespace, an empty one if there was none. A state keeps the kind with
	// which it was first named.
	Table(s Spec, ns Namespace) (Table, error)
	// Drop removes a table with all its entries; it is nothing if there is none.
	Drop(s Spec, ns Namespace) error
	// Namespaces lists those in which the state has a table, in ascending order.
	Namespaces(s Spec) ([]Namespace, error)
	// Size is the memory held, in bytes.
	Size() int64
	// Close frees everything.
	Close() error
}

// Table is one namespace of one state.
type Table interface {
	// Resolve finds the entries of the records rows of b (nil: of all), whose key hashes are hashes[row], and sets
	// entries[i] to that of rows[i]. An absent key is added. Records with the same key get the same entry. Every entry
	// that was resolved counts as changed.
	Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error
	// Words are the values of a state of kind Words, indexed by Entry. The slice is valid as long as entries are, and is
	// how they are changed.
	Words() []uint64
	// Value returns the value of e in a state of kind Bytes, nil if it has none. It is valid until the next SetValue,
	// and as long as e is.
	Value(e Entry) []byte
	// SetValue copies v into e.
	SetValue(e Entry, v []byte) error
	// Key returns the key of e, valid as long as e is.
	Key(e Entry) []byte
	// Len is the number of entries.
	Len() int
	// Scan sets dst to entries of the table and returns how many. It begins with cursor 0, goes on with the cursor that
	// the call before returned, and is over when none is returned. Nothing may be added in between.
	Scan(cursor uint64, dst []Entry) (n int, next uint64, err error)
}
