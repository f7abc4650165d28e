package wasmill

import (
	"encoding/binary"
	"strconv"
)

// ProcessFunction is the user's code of a process operator: anything, with state and timers of the key at hand. All calls
// for one key come in the order of its records, and timers in the order of their times. What a call does (emits, state,
// timers) takes effect together, or not at all.
type ProcessFunction[K, V, R any] struct {
	States  []State                   // those that the functions use
	Sides   []SideOutput              // those that they emit to
	Begin   func(c *StreamContext[R]) // before a subtask's first record, whenever the job begins or goes on; of no key; nil: nothing is to be done
	Process func(c *Context[K, R], value V)
	Timer   func(c *Context[K, R], t Timer) // nil: the function sets no timers
}

// CoProcessFunction is a ProcessFunction over two streams with the same key.
type CoProcessFunction[K, A, B, R any] struct {
	States   []State
	Sides    []SideOutput
	Begin    func(c *StreamContext[R])
	Process1 func(c *Context[K, R], value A)
	Process2 func(c *Context[K, R], value B)
	Timer    func(c *Context[K, R], t Timer)
}

// Timer is one that is due.
type Timer struct {
	Time       int64 // milliseconds since the Unix epoch
	Processing bool  // it was set by SetProcessingTimer
}

// Process runs f over the records of each key. The operator keeps state: it needs a UID.
func Process[K, V, R any](in *KeyedStream[K, V], name string, f ProcessFunction[K, V, R]) *Stream[R] {
	in.unwindowed("process", name)
	p := &processing{name: name, key: in.key.name, inputs: []string{in.value.name}, states: f.States, sides: f.Sides, timers: f.Timer != nil, begins: f.Begin != nil}
	return process(in.env, p, edgesOf([]*operator{in.op}), codecOf[R](in.env, name), withKey(in.key, f.Begin, f.Timer, eachOf(in.value, f.Process)))
}

// CoProcess runs f over the records of each key of two streams, in no order between them.
func CoProcess[K, A, B, R any](first *KeyedStream[K, A], second *KeyedStream[K, B], name string, f CoProcessFunction[K, A, B, R]) *Stream[R] {
	first.unwindowed("process", name)
	second.unwindowed("process", name)
	if first.key.name != second.key.name {
		first.env.Fail("process " + strconv.Quote(name) + ": keys of codec " + first.key.name + " and " + second.key.name + " (expected the same)")
	}
	p := &processing{name: name, key: first.key.name, inputs: []string{first.value.name, second.value.name}, states: f.States, sides: f.Sides, timers: f.Timer != nil, begins: f.Begin != nil}
	return process(first.env, p, edgesOf([]*operator{first.op, second.op}), codecOf[R](first.env, name),
		withKey(first.key, f.Begin, f.Timer, eachOf(first.value, f.Process1), eachOf(second.value, f.Process2)))
}

// eachOf is a function over the values of one input as one over their bytes.
func eachOf[C, V any](in codec[V], f func(C, V)) func(C, []byte) {
	return func(c C, p []byte) { f(c, in.decode(p)) }
}

// callbacks are the user's code in an open handle.
type callbacks struct {
	record func(input int, value []byte)
	timer  func(Timer)
	begin  func()
	apply  func(value []byte) // a broadcast record, to the key at hand
}

// withKey makes the callbacks of a function over keyed records.
func withKey[K, R any](key codec[K], begin func(*StreamContext[R]), timer func(*Context[K, R], Timer), each ...func(*Context[K, R], []byte)) func(StreamContext[R]) callbacks {
	return func(s StreamContext[R]) callbacks {
		c := &Context[K, R]{s, key}
		return callbacks{
			record: func(input int, p []byte) { each[input](c, p) },
			timer: func(t Timer) {
				if timer == nil {
					panic(errNoTimerCallback)
				}
				timer(c, t)
			},
			begin: func() { begin(&c.StreamContext) },
		}
	}
}

// errNoTimerCallback is what a function is told that sets a timer and takes none.
const errNoTimerCallback = "a timer of a function that has no callback for timers: set Timer beside Process"

