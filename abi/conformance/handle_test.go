package conformance_test

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/hosttest"
)

// handle is an open handle, with what is needed to write its input and to read its outputs.
type handle struct {
	*hosttest.Handle
	functions abi.Handle
	table     []abi.Function // of each of the functions
	outputs   map[uint32]codecs
}

// codecs are those of the records at some place.
type codecs struct{ key, value abi.Codec }

// parseHandle reads a handle: a function a line, indented under the one that it takes its records from, with an arrow
// for each output. A function that is no name of the manifest's is a number.
//
//	words
//	  by-text -> 0 key
//	  length -> 1 value time -> 2 value
//	upper input=1 -> 3 value -> 4 side=1 value
func parseHandle(m *abi.Manifest, text string) (*handle, error) {
	h := &handle{outputs: make(map[uint32]codecs)}
	var indents []int
	var keys []abi.Codec // of the records behind each function
	for k, line := range strings.Split(text, "\n") {
		parts := strings.Split(line, "->")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		f, entry, err := functionOf(m, strings.TrimSpace(parts[0]))
		if err != nil {
			return nil, err
		}
		at := codecs{key: abi.CodecBytes, value: f.Output}
		for up := k - 1; up >= 0; up-- {
			if indents[up] < indent {
				entry.Upstream, at.key = uint32(up), keys[up]
				break
			}
		}
		if f.Key != "" {
			at.key = f.Key
		}
		for _, arrow := range parts[1:] {
			o, err := outputOf(arrow)
			if err != nil {
				return nil, err
			}
			entry.Outputs = append(entry.Outputs, o)
			h.outputs[o.Number] = at
			if o.Tag > 0 && int(o.Tag) <= len(f.Sides) {
				h.outputs[o.Number] = codecs{at.key, f.Sides[o.Tag-1]}
			}
		}
		indents, keys, h.table = append(indents, indent), append(keys, at.key), append(h.table, f)
		h.functions.Functions = append(h.functions.Functions, entry)
	}
	return h, nil
}

// functionOf reads a function's name or number, and the number of the input that it reads if it is not 0.
func functionOf(m *abi.Manifest, text string) (f abi.Function, entry abi.HandleFunction, err error) {
	entry.Upstream = abi.None
	name, input, _ := strings.Cut(text, " input=")
	if input != "" {
		if _, err := fmt.Sscan(input, &entry.Input); err != nil {
			return f, entry, fmt.Errorf("input %q: %w", input, err)
		}
	}
	for _, f := range m.Functions {
		if f.Name == name {
			entry.Function = f.ID
			return f, entry, nil
		}
	}
	if _, err := fmt.Sscan(name, &entry.Function); err != nil {
		return f, entry, fmt.Errorf("the guest has no function %q", name)
	}
	return f, entry, nil
}

var columnNames = map[string]abi.Columns{
	"time": abi.ColumnTimestamps, "key": abi.ColumnKeys, "value": abi.ColumnValues, "kind": abi.ColumnKinds,
	"headers": abi.ColumnHeaders,
}

// outputOf reads what stands behind an arrow: an output's number and the columns wanted.
func outputOf(text string) (o abi.HandleOutput, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return o, fmt.Errorf("an arrow without the number of an output")
	}
	if _, err := fmt.Sscan(words[0], &o.Number); err != nil {
		return o, fmt.Errorf("output %q: %w", words[0], err)
	}
	for _, w := range words[1:] {
		if side, ok := strings.CutPrefix(w, "side="); ok {
			if _, err := fmt.Sscan(side, &o.Tag); err != nil {
				return o, fmt.Errorf("side %q: %w", side, err)
			}
			continue
		}
		if columnNames[w] == 0 {
			return o, fmt.Errorf("column %q (expected time, key, value, kind, headers, side=n)", w)
		}
		o.Columns |= columnNames[w]
	}
	return o, nil
}

// head returns the first function.
func (h *handle) head() abi.Function { return h.table[0] }

// input returns the codecs of the records of an input.
func (h *handle) input(number uint32) codecs {
	for k, f := range h.functions.Functions {
		if f.Upstream == abi.None && f.Input == number && len(h.table[k].Inputs) > 0 {
			return codecs{abi.CodecBytes, h.table[k].Inputs[0]}
		}
	}
	return codecs{abi.CodecBytes, abi.CodecBytes}
}
