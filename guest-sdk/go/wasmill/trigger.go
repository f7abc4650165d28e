package wasmill

import (
	"encoding/binary"
	"strconv"
	"time"
)

// Trigger says when windows have results, where that is not at their end alone.
type Trigger struct {
	kind      string
	count     int
	every     time.Duration
	threshold string
	field     Field
	function  string
	purging   bool
}

// AtEventTime has a window fire when the watermark has passed its end, and again for late records: what windows do without a
// trigger.
func AtEventTime() Trigger { return Trigger{kind: "eventTime"} }

// AtProcessingTime has a window fire when the clock has passed its end.
func AtProcessingTime() Trigger { return Trigger{kind: "processingTime"} }

// AtCount has a window fire when so many records have come since it last did, and not at its end.
func AtCount(n int) Trigger { return Trigger{kind: "count", count: n} }

// EveryEventTime has a window fire when the watermark passes a multiple of d, and at its end.
func EveryEventTime(d time.Duration) Trigger { return Trigger{kind: "continuousEventTime", every: d} }

// EveryProcessingTime has a window fire when the clock passes a multiple of d.
func EveryProcessingTime(d time.Duration) Trigger {
	return Trigger{kind: "continuousProcessingTime", every: d}
}

// AtDelta has a window fire when a field of a record is further than threshold from that of the record for which it last did, or
// the first. Without a name the value is the number.
func AtDelta(threshold float64, field Field) Trigger {
	return Trigger{kind: "delta", threshold: strconv.FormatFloat(threshold, 'g', -1, 64), field: field}
}

// Purging has what a window has leave with each result.
func (t Trigger) Purging() Trigger {
	t.purging = true
	return t
}

// Trigger says when the windows have results. What is due then by the trigger before it is not any more.
func (s *WindowedStream[K, V]) Trigger(t Trigger) *WindowedStream[K, V] {
	w := *s
	w.window.trigger = &t
	return &w
}

// Decision is what a trigger says of a window.
type Decision byte

const (
	Continue     Decision = 0
	Fire         Decision = 1 // it has a result
	Purge        Decision = 2 // what it has is dropped
	FireAndPurge Decision = 3
)

// TriggerFunction is the user's own trigger. It is asked about each record that a window takes, about each timer that it has
// set for the window, and when sessions have become one. Its states are values of a key in one window.
type TriggerFunction[V any] struct {
	States []State
	Record func(c *TriggerContext, value V) Decision
	Timer  func(c *TriggerContext, t Timer) Decision // nil: it sets no timers
	// Merged is called when sessions have become one. A ReducingState is that of all of them by then, another state is not set:
	// Merged of it lists what it was. Their timers are gone. Nil: nothing is to be done.
	Merged func(c *TriggerContext)
}

// TriggerBy has f say when the windows have results.
func (s *WindowedStream[K, V]) TriggerBy(name string, f TriggerFunction[V]) *WindowedStream[K, V] {
	values := s.keyed.value
	p := &processing{name: name, key: s.keyed.key.name, inputs: []string{values.name}, scoped: f.States, timers: f.Timer != nil}
	fn := &function{name: name, kind: kindTrigger, input: values.name, key: s.keyed.key.name, processing: p}
	fn.keyed = func(b *binding) (groupRunner, error) {
		c := &TriggerContext{run: newProcessRun(b, p)}
		return func(verb uint32, h callHeader, in []byte) error {
			if verb != verbTrigger {
				return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a trigger"}
			}
			c.run.groupsOf(h, in, func() { decide(c, &f, values) })
			return nil
		}, nil
	}
	s.keyed.env.callable(fn)
	return s.Trigger(Trigger{kind: "guest", function: name})
}

// Purging has what a window has leave with each result of the trigger that was given.
func (s *WindowedStream[K, V]) Purging() *WindowedStream[K, V] {
	if s.window.trigger == nil {
		return s.Trigger(AtEventTime().Purging())
	}
	return s.Trigger(s.window.trigger.Purging())
}

// TriggerContext is what a trigger has at hand: the window, the times, and its states. It is valid during the call.
type TriggerContext struct {
	run       *processRun
	decisions []byte
}

// Window is the window at hand, an empty one if it has no end.
func (c *TriggerContext) Window() Window { return c.run.groups.header.window }

// Timestamp is the event time of the record, NoTimestamp if it has none.
func (c *TriggerContext) Timestamp() int64 { return c.run.scope.time.now }

// Watermark is the event time that has been reached.
func (c *TriggerContext) Watermark() int64 { return c.run.header.watermark }

// Now is the processing time of the call.
func (c *TriggerContext) Now() time.Time { return time.UnixMilli(c.run.header.processing) }

// SetTimer has Timer called for the window when the watermark reaches the time. The same time again is one timer.
func (c *TriggerContext) SetTimer(milliseconds int64) {
	c.run.setTimer(actionSetTimer, eventClock, milliseconds)
}

// DeleteTimer takes back a SetTimer; nothing happens if there was none.
func (c *TriggerContext) DeleteTimer(milliseconds int64) {
	c.run.setTimer(actionDeleteTimer, eventClock, milliseconds)
}

// SetProcessingTimer has Timer called for the window at a time of the clock.
func (c *TriggerContext) SetProcessingTimer(milliseconds int64) {
	c.run.setTimer(actionSetTimer, processingClock, milliseconds)
}

// DeleteProcessingTimer takes back a SetProcessingTimer.
func (c *TriggerContext) DeleteProcessingTimer(milliseconds int64) {
	c.run.setTimer(actionDeleteTimer, processingClock, milliseconds)
}

