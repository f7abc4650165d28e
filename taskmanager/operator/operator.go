// Package operator has the native keyed operators: count, sum, aggregates over fields, reduce and aggregate, each over all
// time or in windows, the process function, and joins. An operator groups a batch by key and window, resolves the state of each group once,
// and calls the user's function, if it has one, once for all of them. It knows batches, state tables and a Guest to call; it
// knows nothing of channels, tasks, sandboxes or where watermarks come from.
package operator

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Operator is one keyed operator of one task. One goroutine, the task's, calls it.
type Operator interface {
	// Process takes a batch that has the columns that Columns names, or those of PartialColumns, and a hash of each key. A
	// record whose window has fired is dropped. Results that do not wait for time go to out.
	// now is processing time.
	Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error
	// Fire appends results that are due at the watermark to out, about a batch of them, and answers whether more are
	// due. Until it has answered no, the watermark has not passed the operator. At abi.MaxTime everything is due.
	Fire(watermark int64, out *abi.Builder) (more bool, err error)
	// Save stores, before a snapshot, what is not in tables. A snapshot may lie between two calls of Process or Fire.
	Save() error
	// Late is how many records have been dropped.
	Late() int64
	// Due is the watermark at which the next open window fires; false: none is open.
	Due() (int64, bool)
}

// Guest is the user function of a reduce or aggregate. What it emits goes to where the operator's output goes, past the
// operator.
type Guest interface {
	Folder
	// Result has the guest emit what the accumulators of each group amount to, as changes of that kind.
	Result(groups *abi.GroupsWriter, kind abi.ChangeKind) error
}

// Folder is what folds the records of a reduce or aggregate.
type Folder interface {
	// Accumulate has the records of each group added to its accumulator. The reply (see abi.NextReplyEntry) has been
	// checked, and is valid until the next call.
	Accumulate(groups *abi.GroupsWriter) (reply []byte, err error)
	// Merge has the accumulators of each group made one, in their order; otherwise it is Accumulate.
	Merge(groups *abi.GroupsWriter) (reply []byte, err error)
	// Migrate is that of Calls, of the accumulators; their keys name them.
	Migrate(state int, from uint16, elements *abi.Builder, name func(record uint32) string) (*abi.Batch, error)
	// Retry is called when one of these has answered an error. It decides whether call is made again, for all units of
	// the call that died, [0, n), or for parts of them, on which guest, and what the error is in the end. describe says
	// what a unit is.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// Unit is what a call can be cut down to: one record, or one group.
type Unit struct {
	Kind string // timer or result, of one of those; empty: as the operator has it
	Row  int    // in the batch, -1 for a timer or result
	Name string // of one of those, for people
	Data []byte // the record's value, or the group's key
	Key  []byte
	Time int64        // of a timer or result: event time, or abi.NoTimestamp
	Skip func() error // called when it is left out; nil: nothing is to be done
}

// Config is what an operator is made of.
type Config struct {
	UID        string
	Kind       abi.OperatorKind // count, sum, aggregates, reduce or aggregate
	Window     *abi.Window      // nil: over all time
	Key        abi.Codec        // of the input
	Value      abi.Codec        // of the input; a sum needs it
	Output     abi.Codec        // of the results, empty: as Kind says
	Function   *abi.Function    // of a reduce or aggregate
	Aggregates []abi.Aggregate  // of aggregates
	Final      bool             // of results that take each other's place only the last one is emitted: without a window at the end, and not after each batch
	Exact      bool             // sums of f64 are not rounded before their end, so they are the same in any order
	Tells      bool             // results are told as the change that they are, of an operator that TellsItself
	Groups     int              // key groups of the job
	Store      state.Store
	Guest      Guest        // of a reduce or aggregate, or a window function with an accumulator
	Calls      Calls        // of a window function
	Asks       Asks         // of the window
	Late       *abi.Builder // takes the records that come too late; nil: they are dropped

	adds bool // it only adds up, for a windower
}

// New makes the operator that c describes.
func New(c Config) (Operator, error) {
	if c.Window == nil || !Triggered(c.Kind, c.Window) {
		return newPlain(c)
	}
	p := newPanes(c.Store, c.Window, c.Late, state.Spec{Operator: c.UID, Key: c.Key})
	if c.Kind == abi.OperatorWindow && c.Function.Accumulator == "" {
		return newWindower(&c, p, nil)
	}
	acc, err := newAdding(&c, &p)
	if err != nil {
		return nil, err
	}
	return newWindower(&c, p, acc)
}

// Once is a window whose only result counts that comes when no record can change it any more, if that is asked for: it takes no late
// records, and its watermark comes later by so many milliseconds.
func Once(w *abi.Window, asked bool) (once *abi.Window, delay int64) {
	if !asked || w == nil || w.LatenessMs == 0 {
		return w, 0
	}
	copied := *w
	copied.LatenessMs = 0
	return &copied, w.LatenessMs
}

// Triggered says whether windows do more than have a result at their end of what an accumulator holds.
func Triggered(kind abi.OperatorKind, w *abi.Window) bool {
	return kind == abi.OperatorWindow || w.Kind == GlobalWindows || w.Gap != "" || w.Evictor != nil || w.Trigger != nil
}

// newAdding makes what adds up for windows that fire otherwise than by their end alone.
func newAdding(c *Config, p *panes) (adding, error) {
	plain := *c
	plain.adds = true
	switch c.Kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates:
		return newNative(&plain, *p)
	}
	f := &fold{guest: c.Guest, folder: c.Guest, emits: EmitsItself(c.Function)}
	if n := c.Function.SchemaState(); n >= 0 {
		f.schema, p.spec.Version = n, uint16(c.Function.States[n].Version)
	}
	p.spec.Name = abi.Accumulator
	f.panes = *p
	return f, nil
}

