// Package ha holds the cluster's metadata and says who leads. It knows keys, bytes and counters, replicated by
// hashicorp/raft, of which it is the only importer; it refuses to know what the bytes mean. A decision of the JobManager
// is what an Apply has answered without an error; effects come after.
package ha

import (
	"errors"

	"github.com/wasmill/wasmill/internal/graph"
)

// Store is the metadata of one cluster, opened by the process that leads it. Methods may be called from many goroutines.
// What a write has answered without an error survives the loss of the process (in memory: nothing does). An error other
// than ErrExists and ErrStale leaves open whether the write took place.
type Store interface {
	// Epoch is this leadership's number: higher than that of every Store opened on the same metadata before.
	Epoch() graph.Epoch
	// Get returns the value of a key. The caller must not change the bytes.
	Get(key string) (value []byte, ok bool)
	// List returns the entries whose keys begin with prefix, in the order of their keys.
	List(prefix string) []Entry
	// Apply carries out all operations or none.
	Apply(ops ...Op) error
	// Next adds one to the named counter and returns it. The first answer is 1, and none is ever given twice.
	Next(counter string) (uint64, error)
	// Close releases what the Store holds.
	Close() error
}

// Entry is a key and its value.
type Entry struct {
	Key   string
	Value []byte
}

// Op is one operation of an Apply. Put, PutIfAbsent, Delete and DropCounter make one.
type Op struct {
	Kind  OpKind `json:"kind"`
	Key   string `json:"key"`
	Value []byte `json:"value,omitempty"`
}

// OpKind is what an Op does. The list only grows: the numbers stand in the log on disk.
type OpKind int

const (
	OpPut         OpKind = 1
	OpPutIfAbsent OpKind = 2
	OpDelete      OpKind = 3
	OpDropCounter OpKind = 4
)

// Put sets a key.
func Put(key string, value []byte) Op { return Op{Kind: OpPut, Key: key, Value: value} }

// PutIfAbsent sets a key that must not be there: if it is, Apply answers ErrExists and does nothing at all.
func PutIfAbsent(key string, value []byte) Op { return Op{Kind: OpPutIfAbsent, Key: key, Value: value} }

// Delete removes a key, if it is there.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DropCounter forgets a counter whose name will never be used again.
func DropCounter(counter string) Op { return Op{Kind: OpDropCounter, Key: counter} }

// ErrExists is returned by Apply when a PutIfAbsent met its key.
var ErrExists = errors.New("key exists")

// ErrStale is returned by Apply and Next of a Store whose epoch is no longer the newest: another process leads.
var ErrStale = errors.New("another JobManager leads by a newer epoch")
