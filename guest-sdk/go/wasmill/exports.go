//go:build wasip1

package wasmill

import "unsafe"

// The exports of a guest module. Each turns the host's pointer into bytes and leaves the rest to guest.

//go:wasmexport wasmill_abi_1
func exportMarker() {}

//go:wasmexport wasmill_describe
func exportDescribe(p unsafe.Pointer, size uint32) uint64 {
	manifest := guest.describe(unsafe.Slice((*byte)(p), size))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(manifest)))
	return uint64(at)<<32 | uint64(len(manifest))
}

//go:wasmexport wasmill_buffer
func exportBuffer(size uint32) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(guest.buffer(size)))
}

//go:wasmexport wasmill_open
func exportOpen(handle uint32, p unsafe.Pointer, size uint32) uint32 {
	return guest.open(handle, unsafe.Slice((*byte)(p), size))
}

//go:wasmexport wasmill_process
func exportProcess(handle uint32, p unsafe.Pointer, size uint32) uint32 {
	return guest.process(handle, unsafe.Slice((*byte)(p), size))
}

//go:wasmexport wasmill_keyed
func exportKeyed(handle, verb uint32, p unsafe.Pointer, size uint32) uint32 {
	return guest.keyed(handle, verb, unsafe.Slice((*byte)(p), size))
}

//go:wasmexport wasmill_migrate
func exportMigrate(state, from uint32, p unsafe.Pointer, size uint32) uint32 {
	return guest.migrate(state, from, unsafe.Slice((*byte)(p), size))
}

//go:wasmexport wasmill_close
func exportClose(handle uint32) uint32 { return guest.close(handle) }
