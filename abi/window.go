package abi

import "fmt"

// WindowAll is the kind of the window of a join in which all meets that the inputs have, which end.
const WindowAll = "all"

// Window is how a keyed operator cuts time.
type Window struct {
	Kind       string   `json:"kind"`              // tumbling, sliding, session, count, global; of a join whose inputs end: all, all that they have
	SizeMs     int64    `json:"sizeMs,omitempty"`  // of tumbling and sliding ones
	SlideMs    int64    `json:"slideMs,omitempty"` // of a sliding one: how far apart windows begin
	OffsetMs   int64    `json:"offsetMs,omitempty"`
	GapMs      int64    `json:"gapMs,omitempty"`      // of sessions: the silence between two of a key
	Gap        string   `json:"gap,omitempty"`        // of sessions instead: the gap function that says how long it is behind a record
	Count      int      `json:"count,omitempty"`      // of windows of so many records of a key
	CountSlide int      `json:"countSlide,omitempty"` // of these: one ends every so many records; 0: one behind the other
	Time       string   `json:"time,omitempty"`       // event (default), processing
	LatenessMs int64    `json:"latenessMs,omitempty"` // how long behind its end a window takes late records, and is emitted again
	Trigger    *Trigger `json:"trigger,omitempty"`    // nil: it fires at its end, by its time; a global one never
	Evictor    *Evictor `json:"evictor,omitempty"`    // of a window function over all records; nil: nothing is left out
}

// Trigger is when a window has a result, beside its end.
type Trigger struct {
	Kind      string `json:"kind"`                // see TriggerEventTime and those behind it
	Count     int    `json:"count,omitempty"`     // of count: so many records since the last result
	EveryMs   int64  `json:"everyMs,omitempty"`   // of the continuous ones
	Threshold string `json:"threshold,omitempty"` // of delta: how far the field must have moved since the last result, in decimal
	Field     string `json:"field,omitempty"`     // of delta: a number of the value; empty: the value is one
	Function  string `json:"function,omitempty"`  // of guest: a trigger function
	Purging   bool   `json:"purging,omitempty"`   // what a window has leaves with each result
}

// Kinds of triggers.
const (
	TriggerEventTime                = "eventTime"      // the watermark passes the window's end
	TriggerProcessingTime           = "processingTime" // the clock does
	TriggerCount                    = "count"
	TriggerContinuousEventTime      = "continuousEventTime" // the watermark passes a multiple of every, and the end
	TriggerContinuousProcessingTime = "continuousProcessingTime"
	TriggerDelta                    = "delta"
	TriggerNever                    = "never"
	TriggerGuest                    = "guest"
)

// Evictor is what leaves a window before its function is called, or after.
type Evictor struct {
	Kind      string `json:"kind"`                // see EvictCount and those behind it
	Count     int    `json:"count,omitempty"`     // of count: so many stay, those that came last
	KeepMs    int64  `json:"keepMs,omitempty"`    // of time: those stay that are less than so far behind the newest
	Threshold string `json:"threshold,omitempty"` // of delta: those stay whose field is less than so far from that of the last to come, in decimal
	Field     string `json:"field,omitempty"`     // of delta: a number of the value; empty: the value is one
	Function  string `json:"function,omitempty"`  // of guest: an evict function
	After     bool   `json:"after,omitempty"`     // it is asked behind the function
}

// Kinds of evictors.
const (
	EvictCount = "count"
	EvictTime  = "time"
	EvictDelta = "delta"
	EvictGuest = "guest"
)

// String is for people: "sliding windows of 10000 ms, 2000 ms apart".
func (w *Window) String() string {
	text := fmt.Sprintf("%s windows of %d ms", w.Kind, w.SizeMs)
	switch {
	case w.Kind == WindowAll:
		return "all that the inputs have"
	case w.Count > 0:
		text = fmt.Sprintf("windows of %d records", w.Count)
	case w.Gap != "":
		text = fmt.Sprintf("%s windows with the gap of %q", w.Kind, w.Gap)
	case w.GapMs > 0:
		text = fmt.Sprintf("%s windows with a gap of %d ms", w.Kind, w.GapMs)
	case w.SizeMs == 0:
		text = fmt.Sprintf("%s windows", w.Kind)
	}
	if w.CountSlide > 0 {
		text += fmt.Sprintf(", one every %d", w.CountSlide)
	}
	if w.SlideMs > 0 {
		text += fmt.Sprintf(", %d ms apart", w.SlideMs)
	}
	if w.OffsetMs > 0 {
		text += fmt.Sprintf(", with offset %d ms", w.OffsetMs)
	}
	if w.Time == "processing" {
		text += ", by processing time"
	}
	if w.LatenessMs > 0 {
		text += fmt.Sprintf(", that take late records for %d ms", w.LatenessMs)
	}
	if w.Trigger != nil {
		text += ", with " + w.Trigger.String()
	}
	if w.Evictor != nil {
		text += ", with " + w.Evictor.String()
	}
	return text
}

// String is for people: "a purging trigger count of 100".
func (t *Trigger) String() string {
	text := "a trigger " + t.Kind
	if t.Purging {
		text = "a purging trigger " + t.Kind
	}
	switch {
	case t.Count > 0:
		text += fmt.Sprintf(" of %d", t.Count)
	case t.EveryMs > 0:
		text += fmt.Sprintf(" of %d ms", t.EveryMs)
	case t.Threshold != "":
		text += fmt.Sprintf(" of %s of %q", t.Threshold, t.Field)
	case t.Function != "":
		text += fmt.Sprintf(" %q", t.Function)
	}
	return text
}

// String is for people: "an evictor count of 100".
func (e *Evictor) String() string {
	text := "an evictor " + e.Kind
	switch {
	case e.Count > 0:
		text += fmt.Sprintf(" of %d", e.Count)
	case e.KeepMs > 0:
		text += fmt.Sprintf(" of %d ms", e.KeepMs)
	case e.Threshold != "":
		text += fmt.Sprintf(" of %s of %q", e.Threshold, e.Field)
	case e.Function != "":
		text += fmt.Sprintf(" %q", e.Function)
	}
	if e.After {
		text += ", behind the function"
	}
	return text
}
