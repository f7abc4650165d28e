package operator

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// mark is what is kept of one key in one window beside the records: how far its trigger has come, and what the window function
// keeps of it.
type mark struct {
	records uint64     // that a count trigger has seen since it fired
	last    float64    // what a delta trigger measures from, NaN: nothing yet
	next    int64      // when a continuous trigger fires next, never: it has not begun
	timers  [2][]int64 // of the trigger, by clock, ascending
	states  [][]byte   // of the trigger, then of the window function; nil: not set
	folded  []byte     // accumulator, nil: none
	list    listNote   // of a window that keeps its records
	held    []byte     // what counts of it when it ends, nil: nothing; see windower.hold

	fresh [2][]int64 // timers that were set since it was read
}

// never is a time that does not come.
const never = math.MaxInt64

// reset makes it that of a window that has just begun.
func (m *mark) reset(states int) {
	m.records, m.last, m.next, m.folded, m.list, m.held = 0, math.NaN(), never, nil, listNote{}, nil
	for clock := range m.timers {
		m.timers[clock], m.fresh[clock] = m.timers[clock][:0], m.fresh[clock][:0]
	}
	m.states = slices.Grow(m.states[:0], states)[:states]
	clear(m.states)
}

// set has the trigger asked at a time of a clock.
func (m *mark) set(clock int, time int64) {
	if at, found := slices.BinarySearch(m.timers[clock], time); !found {
		m.timers[clock] = slices.Insert(m.timers[clock], at, time)
		m.fresh[clock] = append(m.fresh[clock], time)
	}
}

// has says whether a timer is set.
func (m *mark) has(clock int, time int64) bool {
	_, found := slices.BinarySearch(m.timers[clock], time)
	return found
}

// take removes a timer, and says whether it was there.
func (m *mark) take(clock int, time int64) bool {
	at, found := slices.BinarySearch(m.timers[clock], time)
	if found {
		m.timers[clock] = slices.Delete(m.timers[clock], at, at+1)
	}
	return found
}

// A mark in the state: u32 size, u32 length of the note of its list, u64 records, f64 last, i64 next, u32 event-time timers, u32
// processing-time timers, u32 states, u32 1 + length of the accumulator or 0, the timers, then of each state u32 1 + length or 0 and
// its bytes, the accumulator, and the note of the list; where something is held, u32 1 + its length and that.
const markBytes = 48

func (m *mark) append(dst []byte) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(m.list.size()))
	dst = le.AppendUint64(dst, m.records)
	dst = le.AppendUint64(dst, math.Float64bits(m.last))
	dst = le.AppendUint64(dst, uint64(m.next))
	dst = le.AppendUint32(dst, uint32(len(m.timers[0])))
	dst = le.AppendUint32(dst, uint32(len(m.timers[1])))
	dst = le.AppendUint32(dst, uint32(len(m.states)))
	dst = le.AppendUint32(dst, lengthOf(m.folded))
	for _, times := range m.timers {
		for _, t := range times {
			dst = le.AppendUint64(dst, uint64(t))
		}
	}
	for _, s := range m.states {
		dst = append(le.AppendUint32(dst, lengthOf(s)), s...)
	}
	dst = append(dst, m.folded...)
	if m.list.records > 0 {
		dst = m.list.append(dst)
	}
	if m.held != nil {
		dst = append(le.AppendUint32(dst, lengthOf(m.held)), m.held...)
	}
	le.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

func lengthOf(p []byte) uint32 {
	if p == nil {
		return 0
	}
	return uint32(1 + len(p))
}

var errMark = errors.New("what is kept of a window is cut off")

// read sets m to the mark that v begins with, and returns what is behind it. It shares the memory of v. Without v it is that
// of a window that has just begun.
func (m *mark) read(v []byte, states int) (rest []byte, err error) {
	m.reset(states)
	if len(v) == 0 {
		return nil, nil
	}
	le := binary.LittleEndian
	if len(v) < markBytes || int(le.Uint32(v)) > len(v) || int(le.Uint32(v)) < markBytes {
		return nil, errMark
	}
	v, rest = v[:le.Uint32(v)], v[le.Uint32(v):]
	listed := int(le.Uint32(v[4:]))
	m.records, m.last, m.next = le.Uint64(v[8:]), math.Float64frombits(le.Uint64(v[16:])), int64(le.Uint64(v[24:]))
	counts := [2]int{int(le.Uint32(v[32:])), int(le.Uint32(v[36:]))}
	kept, folded := int(le.Uint32(v[40:])), le.Uint32(v[44:])
	v = v[markBytes:]
	for clock, n := range counts {
		if n > len(v)/8 {
			return nil, errMark
		}
		for i := range n {
			m.timers[clock] = append(m.timers[clock], int64(le.Uint64(v[8*i:])))
		}
		v = v[8*n:]
	}
	for i := range kept {
		if len(v) < 4 {
			return nil, errMark
		}
		n := le.Uint32(v)
		p, ok := cutOff(&v, 4, n)
		if !ok {
			return nil, errMark
		}
		if i < states {
			m.states[i] = p
		}
	}
	var ok bool
	if m.folded, ok = cutOff(&v, 0, folded); !ok || listed > len(v) {
		return nil, errMark
	}
	if m.list, err = readNote(v[:listed:listed]); err != nil {
		return nil, err
	}
	if v = v[listed:]; len(v) == 0 {
		return rest, nil
	}
	if len(v) < 4 {
		return nil, errMark
	}
	if m.held, ok = cutOff(&v, 4, le.Uint32(v)); !ok || len(v) > 0 {
		return nil, errMark
	}
	return rest, nil
}

// cutOff takes, behind skip bytes of v, those that lengthOf says n of.
func cutOff(v *[]byte, skip int, n uint32) (p []byte, ok bool) {
	*v = (*v)[skip:]
	if n == 0 {
		return nil, true
	}
	if int(n-1) > len(*v) {
		return nil, false
	}
	p, *v = (*v)[:n-1:n-1], (*v)[n-1:]
	return p, true
}