// decide has a trigger answer for a group.
func decide[V any](c *TriggerContext, f *TriggerFunction[V], values codec[V]) {
	g := &c.run.groups
	c.decisions = c.decisions[:0]
	switch flags := g.header.flags; {
	case flags&groupMerged != 0:
		c.run.merged()
		if f.Merged != nil {
			f.Merged(c)
		}
		return
	case flags&groupHasTimer != 0:
		t := Timer{Time: g.header.timer, Processing: flags&groupTimerProcessing != 0}
		if !t.Processing {
			c.run.scope.time.now = t.Time
		}
		c.decisions = append(c.decisions, byte(f.Timer(c, t)))
	default:
		for i := range g.records.n {
			c.run.scope.time.now = g.timestamp(&g.records, i)
			c.decisions = append(c.decisions, byte(f.Record(c, values.decode(g.value(&g.records, i)))))
		}
	}
	c.run.act(actionTrigger, c.decisions)
}

// EvictBy has f say which values of a window stay: keep is called with the place in values of each. It is asked before the window
// function, or with after behind it.
func (s *WindowedStream[K, V]) EvictBy(name string, after bool, f func(w Window, values []V, keep func(i int))) *WindowedStream[K, V] {
	values := s.keyed.value
	var all []V
	var bits []byte
	fn := s.asked(name, kindEvict, verbEvict, func(g *groupReader) (uint16, []byte) {
		all, bits = all[:0], append(bits[:0], make([]byte, (g.records.n+7)/8)...)
		for i := range g.records.n {
			all = append(all, values.decode(g.value(&g.records, i)))
		}
		f(g.header.window, all, func(i int) { bits[i/8] |= 1 << (i % 8) })
		return actionKeep, bits
	})
	return s.evictor(evictor{kind: "guest", function: fn, after: after})
}

// evictor is what leaves a window.
type evictor struct {
	kind      string
	count     int
	keep      time.Duration
	threshold string
	field     Field
	function  string
	after     bool
}

func (s *WindowedStream[K, V]) evictor(e evictor) *WindowedStream[K, V] {
	w := *s
	w.window.evictor = &e
	return &w
}

// EvictCount has all values but the newest n leave a window before its function has it.
func (s *WindowedStream[K, V]) EvictCount(n int) *WindowedStream[K, V] {
	return s.evictor(evictor{kind: "count", count: n})
}

// EvictTime has values leave that are d or more behind the newest, by event time.
func (s *WindowedStream[K, V]) EvictTime(d time.Duration) *WindowedStream[K, V] {
	return s.evictor(evictor{kind: "time", keep: d})
}

// EvictDelta has values leave whose field is threshold or further from that of the last to come. Without a name the value is the
// number.
func (s *WindowedStream[K, V]) EvictDelta(threshold float64, field Field) *WindowedStream[K, V] {
	return s.evictor(evictor{kind: "delta", threshold: strconv.FormatFloat(threshold, 'g', -1, 64), field: field})
}

// EvictAfter has the evictor that was given be asked behind the window function, not before.
func (s *WindowedStream[K, V]) EvictAfter() *WindowedStream[K, V] {
	if s.window.evictor == nil {
		s.keyed.env.Fail("window of " + strconv.Quote(s.keyed.op.name) + ": EvictAfter without an evictor (expected: first EvictCount, EvictTime, EvictDelta or EvictBy)")
		return s
	}
	e := *s.window.evictor
	e.after = true
	return s.evictor(e)
}

// SessionBy is windows with a longer silence between two records of a key than gap says of the first, which is more than 0 ms.
func (s *KeyedStream[K, V]) SessionBy(name string, gap func(V) time.Duration) *WindowedStream[K, V] {
	values := s.value
	var gaps []byte
	w := s.Window(TimeWindow{})
	w.window.session = true
	w.window.gapOf = w.asked(name, kindGap, verbGap, func(g *groupReader) (uint16, []byte) {
		gaps = gaps[:0]
		for i := range g.records.n {
			d := gap(values.decode(g.value(&g.records, i)))
			if problem := fraction("the gap", d); problem != "" {
				panic(problem)
			}
			gaps = binary.LittleEndian.AppendUint64(gaps, uint64(d.Milliseconds()))
		}
		return actionGap, gaps
	})
	return w
}

// asked declares a function that answers one action a group, and returns its name.
func (s *WindowedStream[K, V]) asked(name, kind string, verb uint32, answer func(g *groupReader) (op uint16, value []byte)) string {
	fn := &function{name: name, kind: kind, input: s.keyed.value.name, key: s.keyed.key.name}
	fn.keyed = func(b *binding) (groupRunner, error) {
		var groups groupReader
		var reply replyWriter
		return func(of uint32, _ callHeader, p []byte) error {
			if of != verb {
				return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(of)) + " is not one of a function of kind " + kind}
			}
			reply.out = reply.out[:0]
			for groups.begin(p); groups.next(); {
				b.chain.record = groups.index
				groups.records.whole()
				entry := reply.open(groups.index, 1)
				op, value := answer(&groups)
				reply.action(op, 0, value)
				reply.close(entry)
			}
			hostReply(reply.out)
			b.chain.end()
			return nil
		}, nil
	}
	s.keyed.env.callable(fn)
	return name
}

// callable makes a function known that no operator runs by itself.
func (e *Env) callable(f *function) {
	f.id = uint32(len(e.functions))
	e.functions = append(e.functions, f)
}
