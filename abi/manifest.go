package abi

import (
	"fmt"
	"strings"
)

// Manifest is what wasmill_describe answers, as JSON: the job graph over the module's functions. An SDK writes the keys
// in a fixed order, so that the same parameters give the same bytes; the host compares their hash.
type Manifest struct {
	ABI       int        `json:"abi"` // Version
	Name      string     `json:"name"`
	SDK       string     `json:"sdk,omitempty"` // for people: "go 0.1.0"
	Features  []Feature  `json:"features"`
	Params    []Param    `json:"params"` // those that the definition read, in that order
	Functions []Function `json:"functions"`
	Operators []Operator `json:"operators"`
}

// Param is a job parameter that the definition read.
type Param struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Default  string `json:"default,omitempty"`
	Doc      string `json:"doc,omitempty"`
}

// FunctionKind is the shape of an elementary function.
type FunctionKind string

const (
	FunctionMap          FunctionKind = "map"          // one record to one
	FunctionFilter       FunctionKind = "filter"       // keeps a record or not
	FunctionFlatMap      FunctionKind = "flatMap"      // one record to any number
	FunctionKey          FunctionKind = "key"          // sets the key, passes the value on
	FunctionTimestamp    FunctionKind = "timestamp"    // sets the event time, passes the record on
	FunctionReduce       FunctionKind = "reduce"       // verbs accumulate, merge; the accumulator is a value; result if Result
	FunctionAggregate    FunctionKind = "aggregate"    // verbs accumulate, merge, result
	FunctionProcess      FunctionKind = "process"      // verbs process, timer
	FunctionJoin         FunctionKind = "join"         // verb join, of two inputs
	FunctionCoGroup      FunctionKind = "coGroup"      // verb join, of all that two inputs have in a window
	FunctionTrigger      FunctionKind = "trigger"      // verb trigger: when a window fires
	FunctionEvict        FunctionKind = "evict"        // verb evict: what of a window is left out of its result
	FunctionGap          FunctionKind = "gap"          // verb gap: the session gap of each record
	FunctionPartition    FunctionKind = "partition"    // verb partition: the receiving subtask of each record
	FunctionRequest      FunctionKind = "request"      // verbs request, response
	FunctionMapPartition FunctionKind = "mapPartition" // verbs begin, process, end: all records of a subtask, in one instance
	FunctionWindow       FunctionKind = "window"       // verb window: anything, of what a window has; with an Accumulator also create, accumulate and merge
)

// Function is one elementary function of the module. ID is its index in Manifest.Functions; Name is unique in the
// module and is how a graph refers to it.
type Function struct {
	ID          uint32       `json:"id"`
	Name        string       `json:"name"`
	Kind        FunctionKind `json:"kind"`
	Inputs      []Codec      `json:"inputs"`                // value codec of each input
	Key         Codec        `json:"key,omitempty"`         // of a key function: what it makes; of a keyed one: what it takes
	Accumulator Codec        `json:"accumulator,omitempty"` // of a reduce or aggregate, or of a window that is folded
	Output      Codec        `json:"output"`                // value codec of the main output
	Sides       []Codec      `json:"sides,omitempty"`       // side output k+1 has the codec Sides[k]
	Result      bool         `json:"result,omitempty"`      // a reduce that has a result function: it is called at the end
	Combine     bool         `json:"combine,omitempty"`     // of a reduce or aggregate: it can merge accumulators, so records may be folded ahead of an exchange
	NoDeletes   bool         `json:"noDeletes,omitempty"`   // refuses change kinds other than insert
	Timers      bool         `json:"timers,omitempty"`      // of a process: it sets timers, so it needs a key; false: nothing is said
	Begins      bool         `json:"begins,omitempty"`      // of a process: verb begin is called before a subtask's first record
	Applies     bool         `json:"applies,omitempty"`     // of a process with a broadcast input: verb apply, for each key of a state that a broadcast record has asked for
	Pulls       bool         `json:"pulls,omitempty"`       // of a window over all records: it asks for those that did not come with a call
	Failures    bool         `json:"failures,omitempty"`    // of a request function: it is told of requests without an answer, too
	States      []State      `json:"states,omitempty"`      // of a reduce or aggregate: at most its accumulator
}

// Accumulator is the name under which the accumulators of a reduce or aggregate are kept, and their schema is declared.
const Accumulator = "accumulator"

