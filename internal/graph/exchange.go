package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

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

// heldOtherwise are the fields of an operator of which more is to be said than whether they are the same. Oldest says what its
// state may hold: that is no matter of its tasks.
var heldOtherwise = map[string]bool{"Name": true, "UID": true, "Kind": true, "Function": true, "Declared": true, "Oldest": true,
	"WindowFunctions": true, "WindowModule": true, "PreAggregate": true}

// operator holds two operators in the same place of their graphs against each other; false: they are not the same one.
func (c *exchange) operator(was, is *Operator) bool {
	if was.Name != is.Name || was.UID != is.UID || was.Kind != is.Kind {
		c.because("operator %q (uid %q) is a %s called %q (uid %q)", was.Name, was.UID, is.Kind, is.Name, is.UID)
		return false
	}
	x, y := reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem()
	for i := range x.NumField() {
		if field := x.Type().Field(i); !heldOtherwise[field.Name] && !same(x.Field(i).Interface(), y.Field(i).Interface()) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			c.because("operator %q: other %s", is.Name, name)
		}
	}
	if c.was.moduleIndex(was) != c.is.moduleIndex(is) {
		c.because("operator %q: other module", is.Name)
	}
	if preAggregates(c.was, was) != preAggregates(c.is, is) {
		c.because("operator %q: other pre-aggregation", is.Name)
	}
	if !same(signature(was.Declared), signature(is.Declared)) {
		c.because("operator %q: other codecs or states", is.Name)
	}
	if c.was.numberOf(was.WindowModule) != c.is.numberOf(is.WindowModule) || !same(signatures(was.WindowFunctions), signatures(is.WindowFunctions)) {
		c.because("operator %q: other functions of its window", is.Name)
	}
	return true
}

func preAggregates(g *JobGraph, o *Operator) bool {
	folds, _ := g.PreAggregates(g.index(o))
	return folds
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

func signatures(all []*abi.Function) (parts []*abi.Function) {
	for _, f := range all {
		parts = append(parts, signature(f))
	}
	return parts
}

// moduleIndex is where among the graph's modules an operator's function is, -1 for an operator without one.
func (g *JobGraph) moduleIndex(o *Operator) int {
	if o.Function == nil {
		return -1
	}
	return g.numberOf(o.Function.Module)
}

// numberOf is where among the graph's modules one is; their number: nowhere.
func (g *JobGraph) numberOf(id ModuleID) int {
	for i := range g.Modules {
		if g.Modules[i].ID == id {
			return i
		}
	}
	return len(g.Modules)
}
