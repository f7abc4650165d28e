package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// Incompatible says why a graph cannot go on from what another one has saved.
type Incompatible struct {
	Faults  []string // each names an operator, what it was and what it is
	Dropped bool     // nothing is wrong but that state would be left behind
}

func (e *Incompatible) Error() string { return strings.Join(e.Faults, "; ") }

// Compatible holds a graph against the one that a manifest was taken of: operators are found by uid, and each must be able to
// read what it finds. State that nobody takes is refused, unless it may be dropped.
func Compatible(old, now *graph.JobGraph, dropState bool) error {
	c := comparison{old: old, now: now}
	if old.MaxParallelism != now.MaxParallelism {
		c.faultf("the job has %d key groups (saved with %d)", now.MaxParallelism, old.MaxParallelism)
	}
	for i := range old.Operators {
		c.operator(&old.Operators[i])
	}
	c.leftBehind()
	switch {
	case len(c.faults) > 0:
		return &Incompatible{Faults: c.faults}
	case len(c.dropped) > 0 && !dropState:
		return &Incompatible{Faults: c.dropped, Dropped: true}
	}
	return nil
}

type comparison struct {
	old, now        *graph.JobGraph
	faults, dropped []string
}

func (c *comparison) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// Saves says whether an operator of that kind has something of its own in a checkpoint.
func Saves(kind abi.OperatorKind) bool {
	switch kind {
	case abi.OperatorSource, abi.OperatorCount, abi.OperatorSum, abi.OperatorAggregates, abi.OperatorReduce, abi.OperatorAggregate, abi.OperatorProcess, abi.OperatorJoin, abi.OperatorWindow, abi.OperatorRequest,
		abi.OperatorMapPartition, abi.OperatorSortPartition:
		return true
	}
	return false
}

func (c *comparison) operator(was *graph.Operator) {
	if !Saves(was.Kind) {
		return
	}
	i := slices.IndexFunc(c.now.Operators, func(o graph.Operator) bool { return o.UID == was.UID })
	if i < 0 {
		c.dropped = append(c.dropped, fmt.Sprintf("state of %s %q (uid %q) is saved, and no operator has that uid", was.Kind, was.Name, was.UID))
		return
	}
	is := &c.now.Operators[i]
	name := fmt.Sprintf("operator %q (uid %q)", is.Name, is.UID)
	if is.Kind != was.Kind {
		c.faultf("%s is a %s (saved by a %s)", name, is.Kind, was.Kind)
		return
	}
	if was.Kind == abi.OperatorSource {
		if is.Connector.Type != was.Connector.Type {
			c.faultf("%s reads from %s (its position is one in %s)", name, is.Connector.Type, was.Connector.Type)
		}
		return
	}
	for k := range min(len(was.Inputs), len(is.Inputs)) {
		a, b := c.old.Operators[was.Inputs[k].From].Key, c.now.Operators[is.Inputs[k].From].Key
		if a != b {
			c.faultf("%s has keys of codec %s (saved with %s)", name, b, a)
		}
		if a, b := keyFields(c.old, was.Inputs[k].From), keyFields(c.now, is.Inputs[k].From); a != "" && b != "" && a != b {
			c.faultf("%s has the keys %s (saved with %s)", name, b, a)
		}
		if a, b := c.old.Codec(was.Inputs[k].From, was.Inputs[k].Side), c.now.Codec(is.Inputs[k].From, is.Inputs[k].Side); keepsValues(is) && a != b {
			c.faultf("%s takes values of codec %s (saved with %s)", name, b, a)
		}
	}
	if a, b := was.AggregatesText(), is.AggregatesText(); a != b {
		c.faultf("%s keeps %s (saved with %s)", name, b, a)
	}
	if a, b := window(was), window(is); a != b {
		c.faultf("%s has %s (saved with %s)", name, b, a)
	}
	c.states(name, was, is)
}

// keyFields are the fields that the key of an operator's output is made of, empty if a function makes it.
func keyFields(g *graph.JobGraph, at int) string {
	op := &g.Operators[at]
	for op.Kind != abi.OperatorKey && len(op.Inputs) == 1 {
		op = &g.Operators[op.Inputs[0].From]
	}
	return strings.Join(op.Fields, ", ")
}

// leftBehind sees that nobody takes what the job has gone on without: what lies in its files is out of date.
func (c *comparison) leftBehind() {
	for _, l := range c.old.LeftBehind {
		i := slices.IndexFunc(c.now.Operators, func(o graph.Operator) bool { return o.UID == l.UID })
		if i < 0 {
			continue
		}
		is := &c.now.Operators[i]
		switch {
		case l.State == "":
			c.faultf("operator %q has the uid %q, whose state was left behind: give it another", is.Name, is.UID)
		case is.Declared != nil && slices.ContainsFunc(is.Declared.States, func(s abi.State) bool { return s.Name == l.State }):
			c.faultf("operator %q (uid %q) declares the state %q, which was left behind: give it another name", is.Name, is.UID, l.State)
		}
	}
}

