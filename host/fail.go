package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// fail says why the guest is about to answer StatusFailed: a message, the record that is to blame if one is, and the
// trace of the guest's own language if there is one. The last of a call counts. A guest that traps after fail is
// reported with both.
//
//	wasmill.fail(ptr, len i32)
//
// For example, fail(256, 32) for record 17, "bad number":
//
//	256  20 00 00 00 | 11 00 00 00 | 0a 00 00 00 | 00 00 00 00   size 32, record 17, message 10, trace 0 bytes
//	272  62 61 64 20 6e 75 6d 62 65 72 00 00 00 00 00 00         "bad number", padded
var fail = hostFunction{
	module: abi.ImportModule, name: abi.ImportFail,
	params: []api.ValueType{i32, i32},
	call: func(i *Instance, stack []uint64) {
		f, err := abi.ParseFailure(i.view("fail", uint32(stack[0]), uint32(stack[1])))
		if err != nil {
			panic(errorf(KindBadPointer, "fail: %v", err))
		}
		f.Message, f.Trace = clean(f.Message, maxFailureBytes), clean(f.Trace, maxFailureBytes)
		i.call.failure = f
	},
}

// maxFailureBytes bounds a failure's message and its trace, which are kept with the job.
const maxFailureBytes = 16 << 10
