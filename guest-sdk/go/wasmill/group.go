package wasmill

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// Verbs of a keyed call that this SDK runs.
const (
	verbProcess    = 1
	verbTimer      = 2
	verbCreate     = 3
	verbAccumulate = 4
	verbMerge      = 5
	verbResult     = 6
	verbJoin       = 7
	verbTrigger    = 8
	verbEvict      = 9
	verbGap        = 10
	verbPartition  = 11
	verbRequest    = 12
	verbResponse   = 13
	verbWindow     = 14
	verbBegin      = 16
	verbEnd        = 17
	verbApply      = 18
)

// Tags of the lists of a group.
const (
	listInput        = 0
	listInput1       = 1
	listAccumulators = 2
	listAnswers      = 3
	listState        = 4
)

const (
	groupsHeaderBytes = 16
	groupHeaderBytes  = 40
	listHeaderBytes   = 24
	groupHasWindow    = 1 << 0
	groupHasTimer     = 1 << 1
	replyActionBytes  = 16
	// of a group with a due timer: it is one of the processing-time clock
	groupTimerProcessing = 1 << 2
	groupMerged          = 1 << 3 // of windows that have become one
	groupEarly           = 1 << 4
	groupLate            = 1 << 5
	listHasTimestamps    = 1 << 0
	replyEntryBytes      = 16
	replyHeaderBytes     = replyEntryBytes + 16 // of an entry and its only action
	actionPut            = 1
	actionClear          = 2
	actionSetTimer       = 3
	actionDeleteTimer    = 4
	actionTrigger        = 5
	actionKeep           = 6
	actionGap            = 7
	actionPartition      = 8
	actionRequest        = 9
	actionApply          = 10
)

// groupHeader is how the host begins a group, and listHeader each of its lists. They are read in place: the host and
// every guest are little-endian, and both begin at a multiple of 8.
type groupHeader struct {
	size, flags   uint32
	window        Window
	timer         int64
	keyLen, lists uint32
}

type listHeader struct {
	size            uint32
	tag, index      uint16
	total, included uint32
	flags, valueLen uint32
}

// groupReader walks the groups of a call. It holds places as offsets from the first byte, not as slices: to keep a dozen
// pointers a group costs a guest more than to follow them. The host wrote the groups, so lengths inside one are trusted.
type groupReader struct {
	base  unsafe.Pointer // the groups' first byte
	size  uint32
	after uint32 // where the next group begins
	left  uint32
	group
}

// group is the group that the reader stands on.
type group struct {
	index   uint32
	header  *groupHeader
	records list
	right   list // records of input 1
	accums  list
	answers list
	states  []list // by state: its value, if it came with the call
}

// list is where the elements of a group's list lie: n of total came with the call.
type list struct{ n, total, offs, values, times uint32 }

func (r *groupReader) begin(p []byte) {
	le := binary.LittleEndian
	r.base, r.size = unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p))
	r.after, r.left = le.Uint32(p), le.Uint32(p[4:])
	r.index = none // so that the first is 0
}

// next goes to the next group; false when there is none.
func (r *groupReader) next() bool {
	if r.left == 0 {
		return false
	}
	at := r.after
	h := (*groupHeader)(unsafe.Add(r.base, at))
	if r.size-at < groupHeaderBytes || h.size < groupHeaderBytes || h.size > r.size-at {
		panic("group " + strconv.Itoa(int(r.index+1)) + " lies outside the call's bytes")
	}
	r.left--
	r.index++
	r.after = at + h.size
	r.header = h
	r.records, r.right, r.accums, r.answers, r.states = list{}, list{}, list{}, list{}, r.states[:0]
	at += groupHeaderBytes + (h.keyLen+7)&^7
	for range h.lists {
		at += r.list(at)
	}
	return true
}

// list reads the list at at and returns its size.
func (r *groupReader) list(at uint32) uint32 {
	h := (*listHeader)(unsafe.Add(r.base, at))
	l := list{n: h.included, total: h.total}
	at += listHeaderBytes
	if h.flags&listHasTimestamps != 0 {
		l.times = at
		at += 8 * h.included
	}
	l.offs, l.values = at, at+(4*(h.included+1)+7)&^7
	switch h.tag {
	case listInput:
		r.records = l
	case listInput1:
		r.right = l
	case listAccumulators:
		r.accums = l
	case listAnswers:
		r.answers = l
	case listState:
		for len(r.states) <= int(h.index) {
			r.states = append(r.states, list{total: 1}) // until it comes, it is to be asked for
		}
		r.states[h.index] = l
	}
	return h.size
}

