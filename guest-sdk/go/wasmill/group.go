package wasmill

import (
	"encoding/binary"
	"strconv"
)

// Verbs of a keyed call that this SDK runs.
const (
	verbCreate     = 3
	verbAccumulate = 4
	verbMerge      = 5
	verbResult     = 6
)

// Tags of the lists of a group.
const (
	listInput        = 0
	listAccumulators = 2
)

const (
	groupsHeaderBytes = 16
	groupHeaderBytes  = 40
	listHeaderBytes   = 24
	groupHasWindow    = 1 << 0
	listHasTimestamps = 1 << 0
	replyHeaderBytes  = 16 // of an entry, and of an action
	actionPut         = 1
)

// group is a view of one group of a keyed call.
type group struct {
	index    uint32
	windowed bool
	window   Window
	key      []byte
	records  list
	accums   list
}

// list is a view of the elements of a group's list.
type list struct {
	n      int
	offs   []byte
	values []byte
}

func (l *list) value(i int) []byte {
	le := binary.LittleEndian
	return l.values[le.Uint32(l.offs[4*i:]):le.Uint32(l.offs[4*i+4:])]
}

// groupReader walks the groups of a call. The host wrote them; a length that leads out of them panics.
type groupReader struct {
	rest  []byte
	left  uint32
	index uint32
	group group
}

func (r *groupReader) begin(p []byte) {
	le := binary.LittleEndian
	r.rest, r.left, r.index = p[le.Uint32(p):], le.Uint32(p[4:]), 0
}

// next reads the next group; false when there is none.
func (r *groupReader) next() bool {
	if r.left == 0 {
		return false
	}
	le := binary.LittleEndian
	size := le.Uint32(r.rest)
	p := r.rest[:size]
	r.rest = r.rest[size:]
	g := &r.group
	*g = group{
		index:    r.index,
		windowed: le.Uint32(p[4:])&groupHasWindow != 0,
		window:   Window{int64(le.Uint64(p[8:])), int64(le.Uint64(p[16:]))},
		key:      p[groupHeaderBytes : groupHeaderBytes+le.Uint32(p[32:])],
	}
	lists := p[groupHeaderBytes+(le.Uint32(p[32:])+7)&^7:]
	for range le.Uint32(p[36:]) {
		lists = g.list(lists)
	}
	r.left--
	r.index++
	return true
}

// list reads the first list of p and returns what lies behind it.
func (g *group) list(p []byte) []byte {
	le := binary.LittleEndian
	size, n := le.Uint32(p), le.Uint32(p[12:])
	if total := le.Uint32(p[8:]); total != n {
		panic("group has " + strconv.Itoa(int(total)) + " elements of which " + strconv.Itoa(int(n)) + " came with the call (expected all)")
	}
	at := uint32(listHeaderBytes)
	if le.Uint32(p[16:])&listHasTimestamps != 0 {
		at += 8 * n
	}
	values := at + (4*(n+1)+7)&^7
	l := list{n: int(n), offs: p[at : at+4*(n+1)], values: p[values : values+le.Uint32(p[20:])]}
	switch le.Uint16(p[4:]) {
	case listInput:
		g.records = l
	case listAccumulators:
		g.accums = l
	}
	return p[size:]
}

// replyWriter writes the reply to a keyed call: one put a group.
type replyWriter struct{ out []byte }

// begin opens the put of a group, and end closes it; between them the value is appended to out.
func (w *replyWriter) begin(group uint32) (entry int) {
	entry = len(w.out)
	w.out = append(w.out, zeros[:2*replyHeaderBytes]...)
	le := binary.LittleEndian
	le.PutUint32(w.out[entry+4:], group)
	le.PutUint32(w.out[entry+8:], 1)
	le.PutUint16(w.out[entry+replyHeaderBytes+4:], actionPut)
	return entry
}

func (w *replyWriter) end(entry int) {
	le := binary.LittleEndian
	value := len(w.out) - entry - 2*replyHeaderBytes
	le.PutUint32(w.out[entry+replyHeaderBytes+8:], uint32(value))
	w.out = appendPad(w.out, value)
	size := uint32(len(w.out) - entry)
	le.PutUint32(w.out[entry:], size)
	le.PutUint32(w.out[entry+replyHeaderBytes:], size-replyHeaderBytes)
}

// groupRunner runs a keyed function over the groups p.
type groupRunner func(verb uint32, p []byte) error

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
	f := &function{name: spec.name, kind: spec.kind, input: in.name, key: key.name, accumulator: spec.accumulator.name, output: out.name}
	f.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		k := &keyedRun[V, A]{chain: b.chain, fold: fold, in: in, accumulator: spec.accumulator}
		k.verbs = map[uint32]func(*group) (A, bool){
			verbAccumulate: k.accumulate,
			verbMerge:      k.merge,
			verbResult: func(g *group) (acc A, put bool) {
				if acc, ok := k.merge(g); ok {
					b.scope.enter(g)
					next(finish(g.window, key.decode(g.key), acc))
				}
				return acc, false
			},
		}
		if fold.create != nil {
			k.verbs[verbCreate] = func(*group) (A, bool) { return fold.create(), true }
		}
		return k.run, err
	}
	return f
}

// enter makes the records behind a keyed function those of the group: its key, and the last instant of its window.
func (s *scope) enter(g *group) {
	s.key.bytes, s.time.now = g.key, noTimestamp
	if g.windowed {
		s.time.now = g.window.End - 1
	}
}

// keyedRun is a keyed function in an open handle.
type keyedRun[V, A any] struct {
	chain       *chain
	fold        folding[V, A]
	in          codec[V]
	accumulator codec[A]
	verbs       map[uint32]func(*group) (acc A, put bool) // put: acc is the group's new accumulator
	groups      groupReader
	reply       replyWriter
}

func (k *keyedRun[V, A]) run(verb uint32, p []byte) error {
	each := k.verbs[verb]
	if each == nil {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a reduce or aggregate"}
	}
	k.reply.out = k.reply.out[:0]
	for k.groups.begin(p); k.groups.next(); {
		g := &k.groups.group
		k.chain.record = g.index
		if acc, put := each(g); put {
			entry := k.reply.begin(g.index)
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
func (k *keyedRun[V, A]) accumulate(g *group) (acc A, put bool) {
	i := 0
	switch {
	case g.accums.n > 0:
		acc = k.accumulator.decode(g.accums.value(0))
	case g.records.n > 0:
		acc, i = k.fold.first(k.in.decode(g.records.value(0))), 1
	default:
		return acc, false
	}
	for ; i < g.records.n; i++ {
		acc = k.fold.add(acc, k.in.decode(g.records.value(i)))
	}
	return acc, true
}

// merge combines the group's accumulators, in their order.
func (k *keyedRun[V, A]) merge(g *group) (acc A, put bool) {
	if g.accums.n == 0 {
		return acc, false
	}
	acc = k.accumulator.decode(g.accums.value(0))
	for i := 1; i < g.accums.n; i++ {
		acc = k.fold.merge(acc, k.accumulator.decode(g.accums.value(i)))
	}
	return acc, true
}
