package abi

import (
	"encoding/binary"
	"fmt"
)

// StateOp is the first argument of the state import. The list only grows.
type StateOp uint32

const (
	StateGet     StateOp = 1 // a value state, or an entry of a map state: zero or one element
	StatePut     StateOp = 2 // sets it
	StateDelete  StateOp = 3 // a value, an entry, or with an empty key of a map or list state all of it
	StateAppend  StateOp = 4 // adds an element to a list state
	StateScan    StateOp = 5 // the elements of a list state, or the entries of a map state in the order of their key bytes
	StateRecords StateOp = 6 // the rest of a group's list that did not fit the call
)

// A call of the state import lists what it asks for, all with one op:
//
//	0 u32 number of requests   4 u32 zero, then per request:
//
//	 0 u32 size, padding included    4 u32 group (index in the call; None: the operator's own scope)
//	 8 u16 state (position in Function.States; for records the ListTag)   10 u16 zero
//	12 u32 limit (elements at most, 0: the host's choice)   16 u64 cursor (0: from the beginning; else one that an
//	   answer gave; for records the number of the first element)
//	24 u32 key length   28 u32 value length   32 key bytes, padded to 8, value bytes, padded to 8
//
// Get, scan and records are answered, request by request, in their order:
//
//	0 u32 number of answers   4 u32 zero, then per answer:
//
//	 0 u32 size, padding included    4 u32 flags (StateMore, StateHasKeys, StateHasTimestamps)    8 u64 cursor
//	16 u32 elements n    20 u32 key bytes    24 u32 value bytes    28 u32 zero
//	32 i64[n] timestamps, if flagged · u32[n+1] key offsets, if flagged, padded to 8 · u32[n+1] value offsets, padded to 8
//	   key bytes, padded to 8 · value bytes, padded to 8
const (
	StateRequestBytes = 32
	StateAnswerBytes  = 32

	StateMore          = 1 << 0 // the answer's cursor leads to what is left
	StateHasKeys       = 1 << 1 // a scan of a map state
	StateHasTimestamps = 1 << 2 // records that have event times
)

// StateRequest is one thing that a guest asks of the state import.
type StateRequest struct {
	Group      uint32
	State      uint16
	Limit      uint32
	Cursor     uint64
	Key, Value []byte
}

// AppendStateRequests encodes the requests of one call.
func AppendStateRequests(dst []byte, requests []StateRequest) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(uint32(len(requests))))
	for _, r := range requests {
		dst = le.AppendUint32(dst, uint32(StateRequestBytes+pad8(len(r.Key))+pad8(len(r.Value))))
		dst = le.AppendUint32(dst, r.Group)
		dst = le.AppendUint32(dst, uint32(r.State))
		dst = le.AppendUint32(dst, r.Limit)
		dst = le.AppendUint64(dst, r.Cursor)
		dst = le.AppendUint32(dst, uint32(len(r.Key)))
		dst = le.AppendUint32(dst, uint32(len(r.Value)))
		dst = appendPad(append(dst, r.Key...), len(r.Key))
		dst = appendPad(append(dst, r.Value...), len(r.Value))
	}
	return dst
}

// ParseStateRequests appends the requests in p to dst; they share the memory of p.
func ParseStateRequests(dst []StateRequest, p []byte) ([]StateRequest, error) {
	le := binary.LittleEndian
	if len(p) < 8 {
		return dst, fmt.Errorf("state: %d bytes (expected >= 8)", len(p))
	}
	n := int(le.Uint32(p))
	p = p[8:]
	for i := range n {
		if len(p) < StateRequestBytes {
			return dst, fmt.Errorf("state.requests[%d]: %d bytes (expected >= %d)", i, len(p), StateRequestBytes)
		}
		size, key, value := int(le.Uint32(p)), int(le.Uint32(p[24:])), int(le.Uint32(p[28:]))
		if size > len(p) || key > size || value > size || size != StateRequestBytes+pad8(key)+pad8(value) {
			return dst, fmt.Errorf("state.requests[%d].size: %d (key of %d, value of %d bytes, %d left)", i, size, key, value, len(p))
		}
		at := StateRequestBytes + pad8(key)
		dst = append(dst, StateRequest{
			Group: le.Uint32(p[4:]), State: le.Uint16(p[8:]), Limit: le.Uint32(p[12:]), Cursor: le.Uint64(p[16:]),
			Key: p[StateRequestBytes : StateRequestBytes+key], Value: p[at : at+value],
		})
		p = p[size:]
	}
	if len(p) != 0 {
		return dst, fmt.Errorf("state: %d bytes behind the last request", len(p))
	}
	return dst, nil
}

// StateAnswer is what the host answers to one request: elements, with their keys or timestamps if there are any.
type StateAnswer struct {
	More       bool
	Cursor     uint64
	Timestamps []int64
	Keys       [][]byte // nil, or one a value
	Values     [][]byte
}

// AppendStateAnswers encodes the answers to one call.
func AppendStateAnswers(dst []byte, answers []StateAnswer) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(uint32(len(answers))))
	for i := range answers {
		dst = answers[i].append(dst)
	}
	return dst
}

func (a *StateAnswer) append(dst []byte) []byte {
	le := binary.LittleEndian
	at, flags := len(dst), uint32(0)
	var h [StateAnswerBytes]byte
	dst = append(dst, h[:]...)
	if a.More {
		flags |= StateMore
	}
	if a.Timestamps != nil {
		flags |= StateHasTimestamps
		dst = append(dst, bytesOf(a.Timestamps)...)
	}
	keyBytes := uint32(0)
	if a.Keys != nil {
		flags |= StateHasKeys
		dst, keyBytes = appendOffsets(dst, a.Keys)
	}
	dst, valueBytes := appendOffsets(dst, a.Values)
	dst = appendStrings(appendStrings(dst, a.Keys), a.Values)
	le.PutUint32(dst[at:], uint32(len(dst)-at))
	le.PutUint32(dst[at+4:], flags)
	le.PutUint64(dst[at+8:], a.Cursor)
	le.PutUint32(dst[at+16:], uint32(len(a.Values)))
	le.PutUint32(dst[at+20:], keyBytes)
	le.PutUint32(dst[at+24:], valueBytes)
	return dst
}

// appendOffsets appends where each string ends, behind a zero, padded; and says how long they are together.
func appendOffsets(dst []byte, strings [][]byte) ([]byte, uint32) {
	end := uint32(0)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	for _, s := range strings {
		end += uint32(len(s))
		dst = binary.LittleEndian.AppendUint32(dst, end)
	}
	return appendPad(dst, 4*(len(strings)+1)), end
}

// appendStrings appends the strings without gaps, padded at their end.
func appendStrings(dst []byte, strings [][]byte) []byte {
	at := len(dst)
	for _, s := range strings {
		dst = append(dst, s...)
	}
	return appendPad(dst, len(dst)-at)
}
