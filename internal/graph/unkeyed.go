package graph

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// Unkeyed says whether it is a process function over records that are not dealt out by a key.
func (o *Operator) Unkeyed() bool {
	return takesUnkeyed(o) && !slices.ContainsFunc(o.Inputs, func(in Input) bool { return in.Partition == Hash })
}

// takesUnkeyed says whether the operator's function names no key that it needs.
func takesUnkeyed(o *Operator) bool {
	return o.Kind == abi.OperatorProcess && o.Declared != nil && o.Declared.Key == ""
}

// checkUnkeyed checks a process function that may have no key: what a key has it has not got. uid is the one that was given.
func checkUnkeyed(path string, g *JobGraph, o *Operator, uid string) error {
	if !takesUnkeyed(o) {
		return nil
	}
	if !o.Unkeyed() {
		for k, in := range o.Inputs {
			if in.Partition != Hash && !(k == 1 && o.Broadcasts()) {
				return faultf(fmt.Sprintf("%s.inputs[%d].partition", path, k), "%s, while the other input comes by hash (expected a key operator before both, or before none)", in.Partition)
			}
		}
		if uid == "" {
			return faultf(path+".uid", "empty (expected one: a process keeps state, and the uid is its name across versions of the job)")
		}
		return nil
	}
	for i, s := range o.Declared.States {
		if s.Scope == abi.ScopeKeyed {
			return faultf(fmt.Sprintf("functions[%d].states[%d].scope", o.Declared.ID, i), "keyed, and %q takes a stream without key (expected operator, or a key operator before it)", o.Name)
		}
	}
	if o.Declared.Timers {
		return faultf(fmt.Sprintf("functions[%d].timers", o.Declared.ID), "true, and %q takes a stream without key (expected none, or a key operator before it: a timer is a key's)", o.Name)
	}
	return nil
}
