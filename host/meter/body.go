package meter

import (
	"slices"

	"github.com/wasmill/wasmill/host/module"
)

// body is one function's instructions, read into memory to be looked at more than once. It is reused for one function
// after the other.
//
// A block is named by the index of the instruction that opens it; function is the function's own block.
type body struct {
	m        *module.Module
	instrs   []module.Instr
	targets  []int32 // per br, br_if: the block it names
	tables   []int32 // the blocks that br_tables name
	ends     []int32 // per block: its end
	parents  []int32 // per block: the block around it; per end: the block it ends
	tabled   []bool  // per block: a br_table names it; a dispatch loop's own does not count within the loop
	jumps    []int32 // per loop: how many br and br_if name it
	dispatch dispatch

	open []int32 // scratch
}

// function is the block that is the function itself.
const function = -1

// read fills b with function f of m.
func (b *body) read(m *module.Module, f *module.Function, place string) error {
	var c module.Cursor
	c.Reset(m, f.Code, f.End, place)
	b.instrs, b.tables = b.instrs[:0], b.tables[:0]
	var in module.Instr
	for c.Next(&in) {
		// Of a br_table, Value and Other say where in tables its blocks are.
		if in.Op == module.OpBrTable {
			at := len(b.tables)
			for _, l := range in.Labels {
				b.tables = append(b.tables, int32(l))
			}
			b.tables = append(b.tables, int32(in.Index))
			in.Labels, in.Value, in.Other = nil, int64(at), uint32(len(b.tables))
		}
		b.instrs = append(b.instrs, in)
	}
	if err := c.Err(); err != nil {
		return err
	}
	b.m = m
	b.match()
	b.findDispatch()
	b.markTabled()
	b.findCycles()
	return nil
}

func resize[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

// match resolves labels to blocks. Parse has checked nesting and labels.
func (b *body) match() {
	n := len(b.instrs)
	b.targets, b.ends = resize(b.targets, n), resize(b.ends, n)
	b.parents, b.jumps = resize(b.parents, n), resize(b.jumps, n)
	b.open = append(b.open[:0], function)
	block := func(label int32) int32 { return b.open[len(b.open)-1-int(label)] }
	for i := range b.instrs {
		switch in := &b.instrs[i]; in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf:
			b.parents[i] = block(0)
			b.open = append(b.open, int32(i))
		case module.OpEnd:
			b.parents[i] = block(0)
			if block(0) != function {
				b.ends[block(0)] = int32(i)
			}
			b.open = b.open[:len(b.open)-1]
		case module.OpBr, module.OpBrIf:
			b.targets[i] = block(int32(in.Index))
			if b.targets[i] != function {
				b.jumps[b.targets[i]]++
			}
		case module.OpBrTable:
			table := b.tableOf(i)
			for k, l := range table {
				table[k] = block(l)
			}
		}
	}
}

// tableOf is the blocks that the br_table at i names, the default last.
func (b *body) tableOf(i int) []int32 {
	return b.tables[b.instrs[i].Value:b.instrs[i].Other]
}

// markTabled fills tabled.
func (b *body) markTabled() {
	b.tabled = resize(b.tabled, len(b.instrs))
	for i := range b.instrs {
		if b.instrs[i].Op != module.OpBrTable {
			continue
		}
		dispatches := b.dispatch.found() && int32(i) == b.dispatch.table
		for _, t := range b.tableOf(i) {
			if t != function && !(dispatches && t > b.dispatch.loop) {
				b.tabled[t] = true
			}
		}
	}
}

// loop says whether block is a loop.
func (b *body) loop(block int32) bool {
	return block != function && b.instrs[block].Op == module.OpLoop
}

// hasParams says whether a block has parameters.
func (b *body) hasParams(block int32) bool {
	v := b.instrs[block].Value
	return v >= 0 && len(b.m.Types[v].Params) > 0
}

// leaves says whether nothing runs past instruction i.
func (b *body) leaves(i int32) bool {
	switch b.instrs[i].Op {
	case module.OpBr, module.OpBrTable, module.OpReturn, module.OpUnreachable:
		return true
	}
	return false
}
