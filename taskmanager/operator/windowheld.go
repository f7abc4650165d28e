package operator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// What a windower does with results that later ones of the same key and window take the place of. Where only the last one
// counts, a trigger that fires by the end of a window does only that; of another, what a window had when it fired last is
// held until its end: an accumulator, or how many of its elements. What leaves a window with a result does so when that is held; what
// leaves it behind one, when it is held no more. Where each result counts, it is told as what change it is.

// foldResults has windows put out only the last of results that take each other's place.
func (w *windower) foldResults() {
	if w.trigger.ends {
		w.trigger.byEnd()
		return
	}
	w.holds = true
}

// tells lists the windows that have something to put out, by what was decided.
func (w *windower) tells() ([]*cell, error) {
	w.some = w.some[:0]
	if w.holds {
		if err := w.holdAll(); err != nil {
			return nil, err
		}
	}
	for _, c := range w.cells {
		switch {
		case !w.holds && c.now&fires != 0:
			w.some = append(w.some, c)
		case !w.holds || c.now&purges == 0:
		case c.now&fires != 0:
			c.mark.held = nil
			w.some = append(w.some, c)
		default:
			if err := w.comeBack(c); err != nil {
				return nil, err
			}
		}
	}
	return w.some, nil
}

// holdAll has what fires and stays held, in place of what was.
func (w *windower) holdAll() error {
	if w.evictor != nil && w.evictor.after {
		if err := w.evictHeld(); err != nil {
			return err
		}
	}
	w.some = w.some[:0]
	for _, c := range w.cells {
		if c.now == fires && (len(c.accs) > 0 || w.elements != nil && w.listOf(c).records > 0) {
			w.some = append(w.some, c)
		}
	}
	some := w.some
	if w.evictsBefore() {
		if err := w.evictQuietly(some); err != nil {
			return err
		}
	}
	if err := w.count(some); err != nil {
		return err
	}
	for _, c := range some {
		if w.elements == nil {
			c.mark.held = w.holding(c.span, c.accs[0])
		} else if c.counted > 0 || w.evictor != nil {
			c.mark.held = w.holding(c.span, w.keep(binary.LittleEndian.AppendUint64(nil, uint64(c.counted))))
		}
	}
	w.some = w.some[:0]
	return nil
}

// evictHeld has leave, behind the results that are held, what does so behind a result, of windows that have another one.
func (w *windower) evictHeld() error {
	var some []*cell
	for _, c := range w.cells {
		if c.now&fires != 0 && c.mark.held != nil {
			c.back, c.upTo = true, int(binary.LittleEndian.Uint64(c.mark.held))
			some = append(some, c)
		}
	}
	err := w.evictQuietly(some)
	for _, c := range some {
		if c.back, c.upTo = false, 0; c.now&fires != 0 {
			c.mark.held = nil
		}
	}
	return err
}

// keepLast has nothing leave windows that would be left with nothing: those have no other result, and what is held of them stands.
func (w *windower) keepLast(cells []*cell) {
	for _, c := range cells {
		if c.back && len(c.full) == 0 && c.list.records == c.upTo {
			c.left, c.now = false, c.now&^fires
		}
	}
}

// evictQuietly has elements leave windows whose function is not called.
func (w *windower) evictQuietly(cells []*cell) error {
	w.quiet = true
	defer func() { w.quiet = false }()
	return w.emitElements(slices.Clone(cells))
}

// count sets how many elements windows have.
func (w *windower) count(cells []*cell) error {
	if w.elements == nil {
		return nil
	}
	w.lists = w.lists[:0]
	for _, c := range cells {
		c.counted = c.list.records
		if w.shape.merging {
			c.counted = 0
			w.lists = append(w.lists, w.listOf(c))
		}
	}
	return w.elements.scan(w.lists, func(i int, e *element) bool {
		if cells[i].has(e) {
			cells[i].counted++
		}
		return true
	})
}

// What is held of a window is what it had. A session's is that of the sessions which it was when they fired last, of each i64 start, i64 end,
// u32 length, and what it had.
const heldHeader = sessionSpan + 4

func (w *windower) holding(of span, what []byte) []byte {
	if !w.shape.merging {
		return what
	}
	w.record = appendHeld(w.record[:0], of, what)
	return w.keep(w.record)
}

func appendHeld(v []byte, of span, what []byte) []byte {
	le := binary.LittleEndian
	v = le.AppendUint64(v, uint64(of.start))
	v = le.AppendUint64(v, uint64(of.end))
	return append(le.AppendUint32(v, uint32(len(what))), what...)
}

// eachHeld calls yield for each thing that is held of a window.
func (w *windower) eachHeld(c *cell, yield func(of span, what []byte) error) error {
	v := c.mark.held
	if !w.shape.merging && v != nil {
		return yield(c.span, v)
	}
	for le := binary.LittleEndian; len(v) > 0; {
		if len(v) < heldHeader || int(le.Uint32(v[sessionSpan:])) > len(v)-heldHeader {
			return fmt.Errorf("windows of key %q: %w", c.key(), errMark)
		}
		end := heldHeader + int(le.Uint32(v[sessionSpan:]))
		if err := yield(span{int64(le.Uint64(v)), int64(le.Uint64(v[8:]))}, v[heldHeader:end:end]); err != nil {
			return err
		}
		v = v[end:]
	}
	return nil
}

// comeBack adds windows as they were when they fired last to those that have something to put out. What has come since is out of sight.
func (w *windower) comeBack(c *cell) error {
	err := w.eachHeld(c, func(of span, what []byte) error {
		was := c
		if w.shape.merging { // it may be several
			was = w.newCell()
			*was = cell{span: of, table: c.table, entry: c.entry, of: c.of, mark: was.mark, full: was.full[:0]}
			was.mark.reset(w.states)
			w.backs = append(w.backs, was)
		}
		if was.timing = 0; w.elements == nil {
			was.accs = w.listing(what)
		} else {
			was.back, was.upTo = true, int(binary.LittleEndian.Uint64(what))
		}
		w.some = append(w.some, was)
		return nil
	})
	c.mark.held = nil
	return err
}

// release puts out what is held of those windows at hand that end.
func (w *windower) release(out *abi.Builder, ends func(*cell) bool) error {
	if !w.holds {
		return nil
	}
	w.some = w.some[:0]
	for _, c := range w.cells {
		if ends(c) {
			if err := w.comeBack(c); err != nil {
				return err
			}
		}
	}
	return w.emit(w.some, out)
}

// checkHeld says if a note of elements is none.
func (w *windower) checkHeld(c *cell) error {
	return w.eachHeld(c, func(_ span, what []byte) error {
		if w.elements != nil && (len(what) != 8 || !w.shape.merging && binary.LittleEndian.Uint64(what) > uint64(c.list.records)) {
			return fmt.Errorf("windows of key %q: %w", c.key(), errMark)
		}
		return nil
	})
}

// call calls the window function, for results of one kind of change at a time.
func (w *windower) call(cells []*cell) error {
	if w.quiet {
		return nil
	}
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
