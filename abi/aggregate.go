package abi

import (
	"fmt"
	"strconv"
	"strings"
)

// Aggregate is one of those that a native operator computes over the records of a key.
type Aggregate struct {
	Name   string     `json:"name"`             // of its field in the result
	Kind   string     `json:"kind"`             // see the constants
	Field  string     `json:"field,omitempty"`  // of the value, "a.b" in a row inside of it; empty: the value itself
	N      int        `json:"n,omitempty"`      // of top and bottom: how many records
	Then   []string   `json:"then,omitempty"`   // of those that keep records: fields that decide among equals, the smallest first
	Filter *Predicate `json:"filter,omitempty"` // records that it leaves out do not count
}

// Kinds of aggregates. Over no values but null, those with a field are null, and countDistinct is 0.
const (
	AggregateCount    = "count"         // of records; with a field, of those where it is not null
	AggregateSum      = "sum"           // of i64 (wraps around) or f64
	AggregateMin      = "min"           // of i64, f64 or ms; NaN is larger than every number
	AggregateMax      = "max"           //
	AggregateAvg      = "avg"           // of i64, cut off towards zero, or f64
	AggregateDistinct = "countDistinct" // exact
	AggregateMinBy    = "minBy"         // the record whose field is smallest, the first of several
	AggregateMaxBy    = "maxBy"         // the record whose field is largest, the first of several
	AggregateFirst    = "first"         // the same as minBy; without a field, the first record to come
	AggregateLast     = "last"          // the record whose field is largest, the last of several; without a field, the last to come
	AggregateTop      = "top"           // the N records whose field is largest, a result each with its rank
	AggregateBottom   = "bottom"        // the N records whose field is smallest
)

// Predicate is a condition on the fields of a value. A comparison with null does not hold.
type Predicate struct {
	Op     string      `json:"op"`               // =, !=, <, <=, >, >=, in, null, notNull; and, or
	Field  string      `json:"field,omitempty"`  // as that of an aggregate; none of and, or
	Values []string    `json:"values,omitempty"` // as text: one, of in at least one; ms in milliseconds
	Of     []Predicate `json:"of,omitempty"`     // of and, or
}

// String is for people: "sum of price as total where price >= 10000".
func (a *Aggregate) String() string {
	text := a.Kind
	if a.N > 0 {
		text += " " + strconv.Itoa(a.N)
	}
	switch {
	case a.Field == "":
	case a.Kind == AggregateFirst || a.Kind == AggregateLast || a.N > 0:
		text += " by " + a.Field
	default:
		text += " of " + a.Field
	}
	if len(a.Then) > 0 {
		text += " then " + strings.Join(a.Then, ", ")
	}
	text += " as " + a.Name
	if a.Filter != nil {
		text += " where " + a.Filter.String()
	}
	return text
}

// String is for people: "price >= 10000 and channel in (Apple, Google)".
func (p *Predicate) String() string {
	field := p.Field
	if field == "" {
		field = "value"
	}
	switch p.Op {
	case "and", "or":
		var parts []string
		for i := range p.Of {
			part := p.Of[i].String()
			if len(p.Of[i].Of) > 1 && p.Of[i].Op != p.Op {
				part = "(" + part + ")"
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " "+p.Op+" ")
	case "in":
		return fmt.Sprintf("%s in (%s)", field, strings.Join(p.Values, ", "))
	case "null":
		return field + " is null"
	case "notNull":
		return field + " is not null"
	}
	return fmt.Sprintf("%s %s %s", field, p.Op, strings.Join(p.Values, ", "))
}
