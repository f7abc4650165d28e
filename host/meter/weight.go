package meter

import "github.com/wasmill/wasmill/host/module"

// Weights, in units of about one simple instruction of compiled code.
const (
	weightCall     = 5
	weightIndirect = 10
	weightHost     = 100 // leaving the guest
	weightGrow     = 1000
	weightDivide   = 10
	// leafWeight is how heavy a function may be that is charged by its callers. It bounds what a call costs that is not
	// charged: one by the host, or through a table.
	leafWeight = 32
	// caseWeight is how heavy a case of a switch may be that is charged with the switch.
	caseWeight = 32
)

// weigh fills b.weight. leaf gives the weight of a function that is charged by its callers; 0: it charges itself.
func (b *body) weigh(imported int, leaf func(index uint32) int64) {
	b.weight = append(b.weight[:0], 0)
	sum, run := int64(0), int64(0) // run: weight since the last point that a branch can reach or leave
	for i := range b.instrs {
		in := &b.instrs[i]
		w := instrWeight(in, imported, leaf)
		switch in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf, module.OpElse, module.OpEnd, module.OpBr, module.OpBrIf,
			module.OpBrTable, module.OpReturn:
			run = 0
		case module.OpUnreachable:
			// What leads to a trap runs once: it would only make calls that go well look dearer.
			sum -= run
			run, w = 0, 0
		default:
			run += w
		}
		sum += w
		b.weight = append(b.weight, sum)
	}
}

func instrWeight(in *module.Instr, imported int, leaf func(uint32) int64) int64 {
	switch in.Op {
	case module.OpBlock, module.OpLoop, module.OpElse, module.OpEnd, module.OpNop, module.OpDrop, module.OpUnreachable:
		return 0
	case module.OpCall:
		if int(in.Index) < imported {
			return weightHost
		}
		return weightCall + leaf(in.Index)
	case module.OpCallIndirect:
		return weightIndirect
	case module.OpBrTable:
		return caseWeight / 2
	case module.OpMemoryGrow, module.OpTableGrow:
		return weightGrow
	}
	if op := in.Op; op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 {
		return weightDivide
	}
	return 1
}
