package operator

import (
	"fmt"
	"math"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// decision is what becomes of a window: bits, numbered as abi.TriggerDecision has them.
type decision uint8

const (
	fires  = decision(abi.TriggerFire)  // it has a result
	purges = decision(abi.TriggerPurge) // behind that, what it has is dropped
)

// trigger says when windows fire, with what it keeps in the mark of each. It is pure. A trigger of the guest's says nothing here.
type trigger struct {
	kind      string
	count     uint64
	every     int64
	threshold float64
	measured  *field.Field
	purging   bool
	ends      bool // it fires by the end of its window, on the clock of the window
	foreign   bool // it looks at the clock, and the window's time is another
}

// newTrigger reads what a window says, by its time without a trigger.
func newTrigger(w *abi.Window, value abi.Codec) (t trigger, err error) {
	own := abi.TriggerEventTime
	switch {
	case w.Kind == "global":
		own = abi.TriggerNever
	case w.Time == ProcessingWindows:
		own = abi.TriggerProcessingTime
	}
	given := w.Trigger
	switch {
	case w.Kind == CountWindows:
		given = &abi.Trigger{Kind: abi.TriggerCount, Count: w.Count, Purging: true}
		if w.CountSlide > 0 {
			given = &abi.Trigger{Kind: abi.TriggerCount, Count: w.CountSlide}
		}
	case given == nil:
		given = &abi.Trigger{Kind: own}
	}
	t = trigger{kind: given.Kind, count: uint64(given.Count), every: given.EveryMs, purging: given.Purging}
	clock := t.kind == abi.TriggerProcessingTime || t.kind == abi.TriggerContinuousProcessingTime
	t.foreign = clock && w.Time != ProcessingWindows
	t.ends = (clock || t.kind == abi.TriggerEventTime || t.kind == abi.TriggerContinuousEventTime) && !t.foreign
	if t.kind == abi.TriggerDelta {
		t.measured, t.threshold, err = measure(value, given.Field, given.Threshold)
	}
	return t, err
}

// byEnd makes it one that fires by the end of its window, as it does, and not before.
func (t *trigger) byEnd() {
	switch t.every = 0; t.kind {
	case abi.TriggerContinuousEventTime:
		t.kind = abi.TriggerEventTime
	case abi.TriggerContinuousProcessingTime:
		t.kind = abi.TriggerProcessingTime
	}
}

// measure is what distances are told of, and how far is far.
func measure(value abi.Codec, name, threshold string) (*field.Field, float64, error) {
	f, err := field.Find(value, name)
	if err != nil {
		return nil, 0, err
	}
	n, err := strconv.ParseFloat(threshold, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("threshold %q: %w", threshold, err)
	}
	return f, n, nil
}

// numberIn is the number in a value, NaN for none.
func numberIn(f *field.Field, value []byte) (float64, error) {
	word, state := f.Word(value)
	switch {
	case state == field.Broken:
		return 0, errNoRow
	case state == field.Null:
		return math.NaN(), nil
	case f.Type == abi.TypeF64:
		return math.Float64frombits(word), nil
	}
	return float64(int64(word)), nil
}

// moment is when a trigger is asked, by both clocks: what the watermark has passed, and what the clock shows.
type moment struct{ passed, now int64 }

// record answers for a record that a window has taken.
func (t *trigger) record(m *mark, w span, time int64, value []byte, at moment) (decision, error) {
	switch t.kind {
	case abi.TriggerEventTime:
		return t.firing(w.end-1 <= at.passed), nil
	case abi.TriggerProcessingTime:
		if t.foreign {
			m.set(ProcessingTime, w.end-1)
		}
	case abi.TriggerCount:
		if m.records++; m.records >= t.count {
			m.records = 0
			return t.firing(true), nil
		}
	case abi.TriggerContinuousEventTime:
		if w.end-1 <= at.passed {
			return t.firing(true), nil
		}
		if time == abi.NoTimestamp {
			return 0, errNoTimestamp
		}
		if m.next == never {
			t.again(m, w, EventTime, multiple(time, t.every))
		}
	case abi.TriggerContinuousProcessingTime:
		if m.next == never {
			t.again(m, w, ProcessingTime, multiple(at.now, t.every))
		}
	case abi.TriggerDelta:
		n, err := numberIn(t.measured, value)
		if err != nil {
			return 0, err
		}
		if math.IsNaN(m.last) {
			m.last = n
		} else if math.Abs(n-m.last) > t.threshold {
			m.last = n
			return t.firing(true), nil
		}
	}
	return 0, nil
}

// timer answers for a timer of a clock, which is in the mark no more, or for the end of the window on its own clock.
func (t *trigger) timer(m *mark, w span, clock int, time int64) decision {
	if t.ends && time == w.end-1 {
		return t.firing(true)
	}
	switch {
	case t.kind == abi.TriggerProcessingTime:
		return t.firing(clock == ProcessingTime && time == w.end-1)
	case (t.kind == abi.TriggerContinuousEventTime || t.kind == abi.TriggerContinuousProcessingTime) && time == m.next:
		t.again(m, w, clock, time)
		return t.firing(true)
	}
	return 0
}

// merged makes m the mark of windows that have become w, of which it was one; the timers of all are gone. Where the end has been
// passed no steps are left to be made.
func (t *trigger) merged(m *mark, w span, from []*mark, passed int64) {
	next := m.next
	for _, o := range from {
		m.records += o.records
		next = min(next, o.next)
	}
	m.next = never
	switch {
	case t.kind == abi.TriggerProcessingTime && t.foreign:
		m.set(ProcessingTime, w.end-1)
	case next == never || t.kind == abi.TriggerContinuousEventTime && w.end-1 <= passed:
	case t.kind == abi.TriggerContinuousEventTime:
		t.at(m, w, EventTime, next)
	case t.kind == abi.TriggerContinuousProcessingTime:
		t.at(m, w, ProcessingTime, next)
	}
}

func (t *trigger) firing(so bool) decision {
	switch {
	case !so:
		return 0
	case t.purging:
		return fires | purges
	}
	return fires
}

// again has a continuous trigger fire a step behind a time.
func (t *trigger) again(m *mark, w span, clock int, time int64) {
	t.at(m, w, clock, after(time, t.every))
}

// at has it fire at a time, at the latest at the end of the window, which needs no timer.
func (t *trigger) at(m *mark, w span, clock int, time int64) {
	m.next = time
	if t.ends && time >= w.end-1 {
		m.next = w.end - 1
		return
	}
	m.set(clock, time)
}

// multiple is the last multiple of n that is not behind t.
func multiple(t, n int64) int64 {
	into := t % n
	if into < 0 {
		into += n
	}
	return t - into
}
