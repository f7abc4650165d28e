package wasmill

import (
	"encoding/binary"
	"strconv"
)

// TrapPolicy says what happens to a record, timer or result that a function fails on, again when it is tried anew. Time and
// memory that run out are never blamed on one: they fail the job. Of a source, it is about input that is no record.
type TrapPolicy string

const (
	FailJob    TrapPolicy = "fail"       // the job fails (default)
	Skip       TrapPolicy = "skip"       // it is left out, counted and logged
	DeadLetter TrapPolicy = "deadLetter" // the same, and told of in DeadLetters
)

// OnTrap sets the operator's policy. With DeadLetter, somebody must take its DeadLetters.
func (s *Stream[T]) OnTrap(p TrapPolicy) *Stream[T] {
	s.op.onTrap = string(p)
	return s
}

// DeadLetters is a stream of what the operator has left out: once each, like every record. Its policy must be DeadLetter.
func (s *Stream[T]) DeadLetters() *Stream[Letter] { return deadLetters(s.env, s.op) }

// OnTrap sets the policy of the key function. With DeadLetter, somebody must take its DeadLetters.
func (s *KeyedStream[K, V]) OnTrap(p TrapPolicy) *KeyedStream[K, V] {
	s.op.onTrap = string(p)
	return s
}

// DeadLetters is a stream of the records that the key function has left out: once each. Its policy must be DeadLetter.
func (s *KeyedStream[K, V]) DeadLetters() *Stream[Letter] { return deadLetters(s.env, s.op) }

func deadLetters(e *Env, o *operator) *Stream[Letter] {
	if o.onTrap != string(DeadLetter) || o.function == nil && o.kind != kindSource {
		e.Fail("operator " + strconv.Quote(o.name) + ": DeadLetters (expected a source or function with OnTrap(DeadLetter))")
	}
	side := 1 // the last one
	if o.function != nil {
		side += o.function.sideCount()
	}
	switch {
	case o.kind == kindJoin: // late records of either input lie before them
		side += 2
	case o.window != nil:
		side++
	}
	return &Stream[Letter]{env: e, op: o, side: side, codec: letters}
}

// Letter tells of one record, timer or result that was left out.
type Letter struct {
	Unit  string // "record", "timer", "result" or "input"
	Key   []byte // nil: it has none
	Cause string
	Bytes []byte // value of the record; key of a timer or result; input as it stands
}

func (Letter) rowCodec(*Env, string) any { return letters }

const letterFields = 4

var letters = codec[Letter]{
	name: "row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)", field: "row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)",
	append: appendLetter, appendKey: appendLetter,
	decode: func(p []byte) Letter {
		checkRow(p, letterFields)
		l := Letter{
			Unit:  utf8.decode(fieldOf(p, 0, false)),
			Cause: utf8.decode(fieldOf(p, 2, false)),
			Bytes: fieldOf(p, 3, false),
		}
		if binary.LittleEndian.Uint64(p)&keyIsNull == 0 {
			l.Key = fieldOf(p, 1, false)
		}
		return l
	},
}

// keyIsNull is the bit of a letter's key among those that are null.
const keyIsNull = 1 << 1

func appendLetter(dst []byte, l Letter) []byte {
	row := len(dst)
	dst = beginRow(dst, letterFields)
	dst = putField(dst, row, 0, false, utf8.append, l.Unit)
	if l.Key == nil {
		dst[row] |= keyIsNull
	} else {
		dst = putField(dst, row, 1, false, octets.append, l.Key)
	}
	dst = putField(dst, row, 2, false, utf8.append, l.Cause)
	return putField(dst, row, 3, false, octets.append, l.Bytes)
}