// processing is what the manifest says of a process function.
type processing struct {
	name, key string // key is empty without one
	inputs    []string
	states    []State
	scoped    []State // of windows
	sides     []SideOutput
	timers    bool
	begins    bool
	applies   bool
}

// newProcessRun makes the run of a function in an open handle.
func newProcessRun(b *binding, p *processing) *processRun {
	r := &processRun{chain: b.chain, scope: b.scope, sides: p.sides}
	r.states = append(append(r.states, p.states...), p.scoped...)
	for k, s := range p.sides {
		r.outlets = append(r.outlets, s.connect(b.sides[uint32(k+1)]))
	}
	return r
}

// process adds a process operator.
func process[R any](e *Env, p *processing, from []edge, out codec[R], bind func(StreamContext[R]) callbacks) *Stream[R] {
	f := &function{name: p.name, kind: kindProcess, input: p.inputs[0], key: p.key, output: out.name, processing: p}
	f.keyed = func(b *binding) (groupRunner, error) {
		next, err := next(b, out)
		if err != nil {
			return nil, err
		}
		r := newProcessRun(b, p)
		r.callbacks = bind(StreamContext[R]{r, next})
		return r.call, nil
	}
	o := e.call(f, &operator{inputs: from})
	for k, s := range p.sides {
		s.declare(o, k+1)
	}
	return &Stream[R]{env: e, op: o, codec: out}
}

// Context is what a process function has at hand: the key, the times, and where its records go. It is valid during the
// call.
type Context[K, R any] struct {
	StreamContext[R]
	codec codec[K]
}

// Key is the key at hand.
func (c *Context[K, R]) Key() K { return c.codec.decode(c.run.groups.key()) }

// SetTimer has Timer called for the key when the watermark reaches the time. The same time again is one timer.
func (c *Context[K, R]) SetTimer(milliseconds int64) {
	c.run.setTimer(actionSetTimer, eventClock, milliseconds)
}

// DeleteTimer takes back a SetTimer; nothing happens if there was none.
func (c *Context[K, R]) DeleteTimer(milliseconds int64) {
	c.run.setTimer(actionDeleteTimer, eventClock, milliseconds)
}

// SetProcessingTimer has Timer called for the key at a time of the clock. A job whose input ends does not wait for it: what
// is not due by then is dropped.
func (c *Context[K, R]) SetProcessingTimer(milliseconds int64) {
	c.run.setTimer(actionSetTimer, processingClock, milliseconds)
}

// DeleteProcessingTimer takes back a SetProcessingTimer.
func (c *Context[K, R]) DeleteProcessingTimer(milliseconds int64) {
	c.run.setTimer(actionDeleteTimer, processingClock, milliseconds)
}

// NoTimestamp is the timestamp of a record that has none.
const NoTimestamp int64 = noTimestamp

// Clocks of a timer.
const (
	eventClock      = 0
	processingClock = 1
)

// processRun is a process function in an open handle.
type processRun struct {
	chain   *chain
	scope   scope
	states  []State
	sides   []SideOutput
	outlets []any // by side: what SideOutput.use takes
	callbacks

	header  callHeader
	groups  groupReader
	cells   []valueCell // of the group, by state
	actions []byte      // of the group's timers
	count   uint32      // of actions
	reply   replyWriter
	asker   asker
	keeper  keeper // of elements of a window that did not come with the call
}

func (r *processRun) call(verb uint32, h callHeader, p []byte) error {
	if verb != verbProcess && verb != verbTimer && verb != verbBegin && (verb != verbApply || r.apply == nil) {
		return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a process function"}
	}
	r.groupsOf(h, p, func() {
		switch verb {
		case verbBegin:
			r.begin()
		case verbTimer:
			t := Timer{Time: r.groups.header.timer, Processing: r.groups.header.flags&groupTimerProcessing != 0}
			if !t.Processing {
				r.scope.time.now = t.Time
			}
			r.timer(t)
		case verbApply:
			r.scope.time.now = r.groups.timestamp(&r.groups.right, 0)
			r.apply(r.groups.value(&r.groups.right, 0))
		default:
			r.each(0, listInput, &r.groups.records)
			r.each(1, listInput1, &r.groups.right)
		}
	})
	return nil
}

