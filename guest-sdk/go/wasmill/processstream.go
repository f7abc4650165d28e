package wasmill

import "time"

// StreamFunction is the user's code of a process operator over a stream without key: anything, with side outputs and states of
// the operator's own scope. There is no key whose state or timers it could have. What a call does takes effect together, or not
// at all.
type StreamFunction[V, R any] struct {
	States  []State                   // *OperatorListState
	Sides   []SideOutput              // those that it emits to
	Begin   func(c *StreamContext[R]) // before a subtask's first record, whenever the job begins or goes on; nil: nothing is to be done
	Process func(c *StreamContext[R], value V)
}

// CoStreamFunction is a StreamFunction over two streams.
type CoStreamFunction[A, B, R any] struct {
	States   []State
	Sides    []SideOutput
	Begin    func(c *StreamContext[R])
	Process1 func(c *StreamContext[R], value A)
	Process2 func(c *StreamContext[R], value B)
}

// ProcessStream runs f over the records of a stream. With states it needs a UID.
func ProcessStream[V, R any](in *Stream[V], name string, f StreamFunction[V, R]) *Stream[R] {
	p := &processing{name: name, inputs: []string{in.codec.name}, states: f.States, sides: f.Sides, begins: f.Begin != nil}
	return process(in.env, p, in.edges(), codecOf[R](in.env, name), withoutKey(f.Begin, eachOf(in.codec, f.Process)))
}

// CoProcessStreams runs f over the records of two streams, in no order between them.
func CoProcessStreams[A, B, R any](first *Stream[A], second *Stream[B], name string, f CoStreamFunction[A, B, R]) *Stream[R] {
	p := &processing{name: name, inputs: []string{first.codec.name, second.codec.name}, states: f.States, sides: f.Sides, begins: f.Begin != nil}
	return process(first.env, p, append(first.edges(), second.edges()...), codecOf[R](first.env, name),
		withoutKey(f.Begin, eachOf(first.codec, f.Process1), eachOf(second.codec, f.Process2)))
}

// withoutKey makes the callbacks of a function over records without key.
func withoutKey[R any](begin func(*StreamContext[R]), each ...func(*StreamContext[R], []byte)) func(StreamContext[R]) callbacks {
	return func(s StreamContext[R]) callbacks {
		return callbacks{record: func(input int, p []byte) { each[input](&s, p) }, begin: func() { begin(&s) }}
	}
}

// StreamContext is what a process function has at hand: the times, and where its records go. It is valid during the call.
type StreamContext[R any] struct {
	run  *processRun
	next func(R)
}

// Timestamp is the event time of the record, or of the timer; NoTimestamp when the record has none, and in a timer of processing
// time. What is emitted has the same, unless EmitAt says another.
func (c *StreamContext[R]) Timestamp() int64 { return c.run.scope.time.now }

// Watermark is the event time that has been reached: no record before it is expected any more.
func (c *StreamContext[R]) Watermark() int64 { return c.run.header.watermark }

// Now is the processing time of the call.
func (c *StreamContext[R]) Now() time.Time { return time.UnixMilli(c.run.header.processing) }

// Subtask says which of the operator's subtasks this is, from 0, and how many there are.
func (c *StreamContext[R]) Subtask() (index, parallelism int) {
	return int(c.run.header.subtask), int(c.run.header.parallelism)
}

// Emit puts out a record.
func (c *StreamContext[R]) Emit(v R) { c.next(v) }

// EmitAt puts out a record with an event time of its own.
func (c *StreamContext[R]) EmitAt(milliseconds int64, v R) {
	at := c.run.scope.time.now
	c.run.scope.time.now = milliseconds
	c.next(v)
	c.run.scope.time.now = at
}
