package meter

import "github.com/wasmill/wasmill/host/module"

// appendU32 appends n as unsigned LEB128.
func appendU32(dst []byte, n uint32) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// appendS64 appends n as signed LEB128.
func appendS64(dst []byte, n int64) []byte {
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(dst, b)
		}
		dst = append(dst, b|0x80)
	}
}

func appendName(dst []byte, s string) []byte {
	return append(appendU32(dst, uint32(len(s))), s...)
}

// appendOp appends an opcode and its index immediates.
func appendOp(dst []byte, op module.Opcode, immediates ...uint32) []byte {
	if op > 0xff {
		dst = append(dst, byte(op>>8))
		dst = appendU32(dst, uint32(op&0xff))
	} else {
		dst = append(dst, byte(op))
	}
	for _, i := range immediates {
		dst = appendU32(dst, i)
	}
	return dst
}

func appendTypes(dst []byte, ts []module.ValueType) []byte {
	dst = appendU32(dst, uint32(len(ts)))
	for _, t := range ts {
		dst = append(dst, byte(t))
	}
	return dst
}

// appendSection appends a section with its id and size.
func appendSection(dst []byte, id module.SectionID, body []byte) []byte {
	dst = append(dst, byte(id))
	dst = appendU32(dst, uint32(len(body)))
	return append(dst, body...)
}

// Opcodes that only the added code uses.
const (
	opI32LtS      module.Opcode = 0x48
	opI64LtS      module.Opcode = 0x53
	opI32Add      module.Opcode = 0x6a
	opI32DivS     module.Opcode = 0x6d
	opI32RemU     module.Opcode = 0x70
	opI64DivS     module.Opcode = 0x7f
	opI64RemU     module.Opcode = 0x82
	opI32Sub      module.Opcode = 0x6b
	opI64Add      module.Opcode = 0x7c
	opI64Sub      module.Opcode = 0x7d
	opI64Or       module.Opcode = 0x84
	opI64ShrU     module.Opcode = 0x88
	opI64ExtendU  module.Opcode = 0xad
	opI32GtU      module.Opcode = 0x4b
	opI32Or       module.Opcode = 0x72
	opI32LeU      module.Opcode = 0x4d
	opI64GtU      module.Opcode = 0x56
	opI64Shl      module.Opcode = 0x86
	blockTypeVoid               = 0x40
)