// Keeps are the states that the function's operator keeps: those declared, and the accumulator, declared or not.
func (f *Function) Keeps() []State {
	accumulator := State{Name: Accumulator, Scope: ScopeKeyed, Kind: "value", Codec: f.Accumulator}
	switch {
	case f.Kind == FunctionWindow && f.Accumulator != "" && f.SchemaState() < 0:
		return append(f.States[:len(f.States):len(f.States)], accumulator)
	case len(f.States) > 0 || f.Kind != FunctionReduce && f.Kind != FunctionAggregate:
		return f.States
	}
	return []State{accumulator}
}

// SchemaState is the number of the state that declares the schema of the accumulator, -1: none does.
func (f *Function) SchemaState() int {
	for i, s := range f.States {
		if s.Name == Accumulator {
			return i
		}
	}
	return -1
}

// Scoped are the numbers of the states of scope window that the function declares.
func (f *Function) Scoped() (all []int) {
	for i, s := range f.States {
		if s.Scope == ScopeWindow {
			all = append(all, i)
		}
	}
	return all
}

// Broadcasts says whether input 1 of a process function is broadcast: it declares a state that records of it change.
func (f *Function) Broadcasts() bool {
	for i := range f.States {
		if f.States[i].Scope == ScopeBroadcast {
			return true
		}
	}
	return false
}

// Codec names what the bytes of a key or value are: bytes, utf8, i64, f64, json, a user's own name, or row(schema), as
// in row(key: utf8, value: i64). README.md has the grammar and the bytes.
type Codec string

const (
	CodecBytes Codec = "bytes"
	CodecUTF8  Codec = "utf8"
	CodecI64   Codec = "i64"
	CodecF64   Codec = "f64"
	CodecJSON  Codec = "json"
)

// Scopes of a state: of a key, of a key in one window, with which it ends, or of the operator, which deals it out among its
// subtasks.
const (
	ScopeKeyed    = "keyed"
	ScopeWindow   = "window"
	ScopeOperator = "operator"
	// ScopeBroadcast is that of a map of which every subtask has a copy. Records of input 1, which are broadcast, change it; those of
	// input 0 have it read.
	ScopeBroadcast = "broadcast"
)

// State is a state that a function declares.
type State struct {
	Name     string `json:"name"`
	Scope    string `json:"scope"` // keyed, operator, broadcast; window: of a key in one window
	Kind     string `json:"kind"`  // value, list, map; of scope operator: list, union; of scope broadcast: map
	Codec    Codec  `json:"codec"`
	Key      Codec  `json:"key,omitempty"`      // of a map
	TTL      int64  `json:"ttlMs,omitempty"`    // milliseconds, 0: kept
	Time     string `json:"time,omitempty"`     // that the TTL is of: event, processing; empty: processing
	Version  int    `json:"version,omitempty"`  // schema version of what is written
	Migrates bool   `json:"migrates,omitempty"` // wasmill_migrate takes elements of older versions
	Oldest   int    `json:"oldest,omitempty"`   // the oldest version that it takes
}

// ByEventTime says whether entries end by event time.
func (s *State) ByEventTime() bool { return s.TTL > 0 && s.Time == "event" }

// OperatorKind is what an operator does.
type OperatorKind string

const (
	OperatorSource    OperatorKind = "source"    // native: Connector
	OperatorMap       OperatorKind = "map"       // guest: Function
	OperatorFilter    OperatorKind = "filter"    // guest: Function; or native: Predicate
	OperatorFlatMap   OperatorKind = "flatMap"   // guest: Function
	OperatorKey       OperatorKind = "key"       // guest: Function; or native: Fields; the edge out of it is hash-partitioned
	OperatorTimestamp OperatorKind = "timestamp" // guest: Function; Watermarks says how the host derives watermarks
	OperatorPartition OperatorKind = "partition" // guest: Function; the edge out of it is custom-partitioned
	OperatorUnion     OperatorKind = "union"     // native: all inputs, one after the other in no order
	OperatorCount     OperatorKind = "count"     // native, keyed: row(key, value: i64), or with Window row(start, end, key, value)
	OperatorSum       OperatorKind = "sum"       // native, keyed: the same over values of codec i64 or f64
	OperatorReduce    OperatorKind = "reduce"    // guest, keyed: Function; Window if any
	OperatorAggregate OperatorKind = "aggregate" // guest, keyed: Function; Window if any
	OperatorProcess   OperatorKind = "process"   // guest, keyed: Function
	// native, keyed: Aggregates over fields of the value; row(key fields, one field an aggregate), with Window behind start and end
	OperatorAggregates OperatorKind = "aggregates"
	OperatorJoin       OperatorKind = "join"    // keyed, of two inputs: Interval or Window; Function, or native: row(left, right) of each pair
	OperatorRequest    OperatorKind = "request" // guest: Function; Requests says whom it asks and how
	OperatorWindow     OperatorKind = "window"  // guest, keyed: Function over what its Window has
	OperatorSink       OperatorKind = "sink"    // native: Connector
	// guest: Function over all records of a subtask, whose input ends
	OperatorMapPartition OperatorKind = "mapPartition"
	// native, behind a key operator by forward: all records of a subtask, whose input ends, in the Order of their keys
	OperatorSortPartition OperatorKind = "sortPartition"
	// native, behind a key operator by forward: tells at the end which keys its subtask has, by some of them
	OperatorSample OperatorKind = "sample"
	// native: input 0 behind a key operator by forward, input 1 a sample of the same, broadcast; the edge out of it is custom-partitioned:
	// each receiver has a range of the keys in their Order, all about as many records
	OperatorRange OperatorKind = "range"
)