// state is the list of a value state: without an element it is not set, and of one that did not come with the group there is
// more than came.
func (r *groupReader) state(index int) list {
	if index < len(r.states) {
		return r.states[index]
	}
	return list{total: 1}
}

// whole panics when a part of the list did not come with the call: that happens to process functions only.
func (l *list) whole() {
	if l.total != l.n {
		panic("group has " + strconv.Itoa(int(l.total)) + " elements of which " + strconv.Itoa(int(l.n)) + " came with the call (expected all)")
	}
}

// timestamp returns that of element i of the list l.
func (r *groupReader) timestamp(l *list, i uint32) int64 {
	if l.times == 0 {
		return noTimestamp
	}
	return *(*int64)(unsafe.Add(r.base, l.times+8*i))
}

func (r *groupReader) key() []byte {
	if r.header.keyLen == 0 { // it may lie behind the end
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r.header), groupHeaderBytes)), r.header.keyLen)
}

// value returns element i of the list l.
func (r *groupReader) value(l *list, i uint32) []byte {
	offs := (*[2]uint32)(unsafe.Add(r.base, l.offs+4*i))
	return unsafe.Slice((*byte)(unsafe.Add(r.base, l.values+offs[0])), offs[1]-offs[0])
}

// replyWriter writes the reply to a keyed call: one put a group.
type replyWriter struct{ out []byte }

// begin opens the put of a group, and end closes it; between them the value is appended to out.
func (w *replyWriter) begin(group uint32) (entry int) {
	entry = len(w.out)
	w.out = append(w.out, zeros[:replyHeaderBytes]...)
	h := w.out[entry : entry+replyHeaderBytes]
	binary.LittleEndian.PutUint32(h[4:], group)
	binary.LittleEndian.PutUint32(h[8:], 1) // actions
	binary.LittleEndian.PutUint16(h[20:], actionPut)
	return entry
}

func (w *replyWriter) end(entry int) {
	value := len(w.out) - entry - replyHeaderBytes
	if value&7 != 0 {
		w.out = appendPad(w.out, value)
	}
	size := uint32(len(w.out) - entry)
	h := w.out[entry : entry+replyHeaderBytes]
	binary.LittleEndian.PutUint32(h, size)
	binary.LittleEndian.PutUint32(h[16:], size-replyEntryBytes)
	binary.LittleEndian.PutUint32(h[24:], uint32(value))
}

// open begins the entry of a group with some actions, and close ends it.
func (w *replyWriter) open(group, actions uint32) (entry int) {
	entry = len(w.out)
	w.out = append(w.out, zeros[:replyEntryBytes]...)
	h := w.out[entry:]
	binary.LittleEndian.PutUint32(h[4:], group)
	binary.LittleEndian.PutUint32(h[8:], actions)
	return entry
}

func (w *replyWriter) close(entry int) {
	binary.LittleEndian.PutUint32(w.out[entry:], uint32(len(w.out)-entry))
}

// action appends a put or clear.
func (w *replyWriter) action(op, index uint16, value []byte) {
	at := len(w.out)
	w.out = append(append(w.out, zeros[:replyActionBytes]...), value...)
	binary.LittleEndian.PutUint16(w.out[at+4:], op)
	binary.LittleEndian.PutUint16(w.out[at+6:], index)
	w.closeAction(at)
}

// closeAction ends an action that begins at at, whose value was appended behind it.
func (w *replyWriter) closeAction(at int) {
	value := len(w.out) - at - replyActionBytes
	w.out = appendPad(w.out, value)
	h := w.out[at:]
	binary.LittleEndian.PutUint32(h, uint32(len(h)))
	binary.LittleEndian.PutUint32(h[8:], uint32(value))
}

// appendTimer appends an action that sets or deletes a timer.
func appendTimer(dst []byte, op, clock uint16, milliseconds int64) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, replyActionBytes)
	dst = le.AppendUint16(dst, op)
	dst = le.AppendUint16(dst, clock)
	return le.AppendUint64(dst, uint64(milliseconds))
}

// groupRunner runs a keyed function over the groups p.
type groupRunner func(verb uint32, h callHeader, p []byte) error

