package meter

import "github.com/wasmill/wasmill/host/module"

// asm writes instructions.
type asm struct{ p []byte }

func (a *asm) op(op module.Opcode, immediates ...uint32) { a.p = appendOp(a.p, op, immediates...) }

func (a *asm) i32(v int32) { a.p = appendS64(append(a.p, byte(module.OpI32Const)), int64(v)) }

func (a *asm) i64(v int64) { a.p = appendS64(append(a.p, byte(module.OpI64Const)), v) }

// begin writes block, loop or if without parameters and results.
func (a *asm) begin(op module.Opcode) { a.p = append(a.p, byte(op), blockTypeVoid) }

func (a *asm) get(locals ...uint32) {
	for _, l := range locals {
		a.op(module.OpLocalGet, l)
	}
}

func (a *asm) set(local uint32) { a.op(module.OpLocalSet, local) }

func (a *asm) end() { a.op(module.OpEnd) }

// charge takes weight off the fuel:
//
//	fuel -= weight; if fuel < 0 { fuel = quantum(0) }
func (w *rewriter) charge(a *asm, weight int64) {
	a.op(module.OpGlobalGet, w.fuel)
	a.i64(weight)
	w.take(a)
}

// take is the rest of a charge, when fuel and the amount are on the stack.
func (w *rewriter) take(a *asm) {
	a.op(opI64Sub)
	a.op(module.OpGlobalSet, w.fuel)
	a.op(module.OpGlobalGet, w.fuel)
	a.i64(0)
	a.op(opI64LtS)
	a.begin(module.OpIf)
	a.i32(ReasonFuel)
	a.op(module.OpCall, w.quantum())
	a.op(module.OpGlobalSet, w.fuel)
	a.end()
}

// enter counts a call in depth:
//
//	depth -= frame; if depth < 0 { quantum(1); unreachable }
func (w *rewriter) enter(a *asm, frame int) {
	a.op(module.OpGlobalGet, w.depth)
	a.i32(int32(frame))
	a.op(opI32Sub)
	a.op(module.OpGlobalSet, w.depth)
	a.op(module.OpGlobalGet, w.depth)
	a.i32(0)
	a.op(opI32LtS)
	a.begin(module.OpIf)
	a.i32(ReasonStack)
	a.op(module.OpCall, w.quantum())
	a.op(module.OpDrop)
	a.op(module.OpUnreachable)
	a.end()
}

// leave is the end of a call that enter counted: depth += frame.
func (w *rewriter) leave(a *asm, frame int) {
	a.op(module.OpGlobalGet, w.depth)
	a.i32(int32(frame))
	a.op(opI32Add)
	a.op(module.OpGlobalSet, w.depth)
}
