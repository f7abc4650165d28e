package graph

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// NotExchangeable says why tasks of one graph cannot go on with the modules of another one as they are: they would have to
// be deployed anew. Empty: nothing is different but modules, parameters, and what functions are called inside of them.
func NotExchangeable(was, is *JobGraph) (why []string) {
	c := exchange{was: was, is: is}
	if len(was.Modules) != len(is.Modules) {
		c.because("it has %d modules instead of %d", len(is.Modules), len(was.Modules))
	}
	if was.MaxParallelism != is.MaxParallelism {
		c.because("it has %d key groups instead of %d", is.MaxParallelism, was.MaxParallelism)
	}
	if len(was.Operators) != len(is.Operators) {
		c.because("it has %d operators instead of %d", len(is.Operators), len(was.Operators))
	}
	for i := range min(len(was.Operators), len(is.Operators)) {
		if !c.operator(&was.Operators[i], &is.Operators[i]) {
			break // those behind are moved
		}
	}
	return c.why
}

type exchange struct {
	was, is *JobGraph
	why     []string
}

func (c *exchange) because(format string, args ...any) {
	c.why = append(c.why, fmt.Sprintf(format, args...))
}

// operator holds two operators in the same place of their graphs against each other; false: they are not the same one.
func (c *exchange) operator(was, is *Operator) bool {
	if was.Name != is.Name || was.UID != is.UID || was.Kind != is.Kind {
		c.because("operator %q (uid %q) is a %s called %q (uid %q)", was.Name, was.UID, is.Kind, is.Name, is.UID)
		return false
	}
	for _, part := range []struct {
		name    string
		was, is any
	}{
		{"inputs", was.Inputs, is.Inputs},
		{"parallelism", was.Parallelism, is.Parallelism},
		{"connector", was.Connector, is.Connector},
		{"window", was.Window, is.Window},
		{"requests", was.Requests, is.Requests},
		{"watermarks", was.Watermarks, is.Watermarks},
		{"key codec", was.Key, is.Key},
		{"output codec", was.Output, is.Output},
		{"onTrap", was.OnTrap, is.OnTrap},
		{"chaining", was.Chaining, is.Chaining},
		{"slot group", was.SlotGroup, is.SlotGroup},
		{"module", c.was.moduleIndex(was), c.is.moduleIndex(is)},
		{"codecs or states", signature(was.Declared), signature(is.Declared)},
	} {
		if !same(part.was, part.is) {
			c.because("operator %q: other %s", is.Name, part.name)
		}
	}
	return true
}

// same compares what is stored: one of the graphs may come from there, where empty and missing are the same.
func same(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// signature is a function without what it is called in its module. The order of its states is their numbers.
func signature(f *abi.Function) *abi.Function {
	if f == nil {
		return nil
	}
	s := *f
	s.ID, s.Name = 0, ""
	return &s
}

// moduleIndex is where among the graph's modules an operator's function is, -1 for an operator without one.
func (g *JobGraph) moduleIndex(o *Operator) int {
	if o.Function == nil {
		return -1
	}
	for i := range g.Modules {
		if g.Modules[i].ID == o.Function.Module {
			return i
		}
	}
	return len(g.Modules)
}
