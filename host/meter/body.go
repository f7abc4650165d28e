package meter

import (
	"slices"

	"github.com/wasmill/wasmill/host/module"
)

// body is one function's instructions, read into memory to be looked at more than once. It is reused for one function
// after the other.
type body struct {
	instrs []module.Instr
	labels []uint32 // backing of the instructions' label lists
	opener []int32  // per end and else: the instruction that opened its block; the function's own end has -1
	end    []int32  // per block, loop and if: its end
	target []int32  // per br, br_if: the instruction that opened the block it names, -1: the function
	cases  []bool   // per block: a br_table, not that of the dispatch loop, branches to its end
	open   []int32  // scratch: blocks open
	weight []int64  // per instruction: the weight of all before it; one more than instructions

	dispatch dispatch
}

// read fills b with function f of m.
func (b *body) read(m *module.Module, f *module.Function, place string) error {
	var c module.Cursor
	c.Reset(m, f.Code, f.End, place)
	b.instrs, b.labels = b.instrs[:0], b.labels[:0]
	var in module.Instr
	for c.Next(&in) {
		if len(in.Labels) > 0 {
			n := len(b.labels)
			b.labels = append(b.labels, in.Labels...)
			in.Labels = b.labels[n:len(b.labels):len(b.labels)]
		}
		b.instrs = append(b.instrs, in)
	}
	if err := c.Err(); err != nil {
		return err
	}
	b.match()
	b.findDispatch()
	b.markCases()
	return nil
}

// markCases fills cases.
func (b *body) markCases() {
	b.cases = slices.Grow(b.cases[:0], len(b.instrs))[:len(b.instrs)]
	clear(b.cases)
	b.open = append(b.open[:0], -1)
	mark := func(label uint32) {
		if at := b.open[len(b.open)-1-int(label)]; at >= 0 && b.instrs[at].Op != module.OpLoop {
			b.cases[at] = true
		}
	}
	for i := range b.instrs {
		switch in := &b.instrs[i]; in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf:
			b.open = append(b.open, int32(i))
		case module.OpEnd:
			b.open = b.open[:len(b.open)-1]
		case module.OpBrTable:
			if b.dispatch.found() && int32(i) == b.dispatch.table {
				continue
			}
			mark(in.Index)
			for _, l := range in.Labels {
				mark(l)
			}
		}
	}
}

// match fills opener, end and target. Parse has checked nesting and labels.
func (b *body) match() {
	n := len(b.instrs)
	b.opener = slices.Grow(b.opener[:0], n)[:n]
	b.end = slices.Grow(b.end[:0], n)[:n]
	b.target = slices.Grow(b.target[:0], n)[:n]
	b.open = append(b.open[:0], -1)
	for i := range b.instrs {
		switch in := &b.instrs[i]; in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf:
			b.open = append(b.open, int32(i))
		case module.OpElse:
			b.opener[i] = b.open[len(b.open)-1]
		case module.OpEnd:
			b.opener[i] = b.open[len(b.open)-1]
			if b.opener[i] >= 0 {
				b.end[b.opener[i]] = int32(i)
			}
			b.open = b.open[:len(b.open)-1]
		case module.OpBr, module.OpBrIf:
			b.target[i] = b.open[len(b.open)-1-int(in.Index)]
		}
	}
}
