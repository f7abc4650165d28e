package host

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// Bounds of what one call may emit: the task overdraws its outputs by as much.
const (
	maxEmitBytes   = 64 << 20
	maxEmitBatches = 16 << 10
)

// emit sends the batch at ptr, len to an output that the open handle has. The bytes are copied and checked at once, so
// the guest may use them again; they leave the host only if the call ends well. Any number of batches may be emitted in
// a call to process or keyed, none in any other.
//
//	wasmill.emit(output, ptr, len i32)
//
// For example, emit(0, 1024, 48) with a batch of one record, value "hi":
//
//	1024  01 00 00 00 | 04 00 00 00 | 01 00 00 00 | 30 00 00 00   version 1, columns: values, n 1, size 48
//	1040  00 00 00 00 | 02 00 00 00 | 00 00 00 00 | 00 00 00 00   key bytes 0, value bytes 2, header bytes 0
//	1056  00 00 00 00 | 02 00 00 00                               value offsets 0, 2
//	1064  68 69 00 00 00 00 00 00                                 "hi", padded
var emit = hostFunction{
	module: abi.ImportModule, name: abi.ImportEmit,
	params: []api.ValueType{i32, i32, i32},
	call: func(i *Instance, stack []uint64) {
		i.emit(uint32(stack[0]), uint32(stack[1]), uint32(stack[2]))
	},
}

func (i *Instance) emit(output, ptr, size uint32) {
	c := &i.call
	wanted, ok := c.outputs[output]
	if !ok {
		panic(errorf(KindBadPointer, "emit to output %d, which the handle does not have", output))
	}
	src := i.view("emit", ptr, size)
	if c.emitted += len(src); c.emitted > maxEmitBytes {
		panic(errorf(KindOutputLimit, "more than %d bytes emitted in one call", maxEmitBytes))
	}
	n := len(c.effects.Emits)
	if n == maxEmitBatches {
		panic(errorf(KindOutputLimit, "more than %d batches emitted in one call", maxEmitBatches))
	}
	bytes := c.arena.take(len(src))
	copy(bytes, src)
	c.effects.Emits = append(c.effects.Emits, Emit{Output: output, Bytes: bytes})
	b := &c.effects.Emits[n].Batch
	err := b.Parse(bytes)
	if err == nil {
		err = checkEmit(b, len(bytes), wanted)
	}
	if err != nil {
		panic(errorf(KindBadPointer, "emit to output %d: %v", output, err))
	}
}

// checkEmit checks what a batch that parses may still be wrong in, size being its bytes.
func checkEmit(b *abi.Batch, size int, wanted abi.Columns) error {
	if missing := wanted &^ b.Columns; missing != 0 {
		return fmt.Errorf("batch.columns: %#x (lacks %#x of those wanted)", uint32(b.Columns), uint32(missing))
	}
	if b.Columns&abi.ColumnPartials != 0 {
		return fmt.Errorf("batch.columns: %#x has bit 31, which is the host's own", uint32(b.Columns))
	}
	if b.N > 8*size {
		return fmt.Errorf("batch.n: %d records in %d bytes", b.N, size) // of no column, or only of bits
	}
	if size <= abi.MaxRecordBytes {
		return nil
	}
	for i := range b.N {
		record := 0
		if b.KeyOffs != nil {
			record += len(b.Key(i))
		}
		if b.ValueOffs != nil {
			record += len(b.Value(i))
		}
		if record > abi.MaxRecordBytes {
			return fmt.Errorf("record %d: %d bytes (limit %d)", i, record, abi.MaxRecordBytes)
		}
	}
	return nil
}