// folding is how values become an accumulator.
type folding[V, A any] struct {
	create func() A // nil when only a first value makes an accumulator
	first  func(V) A
	add    func(A, V) A
	merge  func(A, A) A
}

// reduction is the folding whose accumulator is a value.
func reduction[V any](f func(a, b V) V) folding[V, V] {
	return folding[V, V]{first: func(v V) V { return v }, add: f, merge: f}
}

func (a Aggregator[V, A, R]) folding() folding[V, A] {
	return folding[V, A]{create: a.Create, first: func(v V) A { return a.Add(a.Create(), v) }, add: a.Add, merge: a.Merge}
}

// keyedFunction is a reduce or aggregate: it folds the records of a group into its accumulator, merges accumulators, and
// makes the record to emit of one.
func keyedFunction[K, V, A, R any](spec keyedSpec[A], fold folding[V, A], finish func(Window, K, A) R, key codec[K], in codec[V], out codec[R]) *function {
	f := &function{name: spec.name, kind: spec.kind, input: in.name, key: key.name, accumulator: spec.accumulator.name, output: out.name, schema: spec.schema.state(spec.accumulator), merges: fold.merge != nil}
	f.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		k := &keyedRun[V, A]{chain: b.chain, fold: fold, in: in, accumulator: spec.accumulator}
		k.verbs = map[uint32]func() (A, bool){
			verbAccumulate: k.accumulate,
			verbMerge:      k.merge,
			verbResult: func() (acc A, put bool) {
				if acc, ok := k.merge(); ok {
					w := k.groups.header.window
					b.scope.enter(&k.groups)
					next(finish(w, key.decode(k.groups.key()), acc))
				}
				return acc, false
			},
		}
		if fold.create != nil {
			k.verbs[verbCreate] = func() (A, bool) { return fold.create(), true }
		}
		return k.run, err
	}
	return f
}

// enter makes the records behind a keyed function those of the group: its key, and the last instant of its window.
func (s *scope) enter(g *groupReader) {
	s.key.bytes, s.time.now = g.key(), noTimestamp
	if g.header.flags&groupHasWindow != 0 {
		s.time.now = g.header.window.End - 1
	}
}

// keyedRun is a keyed function in an open handle.
type keyedRun[V, A any] struct {
	chain       *chain
	fold        folding[V, A]
	in          codec[V]
	accumulator codec[A]
	verbs       map[uint32]func() (acc A, put bool) // put: acc is the group's new accumulator
	groups      groupReader
	reply       replyWriter
}

func (k *keyedRun[V, A]) run(verb uint32, _ callHeader, p []byte) error {
	each := k.verbs[verb]
	if each == nil {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a reduce or aggregate"}
	}
	k.reply.out = k.reply.out[:0]
	for k.groups.begin(p); k.groups.next(); {
		k.chain.record = k.groups.index
		k.groups.records.whole()
		k.groups.accums.whole()
		if acc, put := each(); put {
			entry := k.reply.begin(k.groups.index)
			k.reply.out = k.accumulator.append(k.reply.out, acc)
			k.reply.end(entry)
		}
	}
	if len(k.reply.out) > 0 {
		hostReply(k.reply.out)
	}
	k.chain.end()
	return nil
}

// accumulate folds the group's records into its accumulator, if it has one.
func (k *keyedRun[V, A]) accumulate() (acc A, put bool) {
	g := &k.groups
	i := uint32(0)
	switch {
	case g.accums.n > 0:
		acc = k.accumulator.decode(g.value(&g.accums, 0))
	case g.records.n > 0:
		acc, i = k.fold.first(k.in.decode(g.value(&g.records, 0))), 1
	default:
		return acc, false
	}
	for ; i < g.records.n; i++ {
		acc = k.fold.add(acc, k.in.decode(g.value(&g.records, i)))
	}
	return acc, true
}

// merge combines the group's accumulators, in their order.
func (k *keyedRun[V, A]) merge() (acc A, put bool) {
	g := &k.groups
	if g.accums.n == 0 {
		return acc, false
	}
	acc = k.accumulator.decode(g.value(&g.accums, 0))
	for i := uint32(1); i < g.accums.n; i++ {
		acc = k.fold.merge(acc, k.accumulator.decode(g.value(&g.accums, i)))
	}
	return acc, true
}
