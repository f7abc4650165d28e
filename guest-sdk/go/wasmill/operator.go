package wasmill

import (
	"strconv"
	"time"
)

// Kinds of operators and functions, as the manifest names them.
const (
	kindSource     = "source"
	kindMap        = "map"
	kindFilter     = "filter"
	kindFlatMap    = "flatMap"
	kindKey        = "key"
	kindTimestamp  = "timestamp"
	kindUnion      = "union"
	kindCount      = "count"
	kindSum        = "sum"
	kindReduce     = "reduce"
	kindAggregate  = "aggregate"
	kindProcess    = "process"
	kindAggregates = "aggregates"
	kindJoin       = "join"
	kindCoGroup    = "coGroup" // of functions; their operators are joins
	kindPartition  = "partition"
	kindRequest    = "request"
	kindWindow     = "window"
	kindTrigger    = "trigger"
	kindEvict      = "evict"
	kindGap        = "gap"
	kindSink       = "sink"

	kindMapPartition  = "mapPartition"
	kindSortPartition = "sortPartition"
	kindSample        = "sample"
	kindRange         = "range"
)

// operator is one operator of the graph under definition. Edges are pointers, so that an operator may be renamed after
// others refer to it.
type operator struct {
	name        string
	named       bool // the user chose the name; otherwise it may get a number
	uid         string
	kind        string
	function    *function
	inputs      []edge
	connector   *connector
	window      *TimeWindow
	interval    *interval // of a join
	outer       string    // of a join in windows
	hint        JoinHint  // of a join of all time
	requests    *requests // of a request operator
	watermarks  *watermarks
	parallelism int
	key, output string // codecs
	onTrap      string
	chaining    string
	slotGroup   string
	fields      []Field    // of a key without a function
	predicate   *Predicate // of a filter without a function
	aggregates  []Agg
	order       []Direction // of a sortPartition, sample or range
	before      *operator   // one that has the same parallelism, because it is a part of what the user asked for; nil: there is none

	preAggregate string
}

// edge is an output of an operator as the input of another.
type edge struct {
	from      *operator
	side      int    // 0: the main output
	partition string // empty: the host's choice
}

func edgesOf(operators []*operator) []edge {
	var edges []edge
	for _, o := range operators {
		edges = append(edges, edge{from: o})
	}
	return edges
}

// watermarks is how the host derives watermarks from event times.
type watermarks struct {
	outOfOrder time.Duration
	guest      bool // the function reports them
	idle       time.Duration
	group      string
	drift      time.Duration
}

func (o *operator) stateful() bool {
	switch o.kind {
	case kindProcess:
		return o.function.key != "" || len(o.function.processing.states) > 0
	case kindCount, kindSum, kindAggregates, kindReduce, kindAggregate, kindJoin, kindWindow, kindRequest, kindMapPartition, kindSortPartition:
		return true
	}
	return false
}

func (o *operator) rename(name string) { o.name, o.named = name, true }

// add makes o part of the graph.
func (e *Env) add(o *operator) *operator {
	e.operators = append(e.operators, o)
	return o
}

// call adds an operator that runs the function f.
func (e *Env) call(f *function, o *operator) *operator {
	f.id = uint32(len(e.functions))
	e.functions = append(e.functions, f)
	o.function, o.kind, o.output = f, f.kind, f.output
	o.rename(f.name)
	return e.add(o)
}

func (e *Env) setParallelism(o *operator, n int) {
	if n < 1 {
		e.Fail("operator " + strconv.Quote(o.name) + ": parallelism " + strconv.Itoa(n) + " (expected >= 1)")
		return
	}
	for ; o != nil; o = o.before {
		o.parallelism = n
	}
}
