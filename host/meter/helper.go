package meter

import (
	"fmt"

	"github.com/wasmill/wasmill/host/module"
)

// helper is an added function that does one instruction whose time grows with a length (memory.copy and its like), and
// charges for that length. The instruction becomes a call of it.
type helper struct {
	op           module.Opcode
	index, other uint32
}

const (
	// bytesPerFuel is how much memory is copied or filled in the time of a simple instruction.
	bytesPerFuelShift = 3
	// bulkChunk is how much is copied or filled before the host can have its quantum: about 30 µs.
	bulkChunk = 256 << 10
)

func isBulk(op module.Opcode) bool {
	switch op {
	case module.OpMemoryCopy, module.OpMemoryFill, module.OpMemoryInit, module.OpTableCopy, module.OpTableFill,
		module.OpTableInit:
		return true
	}
	return false
}

func helperOf(in *module.Instr) helper { return helper{op: in.Op, index: in.Index, other: in.Other} }

func (w *rewriter) needHelper(in *module.Instr) {
	h := helperOf(in)
	if _, ok := w.helperAt[h]; !ok {
		w.helperAt[h] = len(w.helpers)
		w.helpers = append(w.helpers, h)
	}
}

func (w *rewriter) helperType(h helper) module.FuncType {
	middle := module.I32
	if h.op == module.OpTableFill {
		middle = w.tableType(h.index)
	}
	return module.FuncType{Params: []module.ValueType{module.I32, middle, module.I32}}
}

func (w *rewriter) tableType(index uint32) module.ValueType {
	for i := range w.m.Imports {
		if w.m.Imports[i].Kind != module.KindTable {
			continue
		}
		if index == 0 {
			return w.m.Imports[i].Table.Type
		}
		index--
	}
	return w.m.Tables[index].Type
}

// name is how a stack trace shows the helper.
func (h helper) name() string {
	switch h.op {
	case module.OpMemoryCopy:
		return ImportModule + ".memory_copy"
	case module.OpMemoryFill:
		return ImportModule + ".memory_fill"
	case module.OpMemoryInit:
		return fmt.Sprintf("%s.memory_init_%d", ImportModule, h.index)
	case module.OpTableCopy:
		return fmt.Sprintf("%s.table_copy_%d_%d", ImportModule, h.index, h.other)
	case module.OpTableFill:
		return fmt.Sprintf("%s.table_fill_%d", ImportModule, h.index)
	}
	return fmt.Sprintf("%s.table_init_%d_%d", ImportModule, h.index, h.other)
}

// Locals of a helper: its three parameters, and one more.
const (
	helperTo    = 0 // destination
	helperFrom  = 1 // source, or the value to fill with
	helperN     = 2 // length
	helperChunk = 3
)

// writeHelper writes the helper's body into w.out.
func (w *rewriter) writeHelper(h helper) {
	a := &w.out
	a.p = append(a.p[:0], 1, 1, byte(module.I32)) // one run of one local: helperChunk
	switch h.op {
	case module.OpMemoryCopy, module.OpMemoryFill:
		w.writeChunked(h)
	default:
		w.chargeLength(a, helperN, 0)
		w.bulk(a, h)
	}
	a.end()
}

// bulk writes the instruction itself over the helper's parameters.
func (w *rewriter) bulk(a *asm, h helper) {
	a.get(helperTo, helperFrom, helperN)
	w.bulkOp(a, h)
}

func (w *rewriter) bulkOp(a *asm, h helper) {
	switch h.op {
	case module.OpMemoryFill:
		a.op(h.op, 0)
	case module.OpMemoryCopy:
		a.op(h.op, 0, 0)
	case module.OpMemoryInit:
		a.op(h.op, h.index, 0)
	case module.OpTableFill:
		a.op(h.op, h.index)
	default:
		a.op(h.op, h.index, h.other)
	}
}

// chargeLength charges for the length in a local, divided by 2^shift.
func (w *rewriter) chargeLength(a *asm, local uint32, shift int64) {
	a.op(module.OpGlobalGet, w.fuel)
	a.get(local)
	a.op(opI64ExtendU)
	if shift > 0 {
		a.i64(shift)
		a.op(opI64ShrU)
	}
	w.take(a)
}

// writeChunked copies or fills memory in pieces, with a charge for each. The instruction writes nothing at all when any
// of it lies outside of memory: that is asked first, and such a call is left to the instruction, to trap.
func (w *rewriter) writeChunked(h helper) {
	a := &w.out
	a.get(helperN)
	a.i32(bulkChunk)
	a.op(opI32LeU)
	a.begin(module.OpIf)
	w.chargeLength(a, helperN, bytesPerFuelShift)
	w.bulk(a, h)
	a.op(module.OpReturn)
	a.end()

	w.outside(a, helperTo)
	if h.op == module.OpMemoryCopy {
		w.outside(a, helperFrom)
		a.op(opI32Or)
	}
	a.begin(module.OpIf)
	w.bulk(a, h)
	a.op(module.OpReturn)
	a.end()

	if h.op == module.OpMemoryFill {
		w.ascend(a, h)
		return
	}
	// Source and destination may overlap: the end that the other does not yet need is copied first.
	a.get(helperTo, helperFrom)
	a.op(opI32LeU)
	a.begin(module.OpIf)
	w.ascend(a, h)
	a.op(module.OpElse)
	w.descend(a, h)
	a.end()
}

// outside leaves on the stack whether the range of helperN bytes at the address in a local ends past the memory.
func (w *rewriter) outside(a *asm, local uint32) {
	a.get(local)
	a.op(opI64ExtendU)
	a.get(helperN)
	a.op(opI64ExtendU)
	a.op(opI64Add)
	a.op(module.OpMemorySize, 0)
	a.op(opI64ExtendU)
	a.i64(16)
	a.op(opI64Shl)
	a.op(opI64GtU)
}

// piece sets helperChunk to the length of the next piece, and charges for it.
func (w *rewriter) piece(a *asm) {
	a.i32(bulkChunk)
	a.get(helperN)
	a.get(helperN)
	a.i32(bulkChunk)
	a.op(opI32GtU)
	a.op(module.OpSelect)
	a.set(helperChunk)
	w.chargeLength(a, helperChunk, bytesPerFuelShift)
}

func (w *rewriter) ascend(a *asm, h helper) {
	a.begin(module.OpLoop)
	w.piece(a)
	a.get(helperTo, helperFrom, helperChunk)
	w.bulkOp(a, h)
	moving := []uint32{helperTo, helperFrom}
	if h.op == module.OpMemoryFill {
		moving = moving[:1]
	}
	for _, local := range moving {
		a.get(local, helperChunk)
		a.op(opI32Add)
		a.set(local)
	}
	w.again(a)
}

func (w *rewriter) descend(a *asm, h helper) {
	a.begin(module.OpLoop)
	w.piece(a)
	for _, local := range []uint32{helperTo, helperFrom} {
		a.get(local, helperN)
		a.op(opI32Add)
		a.get(helperChunk)
		a.op(opI32Sub)
	}
	a.get(helperChunk)
	w.bulkOp(a, h)
	w.again(a)
}

// again takes the piece off helperN and goes on with the loop while there is more.
func (w *rewriter) again(a *asm) {
	a.get(helperN, helperChunk)
	a.op(opI32Sub)
	a.op(module.OpLocalTee, helperN)
	a.op(module.OpBrIf, 0)
	a.end()
}
