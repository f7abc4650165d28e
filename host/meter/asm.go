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
