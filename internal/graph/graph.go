// Package graph has the nouns of a job: what a user defined (JobGraph), how it is cut into chains and subtasks
// (ExecutionGraph), and the rules that a graph must keep. It is pure: no clock, no disk, no Wasm, no connector.
package graph

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// JobID names a job: 12 hexadecimal digits, made by the Dispatcher.
type JobID string

// ModuleID names a module by the SHA-256 of the bytes that were uploaded, in hexadecimal.
type ModuleID string

// Epoch grows at every start of a JobManager; what an older epoch says is refused.
type Epoch uint64

// Attempt counts the executions of a job, from 1.
type Attempt uint32

// KeyGroup is a part of the key space, the unit that rescaling moves.
type KeyGroup uint16

// MaxParallelism bounds every parallelism; DefaultMaxParallelism is the number of key groups of a job that says nothing.
const (
	MaxParallelism        = 32768
	DefaultMaxParallelism = 128
)

// Partition says which subtask of the receiving operator gets a record.
type Partition string

const (
	Forward   Partition = "forward"   // the same subtask; both sides have one parallelism
	Hash      Partition = "hash"      // by key group
	Rebalance Partition = "rebalance" // round-robin by batch
	Shuffle   Partition = "shuffle"   // by chance, record by record
	Rescale   Partition = "rescale"   // round-robin by batch among a part of them: each has senders, or receivers, of its own
	Broadcast Partition = "broadcast" // all
	Global    Partition = "global"    // the first
	Custom    Partition = "custom"    // as a partition function says
)

// Overtakable says that a barrier may overtake records on such an edge: they can be dealt out to subtasks again.
func (p Partition) Overtakable() bool { return p == Hash || p == Rebalance || p == Shuffle }

// Receivers are the subtasks that subtask sender of senders has a channel to, out of n: count of them from first.
func (p Partition) Receivers(sender, senders, n int) (first, count int) {
	switch {
	case p == Forward:
		return sender, 1
	case p == Rescale && senders <= n:
		from, to := KeyGroupsOf(sender, senders, n) // equal parts, as far as they can be
		return int(from), int(to - from)
	case p == Rescale:
		return sender * n / senders, 1
	}
	return 0, n
}

// Senders are the subtasks, out of senders, that have a channel to subtask receiver of n: count of them from first.
func (p Partition) Senders(receiver, n, senders int) (first, count int) {
	return p.Receivers(receiver, n, senders) // who has a channel to whom looks the same from both ends
}

// Exchange says whether the receiver runs while the sender does.
type Exchange string

const (
	Pipelined Exchange = "pipelined"
	Blocking  Exchange = "blocking"
)

// FunctionRef names a guest function wherever it is.
type FunctionRef struct {
	Module ModuleID `json:"module"`
	Name   string   `json:"name"`
}

// JobGraph is what a user submitted, validated and with every default filled in.
type JobGraph struct {
	Name           string            `json:"name"`
	Params         map[string]string `json:"params,omitempty"`
	Parallelism    int               `json:"parallelism"`
	MaxParallelism int               `json:"maxParallelism"`
	Modules        []Module          `json:"modules"`
	Operators      []Operator        `json:"operators"` // an operator's inputs come before it
	LeftBehind     []StateRef        `json:"leftBehind,omitempty"`
	Batch          bool              `json:"batch,omitempty"` // it runs in batch mode, see MakeBatch

	PreAggregate string `json:"preAggregate,omitempty"` // off: no records are folded before they are sent
}

// StateRef names state that a job goes on without, and that may still be in its files.
type StateRef struct {
	UID   string `json:"uid"`
	State string `json:"state,omitempty"` // empty: all that an operator of that uid has saved
}

// Module is a module that the graph's functions come from. A TaskManager fetches the metered bytes.
type Module struct {
	ID       ModuleID `json:"id"`
	Metered  ModuleID `json:"metered"`  // SHA-256 of the metered bytes
	Manifest ModuleID `json:"manifest"` // SHA-256 of the manifest that describe answered for these parameters
}

