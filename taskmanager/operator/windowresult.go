package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// What windows do that have been told to: results go out, and contents leave.

// conclude has the cells do what was decided.
func (w *windower) conclude(out *abi.Builder) error {
	some, err := w.tells()
	if err == nil && len(some) > 0 {
		err = w.emit(some, out)
	}
	if err != nil {
		return err
	}
	for _, c := range w.cells {
		if c.now&purges != 0 {
			if err := w.purge(c); err != nil {
				return err
			}
		}
		c.now = 0
	}
	return nil
}

// emit puts out the results of those windows that have something.
func (w *windower) emit(cells []*cell, out *abi.Builder) error {
	if w.elements != nil {
		return w.emitElements(cells)
	}
	cells = slices.DeleteFunc(cells, func(c *cell) bool { return len(c.accs) == 0 })
	if w.function != nil {
		return w.call(cells)
	}
	return w.results(cells, out)
}

// emitElements is emit of windows that keep their records, some at a time, with those records that leave them.
func (w *windower) emitElements(cells []*cell) error {
	for len(cells) > 0 {
		if w.isLarge(cells[0]) {
			if err := w.emitLarge(cells[0]); err != nil {
				return err
			}
			cells = cells[1:]
			continue
		}
		n := 1
		for size := w.listOf(cells[0]).bytes; n < len(cells) && !w.isLarge(cells[n]); n++ {
			if size += w.listOf(cells[n]).bytes; size > w.elements.limits.portion {
				break
			}
		}
		if err := w.emitPortion(cells[:n]); err != nil {
			return err
		}
		cells = cells[n:]
	}
	return nil
}

func (w *windower) emitPortion(cells []*cell) error {
	if err := w.load(cells); err != nil {
		return err
	}
	some := slices.DeleteFunc(cells, func(c *cell) bool { return len(c.full) == 0 && !c.back })
	if w.evictsBefore() {
		w.evicting = w.evicting[:0]
		for _, c := range some {
			if !c.back { // they have left
				w.evicting = append(w.evicting, c)
			}
		}
		if err := w.evict(w.evicting); err != nil {
			return err
		}
	}
	if err := w.call(some); err != nil {
		return err
	}
	if w.evictor == nil {
		return nil
	}
	if w.evictor.after {
		if err := w.evict(some); err != nil {
			return err
		}
	}
	if w.quiet {
		w.keepLast(some)
	}
	return w.leave(some)
}

// listOf is where the elements of a window lie.
func (w *windower) listOf(c *cell) *keptList {
	if w.shape.keyed() {
		return &w.keys[c.of].list
	}
	return &c.list
}

// load sets c.full of cells to the elements that the windows have.
func (w *windower) load(cells []*cell) error {
	w.lists, w.loaded = w.lists[:0], w.loaded[:0]
	for _, c := range cells {
		c.full, c.left, c.sifted = c.full[:0], false, 0
		w.look(c)
		w.lists = append(w.lists, w.listOf(c))
	}
	return w.elements.scan(w.lists, func(i int, e *element) bool {
		c := cells[i]
		if w.see(c, e); w.isOf(c, e) && (!c.back || len(c.full) < c.upTo) {
			one := *e
			one.value = keep(&w.loaded, e.value)
			c.full = append(c.full, one)
		}
		return true
	})
}

// evict has elements leave what windows have at hand.
func (w *windower) evict(cells []*cell) error {
	if w.asks.Evict != nil {
		return w.askEvictor(cells)
	}
	for _, c := range cells {
		had := len(c.full)
		var err error
		if c.full, err = w.evictor.stay(c.full); err != nil {
			return err
		}
		c.left = len(c.full) < had
	}
	return nil
}

// leave stores that elements have left windows.
func (w *windower) leave(cells []*cell) error {
	for i, c := range cells {
		if !c.left {
			continue
		}
		together := cells[i : i+1]
		if w.shape.merging { // others may lie in the same list
			together = slices.Clone(cells[i:])
			together = slices.DeleteFunc(together, func(o *cell) bool { return !o.left || o.of != c.of })
		}
		err := w.elements.sift(w.listOf(c), func(e *element) bool { return w.stays(together, e) })
		if err != nil {
			return err
		}
		for _, o := range together {
			o.left = false
		}
	}
	return nil
}

// stays says whether an element is one of those that windows still have, which are in order, as the calls are.
func (w *windower) stays(cells []*cell, e *element) bool {
	for _, c := range cells {
		switch {
		case w.shape.merging && !c.has(e):
		case c.back && e.at >= c.upTo:
			return true
		case c.sifted < len(c.full) && c.full[c.sifted].at == e.at:
			c.sifted++
			return true
		default:
			return false
		}
	}
	return true
}

// purge drops what a window has; what its trigger has kept stays.
func (w *windower) purge(c *cell) error {
	if w.told != nil {
		if err := w.told.purged(c.span, c.hash(), c.key()); err != nil {
			return err
		}
	}
	c.accs, c.back, c.upTo = nil, false, 0
	switch {
	case w.elements == nil:
		return nil
	case !w.shape.merging:
		return w.elements.clear(&c.list)
	}
	return w.elements.sift(w.listOf(c), func(e *element) bool { return !c.has(e) })
}

// save stores what the cells have become.
func (w *windower) save() error {
	if w.shape.keyed() {
		return w.saveSessions()
	}
	return w.savePanes()
}
