package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a windower does with sliding windows that records never leave before they end: a record is kept once, in the one list that a key
// has, and a window cuts its own out of that by their time. Nothing is kept of a window but what its function has put. Of each
// key a timer is set for the first window to end that has records of it, and when that has fired for the next one.

// sharing is what is found of a key's list when it is read.
type sharing struct {
	taken []uint32 // records of the batch, not in the list yet
	due   int64    // when something is to be done by the clock of the windows
	over  int      // bytes of elements that no window takes any more
	by    *cell    // whose reading it is from, nil: the list was not read
}

// sharesRecords says whether sliding windows can do with one list: each has all that came for its time, whenever it fires.
func sharesRecords(w *abi.Window, t *trigger) bool {
	byEnd := t.ends && t.every == 0
	return w.Kind == SlidingWindows && byEnd && !t.purging && w.Evictor == nil
}

// takeShared has the lists of keys take records until a window fires: one that has fired already, and gets another record.
func (w *windower) takeShared() (more bool, err error) {
	for i := range w.keys {
		k := &w.keys[i]
		for fired := false; len(k.rows) > 0 && !fired; {
			row := int(k.rows[0])
			k.rows = k.rows[1:]
			if fired, err = w.share(i, row); err != nil {
				return false, err
			}
		}
		more = more || len(k.rows) > 0
	}
	return more, nil
}

// share gives a record to the list of its key, and says whether windows fire with it.
func (w *windower) share(number, row int) (fired bool, err error) {
	k, t := &w.keys[number], w.placeOf(row)
	if t == abi.NoTimestamp {
		return false, errNoTimestamp
	}
	slice, _ := w.window.bounds(t)
	if w.window.over(slice, k.passed) {
		w.isLate(row)
		return false, nil
	}
	k.taken = append(k.taken, uint32(row))
	k.due = min(k.due, w.dueOf(slice, k.passed))
	if w.window.lateness == 0 {
		return false, nil
	}
	for end := w.window.first(slice); end-1 <= k.passed && end <= w.window.last(slice); end = w.window.next(end) {
		if after(end, w.window.lateness)-1 > k.passed {
			c, err := w.cellAt(number, span{shift(end, -w.window.size), end})
			if err != nil {
				return false, err
			}
			c.now, c.timing, fired = w.trigger.firing(true), abi.GroupLate, true
		}
		if end == abi.MaxTime {
			break
		}
	}
	return fired, nil
}

// dueOf is when something is to be done about the records of a slice: a window of theirs fires, or no window takes them any more.
func (w *windower) dueOf(slice, passed int64) int64 {
	if end, ok := w.window.upcoming(slice, passed); ok {
		return end - 1
	}
	return after(w.window.last(slice), w.window.lateness) - 1
}

// cellAt is the cell of one of a key's windows.
func (w *windower) cellAt(number int, s span) (*cell, error) {
	k := &w.keys[number]
	if i := slices.IndexFunc(k.all, func(c *cell) bool { return c.span == s }); i >= 0 {
		return k.all[i], nil
	}
	c, _, err := w.cellOf(s, w.open[0].table, k.entry, state.Global, nil)
	if err != nil {
		return nil, err
	}
	c.of = number
	k.all = append(k.all, c)
	return c, nil
}

// gatherShared adds what the keys have taken to their lists.
func (w *windower) gatherShared() error {
	for i := range w.keys {
		k := &w.keys[i]
		if err := w.append(&k.list, k.taken); err != nil {
			return err
		}
		k.taken = k.taken[:0]
	}
	return nil
}

// expireShared has windows fire whose timers are due.
func (w *windower) expireShared(clock int) error {
	if clock != w.shape.own {
		return nil // none is set
	}
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
		time, fired := w.expired[i].time, k.passed
		k.armed[clock], k.passed = never, max(k.passed, time)
		end := time + 1
		start := shift(end, -w.window.size)
		c, err := w.cellAt(len(w.keys)-1, span{start, end})
		if err != nil {
			return err
		}
		if time > fired && w.window.floor(start, w.window.step) == start || end == abi.MaxTime {
			c.now, c.timing = w.trigger.firing(true), 0
		}
	}
	return nil
}

// lookShared reads the lists that something is due of and that did not fire.
func (w *windower) lookShared() error {
	w.lists, w.some = w.lists[:0], w.some[:0]
	for _, c := range w.cells {
		if w.keys[c.of].by == nil {
			w.lists, w.some = append(w.lists, w.listOf(c)), append(w.some, c)
			w.look(c)
		}
	}
	cells := w.some
	return w.elements.scan(w.lists, func(i int, e *element) bool {
		w.see(cells[i], e)
		return true
	})
}

// look begins a reading of a cell's list, which tells of its key if it is the first.
func (w *windower) look(c *cell) {
	if !w.shape.shared {
		return
	}
	if k := &w.keys[c.of]; k.by == nil || k.by == c {
		k.by, k.due, k.over = c, never, 0
	}
}

// see takes note of an element of a list that is read.
func (w *windower) see(c *cell, e *element) {
	if !w.shape.shared || w.keys[c.of].by != c {
		return
	}
	k := &w.keys[c.of]
	slice, _ := w.window.bounds(e.place)
	if w.window.over(slice, k.passed) {
		k.over += elementBytes + len(e.value)
		return
	}
	k.due = min(k.due, w.dueOf(slice, k.passed))
}

// forgetShared removes, when they are half of a list, the elements that no window takes any more, and what is kept of windows that take
// none or have nothing.
func (w *windower) forgetShared(k *sessionsOf) error {
	k.all = slices.DeleteFunc(k.all, func(c *cell) bool {
		return w.isOver(c, k.passed) || !slices.ContainsFunc(c.mark.states, func(s []byte) bool { return s != nil })
	})
	if k.by == nil || k.over == 0 || 2*k.over < k.list.bytes {
		return nil
	}
	return w.elements.sift(&k.list, func(e *element) bool {
		slice, _ := w.window.bounds(e.place)
		return !w.window.over(slice, k.passed)
	})
}
