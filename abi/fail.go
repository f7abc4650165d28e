package abi

import (
	"encoding/binary"
	"fmt"
)

// Failure is what a guest passes to fail before it answers StatusFailed.
//
//	0 u32 size   4 u32 record (index in the call's batch or of the group, None: the call as a whole)
//	8 u32 message length   12 u32 trace length   16 message bytes, trace bytes, padded to 8
type Failure struct {
	Record  uint32
	Message string
	Trace   string // the guest language's own stack trace, may be empty
}

// Append encodes f behind dst.
func (f *Failure) Append(dst []byte) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint32(dst, uint32(pad8(16+len(f.Message)+len(f.Trace))))
	dst = le.AppendUint32(dst, f.Record)
	dst = le.AppendUint32(dst, uint32(len(f.Message)))
	dst = le.AppendUint32(dst, uint32(len(f.Trace)))
	dst = append(dst, f.Message...)
	dst = append(dst, f.Trace...)
	return appendPad(dst, len(dst)-at)
}

// ParseFailure reads what Append wrote.
func ParseFailure(p []byte) (*Failure, error) {
	le := binary.LittleEndian
	if len(p) < 16 {
		return nil, fmt.Errorf("failure: %d bytes (expected >= 16)", len(p))
	}
	message, trace := int(le.Uint32(p[8:])), int(le.Uint32(p[12:]))
	if message > len(p) || trace > len(p) || int(le.Uint32(p)) != len(p) || pad8(16+message+trace) != len(p) {
		return nil, fmt.Errorf("failure: message of %d and trace of %d bytes in %d", message, trace, len(p))
	}
	return &Failure{
		Record:  le.Uint32(p[4:]),
		Message: string(p[16 : 16+message]),
		Trace:   string(p[16+message : 16+message+trace]),
	}, nil
}
