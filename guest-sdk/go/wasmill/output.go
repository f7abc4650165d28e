package wasmill

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// A batch is sent when it has batchRecords records or batchBytes of keys and values, and at the end of the call.
const (
	batchRecords = 1024
	batchBytes   = 64 << 10
)

// output collects what leaves by one output number, column by column, and sends it as batches. It keeps its memory: in
// steady state it allocates nothing.
type output struct {
	chain   *chain
	number  uint32
	columns uint32    // that the host wants
	time    *timeCell // where timestamps come from; nil: the input's
	key     *keyCell  // where keys come from

	n          int
	rows       [batchRecords]uint32 // record of the input that each comes from
	keyEnds    [batchRecords]uint32
	valueEnds  [batchRecords]uint32
	timestamps []int64 // with time only
	keys       []byte
	values     []byte
	encoded    []byte // 8-aligned
}

// reset drops what a call that failed has left.
func (o *output) reset() {
	o.n, o.keys, o.values, o.timestamps = 0, o.keys[:0], o.values[:0], o.timestamps[:0]
}

// keysTo puts records into o of which only the key is wanted, a text. It is append and end written out: this is the way to every
// native count, where each call would be a tenth of it. Up to 16 bytes are copied as two numbers that may overlap.
func keysTo[T any](o *output, text func(T) string) func(T) {
	return func(v T) {
		key := text(v)
		if size, at := len(key), len(o.keys); size > 0 && size <= 16 && size <= cap(o.keys)-at {
			o.keys = o.keys[:at+size]
			from, to := unsafe.Pointer(unsafe.StringData(key)), unsafe.Pointer(&o.keys[at])
			switch {
			case size >= 8:
				*(*uint64)(to) = *(*uint64)(from)
				*(*uint64)(unsafe.Add(to, size-8)) = *(*uint64)(unsafe.Add(from, size-8))
			case size >= 4:
				*(*uint32)(to) = *(*uint32)(from)
				*(*uint32)(unsafe.Add(to, size-4)) = *(*uint32)(unsafe.Add(from, size-4))
			default:
				*(*byte)(to) = *(*byte)(from)
				*(*byte)(unsafe.Add(to, size/2)) = *(*byte)(unsafe.Add(from, size/2))
				*(*byte)(unsafe.Add(to, size-1)) = *(*byte)(unsafe.Add(from, size-1))
			}
		} else {
			o.keys = append(o.keys, key...)
		}
		n := o.n & (batchRecords - 1)
		o.rows[n], o.keyEnds[n] = o.chain.record, uint32(len(o.keys))
		o.n++
		if o.n == batchRecords || len(o.keys) >= batchBytes {
			o.flush()
		}
	}
}

// addText puts a record of which only the value is wanted, a text.
func (o *output) addText(value string) {
	o.values = append(o.values, value...)
	o.end()
}

// end completes the record whose key, value and timestamp were appended to keys, values and timestamps.
func (o *output) end() {
	n := o.n & (batchRecords - 1)
	o.rows[n], o.keyEnds[n], o.valueEnds[n] = o.chain.record, uint32(len(o.keys)), uint32(len(o.values))
	o.n++
	if o.n == batchRecords || len(o.keys)+len(o.values) >= batchBytes {
		o.flush()
	}
}

// flush sends the batch, if there is one.
func (o *output) flush() {
	if o.n == 0 {
		return
	}
	hostEmit(o.number, o.encode())
	o.reset()
}

