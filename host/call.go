package host

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// call is what the call that runs has done so far. Nothing of it counts before the guest has answered well.
type call struct {
	step    string
	outputs outputs      // where it may emit to; nil outside of process and keyed
	failure *abi.Failure // what the guest told fail
	effects Effects
	arena   arena
	emitted int // bytes
	reply   []byte
	stderr  []byte // the beginning of what it wrote there

	migrated abi.Batch // what a migration replied

	state    State // of a keyed call of a process function; nil otherwise
	requests []abi.StateRequest
	answers  []abi.StateAnswer
	answer   []byte
}

func (c *call) reset(step string) {
	c.step, c.outputs, c.failure, c.emitted, c.state = step, nil, nil, 0, nil
	c.effects.Emits, c.effects.Reply = c.effects.Emits[:0], nil
	c.effects.Watermark, c.effects.HasWatermark = abi.MinTime, false
	c.arena.reset()
	if cap(c.reply) > arenaKept {
		c.reply = nil
	}
	c.reply, c.stderr = c.reply[:0], c.stderr[:0]
}

// Open tells the guest to compose the functions of h under the number handle, an unused one.
func (i *Instance) Open(handle uint32, h *abi.Handle) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.beginCall("open"); err != nil {
		return err
	}
	in := Bytes(h.Append(nil))
	ptr, err := i.give(in)
	if err != nil {
		return err
	}
	i.stack = [4]uint64{uint64(handle), uint64(ptr), uint64(len(in))}
	if err := i.endCall(i.exports.open.CallWithStack(&i.ctx, i.stack[:])); err != nil {
		return err
	}
	if err := i.statusError(); err != nil {
		return err
	}
	outputs := make(outputs)
	for _, f := range h.Functions {
		for _, o := range f.Outputs {
			outputs[o.Number] |= o.Columns & (abi.ColumnKeys | abi.ColumnValues)
		}
	}
	i.outputs[handle] = outputs
	return nil
}

// CloseHandle tells the guest that handle is not used any more.
func (i *Instance) CloseHandle(handle uint32) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.outputs, handle)
	if i.exports.close == nil {
		return nil
	}
	if err := i.beginCall("close"); err != nil {
		return err
	}
	i.stack = [4]uint64{uint64(handle)}
	if err := i.endCall(i.exports.close.CallWithStack(&i.ctx, i.stack[:])); err != nil {
		return err
	}
	return i.statusError()
}

// Process hands a batch to the functions of handle. The effects are the caller's to apply, until the next call.
func (i *Instance) Process(handle uint32, h *abi.CallHeader, in Input) (*Effects, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	outputs, err := i.beginBatch("process", handle, h)
	if err != nil {
		return nil, err
	}
	dst, err := i.room(abi.CallHeaderBytes + in.Size())
	if err != nil {
		return nil, err
	}
	i.call.outputs = outputs
	h.Put(dst)
	n := len(in.Encode(dst[abi.CallHeaderBytes:]))
	i.stack = [4]uint64{uint64(handle), uint64(i.input.ptr), uint64(abi.CallHeaderBytes + n)}
	return i.finish(i.exports.process.CallWithStack(&i.ctx, i.stack[:]))
}

// Keyed hands groups to the keyed function of handle, for what verb says. It may ask for state while it runs, unless that
// is nil.
func (i *Instance) Keyed(handle uint32, verb abi.Verb, h *abi.CallHeader, g *abi.GroupsWriter, state State) (*Effects, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	outputs, err := i.beginBatch("keyed", handle, h)
	if err != nil {
		return nil, err
	}
	if i.exports.keyed == nil {
		return nil, i.die(errorf(KindRefused, "the module does not export %s", abi.ExportKeyed), "keyed")
	}
	dst, err := i.room(abi.CallHeaderBytes + g.Size())
	if err != nil {
		return nil, err
	}
	i.call.outputs, i.call.state = outputs, state
	h.Put(dst)
	n := copy(dst[abi.CallHeaderBytes:], g.Bytes())
	i.stack = [4]uint64{uint64(handle), uint64(verb), uint64(i.input.ptr), uint64(abi.CallHeaderBytes + n)}
	effects, err := i.finish(i.exports.keyed.CallWithStack(&i.ctx, i.stack[:]))
	if err != nil {
		return nil, err
	}
	if err := checkReply(effects.Reply, g.Len()); err != nil {
		return nil, i.die(errorf(KindBadPointer, "%v", err), "keyed")
	}
	return effects, nil
}

