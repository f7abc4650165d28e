package state

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page, and largeMemory the size from which on memory is put into such pages: the part of
// it at both ends that is no whole page stays as it is.
const (
	hugePage    = 2 << 20
	largeMemory = 2 * hugePage
)

// inHugePages asks the kernel to put memory that was just made, and not touched, into large pages. An index or the keys of
// millions of entries are read all over: in pages of 4 KiB nearly every look misses the processor's table of pages, and
// half a million pages a gigabyte are made one by one when a state is restored.
func inHugePages(p unsafe.Pointer, n int) {
	if n < largeMemory {
		return
	}
	from := (uintptr(p) + hugePage - 1) &^ (hugePage - 1)
	to := (uintptr(p) + uintptr(n)) &^ (hugePage - 1)
	// It is advice: where it is not taken, memory is as it was.
	_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, from-uintptr(p))), to-from), unix.MADV_HUGEPAGE)
}
