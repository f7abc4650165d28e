package operator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// What a windower does with results that later ones of the same key and window take the place of. Where only the last one
// counts, a trigger that fires by the end of a window does only that; of another, what a window had when it fired last is
// held until its end: an accumulator, or how many elements of its list. Where each counts, it is told as what change it is.

// foldResults has windows put out only the last of results that take each other's place.
func (w *windower) foldResults() {
	if w.trigger.ends {
		w.trigger.byEnd()
		return
	}
	w.holds = true
}

// tells says whether a window has something to put out, by what was decided.
func (w *windower) tells(c *cell) bool {
	switch {
	case !w.holds || c.now == 0:
		return c.now&fires != 0
	case c.now == fires:
		w.hold(c)
		return false
	case c.now == purges:
		return w.comeBack(c)
	}
	c.mark.held = nil
	return true
}

// hold notes what a window has.
func (w *windower) hold(c *cell) {
	switch {
	case w.elements == nil && len(c.accs) > 0:
		c.mark.held = c.accs[0]
	case w.elements != nil && c.list.records > 0:
		c.mark.held = w.keep(binary.LittleEndian.AppendUint64(nil, uint64(c.list.records)))
	}
}

// comeBack makes what is held of a window what it has, and says whether something is. What has come since is out of sight.
func (w *windower) comeBack(c *cell) bool {
	held := c.mark.held
	if c.mark.held = nil; held == nil {
		return false
	}
	if w.elements == nil {
		c.accs = w.listing(held)
	} else {
		c.upTo = int(binary.LittleEndian.Uint64(held))
	}
	c.timing = 0
	return true
}

// release puts out what is held of the windows at hand, which end.
func (w *windower) release(out *abi.Builder) error {
	if !w.holds {
		return nil
	}
	w.some = w.some[:0]
	for _, c := range w.cells {
		if w.comeBack(c) {
			w.some = append(w.some, c)
		}
	}
	return w.emit(w.some, out)
}

// checkHeld says if a note of elements is none.
func (w *windower) checkHeld(c *cell) error {
	if h := c.mark.held; h != nil && w.elements != nil && (len(h) != 8 || binary.LittleEndian.Uint64(h) > uint64(c.list.records)) {
		return fmt.Errorf("windows of key %q: %w", c.key(), errMark)
	}
	return nil
}

// call calls the window function, for results of one kind of change at a time.
func (w *windower) call(cells []*cell) error {
	if w.told == nil {
		return w.function.call(cells)
	}
	for _, c := range cells {
		var err error
		if c.kind, err = w.told.tell(c.span, c.hash(), c.key()); err != nil {
			return err
		}
	}
	if !w.function.keyed { // otherwise a key's results are made in their order
		slices.SortStableFunc(cells, func(a, b *cell) int { return int(a.kind) - int(b.kind) })
	}
	for lo := 0; lo < len(cells); {
		hi := lo + 1
		for hi < len(cells) && cells[hi].kind == cells[lo].kind {
			hi++
		}
		w.function.process.kind = cells[lo].kind
		if err := w.function.call(cells[lo:hi]); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// results puts out what accumulators amount to.
func (w *windower) results(cells []*cell, out *abi.Builder) error {
	return w.told.emit(w.acc, len(cells), func(i int) piece { return w.piece(cells[i]) }, out)
}