func window(o *graph.Operator) string {
	switch {
	case o.Interval != nil:
		return o.Interval.String()
	case o.Window == nil:
		return "no window"
	}
	w := *o.Window
	w.LatenessMs = 0 // is no matter of what is saved
	text := w.String()
	for _, f := range append(o.WindowFunctions[:len(o.WindowFunctions):len(o.WindowFunctions)], o.Declared) {
		if f == nil {
			continue
		}
		for _, i := range f.Scoped() { // they are told apart by their order
			text += fmt.Sprintf(", keeping %s of codec %s", f.States[i].Name, f.States[i].Codec)
		}
	}
	return text
}

// keepsValues says whether what an operator saves is in the form of the values that it takes.
func keepsValues(o *graph.Operator) bool {
	switch o.Kind {
	case abi.OperatorSum, abi.OperatorAggregates, abi.OperatorJoin, abi.OperatorRequest, abi.OperatorMapPartition, abi.OperatorSortPartition:
		return true
	case abi.OperatorWindow:
		return o.Declared != nil && o.Declared.Accumulator == ""
	}
	return false
}

func (c *comparison) states(name string, before, now *graph.Operator) {
	was, is := before.Declared, now.Declared
	if was == nil || is == nil {
		return
	}
	declared := is.Keeps()
	for _, a := range was.Keeps() {
		i := slices.IndexFunc(declared, func(s abi.State) bool { return s.Name == a.Name })
		if i < 0 {
			c.dropped = append(c.dropped, fmt.Sprintf("state %q of %s is saved, and it declares none of that name", a.Name, name))
			continue
		}
		b := declared[i]
		switch {
		case a.Scope != b.Scope || a.Kind != b.Kind:
			c.faultf("state %q of %s is a %s %s (saved as a %s %s)", a.Name, name, b.Scope, b.Kind, a.Scope, a.Kind)
		case a.Key != b.Key:
			c.faultf("state %q of %s has keys of codec %s (saved with %s)", a.Name, name, b.Key, a.Key)
		case a.Version > b.Version:
			c.faultf("state %q of %s has schema version %d (saved with %d, and versions only grow)", a.Name, name, b.Version, a.Version)
		case a.Codec != b.Codec && a.Version == b.Version:
			c.faultf("state %q of %s has codec %s (saved with %s): give it a higher schema version, and a function that migrates", a.Name, name, b.Codec, a.Codec)
		default:
			c.versions(fmt.Sprintf("state %q of %s", a.Name, name), oldest(before, &a), &b)
		}
	}
}

// versions sees whether a state that may hold elements from a version on can be migrated.
func (c *comparison) versions(name string, from int, is *abi.State) {
	switch {
	case from == is.Version:
	case !is.Migrates:
		c.faultf("%s has schema version %d (it may hold elements of version %d), and the module does not say how to migrate them", name, is.Version, from)
	case from < is.Oldest:
		c.faultf("%s has schema version %d, and the module migrates from version %d on (it may hold elements of version %d)", name, is.Version, is.Oldest, from)
	}
}

// oldest is the oldest schema version that a state of an operator may hold.
func oldest(o *graph.Operator, s *abi.State) int {
	if from, older := o.Oldest[s.Name]; older {
		return from
	}
	return s.Version
}

// Inherit notes in a graph that goes on from what another one has saved, and is compatible with it, which older schema
// versions its states may hold, and what it leaves behind.
func Inherit(old, now *graph.JobGraph) {
	now.LeftBehind = slices.Clone(old.LeftBehind)
	for i := range old.Operators {
		was := &old.Operators[i]
		if !Saves(was.Kind) || was.Kind == abi.OperatorSource { // a position is in no file
			continue
		}
		k := slices.IndexFunc(now.Operators, func(o graph.Operator) bool { return o.UID == was.UID })
		if k < 0 {
			now.LeftBehind = append(now.LeftBehind, graph.StateRef{UID: was.UID})
			continue
		}
		if is := &now.Operators[k]; was.Declared != nil && is.Declared != nil {
			inheritStates(now, was, is)
		}
	}
}

func inheritStates(now *graph.JobGraph, was, is *graph.Operator) {
	is.Oldest = nil
	declared := is.Declared.Keeps()
	for _, a := range was.Declared.Keeps() {
		i := slices.IndexFunc(declared, func(s abi.State) bool { return s.Name == a.Name })
		if i < 0 {
			now.LeftBehind = append(now.LeftBehind, graph.StateRef{UID: was.UID, State: a.Name})
			continue
		}
		if from := oldest(was, &a); from < declared[i].Version {
			if is.Oldest == nil {
				is.Oldest = map[string]int{}
			}
			is.Oldest[a.Name] = from
		}
	}
}
