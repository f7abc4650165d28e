package operator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a windower does with sessions: all those of a key lie in one entry, in order, and the records of all of them in one list,
// which a session's time cuts its own out of. So that two become one costs nothing but their accumulators.

// sessionsOf is a key that the batch or a timer concerns.
type sessionsOf struct {
	entry state.Entry
	list  keptList // of the elements of all its sessions
	armed [2]int64 // by clock: when a timer comes, never: none does
	all   []*cell
	rows  []uint32 // of the batch, still to be taken

	passed int64 // what they have been brought to by their clock
	sharing
}

// The sessions of a key in the state: i64 when a timer of event time comes, i64 one of the clock, u32 length of the note of their list,
// u32 zero, that note, then of each i64 start, i64 end and its mark.
const (
	sessionsHeader = 24
	sessionSpan    = 16
)

func (w *windower) dealSessions(b *abi.Batch, hashes []uint64) error {
	p := w.open[0]
	if err := p.resolve(b, hashes); err != nil {
		return err
	}
	return w.of.each(p, func(e state.Entry, records []record) error {
		k, err := w.readSessions(e)
		if err != nil {
			return err
		}
		at := len(w.rows)
		for _, r := range records {
			w.rows = append(w.rows, r.row)
		}
		k.rows = w.rows[at:len(w.rows):len(w.rows)]
		return nil
	})
}

// readSessions makes the cells of a key's sessions.
func (w *windower) readSessions(e state.Entry) (*sessionsOf, error) {
	t := w.open[0].table
	w.keys = append(w.keys, sessionsOf{entry: e, armed: [2]int64{never, never}, passed: w.reached(t.Hash(e)), sharing: sharing{due: never},
		list: keptList{ns: state.Global, key: t.Key(e), hash: t.Hash(e)}})
	k := &w.keys[len(w.keys)-1]
	v := t.Value(e)
	if len(v) == 0 {
		return k, nil
	}
	le := binary.LittleEndian
	version := t.Version(e)
	v = w.keep(v)
	if len(v) < sessionsHeader {
		return nil, fmt.Errorf("windows of key %q: %w", t.Key(e), errMark)
	}
	listed := int(le.Uint32(v[16:]))
	if listed > len(v)-sessionsHeader {
		return nil, fmt.Errorf("windows of key %q: %w", t.Key(e), errMark)
	}
	var err error
	k.armed = [2]int64{int64(le.Uint64(v)), int64(le.Uint64(v[8:]))}
	k.passed = max(w.passedOf(k.list.hash), min(k.passed, shift(k.armed[w.shape.own], -1))) // its timers fire in their order
	if k.list.listNote, err = readNote(v[sessionsHeader : sessionsHeader+listed]); err != nil {
		return nil, fmt.Errorf("windows of key %q: %w", t.Key(e), err)
	}
	for v = v[sessionsHeader+listed:]; len(v) > 0; {
		if len(v) < sessionSpan+1 {
			return nil, fmt.Errorf("windows of key %q: %w", t.Key(e), errMark)
		}
		s := span{int64(le.Uint64(v)), int64(le.Uint64(v[8:]))}
		c, rest, err := w.cellOf(s, t, e, state.Global, v[sessionSpan:])
		if err != nil {
			return nil, err
		}
		c.of = len(w.keys) - 1
		k.all, v = append(k.all, c), rest
		if version < w.spec.Version && len(c.accs) > 0 {
			if err := w.renew(c, version); err != nil {
				return nil, err
			}
		}
	}
	return k, nil
}

// takeSessions has the sessions of each key take records until one fires. A trigger of the user's is asked about one record of
// each key at a time: the next may find other sessions.
func (w *windower) takeSessions() (more bool, err error) {
	w.questions = w.questions[:0]
	var merged []question
	for i := range w.keys {
		k := &w.keys[i]
		for len(k.rows) > 0 {
			row := k.rows[0]
			k.rows = k.rows[1:]
			c, was, err := w.join(i, int(row))
			if err != nil {
				return false, err
			}
			if c == nil {
				continue
			}
			if was != nil {
				merged = append(merged, question{cell: c, row: -1, merged: was})
			}
			c.rows = append(c.rows, row)
			if w.asks.Trigger != nil {
				c.queue, c.answer = c.rows[len(c.rows)-1:], append(c.answer[:0], byte(leftOut))
				w.questions = append(w.questions, question{cell: c})
				break
			}
			if c.now, err = w.judge(c, row, 0); err != nil {
				return false, err
			}
			if c.now != 0 {
				break
			}
		}
		more = more || len(k.rows) > 0
	}
	if w.asks.Trigger == nil {
		return more, nil
	}
	return more, w.askSessions(merged)
}

// gatherSessions adds what the sessions of each key have taken to its list, in the order in which it came.
func (w *windower) gatherSessions() error {
	for i := range w.keys {
		k := &w.keys[i]
		w.taken = w.taken[:0]
		for _, c := range k.all {
			w.taken = append(w.taken, c.rows...)
			c.rows = c.rows[len(c.rows):]
		}
		slices.Sort(w.taken)
		if err := w.append(&k.list, w.taken); err != nil {
			return err
		}
	}
	return nil
}

// askSessions asks the user's trigger about sessions that have changed, then about the records that they have taken.
func (w *windower) askSessions(merged []question) error {
	taken := w.questions
	if err := w.askTrigger(merged); err != nil {
		return err
	}
	if err := w.askTrigger(taken); err != nil {
		return err
	}
	for _, q := range taken {
		c := q.cell
		answer, row := decision(c.answer[0]), c.queue[0]
		c.queue = nil
		if answer == leftOut {
			c.rows = c.rows[:len(c.rows)-1]
			continue
		}
		var err error
		if c.now, err = w.judge(c, row, answer); err != nil {
			return err
		}
	}
	return nil
}

