package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// When windows fire by a clock: at their end, and when timers of their trigger are due.

// Ticked is an Operator that looks at the clock, too.
type Ticked interface {
	// Tick does a part of what is due by the clock, and answers whether there is more.
	Tick(now int64, out *abi.Builder) (more bool, err error)
	// Next is when Tick has something to do; false: it has not.
	Next() (int64, bool)
}

// Fire implements Operator.
func (w *windower) Fire(watermark int64, out *abi.Builder) (more bool, err error) {
	defer w.forget()
	defer w.pace.end()
	if w.shape.own == EventTime {
		return w.reach(watermark, out)
	}
	if more, err = w.fireTimers(EventTime, watermark, watermark, out); more || err != nil || watermark < abi.MaxTime {
		return more, err
	}
	return w.reach(abi.MaxTime, out) // nobody would wait for them
}

// Tick implements Ticked.
func (w *windower) Tick(now int64, out *abi.Builder) (more bool, err error) {
	defer w.forget()
	defer w.pace.end()
	w.now = now
	if w.shape.own == ProcessingTime {
		return w.reach(now-1, out)
	}
	return w.fireTimers(ProcessingTime, now-1, now-1, out)
}

// Next implements Ticked. If that cannot be read it is now: who ticks meets the error, and says so.
func (w *windower) Next() (int64, bool) {
	at, err := w.timers[ProcessingTime].Next()
	if err != nil {
		return 0, true
	}
	if w.shape.own == ProcessingTime && !w.shape.keyed() {
		for _, p := range w.open {
			if !p.done {
				at = min(at, p.end-1)
			}
		}
	}
	return after(at, 1), at < abi.MaxTime
}

// Due implements Operator.
func (w *windower) Due() (int64, bool) { return 0, false }

// reach brings the clock of the windows forward, or does a part of that.
func (w *windower) reach(until int64, out *abi.Builder) (more bool, err error) {
	w.firesTo(until)
	limit := until
	p := w.ending(until)
	if p != nil {
		limit = min(until, p.end-1)
	}
	if more, err := w.fireTimers(w.shape.own, limit, until, out); more || err != nil {
		return more, err
	}
	if p != nil {
		return true, w.end(p, until, out)
	}
	if !w.shape.keyed() {
		if err := w.dropOver(until, false); err != nil {
			return false, err
		}
	}
	w.pass(until)
	if w.told != nil {
		err = w.told.Forget(until)
	}
	return false, err
}

// dropOver closes the first windows as far as they are over, or those of them that are done: in the call that has put the last of
// them out, so that no snapshot has them still.
func (w *windower) dropOver(until int64, done bool) error {
	for len(w.open) > 0 && (w.open[0].done || !done) && w.isOverPane(w.open[0], until) {
		if err := w.dropFirst(); err != nil {
			return err
		}
	}
	return nil
}

// ending is the first window whose end has been passed and that has not fired.
func (w *windower) ending(until int64) *pane {
	if w.shape.keyed() {
		return nil
	}
	for _, p := range w.open {
		end := p.end - 1
		if w.trigger.foreign && !w.shape.global { // nothing comes of it but when input ends, and then of all that is kept
			end = after(p.end, w.window.lateness) - 1
		}
		switch {
		case end > until:
			return nil
		case !p.done:
			return p
		}
	}
	return nil
}

func (w *windower) isOverPane(p *pane, until int64) bool {
	if w.shape.global {
		return until == abi.MaxTime
	}
	return w.window.over(p.start, until)
}

// dropFirst closes the first window with all that it keeps.
func (w *windower) dropFirst() error {
	ns := state.Namespace(w.open[0].start)
	if w.shape.global {
		ns = state.Global
	}
	if w.elements != nil {
		if err := w.elements.drop(ns); err != nil {
			return err
		}
	}
	return w.drop()
}

// end has some keys of a window that ends fire.
func (w *windower) end(p *pane, until int64, out *abi.Builder) error {
	asked := w.trigger.ends || w.asks.Trigger != nil || w.trigger.foreign && until == abi.MaxTime
	var fired []state.Entry
	more := false
	if asked || w.holds {
		var err error
		w.entries = entriesFor(w.entries, w.pace.of(chunk))
		if fired, more, err = w.unfired(p, w.entries); err != nil {
			return err
		}
	}
	if !more {
		if err := w.finish(p, until); err != nil {
			return err
		}
		return w.dropOver(until, true)
	}
	w.pace.keys(len(fired))
	w.questions = w.questions[:0]
	for _, e := range fired {
		c, err := w.readCell(p, e)
		if err != nil {
			return err
		}
		if asked {
			w.expire(c, w.shape.own, p.end-1, until)
		}
	}
	if err := w.askTrigger(w.questions); err != nil {
		return err
	}
	if err := w.conclude(out); err != nil {
		return err
	}
	if err := w.release(out, func(*cell) bool { return true }); err != nil {
		return err
	}
	if err := w.gone(p, fired); err != nil {
		return err
	}
	if w.isOverPane(p, until) && w.asks.Trigger == nil {
		return nil // nobody asks any more
	}
	return w.savePanes()
}

