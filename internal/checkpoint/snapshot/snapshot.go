// Package snapshot has the format of snapshot files: what a task's state was, or how it changed, in immutable sorted
// files. It knows entries, blocks, checksums and how files are merged; it knows nothing of tasks, checkpoints or storage:
// it writes to an io.Writer and reads from an io.ReaderAt.
package snapshot

import (
	"errors"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// State says what a state in a file is. A file lists its states in the order of operator, then name; entries name them
// by index.
type State struct {
	Operator string    `json:"operator"` // uid
	Name     string    `json:"name"`
	Kind     uint8     `json:"kind"` // as taskmanager/state numbers them
	TTL      int64     `json:"ttl,omitempty"`
	Event    bool      `json:"event,omitempty"` // its entries end by event time
	Version  uint16    `json:"version,omitempty"`
	Key      abi.Codec `json:"key,omitempty"`
	SubKey   abi.Codec `json:"subKey,omitempty"`
	Value    abi.Codec `json:"value,omitempty"`
}

// Own is the key group of what belongs to an operator and not to a key. Such an entry has OwnKey as its key, so that what
// several subtasks have stored stands side by side when their files are merged.
const Own graph.KeyGroup = 0xFFFF

// Op is what an entry does to what older files say. The list only grows; a file with an unknown one is refused.
type Op uint8

const (
	Put             Op = 1
	Delete          Op = 2
	Append          Op = 3 // reserved: no version writes it
	DeleteNamespace Op = 4 // of one key group; stands before the entries of its namespace, which are newer
)

// knownOps are those that this version writes and reads.
const knownOps = 1<<Put | 1<<Delete | 1<<DeleteNamespace

func (o Op) known() bool { return o < 8 && knownOps&(1<<o) != 0 }

// Entry is one entry. Files are sorted by (operator, key group, state, namespace, key); no two entries have the same of
// all five, but a DeleteNamespace, whose key is empty, may come before one with an empty key.
type Entry struct {
	State     int // index in the file's states
	Group     graph.KeyGroup
	Namespace int64
	Key       []byte // of a list or map: as JoinKey makes it
	Op        Op
	Version   uint16 // schema version of Value
	Expiry    int64  // milliseconds since the epoch, 0: never
	Value     []byte
}

// Expired says whether the entry has ended at a time, in milliseconds.
func (e *Entry) Expired(now int64) bool { return e.Expiry != 0 && e.Expiry <= now }

// ErrDamaged is in every error that says that a file is not as it was written: truncated, altered, of another name.
var ErrDamaged = errors.New("the file is damaged")

// ErrUnsupported is in every error that says that a file is of a kind which this version does not know.
var ErrUnsupported = errors.New("written by another version of wasmill")
