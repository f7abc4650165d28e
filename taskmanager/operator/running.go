package operator

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/taskmanager/state"
)

// set stores the two parts of a key in running: u32 1 + length of the front, 0 for none, u32 slices of the back, both. A key
// that has neither leaves.
func (s *slider) set(e state.Entry, front, back []byte, slices uint32) error {
	if front == nil && slices == 0 {
		return s.running.Delete(e)
	}
	v := append(s.record[:0], 0, 0, 0, 0, 0, 0, 0, 0)
	if front != nil {
		binary.LittleEndian.PutUint32(v, uint32(1+len(front)))
	}
	binary.LittleEndian.PutUint32(v[4:], slices)
	if v = append(v, front...); slices > 0 {
		v = append(v, back...)
	}
	s.record = v
	return s.running.SetValue(e, v)
}

// split is the two parts of a key in running, each nil if there is none, and how many slices the back is of.
func split(v []byte) (front, back []byte, slices uint32) {
	if len(v) == 0 {
		return nil, nil, 0
	}
	n := binary.LittleEndian.Uint32(v)
	slices, v = binary.LittleEndian.Uint32(v[4:]), v[8:]
	if n > 0 {
		front, v = v[:n-1:n-1], v[n-1:]
	}
	if slices > 0 {
		back = v
	}
	return front, back, slices
}
