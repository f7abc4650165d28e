package wasmill

import "encoding/binary"

// Ops of the state import.
const (
	stateGet     = 1
	statePut     = 2
	stateDelete  = 3
	stateAppend  = 4
	stateScan    = 5
	stateRecords = 6
)

const (
	stateRequestBytes  = 32
	stateAnswerBytes   = 32
	stateMore          = 1 << 0
	stateHasKeys       = 1 << 1
	stateHasTimestamps = 1 << 2
)

// request is one thing to ask of the state import.
type request struct {
	op         uint32
	group      uint32
	state      uint16
	cursor     uint64
	key, value []byte
}

// asker makes the requests of a call. Writes wait until something is read, or the call ends, and cross together.
type asker struct {
	op      uint32 // of those that wait
	waiting []byte
	count   uint32
	one     []byte // a request that is read at once
	free    [][]byte
	scratch []byte
}

func (a *asker) begin() { a.waiting, a.count = a.waiting[:0], 0 }

// maxWaiting bounds the bytes of the writes that wait.
const maxWaiting = 64 << 10

// add makes a request without an answer wait.
func (a *asker) add(q request) {
	if a.count > 0 && a.op != q.op || len(a.waiting) > maxWaiting {
		a.flush()
	}
	if a.count == 0 {
		a.op, a.waiting = q.op, append(a.waiting[:0], zeros[:8]...)
	}
	a.waiting = appendRequest(a.waiting, &q)
	a.count++
}

// flush makes the requests that wait.
func (a *asker) flush() {
	if a.count == 0 {
		return
	}
	binary.LittleEndian.PutUint32(a.waiting, a.count)
	hostState(a.op, a.waiting, nil)
	a.waiting, a.count = a.waiting[:0], 0
}

// each asks and calls yield for the elements of the answer, until that answers false or there are no more. The slices are
// valid during the call.
func (a *asker) each(q request, yield func(at int64, key, value []byte) bool) {
	a.flush()
	var room []byte
	if n := len(a.free); n > 0 {
		room, a.free = a.free[n-1], a.free[:n-1]
	} else {
		room = aligned(4 << 10)
	}
	for more := true; more; {
		a.one = appendRequest(append(a.one[:0], 1, 0, 0, 0, 0, 0, 0, 0), &q)
		need := hostState(q.op, a.one, room)
		if int(need) > len(room) {
			room = aligned(int(need) + int(need)/2)
			continue
		}
		more = readAnswer(room[8:need], &q.cursor, yield)
	}
	a.free = append(a.free, room)
}

// readAnswer walks one answer, and says whether there is more behind its cursor.
func readAnswer(p []byte, cursor *uint64, yield func(at int64, key, value []byte) bool) (more bool) {
	le := binary.LittleEndian
	flags, n := le.Uint32(p[4:]), int(le.Uint32(p[16:]))
	keyBytes := int(le.Uint32(p[20:]))
	*cursor = le.Uint64(p[8:])
	at := stateAnswerBytes
	column := func(size int) []byte {
		c := p[at : at+size]
		at += (size + 7) &^ 7
		return c
	}
	var times []int64
	var keyOffs []uint32
	if flags&stateHasTimestamps != 0 {
		times = words[int64](column(8 * n))
	}
	if flags&stateHasKeys != 0 {
		keyOffs = words[uint32](column(4 * (n + 1)))
	}
	valueOffs := words[uint32](column(4 * (n + 1)))
	keys := column(keyBytes)
	values := p[at:]
	for i := range n {
		t, key := int64(noTimestamp), []byte(nil)
		if times != nil {
			t = times[i]
		}
		if keyOffs != nil {
			key = keys[keyOffs[i]:keyOffs[i+1]]
		}
		if !yield(t, key, values[valueOffs[i]:valueOffs[i+1]]) {
			return false
		}
	}
	return flags&stateMore != 0
}

func appendRequest(dst []byte, q *request) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = append(dst, zeros[:stateRequestBytes]...)
	dst = appendPad(append(dst, q.key...), len(q.key))
	dst = appendPad(append(dst, q.value...), len(q.value))
	h := dst[at:]
	le.PutUint32(h, uint32(len(h)))
	le.PutUint32(h[4:], q.group)
	le.PutUint16(h[8:], q.state)
	le.PutUint64(h[16:], q.cursor)
	le.PutUint32(h[24:], uint32(len(q.key)))
	le.PutUint32(h[28:], uint32(len(q.value)))
	return dst
}
