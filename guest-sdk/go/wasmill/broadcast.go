package wasmill

import "strconv"

// NewBroadcastState declares a map of which every subtask of an operator has a copy. Records of the operator's broadcast stream
// change it, the same ones in every subtask; for those of the other stream it can only be read. It lies in memory.
func NewBroadcastState[K, V any](job *Env, name string) *MapState[K, V] {
	s := NewMapState[K, V](job, name)
	s.scope = scopeBroadcast
	return s
}

// BroadcastFunction is the user's code over a keyed stream and one that is broadcast: every subtask has all records of that. What
// it says lies in a broadcast state, which Process reads.
type BroadcastFunction[K, V, B, R any] struct {
	States    []State // among them one of NewBroadcastState at least
	Sides     []SideOutput
	Begin     func(c *StreamContext[R])
	Process   func(c *Context[K, R], value V)
	Broadcast func(c *StreamContext[R], value B) // there is no key; it changes broadcast states
	Timer     func(c *Context[K, R], t Timer)
	// Apply is called for each key that has something in a state to which Broadcast has said that its record is to be applied, before
	// the next record of either stream: with the key's state and timers. nil: Broadcast says so of none.
	Apply func(c *Context[K, R], value B)
}

// ApplyToKeys has Apply called with the broadcast record at hand, for each key of this subtask that has something in the state, which is
// one of keys. Every subtask does so for its own keys.
func (c *StreamContext[R]) ApplyToKeys(s State) {
	for i, of := range c.run.states {
		if of == s {
			c.run.setTimer(actionApply, uint16(i), 0)
			return
		}
	}
	panic("state " + strconv.Quote(s.spec().name) + " is not one of the function's States")
}

// ProcessBroadcast runs f over the records of each key, and over all of a stream that is broadcast, in no order between them. The
// operator keeps state: it needs a UID.
func ProcessBroadcast[K, V, B, R any](in *KeyedStream[K, V], broadcast *Stream[B], name string, f BroadcastFunction[K, V, B, R]) *Stream[R] {
	in.unwindowed("process", name)
	p := &processing{name: name, key: in.key.name, inputs: []string{in.value.name, broadcast.codec.name}, states: f.States, sides: f.Sides, timers: f.Timer != nil, begins: f.Begin != nil, applies: f.Apply != nil}
	bind := func(s StreamContext[R]) callbacks {
		c := &Context[K, R]{s, in.key}
		process, change := eachOf(in.value, f.Process), eachOf(broadcast.codec, f.Broadcast)
		record := func(input int, p []byte) {
			if input == 0 {
				process(c, p)
			} else {
				change(&c.StreamContext, p)
			}
		}
		made := callbacks{record: record, timer: func(t Timer) {
			if f.Timer == nil {
				panic(errNoTimerCallback)
			}
			f.Timer(c, t)
		}, begin: func() { f.Begin(&c.StreamContext) }}
		if f.Apply != nil {
			apply := eachOf(broadcast.codec, f.Apply)
			made.apply = func(p []byte) { apply(c, p) }
		}
		return made
	}
	return process(in.env, p.checked(in.env), append(edgesOf([]*operator{in.op}), broadcasting(broadcast)), codecOf[R](in.env, name), bind)
}

// BroadcastStreamFunction is a BroadcastFunction over a stream without key.
type BroadcastStreamFunction[V, B, R any] struct {
	States    []State
	Sides     []SideOutput
	Begin     func(c *StreamContext[R])
	Process   func(c *StreamContext[R], value V)
	Broadcast func(c *StreamContext[R], value B)
}

// ProcessBroadcastStream runs f over the records of a stream, and over all of one that is broadcast. The operator keeps state: it
// needs a UID.
func ProcessBroadcastStream[V, B, R any](in *Stream[V], broadcast *Stream[B], name string, f BroadcastStreamFunction[V, B, R]) *Stream[R] {
	p := &processing{name: name, inputs: []string{in.codec.name, broadcast.codec.name}, states: f.States, sides: f.Sides, begins: f.Begin != nil}
	return process(in.env, p.checked(in.env), append(in.edges(), broadcasting(broadcast)), codecOf[R](in.env, name),
		withoutKey(f.Begin, eachOf(in.codec, f.Process), eachOf(broadcast.codec, f.Broadcast)))
}

func broadcasting[B any](s *Stream[B]) edge { return edge{s.op, s.side, "broadcast"} }

func (p *processing) broadcasts() bool {
	for _, s := range p.states {
		if s.spec().scope == scopeBroadcast {
			return true
		}
	}
	return false
}

// checked refuses a function over a broadcast stream that keeps nothing of it.
func (p *processing) checked(e *Env) *processing {
	if !p.broadcasts() {
		e.Fail("process " + strconv.Quote(p.name) + ": no broadcast state (expected one of NewBroadcastState among its States: what would come of the broadcast stream?)")
	}
	return p
}

// CoMap turns each record of two streams into another, by a function for each.
func CoMap[A, B, R any](first *Stream[A], second *Stream[B], name string, f1 func(A) R, f2 func(B) R) *Stream[R] {
	return CoProcessStreams(first, second, name, CoStreamFunction[A, B, R]{
		Process1: func(c *StreamContext[R], v A) { c.Emit(f1(v)) },
		Process2: func(c *StreamContext[R], v B) { c.Emit(f2(v)) },
	})
}

// CoFlatMap turns each record of two streams into any number of others, by a function for each. emit is valid during the call.
func CoFlatMap[A, B, R any](first *Stream[A], second *Stream[B], name string, f1 func(record A, emit func(R)), f2 func(record B, emit func(R))) *Stream[R] {
	return CoProcessStreams(first, second, name, CoStreamFunction[A, B, R]{
		Process1: func(c *StreamContext[R], v A) { f1(v, c.next) },
		Process2: func(c *StreamContext[R], v B) { f2(v, c.next) },
	})
}
