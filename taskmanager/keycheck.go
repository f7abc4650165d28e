package taskmanager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/wire"
)

// A key function that answers differently for the same record breaks a job silently: after a restart the record goes to another
// subtask, whose state it finds or not. So now and then it is asked twice.

// checkEvery is how many batches pass at most between two that are checked. The first is, and each that is twice as far on, until
// they are so far apart: a job of little input is looked at often enough.
const checkEvery = 4096

// checkApart is by how much the clock differs between both times, so that a key that is made of it is noticed.
const checkApart = 400 * 24 * 3600 * 1000

// keyCheck is a key function of a step, and what makes its records.
type keyCheck struct {
	operator string
	codec    abi.Codec // of the keys
	before   *handle   // the functions before it in the step, nil: it is the head
	alone    *handle
	made     *abi.Builder // what before has made
}

// newKeyChecks makes the handles that step s needs to check its key functions.
func (c *chain) newKeyChecks(s int, h *handle) {
	for _, i := range c.plan.steps[s].operators {
		if op := &c.plan.graph.Operators[i]; op.Kind != abi.OperatorKey || op.Function == nil {
			continue
		}
		path := c.plan.path(s, i)
		of := &c.plan.graph.Operators[i]
		check := keyCheck{operator: of.Name, codec: of.Key, alone: c.pathHandle(h.guest, path[len(path)-1:], abi.ColumnKeys)}
		if len(path) > 1 {
			check.before = c.pathHandle(h.guest, path[:len(path)-1], abi.ColumnValues)
			check.made = abi.NewBuilder(abi.ColumnValues)
		}
		h.checks = append(h.checks, check)
	}
}

// path is the operators of step s from its head to op.
func (p *plan) path(s, op int) []int {
	if op == p.steps[s].operators[0] {
		return []int{op}
	}
	return append(p.path(s, p.graph.Operators[op].Inputs[0].From), op)
}

// pathHandle composes functions that follow each other, with the main output of the last one.
func (c *chain) pathHandle(g *guest, path []int, columns abi.Columns) *handle {
	h := &handle{guest: g, number: uint32(len(g.handles) + 1)}
	for k, i := range path {
		op := &c.plan.graph.Operators[i]
		f := abi.HandleFunction{Function: op.Declared.ID, Upstream: abi.None}
		if k > 0 {
			f.Upstream = uint32(k - 1)
		}
		if k == len(path)-1 {
			f.Outputs = []abi.HandleOutput{{Columns: columns}}
			h.names = op.Name
		}
		h.functions.Functions = append(h.functions.Functions, f)
	}
	g.handles = append(g.handles, h)
	return h
}

// checkKeys asks the key functions of the step twice, with nothing coming of it. What fails is found when the batch is processed.
func (s *guestStep) checkKeys(b *batch) error {
	if len(s.handle.checks) == 0 {
		return nil
	}
	if s.unchecked--; s.unchecked >= 0 {
		return nil
	}
	s.apart = min(max(1, 2*s.apart), checkEvery)
	s.unchecked = s.apart - 1
	g := s.handle.guest
	g.checking = true
	defer func() { g.checking = false }()
	for i := range s.handle.checks {
		err := s.handle.checks[i].run(s.header, s.inputOf(b), b)
		var trap *host.Error
		switch {
		case errors.As(err, &trap) && trap.Kind.Poisoned():
			return g.renew()
		case errors.As(err, &trap):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

func (c *keyCheck) run(header abi.CallHeader, in host.Input, of *batch) error {
	records := &of.Batch
	if c.before != nil {
		effects, err := c.before.process(&header, in)
		if err != nil {
			return err
		}
		c.made.Reset()
		for i := range effects.Emits {
			e := &effects.Emits[i].Batch
			c.made.AppendRange(e, 0, e.N, nil)
		}
		in, records = c.made, new(abi.Batch)
		c.made.View(records)
	}
	first, err := c.keys(&header, in)
	if err != nil {
		return err
	}
	header.ProcessingTime += checkApart
	again, err := c.keys(&header, in)
	if err != nil {
		return err
	}
	for i, key := range first {
		if (c.codec == abi.CodecI64 || c.codec == abi.CodecF64) && len(key) != 8 {
			return wrongLength(c.operator, i, records, key, c.codec)
		}
	}
	for i := range max(len(first), len(again)) {
		if i >= len(first) || i >= len(again) || !bytes.Equal(first[i], again[i]) {
			return gave(c.operator, i, records, fmt.Sprintf("the key %s, and when it was asked again %s", c.shown(first, i), c.shown(again, i)),
				"a key may depend on nothing but its record: not on the clock, on randomness, or on what earlier calls left in a variable")
		}
	}
	return nil
}

// keys are copies of what the function makes of its records.
func (c *keyCheck) keys(header *abi.CallHeader, in host.Input) (keys [][]byte, err error) {
	effects, err := c.alone.process(header, in)
	if err != nil {
		return nil, err
	}
	for i := range effects.Emits {
		for row := range effects.Emits[i].Batch.N {
			keys = append(keys, bytes.Clone(effects.Emits[i].Batch.Key(row)))
		}
	}
	return keys, nil
}

// shown is key i for people.
func (c *keyCheck) shown(keys [][]byte, i int) string {
	switch {
	case i >= len(keys):
		return "none"
	case c.codec == abi.CodecI64 && len(keys[i]) == 8:
		return strconv.FormatInt(int64(binary.LittleEndian.Uint64(keys[i])), 10)
	}
	return quoted(keys[i])
}

func wrongLength(operator string, i int, records *abi.Batch, key []byte, codec abi.Codec) error {
	return gave(operator, i, records, fmt.Sprintf("the key %s, which has %d bytes (expected 8 of %s)", quoted(key), len(key), codec),
		"a key function makes keys of the codec that it declares")
}

func quoted(key []byte) string { return strconv.QuoteToASCII(string(key[:min(len(key), 64)])) }

func gave(operator string, i int, records *abi.Batch, what, hint string) error {
	record := ""
	if i < records.N && records.ValueOffs != nil {
		record = " (" + excerpt(records.Value(i)) + ")"
	}
	return &wire.Failure{
		Kind: wire.KindGuest, Operator: operator, Hint: hint,
		Message: fmt.Sprintf("operator %q: its function gave record %d of a batch%s %s", operator, i+1, record, what),
	}
}

// keyFunction has made the keys of an output.
type keyFunction struct {
	operator string
	codec    abi.Codec // empty where keys are of any length
}

// keyFunction is the one of step s that has made the keys of what an operator of it emits.
func (p *plan) keyFunction(s, op int) keyFunction {
	path := p.path(s, op)
	for _, i := range slices.Backward(path) {
		of := &p.graph.Operators[i]
		if of.Kind == abi.OperatorKey && (of.Key == abi.CodecI64 || of.Key == abi.CodecF64) {
			return keyFunction{of.Name, of.Key}
		}
		if of.Kind == abi.OperatorKey {
			break
		}
	}
	return keyFunction{}
}

// check finds keys that are not of their codec, which would be laid to who takes them.
func (k *keyFunction) check(b *abi.Batch) error {
	if k.codec == "" || b.KeyOffs == nil {
		return nil
	}
	start := b.KeyOffs[0]
	for i, end := range b.KeyOffs[1:] {
		if end-start != 8 {
			return wrongLength(k.operator, i, b, b.Key(i), k.codec)
		}
		start = end
	}
	return nil
}
