package graph

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// native says whether a key or filter is over fields of the value, and calls no function.
func native(o *abi.Operator) bool {
	return o.Kind == abi.OperatorKey && o.Function == "" && len(o.Fields) > 0 ||
		o.Kind == abi.OperatorFilter && o.Function == "" && o.Predicate != nil
}

// checkNative sees that what is said of fields is said where it means something.
func checkNative(path string, o *abi.Operator) error {
	switch {
	case len(o.Fields) > 0 && o.Kind != abi.OperatorKey:
		return faultf(path+".fields", "given (a %s has none)", o.Kind)
	case o.Predicate != nil && o.Kind != abi.OperatorFilter:
		return faultf(path+".predicate", "given (a %s has none)", o.Kind)
	case len(o.Aggregates) > 0 && o.Kind != abi.OperatorAggregates:
		return faultf(path+".aggregates", "given (a %s has none)", o.Kind)
	case o.Function != "" && len(o.Fields) > 0:
		return faultf(path+".fields", "given beside the function %q (expected one of the two)", o.Function)
	case o.Function != "" && o.Predicate != nil:
		return faultf(path+".predicate", "given beside the function %q (expected one of the two)", o.Function)
	}
	return nil
}

// resolveFields holds what operator op says of fields against the values that it takes, and settles its codecs.
func resolveFields(path string, g *JobGraph, op *Operator) error {
	if op.Declared != nil || len(op.Inputs) == 0 {
		return nil
	}
	in := op.Inputs[0]
	value := g.Codec(in.From, in.Side)
	switch op.Kind {
	case abi.OperatorKey:
		key, _, err := field.KeyCodec(value, op.Fields)
		if err != nil {
			return fault(path+".fields", err)
		}
		if err := settle(path+".key", &op.Key, key); err != nil {
			return err
		}
		return settle(path+".output", &op.Output, value)
	case abi.OperatorFilter:
		if _, err := field.NewPredicate(value, op.Predicate); err != nil {
			return fault(path+".predicate", err)
		}
		return settle(path+".output", &op.Output, value)
	case abi.OperatorAggregates:
		return resolveAggregates(path, g, op, value)
	case abi.OperatorCount, abi.OperatorSum:
		return resolveTally(path, g, op, value)
	}
	return nil
}

// settle fills in a codec that may be left out.
func settle(path string, have *abi.Codec, want abi.Codec) error {
	if *have != "" && *have != want {
		return faultf(path, "%s (expected %s)", *have, want)
	}
	*have = want
	return nil
}

func resolveAggregates(path string, g *JobGraph, op *Operator, value abi.Codec) error {
	list, err := field.NewAggregates(value, op.Aggregates)
	if err != nil {
		return fault(path+".aggregates", err)
	}
	from := op.Inputs[0].From
	key, name := g.KeyCodec(from, op.Inputs[0].Side), keyName(g, from)
	return settleResults(path+".output", op, func(windowed bool) []*abi.Schema {
		return []*abi.Schema{field.Results(windowed, key, name, false, list), field.Results(windowed, key, name, true, list)}
	})
}

// resolveTally settles what a count or sum has for results.
func resolveTally(path string, g *JobGraph, op *Operator, value abi.Codec) error {
	if op.Kind == abi.OperatorCount {
		value = abi.CodecI64
	}
	key := g.KeyCodec(op.Inputs[0].From, op.Inputs[0].Side)
	return settleResults(path+".output", op, func(windowed bool) []*abi.Schema {
		return []*abi.Schema{field.Tally(windowed, key, value)}
	})
}

// settleResults fills in the codec of results that the host makes, or holds the one that is given against what these may be: of, the
// first of which is meant where none is given.
func settleResults(path string, op *Operator, of func(windowed bool) []*abi.Schema) error {
	windowed := op.Window != nil && op.Window.Kind != "count" && op.Window.Kind != "global"
	results := of(windowed)
	if op.Output == "" {
		op.Output = results[0].Codec()
		if _, err := abi.ParseSchema(op.Output); err != nil {
			return faultf(path, "empty, and the results are no row: %v (expected one that gives their fields other names)", err)
		}
		return nil
	}
	if op.Window != nil && op.Window.Kind == "global" { // it may say that it is from 0 to 0
		results = append(results, of(true)...)
	}
	var wrong error
	for _, s := range results {
		err := field.CheckResults(op.Output, s)
		if err == nil {
			return nil
		}
		wrong = cmp.Or(wrong, err)
	}
	return faultf(path, "%v", wrong)
}

// keyName is what results call a key that is one value: the field that it was, or "key".
func keyName(g *JobGraph, from int) string {
	op := &g.Operators[from]
	if op.Kind != abi.OperatorKey || len(op.Fields) != 1 {
		return "key"
	}
	return op.Fields[0][strings.LastIndexByte(op.Fields[0], '.')+1:]
}

// fault is an error about fields, with the path to it.
func fault(path string, err error) *Error {
	f := field.Under(path, err)
	return &Error{Path: f.Path, Problem: f.Problem}
}

// FieldsText is what an operator does with fields, for people, empty for none: "key bid.auction", "where price > 5".
func FieldsText(fields []string, p *abi.Predicate, list []abi.Aggregate) string {
	var parts []string
	if len(fields) > 0 {
		parts = append(parts, "by "+strings.Join(fields, ", "))
	}
	if p != nil {
		parts = append(parts, "where "+p.String())
	}
	for i := range list {
		parts = append(parts, list[i].String())
	}
	return strings.Join(parts, ", ")
}

// AggregatesText is what the accumulators of aggregates are of: two that differ cannot go on from each other's.
func (o *Operator) AggregatesText() string {
	var parts []string
	for _, a := range o.Aggregates {
		a.Name = fmt.Sprint(len(parts))
		parts = append(parts, a.String())
	}
	return strings.Join(parts, "; ")
}
