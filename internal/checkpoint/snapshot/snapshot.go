// Package snapshot has the format of snapshot files: what a task's state was, or how it changed, in immutable sorted
// files. It knows entries, blocks, checksums and how files are merged; it knows nothing of tasks, checkpoints or storage:
// it writes to an io.Writer and reads from an io.ReaderAt.
package snapshot

import (
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
	Version  uint16    `json:"version,omitempty"`
	Key      abi.Codec `json:"key,omitempty"`
	SubKey   abi.Codec `json:"subKey,omitempty"`
	Value    abi.Codec `json:"value,omitempty"`
}

// Own is the key group of what belongs to an operator and not to a key.
const Own graph.KeyGroup = 0xFFFF

// Op is what an entry does to what older files say. The list only grows; a file with an unknown one is refused.
type Op uint8

const (
	Put             Op = 1
	Delete          Op = 2
	Append          Op = 3 // reserved: no version writes it
	DeleteNamespace Op = 4 // of one key group; stands before the entries of its namespace, which are newer
)

// Entry is one entry. Files are sorted by (operator, key group, state, namespace, key); no two entries have the same of
// all five, but a DeleteNamespace, whose key is empty, may come before one with an empty key.
type Entry struct {
	State     int // index in the file's states
	Group     graph.KeyGroup
	Namespace int64
	Key       []byte // of a list or map, a timer: as JoinKey makes it
	Op        Op
	Version   uint16 // schema version of Value
	Expiry    int64  // milliseconds since the epoch, 0: never
	Value     []byte
}

// Writer and its contract are in writer.go.
type Writer struct{}
