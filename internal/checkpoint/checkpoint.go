// Package checkpoint has the nouns of what a job has saved: the manifest of a checkpoint or savepoint, what each task
// gave to it, how its parts are named, and the decisions about them: which checkpoint to restore, which files nobody
// needs any more. It never touches storage: callers read facts, ask, and act. What stands inside a snapshot file is the
// business of package snapshot below it.
package checkpoint

import (
	"encoding/json"
	"time"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// ID numbers the checkpoints of a job, savepoints included, from 1. It comes from a durable counter and is never used
// twice.
type ID uint64

// Version is the version of a manifest; one of another version is refused.
//
// History: 1 first.
const Version = 1

// Kind says who asked for it, and so who may delete it.
type Kind string

const (
	Periodic  Kind = "checkpoint" // the JobMaster's own: retained while it is among the newest
	Savepoint Kind = "savepoint"  // the user's own: self-contained, deleted by its user only
)

// Manifest is everything that a job can go on from. It is written once, when every file it names is durable.
type Manifest struct {
	Version    int            `json:"version"`
	Job        graph.JobID    `json:"job"`
	Checkpoint ID             `json:"checkpoint"`
	Kind       Kind           `json:"kind"`
	Epoch      graph.Epoch    `json:"epoch"`
	Attempt    graph.Attempt  `json:"attempt"`
	Time       time.Time      `json:"time"`
	Graph      graph.JobGraph `json:"graph"`             // as it ran: uids, declared states, codecs, number of key groups
	Tasks      []Task         `json:"tasks"`             // one a subtask of each chain
	Sources    []SourceSplits `json:"sources,omitempty"` // one a source operator

	Skipped map[string]int64 `json:"skipped,omitempty"` // records, timers and results that operators have left out, by uid
	Counts  Counts           `json:"counts,omitzero"`
}

// Task is what one subtask of one chain gave.
type Task struct {
	Task      graph.TaskID            `json:"task"`
	Finished  bool                    `json:"finished,omitempty"`  // its input had ended: there is nothing to run again
	Files     []File                  `json:"files,omitempty"`     // its state, the oldest first: later entries replace earlier ones
	Unaligned bool                    `json:"unaligned,omitempty"` // its barrier overtook, or could have
	InFlight  *InFlight               `json:"inFlight,omitempty"`  // what the barrier has overtaken, if anything
	Sources   []SourceState           `json:"sources,omitempty"`   // of the source operator it begins with: at most one
	Prepared  []connector.Committable `json:"prepared,omitempty"`  // output to commit when the checkpoint is decided
	Promised  map[string]int64        `json:"promised,omitempty"`  // watermarks of its timestamp functions, by uid; abi.MaxTime: they have no input left
	Figures   Figures                 `json:"figures"`

	Skipped map[string]int64 `json:"skipped,omitempty"` // since its attempt began, see Manifest
	Counts  Counts           `json:"counts,omitzero"`   // the same

	Versions Versions `json:"versions,omitzero"` // of its files' states; nil: they were not all written by its attempt
}

// File is a reference to a snapshot file. Names are relative to the root of the job's checkpoints, or to the savepoint
// that the manifest lies in, so that both can be moved.
type File struct {
	Name     string         `json:"name"`
	Size     int64          `json:"size"`
	Checksum string         `json:"checksum"` // SHA-256 of the file in hexadecimal
	Footer   uint32         `json:"footer"`   // of its footer, by which a file is known that is not read whole
	From     graph.KeyGroup `json:"from"`     // the reference counts for From <= group < To, and for the operator's own scope;
	To       graph.KeyGroup `json:"to"`       // the file may hold more: it may be older than a rescaling
	Entries  int64          `json:"entries"`

	// Operators are the uids that the reference counts for; none: all that the file has. It was cut when the chain whose
	// task wrote the file was: each operator's state is with one task only.
	Operators []string `json:"operators,omitempty"`

	// OwnFrom and OwnTo say whose part of the operators' own scope counts of it, by the key groups of the subtask that stored it:
	// a subtask stores all of its part in the first snapshot that it makes, and with it whatever others have stored is out of date.
	// Both 0: the reference is a task's own, and not to be read by others yet.
	OwnFrom graph.KeyGroup `json:"ownFrom,omitempty"`
	OwnTo   graph.KeyGroup `json:"ownTo,omitempty"`
}

// SourceState is where a source subtask stood.
type SourceState struct {
	Operator  string      `json:"operator"`       // uid
	Done      []uint32    `json:"done,omitempty"` // splits that it has read to their end since its attempt began
	Open      []OpenSplit `json:"open,omitempty"` // splits that it has begun
	Watermark int64       `json:"watermark"`      // what it has promised; abi.MaxTime: it has nothing left to read
}

// OpenSplit is a split that is read in part.
type OpenSplit struct {
	Index    uint32          `json:"index"`              // number of the split in the source
	Position json.RawMessage `json:"position,omitempty"` // the reader's, of the next record

	// Promised is what was promised of the split alone, by the uid of who gives its records their timestamps. Who reads it
	// next goes on from that.
	Promised map[string]int64 `json:"promised,omitempty"`
}

// SourceSplits are all splits of a source, and what of them is still to be read.
type SourceSplits struct {
	Operator  string            `json:"operator"` // uid
	Splits    []connector.Split `json:"splits"`
	Ordered   bool              `json:"ordered,omitempty"`
	Done      []uint32          `json:"done,omitempty"` // ascending
	Open      []OpenSplit       `json:"open,omitempty"` // neither done nor open: not begun
	Watermark int64             `json:"watermark"`      // the smallest that a subtask had promised
}

// Figures say what a task's part has cost.
type Figures struct {
	AlignNs  int64 `json:"alignNs"`  // from the first barrier to the last
	SyncNs   int64 `json:"syncNs"`   // that the task stood still for freezing
	AsyncNs  int64 `json:"asyncNs"`  // for writing and uploading
	Bytes    int64 `json:"bytes"`    // newly written
	InFlight int64 `json:"inFlight"` // bytes of batches that were in flight

	ExchangeNs int64 `json:"exchangeNs,omitempty"` // from when the task stood still until other guests had been called for something, or had nothing to do
}
