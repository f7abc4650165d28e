package abi

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// AppendParams encodes job parameters, in the order of their names, as wasmill_describe takes them:
//
//	0 u32 count   4 u32 zero, then per parameter:
//
//	0 u32 name length   4 u32 value length   8 name bytes, value bytes, padded to 8
func AppendParams(dst []byte, params map[string]string) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(len(params)))
	dst = le.AppendUint32(dst, 0)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value := params[name]
		at := len(dst)
		dst = le.AppendUint32(dst, uint32(len(name)))
		dst = le.AppendUint32(dst, uint32(len(value)))
		dst = append(dst, name...)
		dst = append(dst, value...)
		dst = appendPad(dst, len(dst)-at)
	}
	return dst
}

// ParseParams reads what AppendParams wrote.
func ParseParams(p []byte) (map[string]string, error) {
	le := binary.LittleEndian
	if len(p) < 8 {
		return nil, fmt.Errorf("params: %d bytes (expected >= 8)", len(p))
	}
	n := int(le.Uint32(p))
	p = p[8:]
	params := make(map[string]string)
	for i := range n {
		if len(p) < 8 {
			return nil, fmt.Errorf("params[%d]: %d bytes (expected >= 8)", i, len(p))
		}
		name, value := int(le.Uint32(p)), int(le.Uint32(p[4:]))
		if name > len(p) || value > len(p) || pad8(8+name+value) > len(p) {
			return nil, fmt.Errorf("params[%d]: name of %d and value of %d bytes in %d", i, name, value, len(p))
		}
		params[string(p[8:8+name])] = string(p[8+name : 8+name+value])
		p = p[pad8(8+name+value):]
	}
	if len(p) != 0 {
		return nil, fmt.Errorf("params: %d bytes behind the last", len(p))
	}
	return params, nil
}
