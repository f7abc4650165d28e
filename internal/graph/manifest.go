package graph

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// Error is a fault in a graph: what it is in, the path to it, then what was found and expected.
type Error struct {
	In      string // `operator "counts"`, or a function; empty for what is the job's, and where a name is the fault
	Path    string // "operators[2].window.size"
	Problem string // "0s (expected > 0s)"
}

func (e *Error) Error() string {
	if e.In == "" {
		return e.Path + ": " + e.Problem
	}
	return e.In + ": " + e.Path + ": " + e.Problem
}

func faultf(path, format string, args ...any) *Error {
	return &Error{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// Options are what a submission adds to a manifest.
type Options struct {
	Name        string            // instead of the manifest's
	Params      map[string]string // already given to describe
	Parallelism int               // of every operator that names none

	PreAggregate string // off: no records are folded before they are sent
}

// FromManifest turns the graph that a module describes into a job graph: every name resolved, every default filled in,
// operators in an order in which inputs come first. It refuses what cannot run with an *Error that leads to the fault by
// the manifest's own indices, and names the operator.
func FromManifest(m *abi.Manifest, mod Module, opt Options) (*JobGraph, error) {
	g, err := fromManifest(m, mod, opt)
	if err != nil {
		var fault *Error
		if errors.As(err, &fault) {
			fault.In = faulty(m, fault.Path)
		}
		return nil, err
	}
	return g, nil
}

// faulty names the operator or function of a manifest that a path leads into.
func faulty(m *abi.Manifest, path string) string {
	at, field, _ := strings.Cut(path, "]")
	list, index, _ := strings.Cut(at, "[")
	i, err := strconv.Atoi(index)
	switch {
	case err != nil || field == ".name":
		return ""
	case list == "operators" && i < len(m.Operators):
		return fmt.Sprintf("operator %q", m.Operators[i].Name)
	case list == "functions" && i < len(m.Functions):
		return fmt.Sprintf("function %q", m.Functions[i].Name)
	}
	return ""
}

func fromManifest(m *abi.Manifest, mod Module, opt Options) (*JobGraph, error) {
	if opt.Parallelism < 1 || opt.Parallelism > MaxParallelism {
		return nil, faultf("parallelism", "%d (expected 1 <= n <= %d)", opt.Parallelism, MaxParallelism)
	}
	if opt.PreAggregate != "" && opt.PreAggregate != PreAggregateOff {
		return nil, faultf("preAggregate", "%q (expected off)", opt.PreAggregate)
	}
	b := builder{manifest: m, module: mod.ID, parallelism: opt.Parallelism, functions: map[string]*abi.Function{}, index: map[string]int{}}
	if err := b.checkFunctions(); err != nil {
		return nil, err
	}
	if err := b.checkNames(); err != nil {
		return nil, err
	}
	for i := range m.Operators {
		if err := b.checkOperator(i); err != nil {
			return nil, err
		}
	}
	order, err := b.sort()
	if err != nil {
		return nil, err
	}
	if err := b.checkEnds(); err != nil {
		return nil, err
	}
	g := &JobGraph{
		Name:           m.Name,
		Params:         opt.Params,
		Parallelism:    opt.Parallelism,
		MaxParallelism: maxParallelismFor(m, opt.Parallelism),
		Modules:        []Module{mod},
		PreAggregate:   opt.PreAggregate,
	}
	if opt.Name != "" {
		g.Name = opt.Name
	}
	if err := CheckName("name", g.Name); err != nil {
		return nil, err
	}
	placed := make([]int, len(order)) // manifest index -> index in g.Operators
	for at, i := range order {
		placed[i] = at
	}
	for _, i := range order {
		g.Operators = append(g.Operators, b.operator(i))
	}
	for _, i := range order {
		if err := b.resolveInputs(g, i, placed); err != nil {
			return nil, err
		}
	}
	if err := b.checkAligned(g); err != nil {
		return nil, err
	}
	if err := b.checkReceivers(g); err != nil {
		return nil, err
	}
	return g, b.checkUpdates(g)
}

// maxParallelismFor is the number of key groups: the default, or the next power of two above a larger parallelism.
func maxParallelismFor(m *abi.Manifest, parallelism int) int {
	largest := parallelism
	for _, o := range m.Operators {
		largest = max(largest, o.Parallelism)
	}
	n := DefaultMaxParallelism
	for n < largest {
		n *= 2
	}
	return min(n, MaxParallelism)
}

// builder carries what validation has resolved.
type builder struct {
	manifest    *abi.Manifest
	module      ModuleID
	parallelism int
	functions   map[string]*abi.Function
	index       map[string]int // operator name -> index in the manifest
}

func (b *builder) checkFunctions() error {
	for i := range b.manifest.Functions {
		f := &b.manifest.Functions[i]
		path := fmt.Sprintf("functions[%d]", i)
		if err := CheckName(path+".name", f.Name); err != nil {
			return err
		}
		switch {
		case b.functions[f.Name] != nil:
			return faultf(path+".name", "%q is taken by functions[%d]", f.Name, b.functions[f.Name].ID)
		case f.ID != uint32(i):
			return faultf(path+".id", "%d (expected %d, its index)", f.ID, i)
		case operatorOf[f.Kind] == "" && !ofWindow(f.Kind):
			return faultf(path+".kind", "%q (expected map, filter, flatMap, key, timestamp, reduce, aggregate, process, window, trigger, evict, gap, join, coGroup, partition, request or mapPartition)", f.Kind)
		}
		if f.Pulls && (f.Kind != abi.FunctionWindow || f.Accumulator != "") {
			return faultf(path+".pulls", "of a %s (expected a window function over all records: only that asks for those that did not come with a call)", f.Kind)
		}
		if err := checkStates(path, f); err != nil {
			return err
		}
		b.functions[f.Name] = f
	}
	return nil
}

// checkStates checks what a function declares of its state.
func checkStates(path string, f *abi.Function) error {
	folds := f.Kind == abi.FunctionReduce || f.Kind == abi.FunctionAggregate
	windowed := f.Kind == abi.FunctionWindow || f.Kind == abi.FunctionTrigger
	if len(f.States) > 0 && f.Kind != abi.FunctionProcess && !windowed && !folds {
		return faultf(path+".states", "%d of a %s (only process functions, window functions and triggers have state)", len(f.States), f.Kind)
	}
	for i, s := range f.States {
		if folds && (i > 0 || s.Name != abi.Accumulator || s.Kind != "value" || s.Codec != f.Accumulator || s.TTL != 0) {
			return faultf(fmt.Sprintf("%s.states[%d]", path, i), "%s %q of codec %s (expected nothing but the schema of the accumulator: value %q of codec %s, without ttlMs)",
				s.Kind, s.Name, s.Codec, abi.Accumulator, f.Accumulator)
		}
	}
	seen := map[string]int{}
	for i, s := range f.States {
		at := fmt.Sprintf("%s.states[%d]", path, i)
		if err := CheckName(at+".name", s.Name); err != nil {
			return err
		}
		j, taken := seen[s.Name]
		seen[s.Name] = i
		switch {
		case taken:
			return faultf(at+".name", "%q is taken by states[%d]", s.Name, j)
		case s.Time != "" && s.Time != "processing" && s.Time != "event":
			return faultf(at+".time", "%q (expected event or processing)", s.Time)
		case s.Time != "" && s.TTL == 0:
			return faultf(at+".time", "%q without a ttlMs (expected one: it is the time that it is of)", s.Time)
		case s.ByEventTime() && f.Kind != abi.FunctionProcess:
			return faultf(at+".time", "%q of a %s function (expected processing: only the states of process functions end by event time)", s.Time, f.Kind)
		case windowed && s.Name == abi.Accumulator && (f.Accumulator == "" || s.Scope != abi.ScopeKeyed || s.Kind != "value" || s.Codec != f.Accumulator || s.TTL != 0):
			return faultf(at+".name", "%q (that is what the host calls what it folds into: expected another name, or the schema of that)", s.Name)
		case strings.HasPrefix(s.Name, "$"):
			return faultf(at+".name", "%q (names that begin with $ are the host's)", s.Name)
		case windowed && s.Scope == abi.ScopeWindow:
			if err := checkWindowState(at, &f.States[i]); err != nil {
				return err
			}
		case f.Kind == abi.FunctionTrigger:
			return faultf(at+".scope", "%q (expected window: what a trigger keeps is of one window)", s.Scope)
		case windowed && s.Scope != abi.ScopeKeyed:
			return faultf(at+".scope", "%q (expected keyed or window)", s.Scope)
		case s.Scope != abi.ScopeKeyed && s.Scope != abi.ScopeOperator && s.Scope != abi.ScopeBroadcast:
			return faultf(at+".scope", "%q (expected keyed, operator or broadcast)", s.Scope)
		case s.Scope == abi.ScopeBroadcast && s.Kind != "map":
			return faultf(at+".kind", "%q of a broadcast state (expected map)", s.Kind)
		case s.Scope == abi.ScopeBroadcast && s.TTL != 0:
			return faultf(at+".ttlMs", "%d of a broadcast state (expected none: only what a key has ends)", s.TTL)
		case s.Scope == abi.ScopeOperator && s.Kind != "list" && s.Kind != "union":
			return faultf(at+".kind", "%q of the operator's own scope (expected list or union)", s.Kind)
		case s.Scope == abi.ScopeOperator && s.TTL != 0:
			return faultf(at+".ttlMs", "%d of the operator's own scope (expected none: only what a key has ends)", s.TTL)
		case s.Scope == abi.ScopeKeyed && s.Kind != "value" && s.Kind != "list" && s.Kind != "map":
			return faultf(at+".kind", "%q (expected value, list or map)", s.Kind)
		case s.Codec == "":
			return faultf(at+".codec", "empty (expected one)")
		case (s.Key != "") != (s.Kind == "map"):
			return faultf(at+".key", "%q of a %s (expected the codec of a map's keys, and of no other)", s.Key, s.Kind)
		case s.TTL < 0:
			return faultf(at+".ttlMs", "%d (expected >= 0)", s.TTL)
		case s.Version < 0 || s.Version > 65535:
			return faultf(at+".version", "%d (expected 0 <= n <= 65535)", s.Version)
		case s.Migrates && s.Version == 0:
			return faultf(at+".migrates", "true (expected a version above 0: there is none older)")
		case s.Oldest != 0 && (!s.Migrates || s.Oldest < 0 || s.Oldest >= s.Version):
			return faultf(at+".oldest", "%d (expected 0 <= n < version, of a state that migrates)", s.Oldest)
		}
	}
	return nil
}

// operatorOf is the operator kind that a function of each kind serves.
var operatorOf = map[abi.FunctionKind]abi.OperatorKind{
	abi.FunctionMap:       abi.OperatorMap,
	abi.FunctionFilter:    abi.OperatorFilter,
	abi.FunctionFlatMap:   abi.OperatorFlatMap,
	abi.FunctionKey:       abi.OperatorKey,
	abi.FunctionTimestamp: abi.OperatorTimestamp,
	abi.FunctionReduce:    abi.OperatorReduce,
	abi.FunctionAggregate: abi.OperatorAggregate,
	abi.FunctionProcess:   abi.OperatorProcess,
	abi.FunctionWindow:    abi.OperatorWindow,
	abi.FunctionJoin:      abi.OperatorJoin,
	abi.FunctionCoGroup:   abi.OperatorJoin,
	abi.FunctionPartition: abi.OperatorPartition,
	abi.FunctionRequest:   abi.OperatorRequest,

	abi.FunctionMapPartition: abi.OperatorMapPartition,
}

func (b *builder) checkNames() error {
	if len(b.manifest.Operators) == 0 {
		return faultf("operators", "empty (expected a source, a sink and what lies between)")
	}
	uids := map[string]int{}
	for i, o := range b.manifest.Operators {
		path := fmt.Sprintf("operators[%d]", i)
		if err := CheckName(path+".name", o.Name); err != nil {
			return err
		}
		if j, taken := b.index[o.Name]; taken {
			return faultf(path+".name", "%q is taken by operators[%d]", o.Name, j)
		}
		b.index[o.Name] = i
		if o.UID != "" {
			if err := CheckName(path+".uid", o.UID); err != nil {
				return err
			}
			if j, taken := uids[o.UID]; taken {
				return faultf(path+".uid", "%q is taken by operators[%d]", o.UID, j)
			}
			uids[o.UID] = i
		}
	}
	return nil
}

func (b *builder) checkOperator(i int) error {
	o := &b.manifest.Operators[i]
	path := fmt.Sprintf("operators[%d]", i)
	if o.Parallelism < 0 || o.Parallelism > MaxParallelism {
		return faultf(path+".parallelism", "%d (expected 1 <= n <= %d)", o.Parallelism, MaxParallelism)
	}
	kind, known := kinds[o.Kind]
	if !known {
		return faultf(path+".kind", "%q (expected one of %s)", o.Kind, kindNames)
	}
	switch n := len(o.Inputs); {
	case n < kind.minInputs:
		return faultf(path+".inputs", "%d of a %s (expected >= %d)", n, o.Kind, kind.minInputs)
	case n > kind.maxInputs:
		return faultf(path+".inputs", "%d of a %s (expected <= %d)", n, o.Kind, kind.maxInputs)
	}
	if kind.stateful && o.UID == "" && !b.keepsNothing(o) {
		return faultf(path+".uid", "empty (expected one: a %s keeps state, and the uid is its name across versions of the job)", o.Kind)
	}
	if err := b.checkFunctionOf(path, o, kind); err != nil {
		return err
	}
	if (o.Connector != nil) != kind.connector {
		return faultf(path+".connector", "%s (expected %s for a %s)", present(o.Connector != nil), present(kind.connector), o.Kind)
	}
	if err := b.checkWindow(path+".window", o, kind); err != nil {
		return err
	}
	if err := checkJoin(path, o); err != nil {
		return err
	}
	if err := checkCoGroup(path, o, b.functions[o.Function]); err != nil {
		return err
	}
	if err := checkRequests(path+".requests", o); err != nil {
		return err
	}
	if err := checkWatermarks(path+".watermarks", o); err != nil {
		return err
	}
	if err := checkPreAggregate(path+".preAggregate", o); err != nil {
		return err
	}
	if err := checkWhole(path, o); err != nil {
		return err
	}
	if o.Chaining != "" && o.Chaining != ChainBegin && o.Chaining != ChainAlone {
		return faultf(path+".chaining", "%q (expected begin or alone)", o.Chaining)
	}
	if o.SlotGroup != "" {
		if err := CheckName(path+".slotGroup", o.SlotGroup); err != nil {
			return err
		}
	}
	switch o.OnTrap {
	case "", OnTrapFail:
	case OnTrapSkip, OnTrapDeadLetter:
		if o.Function == "" && o.Kind != abi.OperatorSource && len(b.windowFunctions(o.Window)) == 0 {
			return faultf(path+".onTrap", "%q (a %s is native and has no function that could trap)", o.OnTrap, o.Kind)
		}
	default:
		return faultf(path+".onTrap", "%q (expected fail, skip or deadLetter)", o.OnTrap)
	}
	return nil
}

// keepsNothing says whether an operator of a kind that keeps state keeps none: a process function without key that declares none.
func (b *builder) keepsNothing(o *abi.Operator) bool {
	f := b.functions[o.Function]
	return o.Kind == abi.OperatorProcess && f != nil && f.Key == "" && len(f.States) == 0
}

func (b *builder) checkFunctionOf(path string, o *abi.Operator, kind kindRules) error {
	if err := checkNative(path, o); err != nil || native(o) {
		return err
	}
	if !kind.function {
		if o.Function != "" {
			return faultf(path+".function", "%q (a %s is native and has none)", o.Function, o.Kind)
		}
		return nil
	}
	if kind.optional && o.Function == "" {
		return nil
	}
	f := b.functions[o.Function]
	if f == nil {
		return faultf(path+".function", "%q is not in the module's function table", o.Function)
	}
	if operatorOf[f.Kind] != o.Kind {
		return faultf(path+".function", "%q is of kind %s (expected %s)", o.Function, f.Kind, o.Kind)
	}
	return nil
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func present(is bool) string {
	if is {
		return "given"
	}
	return "none"
}

// kindRules is what an operator of a kind may and must have.
type kindRules struct {
	minInputs, maxInputs int
	function             bool // names a guest function
	optional             bool // or none
	connector            bool // names a system
	keyed                bool // its input must have a key
	stateful             bool // must have a uid
	window               bool // may have a window
}

var kinds = map[abi.OperatorKind]kindRules{
	abi.OperatorSource:     {connector: true},
	abi.OperatorMap:        {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorFilter:     {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorFlatMap:    {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorKey:        {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorTimestamp:  {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorPartition:  {minInputs: 1, maxInputs: 1, function: true},
	abi.OperatorUnion:      {minInputs: 2, maxInputs: 256},
	abi.OperatorCount:      {minInputs: 1, maxInputs: 1, keyed: true, stateful: true, window: true},
	abi.OperatorSum:        {minInputs: 1, maxInputs: 1, keyed: true, stateful: true, window: true},
	abi.OperatorAggregates: {minInputs: 1, maxInputs: 1, keyed: true, stateful: true, window: true},
	abi.OperatorReduce:     {minInputs: 1, maxInputs: 1, function: true, keyed: true, stateful: true, window: true},
	abi.OperatorAggregate:  {minInputs: 1, maxInputs: 1, function: true, keyed: true, stateful: true, window: true},
	abi.OperatorProcess:    {minInputs: 1, maxInputs: 2, function: true, keyed: true, stateful: true},
	abi.OperatorWindow:     {minInputs: 1, maxInputs: 1, function: true, keyed: true, stateful: true, window: true},
	abi.OperatorJoin:       {minInputs: 2, maxInputs: 2, function: true, optional: true, keyed: true, stateful: true, window: true},
	abi.OperatorRequest:    {minInputs: 1, maxInputs: 1, function: true, stateful: true},
	abi.OperatorSink:       {minInputs: 1, maxInputs: 1, connector: true},

	abi.OperatorMapPartition:  {minInputs: 1, maxInputs: 1, function: true, stateful: true},
	abi.OperatorSortPartition: {minInputs: 1, maxInputs: 1, stateful: true},
	abi.OperatorSample:        {minInputs: 1, maxInputs: 1},
	abi.OperatorRange:         {minInputs: 2, maxInputs: 2},
}

var kindNames = strings.Join([]string{"source", "map", "filter", "flatMap", "key", "timestamp", "partition", "union", "count", "sum", "aggregates", "reduce", "aggregate", "process", "join", "request", "mapPartition", "sortPartition", "sample", "range", "sink"}, ", ")
