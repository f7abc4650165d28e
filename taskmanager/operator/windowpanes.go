package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a windower does with windows that lie at fixed places: each is a pane, whose table has a mark of every key.

// dealPanes gives each record to the windows that it is in.
func (w *windower) dealPanes(b *abi.Batch, hashes []uint64) error {
	switch {
	case w.shape.global:
		if err := w.whole(); err != nil {
			return err
		}
	case w.shape.own == ProcessingTime && w.window.step == w.window.size:
		found, err := w.frame(w.window.floor(w.now, w.window.step))
		if err != nil {
			return err
		}
		found.all = true
	default:
		for i := range b.N {
			t := w.placeOf(i)
			if t == abi.NoTimestamp {
				return errNoTimestamp
			}
			if err := w.dealRecord(i, t, w.reached(hashes[i])); err != nil {
				return err
			}
		}
	}
	for _, p := range w.touched {
		if err := w.resolve(p, b, hashes); err != nil {
			return err
		}
		if err := w.of.each(p, func(e state.Entry, records []record) error { return w.dealCell(p, e, records) }); err != nil {
			return err
		}
	}
	return nil
}

// dealRecord gives a record to the windows that take it.
func (w *windower) dealRecord(row int, t, passed int64) error {
	late := true
	for start := w.window.floor(t, w.window.step); t-start < w.window.size; start -= w.window.step {
		if w.window.over(start, passed) {
			break // so are those before
		}
		late = false
		p, err := w.frame(start)
		if err != nil {
			return err
		}
		p.rows = append(p.rows, uint32(row))
		if start < abi.MinTime+w.window.step {
			break
		}
	}
	if late {
		w.isLate(row)
	}
	return nil
}

// frame is the pane of the window that begins at start, touched by the batch.
func (w *windower) frame(start int64) (*pane, error) {
	i := len(w.open)
	for i > 0 && w.open[i-1].start > start {
		i--
	}
	if i == 0 || w.open[i-1].start != start {
		if err := w.add(i, start, after(start, w.window.size), state.Namespace(start)); err != nil {
			return nil, err
		}
		w.open[i].done = w.open[i].done && !w.trigger.foreign // see ending
		i++
	}
	p := w.open[i-1]
	if len(p.rows) == 0 && !p.all {
		w.touched = append(w.touched, p)
	}
	return p, nil
}

// dealCell makes the cell of a key in a window, with its records of the batch.
func (w *windower) dealCell(p *pane, e state.Entry, records []record) error {
	c, err := w.readCell(p, e)
	if err != nil {
		return err
	}
	at := len(w.rows)
	for _, r := range records {
		w.rows = append(w.rows, p.row(int(r.row)))
	}
	c.queue = w.rows[at:len(w.rows):len(w.rows)]
	return nil
}

// readCell makes the cell of an entry of a window.
func (w *windower) readCell(p *pane, e state.Entry) (*cell, error) {
	ns := state.Namespace(p.start)
	if w.shape.global {
		ns = state.Global
	}
	version := p.table.Version(e)
	c, _, err := w.cellOf(p.span, p.table, e, ns, w.keep(p.table.Value(e)))
	if err == nil && version < w.spec.Version && len(c.accs) > 0 {
		err = w.renew(c, version)
	}
	return c, err
}

// renew brings an accumulator to the version declared.
func (w *windower) renew(c *cell, version uint16) error {
	w.accs = append(w.accs[:0], c.accs[0])
	err := w.eachHeld(c, func(_ span, acc []byte) error {
		w.accs = append(w.accs, acc)
		return nil
	})
	if err == nil {
		err = w.acc.renew(c.key(), version, w.accs)
	}
	if err != nil {
		return err
	}
	if c.accs = nil; w.accs[0] != nil {
		c.accs = w.listing(w.keep(w.accs[0]))
	}
	var held []byte
	n := 0
	err = w.eachHeld(c, func(of span, _ []byte) error {
		if n++; w.accs[n] != nil {
			held = append(slices.Grow(held, 1), w.holding(of, w.accs[n])...)
		}
		return nil
	})
	c.mark.held = held
	return err
}

// takePanes has windows take records until they fire.
func (w *windower) takePanes() (more bool, err error) {
	for _, c := range w.cells {
		taken := 0
		for c.now = 0; taken < len(c.queue) && c.now == 0; taken++ {
			answer := decision(0)
			if w.asks.Trigger != nil {
				if answer = decision(c.answer[taken]); answer == leftOut {
					break
				}
			}
			if c.now, err = w.judge(c, c.queue[taken], answer); err != nil {
				return false, err
			}
		}
		c.rows, c.queue = c.queue[:taken], c.queue[taken:]
		if w.asks.Trigger != nil {
			c.answer = c.answer[taken:]
			if len(c.answer) > 0 && c.now == 0 { // this one is left out
				c.answer, c.queue = c.answer[1:], c.queue[1:]
			}
		}
		more = more || len(c.queue) > 0
	}
	return more, nil
}

// savePanes stores the marks of the cells, and the timers that were set.
func (w *windower) savePanes() error {
	for _, c := range w.cells {
		w.record = c.settleMark().append(w.record[:0])
		if err := c.table.SetValue(c.entry, w.record); err != nil {
			return err
		}
		for clock, times := range c.mark.fresh {
			for _, t := range times {
				if clock == w.shape.own && t == c.end-1 && t > w.passedOf(c.hash()) {
					continue // it comes with the end of the window
				}
				if err := w.timers[clock].Set(t, c.hash(), c.key()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
