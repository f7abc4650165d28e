// Package connector says what the engine asks of a source and a sink, and nothing about any system: each system has a
// package below this one, and cmd lists them in a Registry. A connector is configured by a map of strings, checked once
// by its constructor; it knows nothing of jobs, tasks or guests beyond what is passed to it.
package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// Split is a unit of work of a source: what one reader reads from beginning to end. Its ID is unique in the source and is
// what people see ("moby.txt[0:8388608]"); Data is the connector's own.
type Split struct {
	ID    string          `json:"id"`
	Data  json.RawMessage `json:"data,omitempty"`
	Bytes int64           `json:"bytes,omitempty"` // of input, 0 when not known; for progress only

	Position json.RawMessage `json:"position,omitempty"` // where a reader before has stopped; none: at the beginning
}

// Guarantee is how often what a record brings about is seen when a job is restarted.
type Guarantee string

const (
	ExactlyOnce Guarantee = "exactly-once"
	AtLeastOnce Guarantee = "at-least-once" // a restart may repeat output that was visible
	AtMostOnce  Guarantee = "at-most-once"  // a restart may lose input
)

// Weakest is the guarantee of a whole whose parts have these.
func Weakest(parts ...Guarantee) Guarantee {
	weakest := ExactlyOnce
	for _, p := range parts {
		if p == AtMostOnce || p == AtLeastOnce && weakest == ExactlyOnce {
			weakest = p
		}
	}
	return weakest
}

// Splits is a source's work at the time it was enumerated.
type Splits struct {
	Splits []Split
	// Ordered says that the timestamps of each split lie at or after those of the splits before it, so splits that are
	// given out in order do not hold the watermark back.
	Ordered bool
}

// Source is one source operator. The JobManager enumerates, TaskManagers read.
type Source interface {
	// Bounded says whether the splits end.
	Bounded() bool
	// Columns are the columns of the batches its readers fill; always with ColumnValues.
	Columns() abi.Columns
	// Enumerate lists the splits for a job of the given parallelism. An input that does not exist is an error here, so
	// that a job fails before it runs.
	Enumerate(ctx context.Context, parallelism int) (Splits, error)
	// Guarantee is ExactlyOnce when a reader that is opened at a position gives exactly the records that another has not
	// given before that position.
	Guarantee() Guarantee
	// Open returns a reader at the beginning of the split, or at its position.
	Open(ctx context.Context, split Split) (Reader, error)
}

// Reader reads one split. It is used by one goroutine, the task's, and must not block longer than a disk read.
type Reader interface {
	// Poll appends records to b until b holds max records or about maxBytes, or nothing more is at hand.
	Poll(b *abi.Builder, max, maxBytes int, now time.Time) (Progress, error)
	// Position is where the next Poll begins: what Open needs, in any process, to go on from there.
	Position() json.RawMessage
	Close() error
}

// Progress is what Poll answers.
type Progress struct {
	Done bool      // the split has ended; records may have been appended by the same call
	Wake time.Time // when nothing was appended and the split goes on: call again then
	Read int64     // bytes of input consumed by this call, for metrics

	// CaughtUp says, with nothing appended, that the split has given all that there is for now: not that the reader waits for
	// a pace, a permit or a file while more is there. A split that stays so is idle, if its source has idleness.
	CaughtUp bool

	Bad []BadRecord // what of it is no record; valid until the next call
}

// BadRecord is a piece of input that is not what its format or the source's schema asks for. The reader goes on behind it:
// what becomes of it is not for the reader to say.
type BadRecord struct {
	Where string // "/data/events.json, byte 8123"
	Err   error
	Bytes []byte
}

// Committable is what a sink has prepared: the bytes that Commit needs to make it visible, on any TaskManager.
type Committable struct {
	Operator string          `json:"operator"` // filled in by the task
	Data     json.RawMessage `json:"data"`
}

// SinkTask tells a sink which subtask a writer is for.
type SinkTask struct {
	Job         string
	Attempt     uint32
	Subtask     int
	Parallelism int
	Key, Value  abi.Codec         // of the records it will get; Key is empty for records without key
	Ran         bool              // the job has had the sink open in an attempt before: what a sink makes once is there, or away
	Print       func(line []byte) // where the print sink writes; nil elsewhere
}

