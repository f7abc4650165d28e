package graph

import "github.com/wasmill/wasmill/abi"

// Sides is how many side outputs the operator has: those that its function declares, behind them those of late records, and
// last that of dead letters.
func (o *Operator) Sides() int {
	n := o.lateSides()
	if o.Declared != nil {
		n += len(o.Declared.Sides)
	}
	if o.OnTrap == OnTrapDeadLetter {
		n++
	}
	return n
}

// lateSides is how many side outputs of late records it has: one an input.
func (o *Operator) lateSides() int {
	switch {
	case o.Kind == abi.OperatorJoin:
		return 2
	case o.Window != nil:
		return 1
	}
	return 0
}

// LateSide is the number of the side output of the late records of an input, 0 without one.
func (o *Operator) LateSide(input int) int {
	n := o.lateSides()
	if input >= n {
		return 0
	}
	last := o.Sides()
	if o.OnTrap == OnTrapDeadLetter {
		last--
	}
	return last - n + 1 + input
}

// LateInput is the input whose late records go to a side output; false: it is not one of these.
func (o *Operator) LateInput(side int) (input int, ok bool) {
	first := o.LateSide(0)
	input = side - first
	return input, first > 0 && input >= 0 && input < o.lateSides()
}

// What becomes of a record, timer or group that a function traps on, again when it is tried anew; and of input of a source
// that is no record.
const (
	OnTrapFail       = "fail"       // the job fails
	OnTrapSkip       = "skip"       // it is left out, counted and logged
	OnTrapDeadLetter = "deadLetter" // the same, and a record of LetterCodec tells of it
)

// LeavesOut says whether the operator leaves out what it traps on, or cannot read.
func (o *Operator) LeavesOut() bool { return o.OnTrap == OnTrapSkip || o.OnTrap == OnTrapDeadLetter }

// LetterCodec is the codec of a dead letter: "record", "timer", "result" or "input"; its key, if it has one; why; the record's
// value, or the input as it stands.
const LetterCodec abi.Codec = "row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)"

// DeadSide is the number of the side output of dead letters, the last one; 0 without one.
func (o *Operator) DeadSide() int {
	if o.OnTrap != OnTrapDeadLetter {
		return 0
	}
	return o.Sides()
}

// Codec is that of the values of output side of operator op, 0 being the main one.
func (g *JobGraph) Codec(op, side int) abi.Codec {
	o := &g.Operators[op]
	switch {
	case side == 0 && o.Kind == abi.OperatorUnion:
		return g.Codec(o.Inputs[0].From, o.Inputs[0].Side)
	case side == 0 && o.Kind == abi.OperatorKey && o.Output == "" && o.Declared != nil:
		return o.Declared.Output
	case side == 0:
		return o.Output
	case side == o.DeadSide():
		return LetterCodec
	}
	if input, late := o.LateInput(side); late { // as they came
		return g.Codec(o.Inputs[input].From, o.Inputs[input].Side)
	}
	return o.Declared.Sides[side-1]
}

// KeyCodec is that of the keys of output side of operator op, empty for records without a key. What is made of a keyed
// record keeps its key.
func (g *JobGraph) KeyCodec(op, side int) abi.Codec {
	o := &g.Operators[op]
	switch {
	case side > 0 && side == o.DeadSide() || o.Kind == abi.OperatorSource:
		return ""
	case o.Kind == abi.OperatorKey && o.Key == "" && o.Declared != nil:
		return o.Declared.Key
	case o.Kind == abi.OperatorKey:
		return o.Key
	case o.Unkeyed(), o.Whole(), o.Kind == abi.OperatorSample, o.Kind == abi.OperatorRange:
		return ""
	}
	key := g.KeyCodec(o.Inputs[0].From, o.Inputs[0].Side)
	if o.Broadcasts() {
		return key // records of the other input have none
	}
	for _, in := range o.Inputs[1:] {
		if g.KeyCodec(in.From, in.Side) != key {
			return ""
		}
	}
	return key
}
