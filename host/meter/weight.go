package meter

import "github.com/wasmill/wasmill/host/module"

// Weights, in units of about one simple instruction of compiled code.
const (
	weightCall     = 5
	weightIndirect = 10
	weightHost     = 100 // leaving the guest
	weightGrow     = 1000
	weightDivide   = 10
	weightTable    = 10
	// lightWeight is how heavy a function without loops may be that is charged by its callers. It bounds what a call
	// costs that nobody charges: one by the host, or through a table.
	lightWeight = 64
	// caseWeight is how heavy a case of a switch may be that is charged with the switch.
	caseWeight = 32
)

// weigh is the weight of an instruction of the function being looked at.
func (w *rewriter) weigh(in *module.Instr) int64 {
	switch in.Op {
	case module.OpBlock, module.OpLoop, module.OpElse, module.OpEnd, module.OpNop, module.OpDrop, module.OpUnreachable:
		return 0
	case module.OpCall:
		if int(in.Index) < w.imported {
			return weightHost
		}
		return weightCall + w.factsOf(in.Index).light
	case module.OpCallIndirect:
		return weightIndirect
	case module.OpBrTable:
		return weightTable
	case module.OpMemoryGrow, module.OpTableGrow:
		return weightGrow
	}
	if op := in.Op; op >= opI32DivS && op <= opI32RemU || op >= opI64DivS && op <= opI64RemU {
		return weightDivide
	}
	return 1
}

// counts says whether an instruction calls what counts fuel: any function but a light one, the host too, for which the
// global must be true.
func (w *rewriter) counts(in *module.Instr) bool {
	switch in.Op {
	case module.OpCall:
		return int(in.Index) < w.imported || w.factsOf(in.Index).light == 0
	case module.OpCallIndirect:
		return true
	}
	return isBulk(in.Op)
}