// Operator is one operator of the job graph. Name is unique in the job; UID names its state and is required of stateful
// operators (count, sum, reduce, aggregate, aggregates, process, join, window, request, mapPartition, sortPartition).
type Operator struct {
	Name        string       `json:"name"`
	UID         string       `json:"uid,omitempty"`
	Kind        OperatorKind `json:"kind"`
	Function    string       `json:"function,omitempty"` // name in the module's function table
	Inputs      []Input      `json:"inputs,omitempty"`
	Connector   *Connector   `json:"connector,omitempty"`
	Window      *Window      `json:"window,omitempty"`
	Interval    *Interval    `json:"interval,omitempty"` // of a join
	Outer       string       `json:"outer,omitempty"`    // of a join in windows: left, right, full: keys that have no records of the other input take part; empty: they do not
	Hint        string       `json:"hint,omitempty"`     // of a join of all that there is: how it is done in batch mode, see HintSortMerge; empty: the host chooses
	Requests    *Requests    `json:"requests,omitempty"` // of a request operator
	Watermarks  *Watermarks  `json:"watermarks,omitempty"`
	Parallelism int          `json:"parallelism,omitempty"` // 0: the job's
	Key         Codec        `json:"key,omitempty"`         // codec of the key of its output, if it has one
	Output      Codec        `json:"output,omitempty"`      // codec of the value of its output
	OnTrap      string       `json:"onTrap,omitempty"`      // fail (default), skip, deadLetter; of a source, about input that is no record
	Chaining    string       `json:"chaining,omitempty"`    // begin: a chain begins with it; alone: it is a chain of its own
	Fields      []string     `json:"fields,omitempty"`      // of a key without a function: what of the value the key is
	Predicate   *Predicate   `json:"predicate,omitempty"`   // of a filter without a function: which records it keeps
	Aggregates  []Aggregate  `json:"aggregates,omitempty"`  // of aggregates
	Order       []string     `json:"order,omitempty"`       // of a sortPartition, sample or range: asc or desc, one for all of the key, or one for each of its fields; empty: asc
	SlotGroup   string       `json:"slotGroup,omitempty"`   // its tasks share slots only with those of the same group; empty: that of its inputs if they agree, else "default"

	// PreAggregate says whether records are folded before they are sent to a count, sum, aggregates, reduce or aggregate: on, off;
	// empty: where the result is the same to the bit.
	PreAggregate string `json:"preAggregate,omitempty"`
}

// Input is an edge into an operator.
type Input struct {
	From      string `json:"from"`                // name of the operator it comes from
	Side      int    `json:"side,omitempty"`      // 0: main output, k: its side output k
	Partition string `json:"partition,omitempty"` // forward, hash, rebalance, shuffle, rescale, broadcast, global, custom; empty: hash behind a key, custom behind a partition, forward where parallelism is equal, else rebalance
	Exchange  string `json:"exchange,omitempty"`  // pipelined (default), blocking
}

// Connector says which system a source or sink speaks to, and how.
type Connector struct {
	Type   string            `json:"type"` // file, generator, nexmark, print, blackhole
	Config map[string]string `json:"config,omitempty"`
}

// Directions of Order.
const (
	Ascending  = "asc"
	Descending = "desc"
)