// expire settles what a window does at a time of a clock: by a trigger of the host's at once, else the user's is asked.
func (w *windower) expire(c *cell, clock int, time, until int64) {
	switch passed := w.passedFor(c); {
	case clock == w.shape.own && time == c.end-1:
		c.timing = 0
	case clock == w.shape.own && time < c.end-1 || clock != w.shape.own && passed < c.end-1:
		c.timing = abi.GroupEarly
	default:
		c.timing = abi.GroupLate
	}
	set := c.mark.take(clock, time)
	switch {
	case w.shape.global && w.trigger.every > 0 && until == abi.MaxTime && time < c.end-1: // its steps would not end: it fires by its end
	case w.asks.Trigger != nil:
		if set {
			w.questions = append(w.questions, question{cell: c, row: -1, timer: true, time: time, clock: clock})
		}
	case w.trigger.foreign && until == abi.MaxTime && clock == w.shape.own:
		c.now = w.trigger.firing(true)
		c.timing = 0
	case set || clock == w.shape.own && time == c.end-1:
		c.now = w.trigger.timer(&c.mark, c.span, clock, time)
	}
}

// fireTimers has some timers of a clock fire, those up to limit, one of each key. until is what the clock has come to.
func (w *windower) fireTimers(clock int, limit, until int64, out *abi.Builder) (more bool, err error) {
	w.expired, w.dueKeys, w.dueHashes = w.expired[:0], w.dueKeys[:0], w.dueHashes[:0]
	most := w.pace.of(fireRecords)
	seen := map[string]bool{}
	err = w.timers[clock].Due(nil, limit, func(time int64, hash uint64, key []byte) bool {
		if seen[string(key)] {
			return false
		}
		key = w.keep(key)
		seen[string(key)] = true
		w.expired = append(w.expired, dueTimer{time, hash, key})
		w.dueKeys, w.dueHashes = append(w.dueKeys, key), append(w.dueHashes, hash)
		return len(w.expired) < most
	})
	if err != nil || len(w.expired) == 0 {
		return false, err
	}
	w.pace.keys(len(w.expired))
	return true, w.fireExpired(clock, until, out)
}

// fireExpired has the timers fire that were found.
func (w *windower) fireExpired(clock int, until int64, out *abi.Builder) (err error) {
	for _, d := range w.expired {
		if err := w.timers[clock].Delete(d.time, d.hash, d.key); err != nil {
			return err
		}
	}
	w.questions = w.questions[:0]
	switch {
	case w.shape.merging:
		err = w.expireSessions(clock, until)
	case w.shape.shared:
		err = w.expireShared(clock)
	default:
		err = w.expirePanes(clock, until)
	}
	if err != nil {
		return err
	}
	if err := w.askTrigger(w.questions); err != nil {
		return err
	}
	if err := w.conclude(out); err != nil {
		return err
	}
	switch {
	case w.shape.merging:
		err = w.release(out, func(c *cell) bool { return w.isOver(c, w.keys[c.of].passed) })
	case w.shape.shared:
		err = w.lookShared()
	}
	if err != nil {
		return err
	}
	return w.save()
}

// expirePanes finds the windows that have the timers that are due.
func (w *windower) expirePanes(clock int, until int64) error {
	found := make([]state.Entry, len(w.expired))
	for _, p := range w.open {
		if err := p.table.ResolveKeys(w.dueKeys, w.dueHashes, true, found); err != nil {
			return err
		}
		for i, e := range found {
			if e == state.NoEntry || clock == w.shape.own && w.isOverPane(p, w.expired[i].time-1) {
				continue
			}
			c, err := w.readCell(p, e)
			if err != nil {
				return err
			}
			if c.mark.has(clock, w.expired[i].time) {
				w.expire(c, clock, w.expired[i].time, until)
				continue
			}
			w.cells = w.cells[:len(w.cells)-1]
			w.spare = append(w.spare, c)
		}
	}
	return nil
}

// expireSessions finds the sessions that something is due of.
func (w *windower) expireSessions(clock int, until int64) error {
	found := make([]state.Entry, len(w.expired))
	if err := w.open[0].table.ResolveKeys(w.dueKeys, w.dueHashes, true, found); err != nil {
		return err
	}
	for i, e := range found {
		if e == state.NoEntry {
			continue
		}
		k, err := w.readSessions(e)
		if err != nil {
			return err
		}
		time := w.expired[i].time
		if k.armed[clock] = never; clock == w.shape.own {
			k.passed = max(k.passed, time)
		}
		for _, c := range k.all {
			ended := clock == w.shape.own && c.end-1 == time
			if w.trigger.foreign {
				ended = clock == w.shape.own && until == abi.MaxTime && w.isOver(c, time)
			}
			if ended || c.mark.has(clock, time) {
				w.expire(c, clock, time, until)
			}
		}
	}
	return nil
}
