package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// What windows do that have been told to: results go out, and contents leave.

// conclude has the cells do what was decided.
func (w *windower) conclude(out *abi.Builder) error {
	w.some = w.some[:0]
	for _, c := range w.cells {
		if c.now&fires != 0 {
			w.some = append(w.some, c)
		}
	}
	if len(w.some) > 0 {
		if err := w.emit(w.some, out); err != nil {
			return err
		}
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
		return w.function.call(cells)
	}
	return w.acc.emit(len(cells), func(i int) piece { return w.piece(cells[i]) }, out)
}

// emitElements is emit of windows that keep their records, with those that leave them.
func (w *windower) emitElements(cells []*cell) error {
	some := cells[:0]
	for _, c := range cells {
		if err := w.read(c); err != nil {
			return err
		}
		if len(c.full) > 0 {
			some = append(some, c)
		}
	}
	if w.evictor != nil && !w.evictor.after {
		if err := w.evict(some); err != nil {
			return err
		}
	}
	if err := w.function.call(some); err != nil {
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
	return w.leave(some)
}

// listOf is where the elements of a window lie.
func (w *windower) listOf(c *cell) *keptList {
	if w.shape.merging {
		return &w.keys[c.of].list
	}
	return &c.list
}

// read sets c.full to the elements that a window has.
func (w *windower) read(c *cell) (err error) {
	if c.full, err = w.elements.read(w.listOf(c), c.full[:0]); err != nil || !w.shape.merging {
		return err
	}
	c.full = slices.DeleteFunc(c.full, func(e element) bool { return !c.has(e) })
	return nil
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
	for _, c := range cells { // what is stored of one may move what another has at hand
		for i := range c.full {
			if c.left {
				c.full[i].value = w.keep(c.full[i].value)
			}
		}
	}
	for _, c := range cells {
		if !c.left {
			continue
		}
		stay := c.full
		if w.shape.merging {
			others, err := w.elements.read(w.listOf(c), nil)
			if err != nil {
				return err
			}
			kept := c.full // in order, as all of them are
			stay = slices.DeleteFunc(others, func(e element) bool {
				if !c.has(e) {
					return false
				}
				if len(kept) > 0 && kept[0].at == e.at {
					kept = kept[1:]
					return false
				}
				return true
			})
		}
		if err := w.elements.replace(w.listOf(c), stay); err != nil {
			return err
		}
	}
	return nil
}

// purge drops what a window has; what its trigger has kept stays.
func (w *windower) purge(c *cell) error {
	c.accs = nil
	switch {
	case w.elements == nil:
		return nil
	case !w.shape.merging:
		return w.elements.clear(&c.list)
	}
	all, err := w.elements.read(w.listOf(c), w.kept[:0])
	if err != nil {
		return err
	}
	w.kept = all
	return w.elements.replace(w.listOf(c), slices.DeleteFunc(all, c.has))
}

// save stores what the cells have become.
func (w *windower) save() error {
	if w.shape.merging {
		return w.saveSessions()
	}
	return w.savePanes()
}
