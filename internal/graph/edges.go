package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// sort orders the manifest's operators so that inputs come first, keeping the manifest's order where it is free to.
func (b *builder) sort() ([]int, error) {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(b.manifest.Operators))
	var order, path []int
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case done:
			return nil
		case open:
			return b.cycle(append(path[slices.Index(path, i):], i))
		}
		state[i] = open
		path = append(path, i)
		for k, in := range b.manifest.Operators[i].Inputs {
			from, ok := b.index[in.From]
			if !ok {
				return faultf(fmt.Sprintf("operators[%d].inputs[%d].from", i, k), "%q is not an operator of this job", in.From)
			}
			if err := visit(from); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[i] = done
		order = append(order, i)
		return nil
	}
	for i := range b.manifest.Operators {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// cycle names the operators of a cycle in the direction in which records would flow.
func (b *builder) cycle(path []int) error {
	slices.Reverse(path)
	names := make([]string, len(path))
	for k, i := range path {
		names[k] = b.manifest.Operators[i].Name
	}
	return faultf(fmt.Sprintf("operators[%d].inputs", path[0]), "a cycle: %s (expected a graph without one)", strings.Join(names, " -> "))
}

// checkEnds refuses a graph without a source or sink, and an operator whose output nobody takes.
func (b *builder) checkEnds() error {
	used := map[string]bool{}
	sources, sinks := 0, 0
	for _, o := range b.manifest.Operators {
		for _, in := range o.Inputs {
			used[in.From] = true
		}
		switch o.Kind {
		case abi.OperatorSource:
			sources++
		case abi.OperatorSink:
			sinks++
		}
	}
	if sources == 0 {
		return faultf("operators", "no source (expected at least one)")
	}
	if sinks == 0 {
		return faultf("operators", "no sink (expected at least one: the result of %q goes nowhere)", b.manifest.Operators[len(b.manifest.Operators)-1].Name)
	}
	for i, o := range b.manifest.Operators {
		if o.Kind != abi.OperatorSink && !used[o.Name] {
			return faultf(fmt.Sprintf("operators[%d]", i), "its result goes nowhere (expected a sink behind it)")
		}
		if o.Kind == abi.OperatorSink && used[o.Name] {
			return faultf(fmt.Sprintf("operators[%d]", i), "a sink is the input of another operator (expected of none)")
		}
	}
	return nil
}

// operator makes the job graph's operator from the manifest's, all but its inputs.
func (b *builder) operator(i int) Operator {
	o := b.manifest.Operators[i]
	op := Operator{
		Name: o.Name, UID: o.UID, Kind: o.Kind, Connector: o.Connector, Window: windowOf(o.Window), Interval: o.Interval, Outer: o.Outer, Hint: o.Hint, Requests: requestsOf(o.Requests), Watermarks: o.Watermarks,
		Parallelism: o.Parallelism, Key: o.Key, Output: o.Output, OnTrap: o.OnTrap,
		Chaining: o.Chaining, PreAggregate: o.PreAggregate, SlotGroup: o.SlotGroup, Fields: o.Fields, Predicate: o.Predicate, Aggregates: o.Aggregates, Order: o.Order,
	}
	if op.Parallelism == 0 {
		op.Parallelism = b.parallelism
	}
	if op.UID == "" {
		op.UID = o.Name
	}
	if op.OnTrap == "" {
		op.OnTrap = OnTrapFail
	}
	if f := b.functions[o.Function]; f != nil {
		op.Function = &FunctionRef{Module: b.module, Name: f.Name}
		op.Declared = f
	}
	if op.WindowFunctions = b.windowFunctions(o.Window); op.WindowFunctions != nil {
		op.WindowModule = b.module
	}
	return op
}

// resolveInputs gives operator i its edges, and checks what flows along them.
func (b *builder) resolveInputs(g *JobGraph, i int, placed []int) error {
	o, op := b.manifest.Operators[i], &g.Operators[placed[i]]
	for k, in := range o.Inputs {
		path := fmt.Sprintf("operators[%d].inputs[%d]", i, k)
		from := &g.Operators[placed[b.index[in.From]]]
		edge := Input{From: placed[b.index[in.From]], Side: in.Side, Partition: Partition(in.Partition), Exchange: Exchange(in.Exchange)}
		if edge.Exchange == "" {
			edge.Exchange = Pipelined
		}
		if edge.Partition == "" {
			edge.Partition = defaultPartition(from, in.Side, op)
		}
		if err := checkEdge(path, edge, from, op); err != nil {
			return err
		}
		if err := checkCodec(path, g, edge, k, op); err != nil {
			return err
		}
		op.Inputs = append(op.Inputs, edge)
	}
	if err := checkKey(fmt.Sprintf("operators[%d]", i), op); err != nil {
		return err
	}
	if err := checkTogether(fmt.Sprintf("operators[%d]", i), g, op); err != nil {
		return err
	}
	if err := checkBroadcast(fmt.Sprintf("operators[%d]", i), op); err != nil {
		return err
	}
	if err := checkUnkeyed(fmt.Sprintf("operators[%d]", i), g, op, o.UID); err != nil {
		return err
	}
	if err := resolveOrder(fmt.Sprintf("operators[%d]", i), g, op); err != nil {
		return err
	}
	if err := resolveFields(fmt.Sprintf("operators[%d]", i), g, op); err != nil {
		return err
	}
	if err := resolveWindow(fmt.Sprintf("operators[%d]", i), g, op); err != nil {
		return err
	}
	switch op.SlotGroup {
	case "":
		op.SlotGroup = inheritedGroup(g, op)
	case DefaultSlotGroup:
		op.SlotGroup = ""
	}
	return nil
}

// checkReceivers refuses a partition operator whose receivers have several parallelisms: its function is told of one.
func (b *builder) checkReceivers(g *JobGraph) error {
	for i := range g.Operators {
		to := &g.Operators[i]
		for k, in := range to.Inputs {
			if n := g.Receivers(in.From); in.Partition == Custom && n != to.Parallelism {
				return faultf(fmt.Sprintf("operators[%d].inputs[%d]", b.index[to.Name], k), "parallelism %d, and another receiver of partition %q has %d (expected the same)",
					to.Parallelism, g.Operators[in.From].Name, n)
			}
		}
	}
	return nil
}

// Receivers is the parallelism of the first operator that takes what a partition operator has dealt out.
func (g *JobGraph) Receivers(partition int) int {
	for i := range g.Operators {
		for _, in := range g.Operators[i].Inputs {
			if in.From == partition && in.Partition == Custom {
				return g.Operators[i].Parallelism
			}
		}
	}
	return 0
}

// DefaultSlotGroup is what a manifest calls the group of operators that name none.
const DefaultSlotGroup = "default"

// inheritedGroup is the slot group of all inputs of an operator that names none, empty for the default.
func inheritedGroup(g *JobGraph, op *Operator) (group string) {
	for k, in := range op.Inputs {
		of := g.Operators[in.From].SlotGroup
		if k > 0 && of != group {
			return ""
		}
		group = of
	}
	return group
}

// defaultPartition of an edge from output side of an operator. Dead letters of a key function have no key.
func defaultPartition(from *Operator, side int, to *Operator) Partition {
	switch {
	case from.Kind == abi.OperatorKey && side == 0:
		return Hash
	case from.Deals() && side == 0:
		return Custom
	case from.Parallelism == to.Parallelism:
		return Forward
	}
	return Rebalance
}

func checkEdge(path string, e Input, from, to *Operator) error {
	switch e.Exchange {
	case Pipelined:
	case Blocking:
		return faultf(path+".exchange", "blocking (expected pipelined: edges are blocking in batch mode, which the submission asks for)")
	default:
		return faultf(path+".exchange", "%q (expected pipelined)", e.Exchange)
	}
	switch e.Partition {
	case Hash:
		if from.Kind == abi.OperatorKey && e.Side != 0 {
			return faultf(path+".partition", "hash behind side output %d of key %q, whose records have no key (expected forward, rebalance or broadcast)", e.Side, from.Name)
		}
		if from.Kind != abi.OperatorKey {
			return faultf(path+".partition", "hash behind %s %q, whose records have no key (expected a key operator before it)", from.Kind, from.Name)
		}
	case Forward:
		if from.Parallelism != to.Parallelism {
			return faultf(path+".partition", "forward from parallelism %d to %d (expected the same)", from.Parallelism, to.Parallelism)
		}
	case Rebalance, Shuffle, Rescale, Broadcast, Global:
	case Custom:
		if !from.Deals() || e.Side != 0 {
			return faultf(path+".partition", "custom behind %s %q (expected a partition operator before it)", from.Kind, from.Name)
		}
	default:
		return faultf(path+".partition", "%q (expected forward, hash, rebalance, shuffle, rescale, broadcast, global or custom)", e.Partition)
	}
	if from.Deals() && e.Side == 0 && e.Partition != Custom {
		return faultf(path+".partition", "%s behind %s %q (expected custom: that says who gets a record)", e.Partition, from.Kind, from.Name)
	}
	if kinds[to.Kind].keyed && e.Partition != Hash && !takesUnkeyed(to) && !(to.Broadcasts() && e.Partition == Broadcast) {
		return faultf(path, "a %s needs keyed input, and %s %q comes by %s (expected a key operator before it)", to.Kind, from.Kind, from.Name, e.Partition)
	}
	if e.Side < 0 || e.Side > from.Sides() {
		return faultf(path+".side", "%d (%q has %d side outputs)", e.Side, from.Name, from.Sides())
	}
	return nil
}

// checkKey refuses a key function whose keys are of no codec that keys can have, or of another one than its operator says.
func checkKey(path string, op *Operator) error {
	if op.Kind != abi.OperatorKey || op.Declared == nil {
		return nil
	}
	if op.Key != "" && op.Declared.Key != "" && op.Key != op.Declared.Key {
		return faultf(path+".key", "%s, and function %q makes keys of %s", op.Key, op.Declared.Name, op.Declared.Key)
	}
	if key := cmp.Or(op.Key, op.Declared.Key); key != "" {
		if _, err := abi.NewKeyCodec(key); err != nil {
			return faultf(path+".key", "%v", err)
		}
	}
	return nil
}

// checkCodec compares what is sent with what the receiving guest function declares.
func checkCodec(path string, g *JobGraph, e Input, input int, to *Operator) error {
	from, sent := &g.Operators[e.From], g.Codec(e.From, e.Side)
	if to.Declared != nil && len(to.Declared.Inputs) > 0 && sent != "" {
		want := to.Declared.Inputs[min(input, len(to.Declared.Inputs)-1)]
		if want != "" && want != sent {
			return faultf(path, "%q sends %s, and function %q takes %s", from.Name, sent, to.Declared.Name, want)
		}
	}
	if to.Kind == abi.OperatorUnion && input > 0 {
		first := to.Inputs[0]
		if codec := g.Codec(first.From, first.Side); codec != sent && codec != "" && sent != "" {
			return faultf(path, "%q sends %s, and %q, the first input, %s (expected one codec: map them to the same)", from.Name, sent, g.Operators[first.From].Name, codec)
		}
	}
	if f := to.Declared; f != nil && kinds[to.Kind].keyed && e.Partition == Hash {
		if key := g.KeyCodec(e.From, e.Side); key != "" && f.Key != "" && key != f.Key {
			return faultf(path, "%q sends keys of %s, and function %q takes keys of %s", from.Name, key, f.Name, f.Key)
		}
	}
	if to.Kind == abi.OperatorSum && sent != abi.CodecI64 && sent != abi.CodecF64 {
		return faultf(path, "%q sends %s, and a sum takes i64 or f64", from.Name, sent)
	}
	return nil
}
