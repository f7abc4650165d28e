package wasmill

import "time"

// TimeWindow cuts time into pieces, in whole milliseconds.
type TimeWindow struct {
	size, slide, offset, gap, lateness time.Duration
	processing                         bool

	count, countSlide int // of windows of records
	all               bool
}

// Tumbling is windows of a size, one behind the other. They begin at multiples of it.
func Tumbling(size time.Duration) TimeWindow { return TimeWindow{size: size} }

// Sliding is windows of a size that begin every slide: a record is in size/slide of them. What they cost does not grow with
// that number.
func Sliding(size, slide time.Duration) TimeWindow { return TimeWindow{size: size, slide: slide} }

// Session is windows with as long a silence between two of a key as the gap, or longer.
func Session(gap time.Duration) TimeWindow { return TimeWindow{gap: gap} }

// Offset has windows begin so long behind the multiples.
func (w TimeWindow) Offset(d time.Duration) TimeWindow {
	w.offset = d
	return w
}

// ProcessingTime cuts by the time at which records are processed, not by their event time. Windows that are open when a
// bounded input ends fire then.
func (w TimeWindow) ProcessingTime() TimeWindow {
	w.processing = true
	return w
}

func (w *TimeWindow) write(out *jsonWriter) {
	kind := "tumbling"
	switch {
	case w.all:
		kind = "all"
	case w.count != 0:
		kind = "count"
	case w.gap != 0:
		kind = "session"
	case w.slide != 0:
		kind = "sliding"
	}
	out.text("kind", kind)
	out.numberOr("sizeMs", w.size.Milliseconds())
	out.numberOr("slideMs", w.slide.Milliseconds())
	out.numberOr("offsetMs", w.offset.Milliseconds())
	out.numberOr("gapMs", w.gap.Milliseconds())
	out.numberOr("count", int64(w.count))
	out.numberOr("countSlide", int64(w.countSlide))
	if w.processing {
		out.text("time", "processing")
	}
	out.numberOr("latenessMs", w.lateness.Milliseconds())
}
