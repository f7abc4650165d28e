package graph

import (
	"fmt"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// checkWatermarks checks how the watermarks of a source or timestamp function are derived.
func checkWatermarks(path string, o *abi.Operator) error {
	w := o.Watermarks
	switch {
	case w == nil:
	case o.Kind != abi.OperatorSource && o.Kind != abi.OperatorTimestamp:
		return faultf(path, "present (a %s gives no event times: expected of a source or a timestamp function)", o.Kind)
	case w.OutOfOrderMs < 0:
		return faultf(path+".outOfOrder", "%s (expected >= 0s)", ms(w.OutOfOrderMs))
	case w.Group == "" && w.DriftMs != 0:
		return faultf(path+".drift", "%s without a group (expected the name of one)", ms(w.DriftMs))
	case w.Group != "" && w.DriftMs <= 0:
		return faultf(path+".drift", "%s of group %q (expected > 0s: how far a split may be ahead)", ms(w.DriftMs), w.Group)
	case w.Group != "" && CheckName(path+".group", w.Group) != nil:
		return CheckName(path+".group", w.Group)
	case w.IdleMs < 0:
		return faultf(path+".idle", "%s (expected > 0s, or none: idle inputs hold the watermark back)", ms(w.IdleMs))
	case w.Guest && o.Kind != abi.OperatorTimestamp:
		return faultf(path+".guest", "true (a %s has no function that could report watermarks)", o.Kind)
	case w.Guest && w.OutOfOrderMs > 0:
		return faultf(path+".outOfOrder", "%s (expected none: the function reports the watermarks itself)", ms(w.OutOfOrderMs))
	}
	return nil
}

// Patience is how long a split of the source operator i has nothing before it is idle; 0: for ever. Where the source says
// nothing about that, the timestamp functions behind it do, the most impatient of them, if no other use is made of the source's own
// watermarks.
func (g *JobGraph) Patience(i int) time.Duration {
	if w := g.Operators[i].Watermarks; w != nil && w.IdleMs > 0 {
		return time.Duration(w.IdleMs) * time.Millisecond
	}
	least, _ := g.patienceBehind(i)
	return time.Duration(least) * time.Millisecond
}

// patienceBehind is the smallest idleness of the timestamp functions behind operator i; only says that watermarks from before
// them are used nowhere.
func (g *JobGraph) patienceBehind(i int) (least int64, only bool) {
	for k := range g.Operators {
		o := &g.Operators[k]
		if !slices.ContainsFunc(o.Inputs, func(in Input) bool { return in.From == i }) {
			continue
		}
		var ms int64
		switch o.Kind {
		case abi.OperatorTimestamp:
			if o.Watermarks != nil {
				ms = o.Watermarks.IdleMs
			}
		case abi.OperatorMap, abi.OperatorFilter, abi.OperatorFlatMap, abi.OperatorKey, abi.OperatorPartition, abi.OperatorUnion:
			var fine bool
			if ms, fine = g.patienceBehind(k); !fine {
				return 0, false
			}
		case abi.OperatorSink:
		default:
			return 0, false
		}
		if ms > 0 && (least == 0 || ms < least) {
			least = ms
		}
	}
	return least, true
}

// ApartFromSplits says, for people, which timestamp functions do not run in the chain of the source whose records they give their
// times. They see channels and no splits: of splits that are read at the same time the furthest makes the watermark.
func (x *ExecutionGraph) ApartFromSplits(g *JobGraph) (all []string) {
	for _, c := range x.Chains {
		if g.Operators[c.Operators[0]].Kind == abi.OperatorSource {
			continue
		}
		for _, i := range c.Operators {
			o := &g.Operators[i]
			if o.Kind != abi.OperatorTimestamp || o.Watermarks == nil {
				continue
			}
			for _, s := range g.readBefore(i) {
				all = append(all, fmt.Sprintf("timestamps %q and their source %q are not in one chain (one parallelism, and nothing dealt out between them): "+
					"splits are not told apart, and records of a split that is behind another may be late", o.Name, g.Operators[s].Name))
			}
		}
	}
	return all
}

// readBefore are the sources whose records come to operator i with nothing before it that has state.
func (g *JobGraph) readBefore(i int) (sources []int) {
	for _, in := range g.Operators[i].Inputs {
		switch g.Operators[in.From].Kind {
		case abi.OperatorSource:
			sources = append(sources, in.From)
		case abi.OperatorMap, abi.OperatorFilter, abi.OperatorFlatMap, abi.OperatorKey, abi.OperatorPartition, abi.OperatorUnion:
			sources = append(sources, g.readBefore(in.From)...)
		}
	}
	return sources
}