// groupsOf runs each for every group of a call, and replies what has become of them.
func (r *processRun) groupsOf(h callHeader, p []byte, each func()) {
	r.header, r.reply.out = h, r.reply.out[:0]
	r.asker.begin()
	if len(r.cells) < len(r.states) {
		r.cells = make([]valueCell, len(r.states))
	}
	for i, s := range r.states {
		s.use(r, i)
	}
	for i, s := range r.sides {
		s.use(r.outlets[i])
	}
	for r.groups.begin(p); r.groups.next(); {
		r.chain.record = r.groups.index
		r.enter()
		each()
		r.leave()
	}
	r.asker.flush()
	if len(r.reply.out) > 0 {
		hostReply(r.reply.out)
	}
	r.chain.end()
}

// enter makes ready for a group.
func (r *processRun) enter() {
	r.scope.key.bytes, r.scope.time.now = r.groups.key(), noTimestamp
	r.actions, r.count = r.actions[:0], 0
	for i := range r.cells {
		r.cells[i].known, r.cells[i].action = false, 0
	}
}

// each runs the records of one input, also those that did not fit the call.
func (r *processRun) each(input int, tag uint16, l *list) {
	g := &r.groups
	for i := range l.n {
		r.scope.time.now = g.timestamp(l, i)
		r.record(input, g.value(l, i))
	}
	if l.total > l.n {
		r.asker.each(request{op: stateRecords, group: g.index, state: tag, cursor: uint64(l.n)}, func(at int64, _, value []byte) bool {
			r.scope.time.now = at
			r.record(input, value)
			return true
		})
	}
}

// elements calls yield for the elements of a list, until it answers false. Those that did not come with the call are asked for, some at
// a time.
func (r *processRun) elements(tag uint16, l *list, yield func(at int64, value []byte) bool) {
	g := &r.groups
	for i := range l.n {
		if !yield(g.timestamp(l, i), g.value(l, i)) {
			return
		}
	}
	if l.total > l.n {
		r.asker.each(request{op: stateRecords, group: g.index, state: tag, cursor: uint64(l.n)}, func(at int64, _, value []byte) bool {
			return yield(at, r.keeper.keep(value))
		})
	}
}

// leave writes what the group has become.
func (r *processRun) leave() {
	for i := range r.cells {
		if r.cells[i].action != 0 {
			r.count++
		}
	}
	if r.count == 0 {
		return
	}
	entry := r.reply.open(r.groups.index, r.count)
	for i := range r.cells {
		if c := &r.cells[i]; c.action != 0 {
			r.reply.action(c.action, uint16(i), c.bytes)
		}
	}
	r.reply.out = append(r.reply.out, r.actions...)
	r.reply.close(entry)
}

func (r *processRun) setTimer(op, clock uint16, milliseconds int64) {
	r.actions = appendTimer(r.actions, op, clock, milliseconds)
	r.count++
}

// act answers an action of the group that is no state's.
func (r *processRun) act(op uint16, value []byte) {
	at := len(r.actions)
	r.actions = append(append(r.actions, zeros[:replyActionBytes]...), value...)
	r.actions = appendPad(r.actions, len(value))
	h := r.actions[at:]
	binary.LittleEndian.PutUint32(h, uint32(len(h)))
	binary.LittleEndian.PutUint16(h[4:], op)
	binary.LittleEndian.PutUint32(h[8:], uint32(len(value)))
	r.count++
}

// merged begins the states of windows that have become one: none is set but those that make one of what all of them had.
func (r *processRun) merged() {
	for i := range r.cells {
		r.cells[i].known, r.cells[i].set = true, false
	}
	for _, s := range r.states {
		if m, ok := s.(interface{ merged() }); ok {
			m.merged()
		}
	}
}