// encode writes the batch as abi/README.md draws it.
func (o *output) encode() []byte {
	in, n := &o.chain.in, o.n
	cols := o.columns & (columnTimestamps | columnKeys | columnValues | columnKinds | columnHeaders)
	if o.time == nil && in.timestamps == nil {
		cols &^= columnTimestamps
	}
	if o.key == nil || o.key == &o.chain.inputKey && in.keyOffs == nil {
		cols &^= columnKeys
	}
	if in.kinds == nil {
		cols &^= columnKinds
	}
	if in.headerOffs == nil {
		cols &^= columnHeaders
	}
	headers := o.headerBytes(cols)
	w := batchWriter{dst: o.room(cols, headers)}
	w.header(cols, n, len(o.keys), len(o.values), headers)
	if cols&columnTimestamps != 0 {
		w.timestamps(o)
	}
	if cols&columnKeys != 0 {
		w.offsets(o.keyEnds[:n])
	}
	if cols&columnValues != 0 {
		w.offsets(o.valueEnds[:n])
	}
	if cols&columnKinds != 0 {
		w.gatherKinds(in.kinds, o.rows[:n])
	}
	if cols&columnHeaders != 0 {
		w.gatherHeaderEnds(in.headerOffs, o.rows[:n])
	}
	w.section(o.keys)
	w.section(o.values)
	if headers > 0 {
		w.gatherHeaders(in, o.rows[:n])
	}
	binary.LittleEndian.PutUint32(w.dst[12:], uint32(w.at))
	return w.dst[:w.at]
}

// headerBytes is how many bytes of headers the records have.
func (o *output) headerBytes(cols uint32) int {
	if cols&columnHeaders == 0 {
		return 0
	}
	offs, sum := o.chain.in.headerOffs, 0
	for _, i := range o.rows[:o.n] {
		sum += int(offs[i+1] - offs[i])
	}
	return sum
}

// room returns the buffer to encode to, large enough for any columns.
func (o *output) room(cols uint32, headers int) []byte {
	need := batchHeaderBytes + (8+4+4+1+4)*(o.n+2) + len(o.keys) + len(o.values) + headers + 9*8
	if need > len(o.encoded) {
		o.encoded = aligned(need + need/2)
	}
	return o.encoded
}

// batchWriter writes the sections of a batch one after the other.
type batchWriter struct {
	dst []byte
	at  int
}

func (w *batchWriter) header(cols uint32, n, keys, values, headers int) {
	le := binary.LittleEndian
	clear(w.dst[:batchHeaderBytes])
	le.PutUint16(w.dst, recordVersion)
	le.PutUint32(w.dst[4:], cols)
	le.PutUint32(w.dst[8:], uint32(n))
	le.PutUint32(w.dst[16:], uint32(keys))
	le.PutUint32(w.dst[20:], uint32(values))
	le.PutUint32(w.dst[24:], uint32(headers))
	w.at = batchHeaderBytes
}

// section copies p.
func (w *batchWriter) section(p []byte) {
	w.at += copy(w.dst[w.at:], p)
	w.pad()
}

func (w *batchWriter) pad() {
	for ; w.at&7 != 0; w.at++ {
		w.dst[w.at] = 0
	}
}

// offsets writes the offsets column of records that end at ends.
func (w *batchWriter) offsets(ends []uint32) {
	w.u32(0)
	w.section(octetsOf(ends))
}

func (w *batchWriter) u32(v uint32) {
	binary.LittleEndian.PutUint32(w.dst[w.at:], v)
	w.at += 4
}

func (w *batchWriter) timestamps(o *output) {
	if o.time != nil {
		w.section(octetsOf(o.timestamps))
		return
	}
	column := words[int64](w.dst[w.at : w.at+8*o.n])
	for k, i := range o.rows[:o.n] {
		column[k] = o.chain.in.timestamps[i]
	}
	w.at += 8 * o.n
}

func (w *batchWriter) gatherKinds(kinds []byte, rows []uint32) {
	for _, i := range rows {
		w.dst[w.at] = kinds[i]
		w.at++
	}
	w.pad()
}

func (w *batchWriter) gatherHeaderEnds(offs []uint32, rows []uint32) {
	end := uint32(0)
	w.u32(0)
	for _, i := range rows {
		end += offs[i+1] - offs[i]
		w.u32(end)
	}
	w.pad()
}

func (w *batchWriter) gatherHeaders(in *batch, rows []uint32) {
	for _, i := range rows {
		w.at += copy(w.dst[w.at:], in.headers[in.headerOffs[i]:in.headerOffs[i+1]])
	}
	w.pad()
}

// grow makes room for records of the usual size, so that the first batches do not grow byte by byte.
func (o *output) grow() {
	if o.columns&columnKeys != 0 {
		o.keys = slices.Grow(o.keys, batchBytes/4)
	}
	if o.columns&columnValues != 0 {
		o.values = slices.Grow(o.values, batchBytes/4)
	}
}
