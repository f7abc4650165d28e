package savepoint

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/readable"
)

// Entry is one entry of a state, readable. Keys and values are JSON by their codec, as package readable writes them; times are
// RFC 3339 in UTC.
type Entry struct {
	Group   graph.KeyGroup  `json:"group"`
	Start   json.RawMessage `json:"start,omitempty"` // of the window that it belongs to
	End     json.RawMessage `json:"end,omitempty"`   // exclusive
	Time    json.RawMessage `json:"time,omitempty"`  // that a timer is set to
	Key     json.RawMessage `json:"key,omitempty"`
	Subtask *int            `json:"subtask,omitempty"` // that has the element of a list of the operator's own scope
	SubKey  json.RawMessage `json:"subKey,omitempty"`  // of an entry of a map
	Value   json.RawMessage `json:"value,omitempty"`   // timers have none
	Version uint16          `json:"version,omitempty"`
	Expires json.RawMessage `json:"expires,omitempty"`
}

// Kinds of states, as taskmanager/state numbers them.
const (
	listState  = 3
	mapState   = 4
	timerState = 5
	pieceState = 6
)

// shape is how the entries of a state are read.
type shape struct {
	kind               uint8
	key, subKey, value abi.Codec
	version            uint16 // of value: what has another is not of that codec for certain
	window             *abi.Window
}

// shapeOf is that of a state, as its file says, and where that is silent as the graph does.
func shapeOf(g *graph.JobGraph, s *snapshot.State) shape {
	one := shape{kind: s.Kind, key: s.Key, subKey: s.SubKey, value: s.Value, version: s.Version}
	i := slices.IndexFunc(g.Operators, func(o graph.Operator) bool { return o.UID == s.Operator })
	if i < 0 {
		return one
	}
	op := &g.Operators[i]
	one.window = op.Window
	if len(op.Inputs) > 0 && one.key == "" {
		one.key = g.Operators[op.Inputs[0].From].Key
	}
	if one.value != "" {
		return one
	}
	switch op.Kind {
	case abi.OperatorProcess:
		for _, declared := range statesOf(op) {
			if declared.Name == s.Name && declared.Scope != abi.ScopeKeyed {
				one.key, one.subKey, one.value, one.version = "", declared.Key, declared.Codec, uint16(declared.Version)
			}
		}
	case abi.OperatorCount:
		one.value = abi.CodecI64
	case abi.OperatorSum:
		one.value = g.Codec(op.Inputs[0].From, op.Inputs[0].Side)
	case abi.OperatorReduce, abi.OperatorAggregate:
		if op.Declared != nil {
			one.value = op.Declared.Accumulator
		}
	}
	return one
}

func statesOf(op *graph.Operator) []abi.State {
	if op.Declared == nil {
		return nil
	}
	return op.Declared.States
}

// copied is an entry of a map of which every subtask has a copy.
func (s *shape) copied(version uint16, key, value []byte) Entry {
	codec := s.value
	if version != s.version {
		codec = abi.CodecBytes
	}
	return Entry{SubKey: readable.Value(s.subKey, key), Version: version, Value: readable.Value(codec, value)}
}

// element is one of a list of the operator's own scope.
func (s *shape) element(subtask int, version uint16, value []byte) Entry {
	codec := s.value
	if version != s.version {
		codec = abi.CodecBytes
	}
	return Entry{Subtask: &subtask, Version: version, Value: readable.Value(codec, value)}
}

func (s *shape) sample(e *snapshot.Entry) Entry {
	one := Entry{Group: e.Group, Version: e.Version}
	switch {
	case e.Namespace == math.MinInt64: // what is not cut by time
	case s.kind == timerState:
		one.Time = readable.Time(e.Namespace)
	default:
		one.Start = readable.Time(e.Namespace)
		if s.window != nil && s.window.Kind == "tumbling" && e.Namespace <= math.MaxInt64-s.window.SizeMs {
			one.End = readable.Time(e.Namespace + s.window.SizeMs)
		}
	}
	key := e.Key
	if s.kind == listState || s.kind == mapState || s.kind == pieceState {
		var sub []byte
		if key, sub, _ = snapshot.SplitKey(nil, e.Key); s.kind == mapState {
			one.SubKey = readable.Value(s.subKey, sub)
		}
	}
	one.Key = readable.Value(s.key, key)
	if s.kind != timerState {
		codec := s.value
		if e.Version != s.version {
			codec = abi.CodecBytes
		}
		one.Value = readable.Value(codec, e.Value)
	}
	if e.Expiry != 0 {
		one.Expires = readable.Time(e.Expiry)
	}
	return one
}
