package wasmill

import "time"

// TimeWindow cuts time into pieces, in whole milliseconds.
type TimeWindow struct {
	size, slide, offset, gap, lateness time.Duration
	processing                         bool

	count, countSlide int // of windows of records
	all               bool

	global, session, sliding bool
	gapOf                    string // function
	trigger                  *Trigger
	evictor                  *evictor
}

// Global is one window of all records of a key. It has no end, and has results by a trigger only.
func Global() TimeWindow { return TimeWindow{global: true} }

// FullWindow is one window of all records of a key, whose input must end: it has its result then. In batch mode that is when the key's
// records have been read.
func FullWindow() TimeWindow {
	atEnd := AtEventTime().Purging() // event time ends with the input
	return TimeWindow{global: true, trigger: &atEnd}
}

// Tumbling is windows of a size, one behind the other. They begin at multiples of it.
func Tumbling(size time.Duration) TimeWindow { return TimeWindow{size: size} }

// Sliding is windows of a size that begin every slide: a record is in size/slide of them. What they cost does not grow with
// that number.
func Sliding(size, slide time.Duration) TimeWindow {
	return TimeWindow{size: size, slide: slide, sliding: true}
}

// Session is windows with a longer silence than the gap between two of a key.
func Session(gap time.Duration) TimeWindow { return TimeWindow{gap: gap, session: true} }

// Offset has windows begin so long behind the multiples, or before them if it is negative.
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
	case w.global:
		kind = "global"
	case w.session:
		kind = "session"
	case w.sliding:
		kind = "sliding"
	}
	out.text("kind", kind)
	cut := "Tumbling"
	if w.sliding {
		cut = "Sliding"
	}
	out.numberOr("sizeMs", out.millis(cut, w.size))
	out.numberOr("slideMs", out.millis("the slide of Sliding", w.slide))
	out.numberOr("offsetMs", out.millis("Offset", w.offset))
	out.numberOr("gapMs", out.millis("Session", w.gap))
	out.textOr("gap", w.gapOf)
	out.numberOr("count", int64(w.count))
	out.numberOr("countSlide", int64(w.countSlide))
	if w.processing {
		out.text("time", "processing")
	}
	out.numberOr("latenessMs", out.millis("AllowedLateness", w.lateness))
	if t := w.trigger; t != nil {
		out.object("trigger", func() { t.write(out) })
	}
	if e := w.evictor; e != nil {
		out.object("evictor", func() { e.write(out) })
	}
}

func (t *Trigger) write(out *jsonWriter) {
	out.text("kind", t.kind)
	out.numberOr("count", int64(t.count))
	out.numberOr("everyMs", out.millis("the trigger", t.every))
	out.textOr("threshold", t.threshold)
	out.textOr("field", string(t.field))
	out.textOr("function", t.function)
	out.flagOr("purging", t.purging)
}

func (e *evictor) write(out *jsonWriter) {
	out.text("kind", e.kind)
	out.numberOr("count", int64(e.count))
	out.numberOr("keepMs", out.millis("EvictTime", e.keep))
	out.textOr("threshold", e.threshold)
	out.textOr("field", string(e.field))
	out.textOr("function", e.function)
	out.flagOr("after", e.after)
}

// special says whether the window does more than hosts did at first.
func (w *TimeWindow) special() bool {
	return w.global || w.gapOf != "" || w.trigger != nil || w.evictor != nil
}

// WindowAll cuts all records into windows, whatever their key would be: one subtask has them all.
func WindowAll[T any](in *Stream[T], name string, w TimeWindow) *WindowedStream[int64, T] {
	all := KeyBy(in, name, func(T) int64 { return 0 }).Window(w)
	all.all = true
	return all
}