// Sink is one sink operator.
type Sink interface {
	// Columns are the columns it needs of the batches it is given.
	Columns(key, value abi.Codec) (abi.Columns, error)
	// Open returns a writer for one subtask. What makes writing impossible (a directory that is not writable) is an
	// error here.
	Open(ctx context.Context, task SinkTask) (Writer, error)
	// Guarantee is ExactlyOnce when nothing is visible before Commit, or nothing at all.
	Guarantee() Guarantee
	// Commit makes what was prepared visible, under the checkpoint's number. It is idempotent: called again after any
	// crash, in part or in whole, it ends in the same result.
	Commit(ctx context.Context, job string, checkpoint uint64, prepared []Committable) error
	// Abort removes what attempts of the job before the given one have left behind. It is idempotent. Where the place is not there,
	// the error is ErrGone: it may be put back, with what was left in it.
	Abort(ctx context.Context, job string, before uint32) error
}

// Writer writes the records of one subtask. One goroutine at a time; it never blocks for longer than a disk write.
type Writer interface {
	// Write takes the batch, which is valid only during the call, and says when it is ready for the next one: the zero
	// time for at once. A task takes no new input before that.
	Write(b *abi.Batch, now time.Time) (ready time.Time, err error)
	// Prepare ends the output so far: what is written from now on belongs to the next Prepare. Nothing is visible yet. What
	// it returns is committed together, once it is settled, with a checkpoint; or with a later one, if that checkpoint is
	// given up; or never, if the attempt ends before.
	Prepare(ctx context.Context) ([]Committable, Settle, error)
	// Close releases what the writer holds. Output that was not prepared is removed.
	Close() error
}

// Settle makes what was prepared durable, or waits until it is. It is called once, beside the task that goes on writing and
// preparing, unless the attempt ends before; nil: there is nothing to do. After an error the writer is worth nothing: no
// checkpoint counts on any of its output from there on, and the attempt ends.
type Settle func(ctx context.Context) error

// Error is a fault in what the user gave (a path, an option): trying again does not help, unless it Passes.
type Error struct {
	Op     string // "file source"
	Err    error
	Hint   string
	Passes bool // it may: a file or directory that is not there may be put back
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Located is an optional interface of a source or sink whose options name files.
type Located interface {
	// At returns the options with relative paths resolved against dir, which is absolute. Without a dir, a relative path
	// is an error: processes have working directories of their own.
	At(dir string) (map[string]string, error)
}

// At is how options with a path are located: it resolves the path against dir.
func At(op string, config map[string]string, dir string) (map[string]string, error) {
	path := config["path"]
	if filepath.IsAbs(path) {
		return config, nil
	}
	if dir == "" {
		return nil, &Error{
			Op: op, Err: fmt.Errorf("path: %q is relative (expected an absolute one)", path),
			Hint: "or say in the request's \"directory\" what it is relative to",
		}
	}
	located := maps.Clone(config)
	located["path"] = filepath.Join(dir, path)
	return located, nil
}

// Typed is an optional interface of a source that makes more than one codec of values.
type Typed interface {
	// For returns the source of records of that codec, which their operator declares.
	For(output abi.Codec) (Source, error)
}

// Exclusive is an optional interface of a sink that must have what it writes to for itself.
type Exclusive interface {
	// Exclusive is the directory that it writes to, and whether to those below, too. In a job no other sink of the type may
	// write there.
	Exclusive() (dir string, below bool)
}

// Registry holds the connectors of a process by type.
type Registry struct {
	Sources map[string]func(config map[string]string) (Source, error)
	Sinks   map[string]func(config map[string]string) (Sink, error)
}

// Source makes the source that c names, of values of the codec output.
func (r *Registry) Source(c *abi.Connector, output abi.Codec) (Source, error) {
	f, ok := r.Sources[c.Type]
	if !ok {
		return nil, fmt.Errorf("source type %q (known: %s)", c.Type, strings.Join(slices.Sorted(maps.Keys(r.Sources)), ", "))
	}
	s, err := f(c.Config)
	if typed, ok := s.(Typed); ok && err == nil {
		return typed.For(output)
	}
	return s, err
}

// Sink makes the sink that c names.
func (r *Registry) Sink(c *abi.Connector) (Sink, error) {
	f, ok := r.Sinks[c.Type]
	if !ok {
		return nil, fmt.Errorf("sink type %q (known: %s)", c.Type, strings.Join(slices.Sorted(maps.Keys(r.Sinks)), ", "))
	}
	return f(c.Config)
}