// join is the session that takes a record, nil: it comes too late. was is, for a trigger of the user's, what the sessions that it
// is made of have kept; nil if none has become another one.
func (w *windower) join(number, row int) (c *cell, was [][][]byte, err error) {
	k := &w.keys[number]
	t := w.placeOf(row)
	if t == abi.NoTimestamp {
		return nil, nil, errNoTimestamp
	}
	gap := w.gapOf(row)
	if gap == 0 {
		return nil, nil, nil // its function traps on it
	}
	one := span{t, after(t, gap)}
	first := 0
	for first < len(k.all) && k.all[first].end < one.start {
		first++
	}
	last := first
	for last < len(k.all) && k.all[last].start <= one.end {
		last++
	}
	whole := one
	for _, o := range k.all[first:last] {
		whole = span{min(whole.start, o.start), max(whole.end, o.end)}
	}
	if after(whole.end, w.window.lateness)-1 <= k.passed && w.shape.own == EventTime {
		w.isLate(row)
		return nil, nil, nil
	}
	if first == last {
		if c, _, err = w.cellOf(whole, w.open[0].table, k.entry, state.Global, nil); err != nil {
			return nil, nil, err
		}
		c.of = number
		k.all = slices.Insert(k.all, first, c)
		return c, nil, nil
	}
	c = k.all[first]
	if c.span == whole {
		return c, nil, nil
	}
	c.span = whole
	return c, w.unite(k, c, first, last), nil
}

// unite makes c, the first of k.all[first:last], what all of them are together.
func (w *windower) unite(k *sessionsOf, c *cell, first, last int) (was [][][]byte) {
	var from []*mark
	was = append(was, slices.Clone(c.mark.states))
	for _, o := range k.all[first+1 : last] {
		c.accs = append(c.accs, o.accs...)
		c.rows = append(c.rows, o.rows...)
		c.mark.held = append(c.mark.held, o.mark.held...)
		from, was = append(from, &o.mark), append(was, slices.Clone(o.mark.states))
		o.accs, o.rows = nil, nil
	}
	k.all = slices.Delete(k.all, first+1, last)
	for clock := range c.mark.timers {
		c.mark.timers[clock] = c.mark.timers[clock][:0]
	}
	w.trigger.merged(&c.mark, c.span, from, k.passed)
	if w.asks.Trigger == nil {
		return nil
	}
	clear(c.mark.states[:len(w.asks.TriggerStates)])
	return was
}

// gapOf is how long the silence behind a record is that ends its session.
func (w *windower) gapOf(row int) int64 {
	if w.asks.Gap != nil {
		return w.gaps[row]
	}
	return w.window.gap
}

// saveSessions stores what the keys have, and has a timer come when something of it is due.
func (w *windower) saveSessions() error {
	t, le := w.open[0].table, binary.LittleEndian
	for i := range w.keys {
		k := &w.keys[i]
		forget := w.forgetOver
		if w.shape.shared {
			forget = w.forgetShared
		}
		if err := forget(k); err != nil {
			return err
		}
		for clock := range k.armed {
			next := w.next(k, clock)
			if next < k.armed[clock] {
				if err := w.timers[clock].Set(next, k.list.hash, k.list.key); err != nil {
					return err
				}
				k.armed[clock] = next
			}
		}
		if len(k.all) == 0 && k.list.records == 0 {
			if err := t.Delete(k.entry); err != nil {
				return err
			}
			continue
		}
		v := le.AppendUint64(w.record[:0], uint64(k.armed[0]))
		v = le.AppendUint64(v, uint64(k.armed[1]))
		v = le.AppendUint64(v, uint64(k.list.size()))
		if k.list.records > 0 {
			v = k.list.append(v)
		}
		for _, c := range k.all {
			v = le.AppendUint64(v, uint64(c.start))
			v = le.AppendUint64(v, uint64(c.end))
			v = c.settleMark().append(v)
		}
		w.record = v
		if err := t.SetValue(k.entry, v); err != nil {
			return err
		}
	}
	return nil
}

// forgetOver removes the sessions of a key that are over, with their elements.
func (w *windower) forgetOver(k *sessionsOf) error {
	over := slices.IndexFunc(k.all, func(c *cell) bool { return w.isOver(c, k.passed) })
	if over < 0 {
		return nil
	}
	if k.list.records > 0 {
		err := w.elements.sift(&k.list, func(e *element) bool {
			return !slices.ContainsFunc(k.all, func(c *cell) bool { return w.isOver(c, k.passed) && c.has(e) })
		})
		if err != nil {
			return err
		}
	}
	k.all = slices.DeleteFunc(k.all, func(c *cell) bool { return w.isOver(c, k.passed) })
	return nil
}

// isOver says whether a session has been passed, and what is allowed behind it.
func (w *windower) isOver(c *cell, passed int64) bool {
	return after(c.end, w.window.lateness)-1 <= passed
}

// has says whether an element of the key's is of the session.
func (c *cell) has(e *element) bool { return e.place >= c.start && e.place < c.end }

// next is when a clock has something due of a key's sessions; never: it has not.
func (w *windower) next(k *sessionsOf, clock int) int64 {
	at := int64(never)
	if w.shape.shared {
		if clock == w.shape.own {
			at = k.due
		}
		return at
	}
	for _, c := range k.all {
		if times := c.mark.timers[clock]; len(times) > 0 {
			at = min(at, times[0])
		}
		if clock != w.shape.own {
			continue
		}
		if c.end-1 > k.passed {
			at = min(at, c.end-1)
		} else {
			at = min(at, after(c.end, w.window.lateness)-1)
		}
	}
	return at
}