// beginBatch begins a call whose effects count, and returns where it may emit to.
func (i *Instance) beginBatch(step string, handle uint32, h *abi.CallHeader) (outputs, error) {
	if err := i.beginCall(step); err != nil {
		return nil, err
	}
	outputs, ok := i.outputs[handle]
	if !ok {
		return nil, &Error{Kind: KindFailed, Step: step, Message: fmt.Sprintf("handle %d is not open", handle), Record: abi.None}
	}
	i.wasi.setTime(h.ProcessingTime)
	return outputs, nil
}

// finish ends a call whose effects count.
func (i *Instance) finish(err error) (*Effects, error) {
	if err := i.endCall(err); err != nil {
		return nil, err
	}
	if err := i.statusError(); err != nil {
		return nil, err
	}
	i.applyMetrics()
	i.call.effects.Reply = i.call.reply
	return &i.call.effects, nil
}

// beginCall makes ready for a call into the guest, or answers why there cannot be one.
func (i *Instance) beginCall(step string) error {
	i.call.reset(step)
	i.forgetMetrics()
	switch {
	case i.dead != nil:
		return i.dead
	case i.closed:
		return &Error{Kind: KindCanceled, Step: step, Message: "the instance is closed", Record: abi.None}
	case i.fuel.canceled.Load():
		return i.die(errorf(KindCanceled, "the call was canceled"), step)
	}
	i.linear.refused = false
	i.fuel.begin(i.config.CallLimit)
	return nil
}

// endCall accounts for a call that returned err from the guest, and says what went wrong.
func (i *Instance) endCall(err error) error {
	i.fuel.end()
	if err == nil {
		return nil
	}
	i.flushLines()
	return i.die(i.trapError(err), i.call.step)
}

// statusError turns the status that the guest answered into an error.
func (i *Instance) statusError() error {
	status := abi.Status(uint32(i.stack[0]))
	if status == abi.StatusOK {
		return nil
	}
	e := &Error{Step: i.call.step, Record: abi.None, Status: status}
	switch status {
	case abi.StatusFailed:
		e.Kind, e.Message = KindFailed, "the guest gave no reason"
		i.addFailure(e)
		return e
	case abi.StatusUnknownHandle:
		e.Kind, e.Message = KindRefused, "the guest does not know the handle"
	case abi.StatusUnknownFunction:
		e.Kind, e.Message = KindRefused, "the guest does not know the function"
	case abi.StatusUnknownVerb:
		e.Kind, e.Message = KindRefused, "the guest does not know the verb"
	case abi.StatusBadInput:
		e.Kind, e.Message = KindRefused, "the guest cannot read its input"
	case abi.StatusOutOfMemory:
		e.Kind, e.Message = KindMemoryLimit, "the guest has no memory left"
	default:
		e.Kind, e.Message = KindRefused, fmt.Sprintf("the guest answered status %d (expected 0 <= status <= %d)", status, abi.StatusOutOfMemory)
	}
	i.addFailure(e)
	return i.die(e, i.call.step)
}

// addFailure adds to e what the guest told fail.
func (i *Instance) addFailure(e *Error) {
	if f := i.call.failure; f != nil {
		e.Message, e.Record, e.GuestTrace = f.Message, f.Record, f.Trace
	}
	e.Output = string(i.call.stderr)
}

// die makes e the end of the instance.
func (i *Instance) die(e *Error, step string) error {
	if e.Step == "" {
		e.Step = step
	}
	i.dead = e
	return e
}
