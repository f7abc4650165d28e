package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// state reads and changes declared state. This version has none to offer: a manifest that needs the feature is refused
// at upload, and a guest that calls it nevertheless is ended with KindUnsupported.
//
//	wasmill.state(op, ptr, len, out, cap i32) -> needed i32
//
// For example, state(1, 4096, 32, 8192, 64) asks for the keys listed in the 32 bytes at 4096, to be answered in the 64
// bytes at 8192.
var state = hostFunction{
	module: abi.ImportModule, name: abi.ImportState,
	params: []api.ValueType{i32, i32, i32, i32, i32}, results: []api.ValueType{i32},
	call: func(i *Instance, stack []uint64) {
		i.view("state", uint32(stack[1]), uint32(stack[2]))
		panic(errorf(KindUnsupported, "state(op %d): declared state is not supported by this version of Wasmill", uint32(stack[0])))
	},
}