// OptionUpdates is the option of a sink that says what it writes of results that change: with UpdatesAll, each change. Without,
// where all input ends, a result is written once, when it can change no more.
const (
	OptionUpdates = "updates"
	UpdatesAll    = "all"
)

// Whose records take part in a join in windows without one of the other input.
const (
	OuterLeft  = "left"
	OuterRight = "right"
	OuterFull  = "full"
)

// How a join of all that its inputs have is done in batch mode. First and second are input 0 and 1.
const (
	HintSortMerge       = "repartitionSortMerge"  // both inputs are dealt out by key, and sorted
	HintHashFirst       = "repartitionHashFirst"  // both inputs are dealt out by key; the first lies in a table, and the second is looked up in it
	HintHashSecond      = "repartitionHashSecond" // the other way round
	HintBroadcastFirst  = "broadcastHashFirst"    // every subtask has all of the first in a table, and looks up what it has of the second, which stays where it is
	HintBroadcastSecond = "broadcastHashSecond"   // the other way round
)

// Interval is how far behind a record of a join's input 0 the event time of one of input 1 may be: both ends belong to it,
// unless they are exclusive. Either may be negative.
type Interval struct {
	LowerMs        int64 `json:"lowerMs"`
	UpperMs        int64 `json:"upperMs"`
	LowerExclusive bool  `json:"lowerExclusive,omitempty"`
	UpperExclusive bool  `json:"upperExclusive,omitempty"`
}

// Bounds are the first and the last millisecond of it.
func (i *Interval) Bounds() (lower, upper int64) {
	lower, upper = i.LowerMs, i.UpperMs
	if i.LowerExclusive {
		lower++
	}
	if i.UpperExclusive {
		upper--
	}
	return lower, upper
}

// String is for people: "an interval from -1000 to 5000 ms (exclusive)".
func (i *Interval) String() string {
	text := fmt.Sprintf("an interval from %d", i.LowerMs)
	if i.LowerExclusive {
		text += " (exclusive)"
	}
	text += fmt.Sprintf(" to %d ms", i.UpperMs)
	if i.UpperExclusive {
		text += " (exclusive)"
	}
	return text
}

// Watermarks is how the host derives the watermark from the timestamps that the source or a timestamp function gave.
type Watermarks struct {
	OutOfOrderMs int64  `json:"outOfOrderMs,omitempty"` // how far behind the newest a record may be; the watermark is newest - this - 1
	Guest        bool   `json:"guest,omitempty"`        // the timestamp function reports watermarks itself instead of the newest timestamp
	Group        string `json:"group,omitempty"`        // sources of a group do not run away from each other
	DriftMs      int64  `json:"driftMs,omitempty"`      // of a group: a split that is further ahead of the slowest is paused
	IdleMs       int64  `json:"idleMs,omitempty"`       // a split or channel that has nothing for so long holds nothing back; 0: it does for ever
}

// Requests is what a request operator asks the outside for, and how.
type Requests struct {
	Client    string   `json:"client"`              // http
	Hosts     []string `json:"hosts"`               // HOST:PORT that may be asked, as far as they are granted; the port may be *, and a host may begin with *.
	Order     string   `json:"order"`               // ordered: results in the order of the records; unordered: as answers come, between two watermarks
	Capacity  int      `json:"capacity,omitempty"`  // records that are asked for and have not come out; 0: 100
	TimeoutMs int64    `json:"timeoutMs,omitempty"` // from the first try of a record to its answer; 0: a minute
	Retry     *Retry   `json:"retry,omitempty"`     // none: a request is made once
}

// String is for people: "asks api.example.com:443 over http, in order".
func (r *Requests) String() string {
	order := "as answers come"
	if r.Order == "ordered" {
		order = "in order"
	}
	return fmt.Sprintf("asks %s over %s, %s", strings.Join(r.Hosts, " and "), r.Client, order)
}

// Retry is when a request is made again.
type Retry struct {
	Retries     int      `json:"retries"`               // at most, behind the first try
	DelayMs     int64    `json:"delayMs,omitempty"`     // before the first of them
	MaxDelayMs  int64    `json:"maxDelayMs,omitempty"`  // before any; 0: no limit
	GrowPercent int      `json:"growPercent,omitempty"` // each delay is so much of the one before; 0: 100, a fixed one
	On          []string `json:"on,omitempty"`          // which answers: broken, a status as 429, a class as 5xx; empty: broken, 429, 5xx
}
