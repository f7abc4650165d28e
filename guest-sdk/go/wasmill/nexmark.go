package wasmill

import (
	"slices"
	"strings"
	"time"
)

// NexmarkSource has the events of the Nexmark benchmark as rows.
type NexmarkSource[T any] struct {
	settings   []setting
	outOfOrder time.Duration
}

// Nexmark makes the events of the Nexmark benchmark; of a kind (person, auction, bid) only those, as rows of their fields, else
// rows of event_type, person, auction and bid, two of which are null. T is a type whose codec is a row; its fields are those
// that are made. The event time of a row is its dateTime, and records may come up to outOfOrder behind the newest before they
// count as late.
func Nexmark[T any](kind string, outOfOrder time.Duration) *NexmarkSource[T] {
	n := &NexmarkSource[T]{outOfOrder: outOfOrder}
	return n.With("kind", kind)
}

// With sets an option: path, limit, or a flag of `wasmill nexmark generate`, such as events.
func (n *NexmarkSource[T]) With(option, value string) *NexmarkSource[T] {
	n.settings = append(n.settings, setting{option, value})
	return n
}

func (n *NexmarkSource[T]) source(e *Env) (*connector, codec[T]) {
	c := &connector{name: "nexmark", kind: "nexmark", watermarks: &watermarks{outOfOrder: n.outOfOrder}}
	c.config = slices.SortedFunc(slices.Values(n.settings), func(a, b setting) int { return strings.Compare(a.key, b.key) })
	return c, codecOf[T](e, "nexmark")
}
