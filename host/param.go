package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// param answers the value of the job parameter whose name stands at name, len: it is written to out when it fits into
// cap bytes, and its length is returned either way; -1 when the parameter was not given.
//
//	wasmill.param(name ptr, name len, out, cap i32) -> needed i32
//
// For example, with the parameter input=a.txt and "input" at 512: param(512, 5, 1024, 64) writes "a.txt" to 1024 and
// returns 5; param(512, 5, 0, 0) writes nothing and returns 5.
var param = hostFunction{
	module: abi.ImportModule, name: abi.ImportParam,
	params: []api.ValueType{i32, i32, i32, i32}, results: []api.ValueType{i32},
	call: func(i *Instance, stack []uint64) {
		name := i.view("param name", uint32(stack[0]), uint32(stack[1]))
		value, ok := i.config.Params[string(name)]
		if !ok {
			stack[0] = uint64(abi.None)
			return
		}
		stack[0] = uint64(i.answer("param value", []byte(value), uint32(stack[2]), uint32(stack[3])))
	},
}
