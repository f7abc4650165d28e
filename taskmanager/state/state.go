// Package state keeps what a task's operators remember of their keys. It knows entries, resolved a batch at a time, where
// they lie (in memory, on the disk of this attempt, or still in the snapshot files that the attempt began from), what has
// changed since the last snapshot, and their key groups. It knows nothing of windows, watermarks, guests or what a value
// means, and it never decides when a snapshot is taken.
//
// An entry is named by its state (the operator's uid and the state's name there), a namespace, and its key. Inside a task
// only the key groups that the task owns occur; the group is a function of the key's xxhash64.
package state

import (
	"math"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// Kind says what a state's values are, and how they are reached. The numbers stand in snapshot files.
type Kind uint8

const (
	Words Kind = 1 // one u64 an entry, zero when the entry is new: a Table
	Bytes Kind = 2 // a byte string an entry, absent when the entry is new: a Table
	List  Kind = 3 // elements of a key, in the order in which they were appended: Sorted
	Map   Kind = 4 // values of a key by sub key, in the order of the sub keys' bytes: Sorted
	Timer Kind = 5 // keys by time: Timers
	Piece Kind = 6 // byte strings of a key by number, read many at a time: Pieces
)

// Spec names a state and what it holds.
type Spec struct {
	Operator string // uid
	Name     string
	Kind     Kind
	TTL      int64     // milliseconds that an entry lives after it was written; 0: for ever
	Event    bool      // it lives by the EventTime of its operator, not by the time given to SetTime
	Once     bool      // with a TTL: nobody sets a key a second time, so what has ended leaves the memory and says nothing of it
	Version  uint16    // schema version of what is written from now on
	Key      abi.Codec // of the keys, the sub keys and the values: for people and for compatibility
	SubKey   abi.Codec
	Value    abi.Codec
	Derived  bool // of kind Words or Bytes: in no snapshot, because who goes on from one makes it anew
}

// Namespace is a part of a state that is dropped as a whole: the start of a window in milliseconds, or Global.
type Namespace int64

// Global is the namespace of a state that is not cut by time.
const Global Namespace = math.MinInt64

// Entry is one key of one table. It is valid until the next Trim of its store, and that of a table from which entries were
// deleted until its next Resolve.
type Entry uint32

// Config is what a store is made for.
type Config struct {
	Groups   int                // key groups of the job
	From, To graph.KeyGroup     // those that the task owns: From <= group < To
	Restored []*snapshot.Reader // what it goes on from, the oldest first, cut to these groups; the store closes nothing
	Budget   int64              // bytes of memory; 0: no limit, and everything that is restored is read at once
	Dir      string             // for what does not fit in memory: made when it is needed, removed by Close
	Space    *spill.Space       // what Dir may take; it goes with a budget
}

// Store holds the state of one task. All methods are called by the task's goroutine, but Size, which any may call.
type Store interface {
	// SetTime sets the clock that entries expire by, in milliseconds; it never goes back.
	SetTime(ms int64)
	// EventTime is the clock that the entries of an operator expire by whose states say so. The task sets it between other calls.
	EventTime(operator string) *Clock
	// Watermarks are what the event-time clocks show, by operator; nil if there are none.
	Watermarks() map[string]int64
	// Table returns the table of a state of kind Words or Bytes in a namespace, an empty one if there was none. A state
	// keeps the kind with which it was first named.
	Table(s Spec, ns Namespace) (Table, error)
	// Pieces returns a state of kind Piece in a namespace, an empty one if there was none.
	Pieces(s Spec, ns Namespace) (Pieces, error)
	// Drop removes a namespace of a state of kind Words, Bytes or Piece with all its entries; it is nothing if there is none.
	Drop(s Spec, ns Namespace) error
	// Namespaces lists those in which a state of kind Words, Bytes or Piece may have entries, restored ones included, in
	// ascending order.
	Namespaces(s Spec) ([]Namespace, error)
	// Sorted returns a state of kind List or Map.
	Sorted(s Spec) (Sorted, error)
	// Timers returns a state of kind Timer.
	Timers(s Spec) (Timers, error)
	// Own returns a value of an operator's own scope, as each subtask of the restored snapshot had stored it; none when
	// nothing was restored.
	Own(operator, name string) ([]Owned, error)
	// SetOwn stores a value of the operator's own scope of this subtask.
	SetOwn(operator, name string, value []byte) error
	// Freeze takes what has changed since the Freeze before it, in a time that does not grow with how much that is, for
	// another goroutine to write. The task goes on at once: what it changes does not show in what was frozen.
	Freeze() (Frozen, error)
	// Trim has the store go back to its budget: entries that were not touched lately leave the memory. It is called
	// between batches. A *spill.FullError says that there is no room for them.
	Trim() error
	// Warm takes in about n entries of what was restored and nobody has touched yet, as long as there is room, and answers
	// whether there may be more. For files to be read it waits no longer than this. It is called between batches.
	Warm(n int, wait time.Duration) (more bool, err error)
	// Size is the memory held, in bytes.
	Size() int64
	// Close frees everything but what is frozen.
	Close() error
}

// Owned is a value of an operator's own scope, of one subtask.
type Owned struct {
	From, To graph.KeyGroup // that the subtask owned: From <= group < To
	Value    []byte
}

// Table is one namespace of one state of kind Words or Bytes.
type Table interface {
	// Resolve finds the entries of the records rows of b (nil: of all), whose key hashes are hashes[row], and sets
	// entries[i] to that of rows[i]. An absent key is added. Records with the same key get the same entry. Every entry
	// that was resolved counts as changed and may be changed in place.
	Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error
	// ResolveKeys is Resolve for keys that lie apart, all different. With read, entries count as changed only when they
	// are set or deleted, and absent keys are not added: their entry is NoEntry.
	ResolveKeys(keys [][]byte, hashes []uint64, read bool, entries []Entry) error
	// Word returns the place of the value of an entry of kind Words, valid as long as the entry.
	Word(e Entry) *uint64
	// Value returns the value of e in a state of kind Bytes, nil if it has none. It is valid until the next SetValue,
	// and as long as e is. Its schema version is Version(e).
	Value(e Entry) []byte
	// Change is Value of an entry that was resolved by Resolve, to be changed in place until the next SetValue of it.
	Change(e Entry) []byte
	// Version is the schema version that the value of e was written with.
	Version(e Entry) uint16
	// SetValue copies v into e.
	SetValue(e Entry, v []byte) error
	// Migrate puts v in the place of the value of e, which has an older version: it ends when the old one would have.
	Migrate(e Entry, v []byte) error
	// Delete removes e; resolving its key again makes a new one.
	Delete(e Entry) error
	// Key returns the key of e, valid as long as e is, and Hash its hash.
	Key(e Entry) []byte
	Hash(e Entry) uint64
	// Len is at least the number of entries that an Entry of this table can name now: e < Len.
	Len() int
	// Scan sets dst to entries of the table and returns how many; it is over when there is none. It begins with cursor
	// 0 and goes on with the cursor that the call before returned. Entries that were scanned may be deleted between
	// calls, and snapshots taken; nothing may be added.
	Scan(cursor uint64, dst []Entry) (n int, next uint64, err error)
	// Repeats says whether what the Scan that is under way has gone through can be gone through again: not where it comes from disk.
	Repeats() bool
	// Rescan is Scan of what that has gone through since one cursor and up to another. It is over where it comes to that.
	Rescan(cursor, until uint64, dst []Entry) (n int, next uint64)
}

// Pieces is one namespace of a state of kind Piece. What is read of it is not taken into memory: it may be more than that has
// room for.
type Pieces interface {
	// Put sets a piece; what it was is not read.
	Put(at PieceKey, value []byte) error
	// Delete removes a piece, if it is there; it is not read.
	Delete(at PieceKey) error
	// Read calls yield for those of the pieces that are there, in the order of all, until yield answers false. What is not in
	// memory is read in one sorted pass, before the first yield. Value is valid until the next call.
	Read(all []PieceKey, yield func(i int, value []byte) bool) error
}

// PieceKey names a piece of a key. Hash is the key's.
type PieceKey struct {
	Hash   uint64
	Key    []byte
	Number uint32
}

// NoEntry is the entry of a key that is not there.
const NoEntry = ^Entry(0)

// Sorted is a state whose entries have an order: those of a key by sub key.
type Sorted interface {
	// Get returns a value of a map, nil if there is none; valid until the next call.
	Get(hash uint64, key, sub []byte) (value []byte, version uint16, err error)
	// Fetch has the values of a map by pairs of key and sub key in memory, as far as they are there: Get reads none of them
	// then. What is not in memory is read in one sorted pass.
	Fetch(keys, subs [][]byte) error
	// Put sets a value of a map.
	Put(hash uint64, key, sub, value []byte) error
	// Delete removes a value of a map.
	Delete(hash uint64, key, sub []byte) error
	// Migrate puts value in the place of one of a map, or of an element of a list, that has an older version: it ends when
	// the old one would have, and keeps its place. Nil removes it.
	Migrate(hash uint64, key, sub, value []byte) error
	// Append adds an element to a list.
	Append(hash uint64, key, value []byte) error
	// Clear removes all that the key has.
	Clear(hash uint64, key []byte) error
	// Scan calls yield for what the key has, in order, beginning behind the sub key after (nil: with the first; of a
	// list, a sub key that an earlier yield was given), until yield answers false. The slices are valid during the call.
	Scan(hash uint64, key, after []byte, yield func(sub, value []byte, version uint16) bool) error
	// Keys calls yield for the keys that have something, in no order, and for a key once at least, until yield fails. The state may
	// not be used meanwhile, other ones may. A key is valid during the call.
	Keys(yield func(key []byte) error) error
}

// Timers is a set of pairs of a time and a key.
type Timers interface {
	// Set adds a timer; the same again is one.
	Set(time int64, hash uint64, key []byte) error
	// Delete removes a timer, if it is there.
	Delete(time int64, hash uint64, key []byte) error
	// Has says whether a timer is there.
	Has(time int64, hash uint64, key []byte) (bool, error)
	// Due calls yield for the timers at or before until, the oldest first, those of a time in the order of their keys,
	// until yield answers false. It begins at a place, nil: at the first; those before cost nothing. Nothing may be set or deleted
	// meanwhile; key is valid during the call.
	Due(from Place, until int64, yield func(time int64, hash uint64, key []byte) bool) error
	// Next is the earliest time, abi.MaxTime when there is no timer.
	Next() (int64, error)
}

// Place is one in the order of timers. It is compared as bytes are.
type Place []byte

// AppendPlace appends the place of a timer, also of one that is not there.
func AppendPlace(dst Place, time int64, key []byte) Place {
	return append(appendTime(dst, time), key...)
}

// Frozen is what had changed between two calls of Freeze. One goroutine, any, uses it; the store may change or be closed
// meanwhile.
type Frozen interface {
	// States are those that have something to write; the index is what entries of Write name them by.
	States() []snapshot.State
	// Write adds every change to w, in the order of the file. After an error it may be called again, with another writer.
	Write(w *snapshot.Writer) error
	// Whole is everything that the store held, of which this is a part, if all of it lay in memory; nil if not. It can be
	// used until this is released.
	Whole() Frozen
	// Release frees what was kept for it.
	Release()
}
