package abi

import (
	"encoding/binary"
	"fmt"
)

// Handle is what wasmill_open is told to compose: functions of one module, in an order in which each follows the one it
// takes its records from.
//
//	0 u32 size of the whole   4 u32 number of functions, then per function:
//
//	 0 u32 size of this entry, padding included    4 u32 function id    8 u32 upstream (index in this list, None: the
//	   handle's input)   12 u32 input number   16 u32 outputs   20 u32 config length
//	24 outputs x { u32 tag (0: main, k: side output k)   u32 output number   u32 columns wanted }, padded to 8
//	   config bytes, padded to 8
type Handle struct {
	Functions []HandleFunction
}

// HandleFunction is one function of a handle.
type HandleFunction struct {
	Function uint32 // id in the manifest's function table
	Upstream uint32 // index in Handle.Functions, or None
	Input    uint32 // which input of the handle it reads when Upstream is None
	Outputs  []HandleOutput
	Config   []byte
}

// HandleOutput is a place where a function's records leave the guest, by emit(Number, ...).
type HandleOutput struct {
	Tag     uint32 // 0: the function's main output; k: its side output k
	Number  uint32
	Columns Columns // columns that the host wants; the guest sends no others of key, value and hash
}

// Append encodes h behind dst.
func (h *Handle) Append(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = append(dst, make([]byte, 8)...)
	for _, f := range h.Functions {
		at := len(dst)
		dst = append(dst, make([]byte, 24)...)
		for _, o := range f.Outputs {
			dst = le.AppendUint32(dst, o.Tag)
			dst = le.AppendUint32(dst, o.Number)
			dst = le.AppendUint32(dst, uint32(o.Columns))
		}
		dst = appendPad(dst, len(dst)-at)
		dst = append(dst, f.Config...)
		dst = appendPad(dst, len(dst)-at)
		le.PutUint32(dst[at:], uint32(len(dst)-at))
		le.PutUint32(dst[at+4:], f.Function)
		le.PutUint32(dst[at+8:], f.Upstream)
		le.PutUint32(dst[at+12:], f.Input)
		le.PutUint32(dst[at+16:], uint32(len(f.Outputs)))
		le.PutUint32(dst[at+20:], uint32(len(f.Config)))
	}
	le.PutUint32(dst[start:], uint32(len(dst)-start))
	le.PutUint32(dst[start+4:], uint32(len(h.Functions)))
	return dst
}

// ParseHandle reads what Append wrote; it copies nothing but the small slices.
func ParseHandle(p []byte) (*Handle, error) {
	le := binary.LittleEndian
	if len(p) < 8 || int(le.Uint32(p)) != len(p) {
		return nil, fmt.Errorf("handle: size does not match the %d bytes given", len(p))
	}
	n := int(le.Uint32(p[4:]))
	p = p[8:]
	h := &Handle{}
	for i := range n {
		if len(p) < 24 {
			return nil, fmt.Errorf("handle.functions[%d]: %d bytes (expected >= 24)", i, len(p))
		}
		size, outs, config := int(le.Uint32(p)), int(le.Uint32(p[16:])), int(le.Uint32(p[20:]))
		if size > len(p) || size%8 != 0 || outs > len(p) || config > len(p) || size != pad8(24+12*outs)+pad8(config) {
			return nil, fmt.Errorf("handle.functions[%d].size: %d (%d outputs, %d bytes of configuration)", i, size, outs, config)
		}
		f := HandleFunction{Function: le.Uint32(p[4:]), Upstream: le.Uint32(p[8:]), Input: le.Uint32(p[12:])}
		if f.Upstream != None && f.Upstream >= uint32(i) {
			return nil, fmt.Errorf("handle.functions[%d].upstream: %d (expected < %d)", i, f.Upstream, i)
		}
		for o := range outs {
			q := p[24+12*o:]
			f.Outputs = append(f.Outputs, HandleOutput{Tag: le.Uint32(q), Number: le.Uint32(q[4:]), Columns: Columns(le.Uint32(q[8:]))})
		}
		at := pad8(24 + 12*outs)
		f.Config = p[at : at+config : at+config]
		h.Functions = append(h.Functions, f)
		p = p[size:]
	}
	if len(p) != 0 {
		return nil, fmt.Errorf("handle: %d bytes behind the last function", len(p))
	}
	return h, nil
}

// appendPad appends zeros to dst until n, the length of what is being padded, is a multiple of 8.
func appendPad(dst []byte, n int) []byte {
	for ; n%8 != 0; n++ {
		dst = append(dst, 0)
	}
	return dst
}
