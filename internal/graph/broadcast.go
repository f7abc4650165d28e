package graph

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// Broadcasts says whether input 1 of a process function is broadcast: its records change states of which every subtask has a copy.
func (o *Operator) Broadcasts() bool { return o.Declared != nil && o.Declared.Broadcasts() }

// checkBroadcast checks the inputs of a process function that declares a broadcast state: one that has records dealt out to its
// subtasks, and one that each of them has all of.
func checkBroadcast(path string, o *Operator) error {
	if d := o.Declared; d != nil && d.Applies && (!d.Broadcasts() || d.Key == "") {
		return faultf(fmt.Sprintf("functions[%d].applies", d.ID), "true, and %q has no broadcast state, or no key (expected both: records that are broadcast are applied to keys)", d.Name)
	}
	if !o.Broadcasts() {
		return nil
	}
	i := slices.IndexFunc(o.Declared.States, func(s abi.State) bool { return s.Scope == abi.ScopeBroadcast })
	name := o.Declared.States[i].Name
	switch {
	case len(o.Inputs) != 2:
		return faultf(path+".inputs", "%d (expected 2: its state %q is changed by records of the second, which is broadcast)", len(o.Inputs), name)
	case o.Inputs[1].Partition != Broadcast:
		return faultf(path+".inputs[1].partition", "%s (expected broadcast: every subtask has a copy of state %q, which the same records have to change)", o.Inputs[1].Partition, name)
	case o.Inputs[0].Partition == Broadcast:
		return faultf(path+".inputs[0].partition", "broadcast (expected another: its records are dealt out to the subtasks, those of the second input are broadcast)")
	}
	return nil
}