// newPlain makes the operator that c describes without a trigger.
func newPlain(c Config) (Operator, error) {
	panes := newPanes(c.Store, c.Window, c.Late, state.Spec{Operator: c.UID, Name: "result", Kind: state.Words})
	if c.Tells && TellsItself(c.Kind, c.Window, c.Function) {
		panes.told = NewTold(c.UID, c.Window, c.Store)
	}
	switch c.Kind {
	case abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates:
		return newNative(&c, panes)
	case abi.OperatorReduce, abi.OperatorAggregate:
		panes.spec = foldSpec(&c)
		return newFold(&c, panes)
	}
	return nil, fmt.Errorf("operator of kind %s: not a keyed one", c.Kind)
}

// Columns are those that an operator needs of its input.
func Columns(kind abi.OperatorKind, window *abi.Window) abi.Columns {
	cols := abi.ColumnKeys | abi.ColumnHashes
	if kind != abi.OperatorCount {
		cols |= abi.ColumnValues
	}
	if timed(window) && window.Time != ProcessingWindows || window != nil && Triggered(kind, window) {
		cols |= abi.ColumnTimestamps
	}
	if window != nil && (window.Trigger != nil || window.Gap != "") {
		cols |= abi.ColumnValues
	}
	return cols
}

// Kinds of windows that are no pieces of time of one size.
const (
	CountWindows   = "count"  // of records, which know no time
	GlobalWindows  = "global" // without end
	SessionWindows = "session"
	SlidingWindows = "sliding"
)

// timed says whether a window is a piece of time, which stands in its results.
func timed(w *abi.Window) bool {
	return w != nil && w.Kind != CountWindows && w.Kind != GlobalWindows
}

// endless says whether windows have neither start nor end.
func endless(w *abi.Window) bool { return w != nil && w.Kind == GlobalWindows }

// ProcessingWindows is the time of windows that are cut by processing time.
const ProcessingWindows = "processing"

// EmitsItself says whether the results of a keyed function come from the guest, by emit. Without a result function its
// accumulators are the results.
func EmitsItself(f *abi.Function) bool {
	return f.Kind == abi.FunctionAggregate || f.Kind == abi.FunctionProcess || f.Kind == abi.FunctionWindow || f.Kind == abi.FunctionRequest || f.Kind == abi.FunctionMapPartition || f.Result
}

// A result goes out in batches of this many records or about so many bytes, more by what the accumulators of fireEntries
// keys have.
const (
	fireRecords = 1024
	fireEntries = 4
	fireBytes   = 64 << 10
)