// Operator is one operator of a job, in the order of JobGraph.Operators.
type Operator struct {
	Name      string           `json:"name"`
	UID       string           `json:"uid,omitempty"`
	Kind      abi.OperatorKind `json:"kind"`
	Function  *FunctionRef     `json:"function,omitempty"`
	Declared  *abi.Function    `json:"declared,omitempty"` // the function as its manifest declares it
	Inputs    []Input          `json:"inputs,omitempty"`
	Connector *abi.Connector   `json:"connector,omitempty"`
	Window    *abi.Window      `json:"window,omitempty"`

	WindowFunctions []*abi.Function `json:"windowFunctions,omitempty"` // that the window names: of its trigger, evictor or gap
	WindowModule    ModuleID        `json:"windowModule,omitempty"`    // that these are of

	Interval    *abi.Interval   `json:"interval,omitempty"`
	Requests    *abi.Requests   `json:"requests,omitempty"`
	Outer       string          `json:"outer,omitempty"`
	Hint        string          `json:"hint,omitempty"`   // of a join: see abi.HintSortMerge
	Chosen      bool            `json:"chosen,omitempty"` // the hint is the host's, see ChooseHint
	Watermarks  *abi.Watermarks `json:"watermarks,omitempty"`
	Parallelism int             `json:"parallelism"`
	Key         abi.Codec       `json:"key,omitempty"`
	Output      abi.Codec       `json:"output,omitempty"`
	OnTrap      string          `json:"onTrap,omitempty"`
	Chaining    string          `json:"chaining,omitempty"`
	Fields      []string        `json:"fields,omitempty"`     // of a key without a function
	Predicate   *abi.Predicate  `json:"predicate,omitempty"`  // of a filter without a function
	Aggregates  []abi.Aggregate `json:"aggregates,omitempty"` // of aggregates
	Order       []string        `json:"order,omitempty"`      // of a sortPartition
	SlotGroup   string          `json:"slotGroup,omitempty"`  // empty: that of operators that name none

	PreAggregate string `json:"preAggregate,omitempty"` // whether records are folded before they are sent to it; see PreAggregates

	// Oldest is the oldest schema version that may lie in what a state has saved, by the state's name, where that is older
	// than the version declared: elements that nobody has touched since keep theirs.
	Oldest map[string]int `json:"oldest,omitempty"`
}

// Input is an edge into an operator.
type Input struct {
	From      int       `json:"from"` // index in JobGraph.Operators
	Side      int       `json:"side,omitempty"`
	Partition Partition `json:"partition"`
	Exchange  Exchange  `json:"exchange"`
}

// ExecutionGraph is a job graph cut into chains: operators that run fused in one task. It is a pure function of the job
// graph (Expand), so JobManager and TaskManagers compute the same one.
type ExecutionGraph struct {
	Chains  []Chain `json:"chains"` // in an order in which senders come before receivers
	Edges   []Edge  `json:"edges"`
	Regions [][]int `json:"regions"` // chains connected by pipelined edges: what is deployed and restarted together
}

// Chain is a tree of operators whose first is the head; every other takes its only input from one before it, forwarded.
type Chain struct {
	Operators   []int  `json:"operators"` // indices in JobGraph.Operators, the head first, upstream before downstream
	Parallelism int    `json:"parallelism"`
	SlotGroup   string `json:"slotGroup,omitempty"` // its tasks share slots with those of chains of the same group only
	Inputs      []int  `json:"inputs"`              // indices in ExecutionGraph.Edges, in the order of the head's inputs
	Outputs     []int  `json:"outputs"`             // indices in ExecutionGraph.Edges
}

// Edge connects two chains. Each pair (sender subtask, receiver subtask) that may exchange records is a channel.
type Edge struct {
	From, To     int // chains
	FromOperator int // operator of From whose output it carries
	Side         int // which output of it
	ToOperator   int // operator of To, its head
	Input        int // index in the Inputs of ToOperator
	Partition    Partition
	Exchange     Exchange

	PreAggregates bool `json:",omitempty"` // records are folded before they are sent; see JobGraph.PreAggregates
}

// TaskID names one subtask of one chain of a job.
type TaskID struct {
	Chain   int `json:"chain"`
	Subtask int `json:"subtask"`
}

func (t TaskID) String() string { return fmt.Sprintf("%d.%d", t.Chain, t.Subtask) }
