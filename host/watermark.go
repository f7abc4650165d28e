package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// watermark reports the largest event time, in milliseconds, that a timestamp function gave in this call, records that
// a later filter dropped included: the host cannot see those. Of several reports in a call the largest counts. The host
// derives the watermark from it as the job graph says.
//
//	wasmill.watermark(milliseconds i64)
//
// For example, after records of the times 17,000, 19,500 and 18,200: watermark(19500).
var watermark = hostFunction{
	module: abi.ImportModule, name: abi.ImportWatermark,
	params: []api.ValueType{i64},
	call: func(i *Instance, stack []uint64) {
		e := &i.call.effects
		e.Watermark, e.HasWatermark = max(e.Watermark, int64(stack[0])), true
	},
}
