//go:build wasip1

package wasmill

import "unsafe"

//go:wasmimport wasmill emit
func importEmit(output uint32, p unsafe.Pointer, size uint32)

//go:wasmimport wasmill reply
func importReply(p unsafe.Pointer, size uint32)

//go:wasmimport wasmill watermark
func importWatermark(milliseconds int64)

//go:wasmimport wasmill fail
func importFail(p unsafe.Pointer, size uint32)

//go:wasmimport wasmill log
func importLog(level uint32, p unsafe.Pointer, size uint32)

//go:wasmimport wasmill metric
func importMetric(kind uint32, name unsafe.Pointer, size uint32, value int64)

func hostEmit(output uint32, p []byte) {
	importEmit(output, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
}

func hostReply(p []byte) { importReply(unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))) }

func hostWatermark(milliseconds int64) { importWatermark(milliseconds) }

func hostFail(p []byte) { importFail(unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))) }

func hostLog(level uint32, text string) {
	importLog(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

//go:wasmimport wasmill state
func importState(op uint32, p unsafe.Pointer, size uint32, out unsafe.Pointer, room uint32) uint32

// hostState makes requests and returns how long their answer is; it is in out if it fits there.
func hostState(op uint32, p, out []byte) uint32 {
	return importState(op, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), unsafe.Pointer(unsafe.SliceData(out)), uint32(len(out)))
}

func hostMetric(kind uint32, name string, value int64) {
	importMetric(kind, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), value)
}
