package state

import (
	"math"

	"github.com/wasmill/wasmill/abi"
)

// Clock is a time, in milliseconds, by which entries expire.
type Clock struct {
	Now int64 // entries whose time is up have ended; it never goes back
	At  int64 // what is written from now on lives for its TTL from here
}

// expiry is when what is written now ends. In files 0 is never and nothing is below it: what would end before 1970 ends then.
func (c *Clock) expiry(ttl int64) int64 {
	if c.At > math.MaxInt64-ttl {
		return math.MaxInt64
	}
	return max(c.At+ttl, 1)
}

// EventTime implements Store.
func (h *hot) EventTime(operator string) *Clock {
	c := h.events[operator]
	if c == nil {
		c = &Clock{Now: abi.MinTime, At: abi.MinTime}
		h.events[operator] = c
	}
	return c
}

// Watermarks implements Store.
func (h *hot) Watermarks() map[string]int64 {
	var all map[string]int64
	for operator, c := range h.events {
		if all == nil {
			all = make(map[string]int64, len(h.events))
		}
		all[operator] = c.Now
	}
	return all
}

// clockOf is what the entries of a state expire by.
func (h *hot) clockOf(s Spec) *Clock {
	if s.Event {
		return h.EventTime(s.Operator)
	}
	return &h.clock
}
