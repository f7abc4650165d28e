package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// State answers what the guest asks of declared state during one keyed call. Groups are numbered as in the call. An error
// ends the call: the guest has asked for what it has not declared.
type State interface {
	// Read appends an answer for each request to dst. What it appends is valid until the next Read or Write.
	Read(op abi.StateOp, requests []abi.StateRequest, dst []abi.StateAnswer) ([]abi.StateAnswer, error)
	// Write notes changes, which count when the call has ended well. The requests are valid during the call only.
	Write(op abi.StateOp, requests []abi.StateRequest) error
}

// state reads and changes declared state, for many groups at once. It returns the length of the answer, which is written
// to out if it fits there; when it does not, nothing was done. Writes have no answer.
//
//	wasmill.state(op, ptr, len, out, cap i32) -> needed i32
//
// For example, state(1, 4096, 40, 8192, 64) with one request, "get value state 0 of group 2":
//
//	4096  01 00 00 00 00 00 00 00  20 00 00 00 02 00 00 00   one request of 32 bytes, group 2
//	4112  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00   state 0, no limit, cursor 0
//	4128  00 00 00 00 00 00 00 00                            no key, no value
var state = hostFunction{
	module: abi.ImportModule, name: abi.ImportState,
	params: []api.ValueType{i32, i32, i32, i32, i32}, results: []api.ValueType{i32},
	call: func(i *Instance, stack []uint64) {
		stack[0] = uint64(i.state(abi.StateOp(uint32(stack[0])), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]), uint32(stack[4])))
	},
}

func (i *Instance) state(op abi.StateOp, ptr, size, out, room uint32) uint32 {
	c := &i.call
	in := i.view("state", ptr, size)
	if c.state == nil {
		panic(errorf(KindUnsupported, "state(op %d): only a process function has state, while it is called with groups", op))
	}
	requests, err := abi.ParseStateRequests(c.requests[:0], in)
	c.requests = requests
	if err == nil {
		switch op {
		case abi.StatePut, abi.StateDelete, abi.StateAppend:
			if err = c.state.Write(op, requests); err == nil {
				return 0
			}
		case abi.StateGet, abi.StateScan, abi.StateRecords:
			if c.answers, err = c.state.Read(op, requests, c.answers[:0]); err == nil {
				c.answer = abi.AppendStateAnswers(c.answer[:0], c.answers)
				return i.answer("state", c.answer, out, room)
			}
		default:
			panic(errorf(KindBadPointer, "state: op %d (expected 1 <= op <= %d)", op, abi.StateRecords))
		}
	}
	panic(errorf(KindBadPointer, "state(op %d): %v", op, err))
}
