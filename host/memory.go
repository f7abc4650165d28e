package host

import "github.com/wasmill/wasmill/abi"

// Every pointer that a guest hands over is turned into bytes here and nowhere else. A view that is returned is the
// guest's own memory: to be copied or used before the guest runs again.

// view returns the guest's bytes [ptr, ptr+size), for a host function: a guest that lies about them ends its call.
func (i *Instance) view(what string, ptr, size uint32) []byte {
	b, err := i.read(ptr, size)
	if err != nil {
		err.Message = what + ": " + err.Message
		panic(err)
	}
	return b
}

// read returns the guest's bytes [ptr, ptr+size), or what is wrong with them.
func (i *Instance) read(ptr, size uint32) ([]byte, *Error) {
	if size == 0 {
		return nil, nil // an empty slice may point anywhere
	}
	b, ok := i.memory.Read(ptr, size)
	if !ok {
		return nil, errorf(KindBadPointer, "%d bytes at address %d, but memory ends at %d", size, ptr, i.memory.Size())
	}
	return b, nil
}

// answer writes value for a host function that was given room for capacity bytes at ptr, and returns how many bytes
// are needed. It writes nothing when they do not fit.
func (i *Instance) answer(what string, value []byte, ptr, capacity uint32) uint32 {
	if uint64(len(value)) <= uint64(capacity) {
		copy(i.view(what, ptr, uint32(len(value))), value)
	}
	return uint32(len(value))
}

// inputBuffer is the guest's own buffer for what the host gives it.
type inputBuffer struct{ ptr, size uint32 }

// give copies in into the guest's input buffer and returns its address. It runs within a call that began.
func (i *Instance) give(in Input) (uint32, error) {
	dst, err := i.room(in.Size())
	if err != nil {
		return 0, err
	}
	in.Encode(dst)
	return i.input.ptr, nil
}

// room returns n bytes of the guest's input buffer, which the guest is asked to grow when it is too small.
func (i *Instance) room(n int) ([]byte, error) {
	if n > int(i.input.size) || i.input.size == 0 {
		if err := i.growInput(n); err != nil {
			return nil, err
		}
	}
	dst, err := i.read(i.input.ptr, uint32(n))
	if err != nil {
		return nil, i.die(err, i.call.step)
	}
	return dst, nil
}

// growInput asks for a buffer of the next power of two, so that growing batches cost few calls.
func (i *Instance) growInput(n int) error {
	size := uint32(4096)
	for int64(size) < int64(n) {
		if size > 1<<30 {
			return i.die(errorf(KindMemoryLimit, "an input of %d bytes", n), i.call.step)
		}
		size *= 2
	}
	step := i.call.step
	i.stack[0] = uint64(size)
	if err := i.endCall(i.exports.buffer.CallWithStack(&i.ctx, i.stack[:])); err != nil {
		return err
	}
	ptr := uint32(i.stack[0])
	if ptr == 0 && i.linear.refused {
		return i.die(errorf(KindMemoryLimit, "no room for an input of %d bytes: memory may not grow beyond %d bytes", n, len(i.linear.reserved)), step)
	}
	if ptr == 0 || ptr%8 != 0 {
		return i.die(errorf(KindBadPointer, "%s(%d) answered address %d (expected a multiple of 8, not 0)", abi.ExportBuffer, size, ptr), step)
	}
	if _, err := i.read(ptr, size); err != nil {
		return i.die(err, step+": "+abi.ExportBuffer)
	}
	i.input = inputBuffer{ptr, size}
	return i.beginCall(step)
}
