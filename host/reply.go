package host

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// maxReplyBytes bounds what one call may reply: new accumulators of all its groups.
const maxReplyBytes = 64 << 20

// reply hands over what a keyed call changes, entry by entry, in the order of the groups; a second reply in a call
// continues the first. The bytes are copied at once, and count only if the call ends well.
//
//	wasmill.reply(ptr, len i32)
//
// For example, reply(2048, 40) sets the accumulator of group 0 to the i64 7:
//
//	2048  28 00 00 00 | 00 00 00 00 | 01 00 00 00 | 00 00 00 00   entry: size 40, group 0, 1 action
//	2064  18 00 00 00 | 01 00 00 00 | 08 00 00 00 | 00 00 00 00   action: size 24, put, state 0, 8 bytes
//	2080  07 00 00 00 00 00 00 00
var reply = hostFunction{
	module: abi.ImportModule, name: abi.ImportReply,
	params: []api.ValueType{i32, i32},
	call: func(i *Instance, stack []uint64) {
		src := i.view("reply", uint32(stack[0]), uint32(stack[1]))
		if len(i.call.reply)+len(src) > maxReplyBytes {
			panic(errorf(KindOutputLimit, "more than %d bytes replied in one call", maxReplyBytes))
		}
		i.call.reply = append(i.call.reply, src...)
	},
}

// checkReply walks a reply to a call with n groups, so that nobody behind has to expect an error.
func checkReply(p []byte, n int) error {
	next := uint32(0) // lowest group that may come
	for len(p) > 0 {
		entry, rest, err := abi.NextReplyEntry(p)
		if err != nil {
			return err
		}
		if entry.Group < next || entry.Group >= uint32(n) {
			return fmt.Errorf("reply.group: %d (expected %d <= group < %d)", entry.Group, next, n)
		}
		next = entry.Group + 1
		actions := entry.Actions
		for k := range entry.Count {
			if _, actions, err = abi.NextAction(actions); err != nil {
				return fmt.Errorf("reply of group %d: action %d: %w", entry.Group, k, err)
			}
		}
		if len(actions) != 0 {
			return fmt.Errorf("reply of group %d: %d bytes behind its %d actions", entry.Group, len(actions), entry.Count)
		}
		p = rest
	}
	return nil
}
