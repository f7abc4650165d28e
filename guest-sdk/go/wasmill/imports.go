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

func hostEmit(output uint32, p []byte) {
	importEmit(output, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
}

func hostReply(p []byte) { importReply(unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))) }

func hostWatermark(milliseconds int64) { importWatermark(milliseconds) }

func hostFail(p []byte) { importFail(unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))) }
