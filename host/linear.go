package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const pageBytes = 65536

// linearMemory is an instance's memory, outside of the Go heap: the address range of its limit is reserved at once and
// committed as the guest grows, so it never moves, the garbage collector neither scans nor counts it, and it goes back
// to the system when the instance is closed.
type linearMemory struct {
	reserved  []byte
	committed int
	refused   bool // the guest was denied growth: why it dies next, if it does
}

func newLinearMemory(limit uint64) (*linearMemory, error) {
	if limit == 0 {
		return new(linearMemory), nil
	}
	reserved, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space: %w", limit, err)
	}
	return &linearMemory{reserved: reserved}, nil
}

// Reallocate implements experimental.LinearMemory: the guest grows to size, or learns that it cannot.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		m.refused = true
		return nil
	}
	n := int(size)
	if n > m.committed {
		if err := unix.Mprotect(m.reserved[m.committed:n], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			m.refused = true
			return nil
		}
		m.committed = n
	}
	return m.reserved[:n:n]
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	if m.reserved == nil {
		return
	}
	if err := unix.Munmap(m.reserved); err != nil {
		panic(fmt.Sprintf("unmap guest memory: %v", err)) // cannot be: the range is our own
	}
	m.reserved = nil
}
