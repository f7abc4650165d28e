package abi

import (
	"encoding/binary"
	"fmt"
)

// CallHeaderBytes is the size of the header that precedes the batch (or groups) of every call, in version 1:
//
//	 0 u32 size (40)   4 u32 input      8 i64 watermark    16 i64 processing time
//	24 u32 split      28 u32 subtask   32 u32 parallelism  36 u32 attempt
//
// Readers skip what lies between the fields they know and size.
const CallHeaderBytes = 40

// CallHeader tells the guest where and when its records are processed.
type CallHeader struct {
	Input          uint32 // number of the input that the records came in by
	Watermark      int64  // milliseconds, MinTime when there is none yet
	ProcessingTime int64  // milliseconds, the same for the whole call
	Split          uint32 // number of the source's split, None behind an exchange
	Subtask        uint32
	Parallelism    uint32
	Attempt        uint32
}

// Put writes h to p, which must have CallHeaderBytes bytes.
func (h *CallHeader) Put(p []byte) {
	le := binary.LittleEndian
	le.PutUint32(p, CallHeaderBytes)
	le.PutUint32(p[4:], h.Input)
	le.PutUint64(p[8:], uint64(h.Watermark))
	le.PutUint64(p[16:], uint64(h.ProcessingTime))
	le.PutUint32(p[24:], h.Split)
	le.PutUint32(p[28:], h.Subtask)
	le.PutUint32(p[32:], h.Parallelism)
	le.PutUint32(p[36:], h.Attempt)
}

// ParseCallHeader reads the header at the beginning of p and returns it with the bytes behind it.
func ParseCallHeader(p []byte) (CallHeader, []byte, error) {
	le := binary.LittleEndian
	if len(p) < CallHeaderBytes {
		return CallHeader{}, nil, fmt.Errorf("call header: %d bytes (expected >= %d)", len(p), CallHeaderBytes)
	}
	size := int(le.Uint32(p))
	if size < CallHeaderBytes || size > len(p) || size%8 != 0 {
		return CallHeader{}, nil, fmt.Errorf("call header.size: %d (expected %d <= size <= %d, a multiple of 8)", size, CallHeaderBytes, len(p))
	}
	return CallHeader{
		Input:          le.Uint32(p[4:]),
		Watermark:      int64(le.Uint64(p[8:])),
		ProcessingTime: int64(le.Uint64(p[16:])),
		Split:          le.Uint32(p[24:]),
		Subtask:        le.Uint32(p[28:]),
		Parallelism:    le.Uint32(p[32:]),
		Attempt:        le.Uint32(p[36:]),
	}, p[size:], nil
}
