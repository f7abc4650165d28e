package wasmill

import (
	"strconv"
	"time"
)

// Stream is the output of an operator: records whose value is a T. Its methods say more about that operator.
type Stream[T any] struct {
	env       *Env
	op        *operator
	side      int    // which output of op, 0: the main one
	partition string // of the edges to what takes it, empty: the host's choice
	codec     codec[T]
}

func (s *Stream[T]) edges() []edge { return []edge{{s.op, s.side, s.partition}} }

// Name gives the operator another name, unique in the job.
func (s *Stream[T]) Name(name string) *Stream[T] {
	s.op.rename(name)
	return s
}

// UID names the operator's state, so that it is found again when the job changes. Stateful operators need one.
func (s *Stream[T]) UID(uid string) *Stream[T] {
	s.op.uid = uid
	return s
}

// Parallelism sets how many subtasks the operator has; without it, it has the job's.
func (s *Stream[T]) Parallelism(n int) *Stream[T] {
	s.env.setParallelism(s.op, n)
	return s
}

// Source adds a source of records, read by the host.
func Source[T any](job *Env, from SourceConnector[T]) *Stream[T] {
	c, values := from.source(job)
	o := job.add(&operator{kind: kindSource, name: c.name, connector: c, watermarks: c.watermarks, output: values.name})
	return &Stream[T]{env: job, op: o, codec: values}
}

// Map turns each record into another.
func Map[T, R any](in *Stream[T], name string, f func(T) R) *Stream[R] {
	out := codecOf[R](in.env, name)
	o := in.env.call(mapFunction(name, f, in.codec, out), &operator{inputs: in.edges()})
	return &Stream[R]{env: in.env, op: o, codec: out}
}

// Filter keeps the records for which f says so.
func Filter[T any](in *Stream[T], name string, f func(T) bool) *Stream[T] {
	o := in.env.call(filterFunction(name, f, in.codec), &operator{inputs: in.edges()})
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}

// FlatMap turns each record into any number of others, each passed to emit. emit is valid during the call.
func FlatMap[T, R any](in *Stream[T], name string, f func(record T, emit func(R))) *Stream[R] {
	out := codecOf[R](in.env, name)
	o := in.env.call(flatMapFunction(name, f, in.codec, out), &operator{inputs: in.edges()})
	return &Stream[R]{env: in.env, op: o, codec: out}
}

// AssignTimestamps sets each record's event time, in milliseconds since the Unix epoch. Records may come up to
// outOfOrder behind the newest before they count as late.
func AssignTimestamps[T any](in *Stream[T], name string, f func(T) int64, outOfOrder time.Duration) *Stream[T] {
	o := in.env.call(timestampFunction(name, f, in.codec), &operator{
		inputs:     in.edges(),
		watermarks: &watermarks{outOfOrder: outOfOrder},
	})
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}

// AssignWatermarks sets each record's event time, as AssignTimestamps does, and the watermark behind it: f returns both. A
// watermark says that no record before or at it is to come, and one below an earlier one says nothing; NoWatermark says
// nothing either.
func AssignWatermarks[T any](in *Stream[T], name string, f func(T) (time, watermark int64)) *Stream[T] {
	o := in.env.call(watermarkFunction(name, f, in.codec), &operator{inputs: in.edges(), watermarks: &watermarks{guest: true}})
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}

// NoWatermark is the watermark behind a record of which nothing follows.
const NoWatermark = noTimestamp

// Idleness says of a source, or a stream whose event times a function assigns, that a split or channel that has had nothing for
// so long, though it was asked, holds the watermark back no longer, until it has a record again. Without it, it does for ever.
// Splits that end are never idle.
func (s *Stream[T]) Idleness(after time.Duration) *Stream[T] {
	if s.op.watermarks == nil {
		s.env.Fail("idleness of " + s.op.name + ": it has no watermarks (expected a source with event times, or what AssignTimestamps returns)")
		return s
	}
	if after < time.Millisecond {
		s.env.Fail("idleness of " + s.op.name + ": " + after.String() + " (expected >= 1ms)")
		return s
	}
	s.op.watermarks.idle = after
	return s
}

// Alignment says of a source, or a stream whose event times a function assigns, that it is of a group of sources that do not run
// away from each other: a split that is further than maxDrift ahead of the slowest of the group is not read until that has come
// nearer. Idle splits hold nobody up. How far the others are is known once a second.
func (s *Stream[T]) Alignment(group string, maxDrift time.Duration) *Stream[T] {
	switch {
	case s.op.watermarks == nil:
		s.env.Fail("alignment of " + s.op.name + ": it has no watermarks (expected a source with event times, or what AssignTimestamps returns)")
	case group == "" || maxDrift < time.Millisecond:
		s.env.Fail("alignment of " + s.op.name + ": group " + strconv.Quote(group) + ", drift " + maxDrift.String() + " (expected a name, and >= 1ms)")
	default:
		s.op.watermarks.group, s.op.watermarks.drift = group, maxDrift
	}
	return s
}

// Union merges streams of one type, in no order between them.
func Union[T any](first *Stream[T], rest ...*Stream[T]) *Stream[T] {
	o := &operator{kind: kindUnion, name: kindUnion, inputs: first.edges(), output: first.codec.name}
	for _, s := range rest {
		o.inputs = append(o.inputs, s.edges()...)
	}
	return &Stream[T]{env: first.env, op: first.env.add(o), codec: first.codec}
}

// SinkTo writes the records to a sink.
func (s *Stream[T]) SinkTo(to SinkConnector) *SinkOperator {
	c := to.sink()
	o := s.env.add(&operator{kind: kindSink, name: c.name, connector: c, inputs: s.edges()})
	return &SinkOperator{env: s.env, op: o}
}

// SinkOperator is where a stream ends. Its methods say more about it, as those of a Stream do.
type SinkOperator struct {
	env *Env
	op  *operator
}

// Name gives the sink another name, unique in the job.
func (s *SinkOperator) Name(name string) *SinkOperator {
	s.op.rename(name)
	return s
}

// UID names the sink's state; without it, its name does.
func (s *SinkOperator) UID(uid string) *SinkOperator {
	s.op.uid = uid
	return s
}

// Parallelism sets how many subtasks write; without it, as many as the job has.
func (s *SinkOperator) Parallelism(n int) *SinkOperator {
	s.env.setParallelism(s.op, n)
	return s
}
