package module

// Opcode is an instruction's opcode; behind a prefix byte it is prefix<<8 | the number behind it.
type Opcode uint16

const (
	OpUnreachable  Opcode = 0x00
	OpNop          Opcode = 0x01
	OpBlock        Opcode = 0x02
	OpLoop         Opcode = 0x03
	OpIf           Opcode = 0x04
	OpElse         Opcode = 0x05
	OpEnd          Opcode = 0x0b
	OpBr           Opcode = 0x0c
	OpBrIf         Opcode = 0x0d
	OpBrTable      Opcode = 0x0e
	OpReturn       Opcode = 0x0f
	OpCall         Opcode = 0x10
	OpCallIndirect Opcode = 0x11
	OpDrop         Opcode = 0x1a
	OpSelect       Opcode = 0x1b
	OpSelectTyped  Opcode = 0x1c
	OpLocalGet     Opcode = 0x20
	OpLocalSet     Opcode = 0x21
	OpLocalTee     Opcode = 0x22
	OpGlobalGet    Opcode = 0x23
	OpGlobalSet    Opcode = 0x24
	OpTableGet     Opcode = 0x25
	OpTableSet     Opcode = 0x26
	OpMemorySize   Opcode = 0x3f
	OpMemoryGrow   Opcode = 0x40
	OpI32Const     Opcode = 0x41
	OpI64Const     Opcode = 0x42
	OpF32Const     Opcode = 0x43
	OpF64Const     Opcode = 0x44
	OpRefNull      Opcode = 0xd0
	OpRefIsNull    Opcode = 0xd1
	OpRefFunc      Opcode = 0xd2

	prefixMisc   = 0xfc
	prefixVector = 0xfd

	OpMemoryInit Opcode = prefixMisc<<8 | 8
	OpDataDrop   Opcode = prefixMisc<<8 | 9
	OpMemoryCopy Opcode = prefixMisc<<8 | 10
	OpMemoryFill Opcode = prefixMisc<<8 | 11
	OpTableInit  Opcode = prefixMisc<<8 | 12
	OpElemDrop   Opcode = prefixMisc<<8 | 13
	OpTableCopy  Opcode = prefixMisc<<8 | 14
	OpTableGrow  Opcode = prefixMisc<<8 | 15
	OpTableSize  Opcode = prefixMisc<<8 | 16
	OpTableFill  Opcode = prefixMisc<<8 | 17

	opV128Const = prefixVector<<8 | 12
	opShuffle   = prefixVector<<8 | 13
)

// immediate is what follows an opcode.
type immediate uint8

const (
	immUnknown immediate = iota // no such opcode
	immNone
	immBlock
	immLabel
	immLabels
	immFunction
	immCallIndirect
	immTypes
	immLocal
	immGlobal
	immTable
	immMemArg
	immMemory
	immI32
	immI64
	immBytes4
	immBytes8
	immBytes16
	immRefType
	immLane
	immMemArgLane
	immDataMemory
	immData
	immMemoryMemory
	immElementTable
	immElement
	immTableTable
	immPrefix
)

var plainImmediates = func() (t [256]immediate) {
	fill := func(from, to int, imm immediate) {
		for i := from; i <= to; i++ {
			t[i] = imm
		}
	}
	fill(0x00, 0x01, immNone)
	fill(0x02, 0x04, immBlock)
	t[0x05], t[0x0b] = immNone, immNone
	fill(0x0c, 0x0d, immLabel)
	t[0x0e], t[0x0f], t[0x10], t[0x11] = immLabels, immNone, immFunction, immCallIndirect
	t[0x1a], t[0x1b], t[0x1c] = immNone, immNone, immTypes
	fill(0x20, 0x22, immLocal)
	fill(0x23, 0x24, immGlobal)
	fill(0x25, 0x26, immTable)
	fill(0x28, 0x3e, immMemArg)
	fill(0x3f, 0x40, immMemory)
	t[0x41], t[0x42], t[0x43], t[0x44] = immI32, immI64, immBytes4, immBytes8
	fill(0x45, 0xc4, immNone)
	t[0xd0], t[0xd1], t[0xd2] = immRefType, immNone, immFunction
	t[prefixMisc], t[prefixVector] = immPrefix, immPrefix
	return t
}()

var miscImmediates = [...]immediate{
	0: immNone, immNone, immNone, immNone, immNone, immNone, immNone, immNone,
	8: immDataMemory, immData, immMemoryMemory, immMemory, immElementTable, immElement, immTableTable, immTable,
	immTable, immTable,
}

var vectorImmediates = func() (t [256]immediate) {
	for i := range t {
		switch {
		case i <= 11, i == 92, i == 93:
			t[i] = immMemArg
		case i == 12, i == 13:
			t[i] = immBytes16
		case i >= 21 && i <= 34:
			t[i] = immLane
		case i >= 84 && i <= 91:
			t[i] = immMemArgLane
		default:
			t[i] = immNone
		}
	}
	for _, hole := range []int{154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212,
		226, 238} {
		t[hole] = immUnknown
	}
	return t
}()
