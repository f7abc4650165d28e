package operator

import (
	"github.com/wasmill/wasmill/abi"
)

// windowing is how time is cut: windows of one size that begin a step apart, and slices, of which every window is made of
// whole ones. A record is kept once, in its slice, however many windows it is in. It is pure.
type windowing struct {
	size, step, slice int64 // milliseconds
	offset            int64 // of the windows that begin nearest to 0
	lateness          int64
	processing        bool  // by processing time
	gap               int64 // of sessions, 0 otherwise
}

// newWindowing reads what a graph says; a tumbling window is a sliding one whose windows do not overlap.
func newWindowing(w *abi.Window) *windowing {
	if !timed(w) {
		return nil
	}
	if w.Kind == abi.WindowAll { // it needs no event time, and ends with time
		return &windowing{size: allTime, step: allTime, slice: allTime, processing: true}
	}
	if w.Kind == SessionWindows {
		return &windowing{size: w.GapMs, step: w.GapMs, slice: w.GapMs, gap: w.GapMs, lateness: w.LatenessMs, processing: w.Time == ProcessingWindows}
	}
	c := &windowing{size: w.SizeMs, step: w.SizeMs, slice: w.SizeMs, offset: w.OffsetMs, lateness: w.LatenessMs, processing: w.Time == ProcessingWindows}
	if w.SlideMs > 0 {
		c.step = w.SlideMs
		c.slice = gcd(w.SizeMs, w.SlideMs)
	}
	return c
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// allTime is the size of a window in which all lies that is processed, in milliseconds.
const allTime = int64(1) << 60

// sliding says whether a window has more than one slice.
func (c *windowing) sliding() bool { return c.slice != c.size }

// floor is the latest time, at or before t, that is a multiple of n away from the offset.
func (c *windowing) floor(t, n int64) int64 {
	into := (t%n - c.offset%n) % n
	if into < 0 {
		into += n
	}
	if t < abi.MinTime+1+into {
		return abi.MinTime + 1
	}
	return t - into
}

// bounds is the slice that t lies in; what would overflow is cut off.
func (c *windowing) bounds(t int64) (start, end int64) {
	start = c.floor(t, c.slice)
	return start, after(start, c.slice)
}

// after is t and n behind it, cut off at the end of time.
func after(t, n int64) int64 {
	if t > abi.MaxTime-n {
		return abi.MaxTime
	}
	return t + n
}

// last is the end of the last window that a slice is in.
func (c *windowing) last(slice int64) int64 { return after(c.floor(slice, c.step), c.size) }

// first is the end of the first window that a slice is in.
func (c *windowing) first(slice int64) int64 {
	start := c.floor(max(slice, abi.MinTime+c.size)-c.size+c.slice+c.step-1, c.step) // the first that is not before its end - size
	return after(start, c.size)
}

// next is the end of the first window behind the one that ends at end.
func (c *windowing) next(end int64) int64 { return after(end, c.step) }

// upcoming is the end of the first window that a slice is in and that fires behind a watermark; false: there is none.
func (c *windowing) upcoming(slice, passed int64) (end int64, ok bool) {
	end = c.first(slice)
	if end-1 <= passed {
		start := c.floor(passed+1-c.size, c.step) // of the last that has fired
		end = c.next(after(start, c.size))
	}
	return end, end <= c.last(slice)
}

// over says whether the watermark has passed the last window that a slice is in, and what is allowed behind it.
func (c *windowing) over(slice, watermark int64) bool {
	return after(c.last(slice), c.lateness)-1 <= watermark
}
