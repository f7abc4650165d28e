package wasmill

import (
	"strconv"
	"time"
)

// First keeps the first n records of each key to come, and drops the others. The operator keeps how many of a key there were: it
// needs a UID. For the n that are smallest or largest by a field, there are Bottom and Top.
func (s *KeyedStream[K, V]) First(name string, n int) *Stream[V] { return first(s, name, n, 0) }

// First keeps the first n records to come, of all: one subtask has them. The operator keeps state: it needs a UID.
func First[T any](in *Stream[T], name string, n int) *Stream[T] {
	one := KeyBy(in, name+" of all", func(T) string { return "" })
	return first(one, name, n, 0).Parallelism(1)
}

// Distinct keeps the first record of each key to come, and drops the others. With forget, a key is new again so long after that
// record came, by processing time. The operator keeps each key that it has seen: it needs a UID.
func (s *KeyedStream[K, V]) Distinct(name string, forget ...time.Duration) *Stream[V] {
	if len(forget) > 1 {
		s.env.Fail("distinct " + strconv.Quote(name) + ": " + strconv.Itoa(len(forget)) + " times to forget a key (expected one at most)")
	}
	ttl := time.Duration(0)
	if len(forget) > 0 {
		if ttl = forget[0]; ttl < time.Millisecond || fraction("", ttl) != "" {
			s.env.Fail("distinct " + strconv.Quote(name) + ": a key is forgotten after " + ttl.String() + " (expected whole milliseconds, at least one)")
		}
	}
	return first(s, name, 1, ttl)
}

// Distinct keeps one of all records that are equal, the first to come. The operator keeps state: it needs a UID.
func Distinct[T any](in *Stream[T], name string, forget ...time.Duration) *Stream[T] {
	return keyByValue(in, name+" by value").Distinct(name, forget...)
}

// keyByValue has the records be their own keys: the host sees to it where it knows the bytes of both.
func keyByValue[T any](in *Stream[T], name string) *KeyedStream[T, T] {
	switch in.codec.name {
	case utf8.name, octets.name, i64.name, f64.name:
		return KeyByFields[T](in, name, "")
	}
	return KeyBy(in, name, func(v T) T { return v })
}

func first[K, V any](in *KeyedStream[K, V], name string, n int, ttl time.Duration) *Stream[V] {
	if n < 1 {
		in.env.Fail("first " + strconv.Quote(name) + ": " + strconv.Itoa(n) + " records (expected >= 1)")
	}
	came := NewValueState[int64](in.env, "came").TTL(ttl)
	in.unwindowed("first", name)
	p := &processing{name: name, key: in.key.name, inputs: []string{in.value.name}, states: []State{came}}
	return process(in.env, p, edgesOf([]*operator{in.op}), in.value, withKey(in.key, nil, nil, eachOf(in.value, func(c *Context[K, V], v V) {
		if k := came.GetOr(0); k < int64(n) {
			came.Set(k + 1)
			c.Emit(v)
		}
	})))
}
