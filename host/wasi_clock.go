package host

import "encoding/binary"

// firstTime is what the clock shows before the first batch, in milliseconds. It is not 0, which Go guests refuse.
const firstTime = 1000

// clock is the time that a guest sees: the processing time of its batch, and within a call no time passes, except that
// a guest that waits sees the time pass that it waited for. So a sleep ends, at once.
type clock struct {
	wall      int64 // nanoseconds since the Unix epoch
	monotonic int64 // nanoseconds; the largest that wall has been, so that it never goes back
}

func (c *clock) set(milliseconds int64) {
	c.wall = milliseconds * 1e6
	c.monotonic = max(c.monotonic, c.wall)
}

func (c *clock) pass(nanoseconds int64) {
	c.wall += nanoseconds
	c.monotonic += nanoseconds
}

const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockLast      = 3 // process and thread CPU time, which show what the monotonic clock does
)

// clockResGet writes the resolution of a clock: a millisecond, as 8 bytes in nanoseconds.
//
//	clock_res_get(id i32, out ptr) -> errno
var clockResGet = wasiFunction("clock_res_get", "ii", func(i *Instance, p []uint64) errno {
	if uint32(p[0]) > clockLast {
		return errnoInval
	}
	binary.LittleEndian.PutUint64(i.view("clock_res_get", uint32(p[1]), 8), 1e6)
	return errnoSuccess
})

// clockTimeGet writes what a clock shows, 8 bytes in nanoseconds.
//
//	clock_time_get(id i32, precision i64, out ptr) -> errno
//
// For example, in a call with processing time 1,000 ms, clock_time_get(0, 1, 64) writes 00 ca 9a 3b 00 00 00 00 to 64.
var clockTimeGet = wasiFunction("clock_time_get", "ili", func(i *Instance, p []uint64) errno {
	now := i.wasi.clock.monotonic
	switch id := uint32(p[0]); {
	case id > clockLast:
		return errnoInval
	case id == clockRealtime:
		now = i.wasi.clock.wall
	}
	binary.LittleEndian.PutUint64(i.view("clock_time_get", uint32(p[2]), 8), uint64(now))
	return errnoSuccess
})

const (
	subscriptionBytes = 48
	eventBytes        = 32

	subscribedClock  = 0 // tag of a subscription
	subscriptionAbs  = 1 // flag: the time-out is a point in time
	maxSubscriptions = 1024
)

// pollOneoff answers at once that everything subscribed to has happened, and lets the clock go on by the longest time
// that was to be waited for.
//
//	poll_oneoff(in ptr, out ptr, n i32, events ptr) -> errno
//
// A subscription has 48 bytes: 0 u64 user data, 8 u8 tag (0 clock), 16 u32 clock id, 24 u64 time-out, 32 u64 precision,
// 40 u16 flags. An event has 32: 0 u64 user data, 8 u16 errno, 10 u8 tag, 16 u64 bytes, 24 u16 flags.
//
// For example, poll_oneoff(64, 128, 1, 192) with a clock subscription of 5,000,000 ns writes one event with its user
// data to 128 and 1 to 192, and the clocks show 5 ms more.
var pollOneoff = wasiFunction("poll_oneoff", "iiii", func(i *Instance, p []uint64) errno {
	n := uint32(p[2])
	if n == 0 || n > maxSubscriptions {
		return errnoInval
	}
	in := i.view("poll_oneoff subscriptions", uint32(p[0]), n*subscriptionBytes)
	out := i.view("poll_oneoff events", uint32(p[1]), n*eventBytes)
	count := i.view("poll_oneoff count", uint32(p[3]), 4)
	le := binary.LittleEndian
	var wait int64
	for k := range int(n) {
		s, e := in[k*subscriptionBytes:][:subscriptionBytes], out[k*eventBytes:][:eventBytes]
		user, tag := le.Uint64(s), s[8]
		if tag == subscribedClock {
			wait = max(wait, i.wasi.clock.until(le.Uint32(s[16:]), le.Uint64(s[24:]), le.Uint16(s[40:])))
		}
		clear(e)
		le.PutUint64(e, user)
		e[10] = tag
	}
	le.PutUint32(count, n)
	i.wasi.clock.pass(wait)
	return errnoSuccess
})

// maxWait bounds how far one wait moves the clock: a year.
const maxWait = 365 * 24 * 3600 * int64(1e9)

// until returns how many nanoseconds a subscription to a clock waits.
func (c *clock) until(id uint32, timeout uint64, flags uint16) int64 {
	wait := int64(min(timeout, 1<<62))
	if flags&subscriptionAbs != 0 {
		if id == clockRealtime {
			wait -= c.wall
		} else {
			wait -= c.monotonic
		}
	}
	return min(max(wait, 0), maxWait)
}
