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

// helper writes the helper's body .
func (w *writer) helper(h helper) {
	w.hasPurse = false
	w.p = append(w.p[:0], 1, 1, byte(module.I32)) // one run of one local: helperChunk
	switch h.op {
	case module.OpMemoryCopy, module.OpMemoryFill:
		w.chunked(h)
	default:
		w.chargeLength(helperN, 0)
		w.bulk(h)
	}
	w.end()
}

// bulk writes the instruction itself over the helper's parameters.
func (w *writer) bulk(h helper) {
	w.get(helperTo, helperFrom, helperN)
	w.bulkOp(h)
}

func (w *writer) bulkOp(h helper) {
	switch h.op {
	case module.OpMemoryFill:
		w.op(h.op, 0)
	case module.OpMemoryCopy:
		w.op(h.op, 0, 0)
	case module.OpMemoryInit:
		w.op(h.op, h.index, 0)
	case module.OpTableFill:
		w.op(h.op, h.index)
	default:
		w.op(h.op, h.index, h.other)
	}
}

// chargeLength charges for the length in a local, divided by 2^shift.
func (w *writer) chargeLength(local uint32, shift int64) {
	w.op(module.OpGlobalGet, w.fuel)
	w.get(local)
	w.op(opI64ExtendU)
	if shift > 0 {
		w.i64(shift)
		w.op(opI64ShrU)
	}
	w.chargeStack()
}

// chunked copies or fills memory in pieces, with a charge for each. The instruction writes nothing at all when any
// of it lies outside of memory: that is asked first, and such a call is left to the instruction, to trap.
func (w *writer) chunked(h helper) {
	w.get(helperN)
	w.i32(bulkChunk)
	w.op(opI32LeU)
	w.begin(module.OpIf)
	w.chargeLength(helperN, bytesPerFuelShift)
	w.bulk(h)
	w.op(module.OpReturn)
	w.end()

	w.outside(helperTo)
	if h.op == module.OpMemoryCopy {
		w.outside(helperFrom)
		w.op(opI32Or)
	}
	w.begin(module.OpIf)
	w.bulk(h)
	w.op(module.OpReturn)
	w.end()

	if h.op == module.OpMemoryFill {
		w.ascend(h)
		return
	}
	// Source and destination may overlap: the end that the other does not yet need is copied first.
	w.get(helperTo, helperFrom)
	w.op(opI32LeU)
	w.begin(module.OpIf)
	w.ascend(h)
	w.op(module.OpElse)
	w.descend(h)
	w.end()
}

// outside leaves on the stack whether the range of helperN bytes at the address in a local ends past the memory.
func (w *writer) outside(local uint32) {
	w.get(local)
	w.op(opI64ExtendU)
	w.get(helperN)
	w.op(opI64ExtendU)
	w.op(opI64Add)
	w.op(module.OpMemorySize, 0)
	w.op(opI64ExtendU)
	w.i64(16)
	w.op(opI64Shl)
	w.op(opI64GtU)
}

// piece sets helperChunk to the length of the next piece, and charges for it.
func (w *writer) piece() {
	w.i32(bulkChunk)
	w.get(helperN)
	w.get(helperN)
	w.i32(bulkChunk)
	w.op(opI32GtU)
	w.op(module.OpSelect)
	w.set(helperChunk)
	w.chargeLength(helperChunk, bytesPerFuelShift)
}

func (w *writer) ascend(h helper) {
	w.begin(module.OpLoop)
	w.piece()
	w.get(helperTo, helperFrom, helperChunk)
	w.bulkOp(h)
	moving := []uint32{helperTo, helperFrom}
	if h.op == module.OpMemoryFill {
		moving = moving[:1]
	}
	for _, local := range moving {
		w.get(local, helperChunk)
		w.op(opI32Add)
		w.set(local)
	}
	w.again()
}

func (w *writer) descend(h helper) {
	w.begin(module.OpLoop)
	w.piece()
	for _, local := range []uint32{helperTo, helperFrom} {
		w.get(local, helperN)
		w.op(opI32Add)
		w.get(helperChunk)
		w.op(opI32Sub)
	}
	w.get(helperChunk)
	w.bulkOp(h)
	w.again()
}

// again takes the piece off helperN and goes on with the loop while there is more.
func (w *writer) again() {
	w.get(helperN, helperChunk)
	w.op(opI32Sub)
	w.op(module.OpLocalTee, helperN)
	w.op(module.OpBrIf, 0)
	w.end()
}
