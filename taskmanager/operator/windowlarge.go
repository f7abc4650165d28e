package operator

import "github.com/wasmill/wasmill/abi"

// large is a window that has too many elements to be in memory at once: its function is told how many there are, and asks for them.
// Its list is read as often as that takes.
type large struct {
	total   int // elements that the function has
	evicted eviction
	page    listPage
}

// listPage is where an answer has ended, so that the next one is not looked for from the beginning.
type listPage struct {
	piece  uint32 // that it lies in
	seen   int    // elements of the window before that piece
	stayed uint64 // of these, those that stay
}

// isLarge says whether a window is handed to its function bit by bit. An evictor of the guest's is given all at once.
func (w *windower) isLarge(c *cell) bool {
	return w.function.pulls && w.asks.Evict == nil && w.listOf(c).bytes > w.elements.limits.large
}

// emitLarge is emitPortion of a large window.
func (w *windower) emitLarge(c *cell) error {
	l := &large{}
	if w.evictor != nil {
		l.evicted = w.evictor.begin()
	}
	w.look(c)
	n := 0
	err := w.elements.scan([]*keptList{w.listOf(c)}, func(_ int, e *element) bool {
		if w.see(c, e); w.isOf(c, e) {
			if n++; w.evictor != nil && (!c.back || n <= c.upTo) {
				l.evicted.look(e)
			}
		}
		return true
	})
	if err != nil || n == 0 {
		return err
	}
	if l.total = n; c.back {
		l.total = min(n, c.upTo)
	}
	if w.evictor != nil {
		if err := l.evicted.settle(); err != nil {
			return err
		}
	}
	if c.large = l; w.evictsBefore() && !c.back {
		l.total = 0
		if err := w.pull(c, func(uint64, *element) bool { l.total++; return true }); err != nil {
			return err
		}
	}
	if err := w.call([]*cell{c}); err != nil {
		return err
	}
	c.large = nil
	if w.evictor == nil || w.evictsBefore() && c.back { // they have left
		return nil
	}
	return w.leaveLarge(c, l)
}

func (w *windower) evictsBefore() bool { return w.evictor != nil && !w.evictor.after }

// isOf says whether an element of a list is of the window.
func (w *windower) isOf(c *cell, e *element) bool { return !w.shape.keyed() || c.has(e) }

// leaveLarge has elements leave a large window.
func (w *windower) leaveLarge(c *cell, l *large) error {
	i, broken := 0, error(nil)
	err := w.elements.sift(w.listOf(c), func(e *element) bool {
		if !w.isOf(c, e) {
			return true
		}
		if i++; c.back && i > c.upTo {
			return true
		}
		stays, err := l.evicted.stays(i-1, e)
		broken = errorOf(broken, err)
		return stays || broken != nil
	})
	return errorOf(broken, err)
}

// pull calls yield for the elements that the function of a large window has, from the one on at which the last page ended, until it
// answers false.
func (w *windower) pull(c *cell, yield func(number uint64, e *element) bool) error {
	page, before, broken := &c.large.page, w.evictsBefore() && !c.back, error(nil)
	i, number := page.seen, page.stayed
	walk := w.elements.walk(w.listOf(c), page.piece)
	walk.yield = func(_ int, e *element) bool {
		if walk.piece != page.piece {
			page.piece, page.seen, page.stayed = walk.piece, i, number
		}
		if !w.isOf(c, e) {
			return true
		}
		i++
		if before {
			stays, err := c.large.evicted.stays(i-1, e)
			if broken = err; err != nil {
				return false
			}
			if !stays {
				return true
			}
		}
		if number++; c.back && number > uint64(c.upTo) {
			return false
		}
		return yield(number-1, e)
	}
	return errorOf(walk.run(), broken)
}

// recordsOf is records for a group of the call.
func (w *windower) recordsOf(group uint32, r *abi.StateRequest, a *abi.StateAnswer, memory *[]byte) error {
	return w.records(w.function.cells[group], r, a, memory)
}

// records answers a request for elements of a window that did not come with the call. What is answered lies in memory.
func (w *windower) records(c *cell, r *abi.StateRequest, a *abi.StateAnswer, memory *[]byte) error {
	size := 0
	a.Timestamps = []int64{}
	take := func(number uint64, e *element) bool {
		if number < r.Cursor {
			return true
		}
		if size >= answerBytes || r.Limit > 0 && len(a.Values) == int(r.Limit) {
			a.More, a.Cursor = true, number
			return false
		}
		a.Timestamps, a.Values = append(a.Timestamps, e.time), append(a.Values, keep(memory, e.value))
		size += len(e.value) + 16
		return true
	}
	if c.large != nil {
		if r.Cursor < c.large.page.stayed {
			c.large.page = listPage{}
		}
		return w.pull(c, take)
	}
	for i := range c.full {
		if !take(uint64(i), &c.full[i]) {
			break
		}
	}
	return nil
}
