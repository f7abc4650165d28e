package operator

import (
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// merging is what an operator does with accumulators, of which it keeps one a key and slice.
type merging interface {
	// ready is called before of, with entries of a slice.
	ready(p *pane, entries []state.Entry) error
	// of is the accumulator of an entry of a slice, nil for none, valid until the next call.
	of(t state.Table, e state.Entry) []byte
	// merge hands what the accumulators of each of n panes amount to, in their order, to put.
	merge(n int, of func(i int) piece, put func(i int, merged []byte) error) error
	// emit puts out the result of each of n panes.
	emit(n int, of func(i int) piece, out *abi.Builder) error
}

// span is a piece of time; end is exclusive.
type span struct{ start, end int64 }

// piece is what there is of one key in one window: accumulators in the order of time, at least one.
type piece struct {
	span
	key  []byte
	accs [][]byte
}

// slider fires sliding windows. What a result costs does not grow with how many slices a window has: for each key it keeps
// what the slices of the window at hand amount to, in two parts.
//
//	slices   | a b c | d e |      front: a+b+c    back: d+e
//
// A slice that comes is added to the back. Beside each key of a slice in front lies what the slices behind it, up to the
// back, amount to: when the slice leaves, that is the front. When the front is used up, the back becomes the front, slice
// by slice from its end: each entry of a slice is merged twice in all, and no accumulator needs an inverse. Where there is one,
// as of a count, there is no front: a slice that leaves is subtracted. All this is made anew from the slices after a restore,
// and, where there is no inverse, when a record came too late for a slice that is in.
type slider struct {
	panes   *panes
	acc     merging
	undo    func(all, part []byte) // takes part out of all, in place; nil: that cannot be done
	spec    state.Spec             // of running: front and back, by key
	rests   state.Spec             // by slice that is in front, and key: what lies behind it there
	running state.Table
	stale   bool // running is not what the slices amount to

	phase    phase
	end      int64   // of the window that fires
	turns    []*pane // that are still to be taken through the phase, the next one last
	rest     state.Table
	scanning // of the table that is being taken through
	entries  [chunk]state.Entry
	places   [chunk]state.Entry // in running, of the keys of entries
	besides  [chunk]state.Entry // the same in rest
	keys     [chunk][]byte
	hashes   [chunk]uint64
	both     []int  // of the chunk those whose two accumulators are to be merged
	value    []byte // scratch, as is record
	record   []byte
	parts    [2][]byte

	repeated    []*repeated // windows that the batch's late records have come for
	amended     []amendment // of the slice that records are being added to
	amendKeys   [][]byte
	amendHashes []uint64
}

// chunk is how many entries are taken through a phase at a time.
const chunk = 512

// phase is what the window that fires is being taken through.
type phase int

const (
	idle    phase = iota // no window fires
	rebuild              // slices are taken into the front, from the newest
	join                 // slices that have come are added to the back
	emit                 // results are put out
	leave                // slices that the next window has not are taken out of the front
	turn                 // the same as rebuild, for the next window
)

func newSlider(p *panes, acc merging, undo func(all, part []byte)) *slider {
	s := &slider{panes: p, acc: acc, undo: undo, stale: true, spec: p.spec, rests: p.spec}
	s.spec.Name, s.spec.Kind, s.spec.Derived = "$running", state.Bytes, true
	s.rests.Name, s.rests.Kind, s.rests.Derived = "$rest", state.Bytes, true
	return s
}

// fire does a part of what is due at the watermark.
func (s *slider) fire(watermark int64, out *abi.Builder) (more bool, err error) {
	if s.phase == idle {
		s.panes.firesTo(watermark)
		end, ok := s.next(watermark)
		if !ok {
			if err := s.panes.passAll(watermark); err != nil {
				return false, err
			}
			return false, s.purge(watermark)
		}
		s.end = end
		if err := s.begin(); err != nil {
			return false, err
		}
	}
	limit := out.Len() + fireRecords
	for worked, begun := 0, time.Now(); s.phase != idle && worked < 8*chunk && out.Len() < limit && time.Since(begun) < firingTime/2; worked += chunk {
		if err := s.work(out); err != nil {
			return false, err
		}
	}
	return true, nil
}

// next is the end of the next window to fire, if the watermark has passed it.
func (s *slider) next(watermark int64) (end int64, ok bool) {
	end, ok = s.panes.upcoming(s.panes.passed)
	return end, ok && end-1 <= watermark
}

// begin settles what is to be done for the window that ends at s.end.
func (s *slider) begin() (err error) {
	if s.running == nil {
		if s.running, err = s.panes.store.Table(s.spec, state.Global); err != nil {
			return err
		}
	}
	from := s.end - s.panes.window.size
	if s.stale {
		return s.anew(rebuild, from)
	}
	s.begun(join, func(p *pane) bool { return !p.in && p.start >= from && p.end <= s.end })
	return nil
}

// anew begins to make running of the slices from a time on, and forgets what it was.
func (s *slider) anew(as phase, from int64) (err error) {
	if err := s.panes.store.Drop(s.spec, state.Global); err != nil {
		return err
	}
	if s.running, err = s.panes.store.Table(s.spec, state.Global); err != nil {
		return err
	}
	for _, p := range s.panes.open {
		if err := s.forget(p); err != nil {
			return err
		}
	}
	s.stale = true // until it is done
	if s.undo != nil {
		as = join
	}
	s.begun(as, func(p *pane) bool { return p.start >= from && p.end <= s.end })
	for i, j := 0, len(s.turns)-1; i < j; i, j = i+1, j-1 {
		s.turns[i], s.turns[j] = s.turns[j], s.turns[i]
	}
	return nil
}

// forget says that a slice is not in running any more.
func (s *slider) forget(p *pane) error {
	was := p.front
	p.in, p.front = false, false
	if was {
		return s.panes.store.Drop(s.rests, state.Namespace(p.start))
	}
	return nil
}

// begun begins a phase of the slices for which of says so, the oldest first.
func (s *slider) begun(as phase, of func(*pane) bool) {
	s.phase, s.scanning, s.rest, s.turns = as, scanning{}, nil, s.turns[:0]
	for i := len(s.panes.open) - 1; i >= 0; i-- {
		if p := s.panes.open[i]; of(p) {
			s.turns = append(s.turns, p)
		}
	}
}

// work takes a chunk through the phase, or goes on to the next one.
func (s *slider) work(out *abi.Builder) error {
	defer s.panes.pace.end()
	if s.phase == emit {
		return s.results(out)
	}
	if len(s.turns) == 0 {
		return s.advance()
	}
	p := s.turns[len(s.turns)-1]
	n, err := s.scanSlice(p)
	if err != nil {
		return err
	}
	if n == 0 {
		s.turns = s.turns[:len(s.turns)-1]
		s.scanning, s.rest = scanning{}, nil
		if s.phase == leave {
			return s.forget(p)
		}
		p.in, p.front = true, s.phase != join
		return nil
	}
	if s.phase != join && s.undo == nil && s.rest == nil {
		if s.rest, err = s.panes.store.Table(s.rests, state.Namespace(p.start)); err != nil {
			return err
		}
	}
	switch s.phase {
	case join:
		return s.join(p, n)
	case leave:
		if s.undo != nil {
			return s.subtract(p, n)
		}
		return s.leave(n)
	}
	return s.front(p, n)
}

// advance follows a phase that is done.
func (s *slider) advance() error {
	switch s.phase {
	case rebuild, join:
		s.stale = false
		s.begun(emit, func(*pane) bool { return false })
	case leave, turn:
		s.stale = false
		s.phase = idle
	}
	return nil
}

// results puts out what a chunk of keys has in the window; behind the last, the slices leave that the next window has not.
func (s *slider) results(out *abi.Builder) error {
	n, cursor, err := s.running.Scan(s.cursor, s.entries[:s.panes.pace.of(chunk)])
	s.cursor = cursor
	if err != nil {
		return err
	}
	if n > 0 {
		entries, err := s.panes.emitted.missing(s.namespace(), s.running, s.entries[:n])
		if err != nil {
			return err
		}
		kept := 0
		for _, e := range entries {
			if s.running.Value(e) != nil && (s.panes.apart == nil || s.panes.fires(s.end, s.running.Hash(e))) {
				s.entries[kept] = e
				kept++
			}
		}
		s.panes.pace.keys(kept)
		err = s.panes.told.emit(s.acc, kept, func(i int) piece {
			front, back, _ := split(s.running.Value(s.entries[i]))
			all := s.parts[:0]
			for _, acc := range [][]byte{front, back} {
				if acc != nil {
					all = append(all, acc)
				}
			}
			return piece{s.window(), s.running.Key(s.entries[i]), all}
		}, out)
		if err != nil {
			return err
		}
		return s.panes.emitted.passed(s.namespace(), s.running, &s.scanning, s.entries[:kept])
	}
	if err := s.panes.emitted.over(s.namespace()); err != nil {
		return err
	}
	s.panes.passed = max(s.panes.passed, s.end-1)
	w := s.panes.window
	from := after(s.end, w.step) - w.size
	for _, p := range s.panes.open {
		if s.undo == nil && p.in && !p.front && p.start < from {
			return s.anew(turn, from) // the front is used up
		}
	}
	s.begun(leave, func(p *pane) bool { return p.in && p.start < from })
	return nil
}

// settle marks, before a snapshot, what the window that fires has put out since the last one.
func (s *slider) settle() error {
	if s.phase != emit {
		return nil
	}
	return s.panes.emitted.settle(s.namespace(), s.running, &s.scanning)
}

// namespace is what the window that fires is told by.
func (s *slider) namespace() state.Namespace { return state.Namespace(s.end - s.panes.window.size) }

func (s *slider) window() span { return span{s.end - s.panes.window.size, s.end} }

// scanSlice takes the next chunk of a slice.
func (s *slider) scanSlice(p *pane) (n int, err error) {
	if n, s.cursor, err = p.table.Scan(s.cursor, s.entries[:s.panes.pace.of(chunk)]); err != nil || n == 0 {
		return n, err
	}
	s.panes.pace.keys(n)
	if err := s.acc.ready(p, s.entries[:n]); err != nil {
		return 0, err
	}
	for i, e := range s.entries[:n] {
		s.keys[i], s.hashes[i] = p.table.Key(e), p.table.Hash(e)
	}
	return n, s.running.ResolveKeys(s.keys[:n], s.hashes[:n], false, s.places[:n])
}

// join adds a chunk of a slice to the back.
func (s *slider) join(p *pane, n int) error {
	return s.combine(n,
		func(i int) (a, b []byte) {
			_, back, _ := split(s.running.Value(s.places[i]))
			return back, s.acc.of(p.table, s.entries[i])
		},
		func(i int, merged []byte) error {
			front, _, slices := split(s.running.Value(s.places[i]))
			return s.set(s.places[i], front, merged, slices+1)
		})
}

// front puts a chunk of a slice before the front, and keeps what the front was beside it.
func (s *slider) front(p *pane, n int) error {
	if err := s.rest.ResolveKeys(s.keys[:n], s.hashes[:n], false, s.besides[:n]); err != nil {
		return err
	}
	for i := range n {
		if was, _, _ := split(s.running.Value(s.places[i])); was != nil {
			if err := s.rest.SetValue(s.besides[i], was); err != nil {
				return err
			}
		}
	}
	return s.combine(n,
		func(i int) (a, b []byte) {
			front, _, _ := split(s.running.Value(s.places[i]))
			return s.acc.of(p.table, s.entries[i]), front
		},
		func(i int, merged []byte) error { return s.set(s.places[i], merged, nil, 0) })
}

// leave takes a chunk of a slice out of the front.
func (s *slider) leave(n int) error {
	if err := s.rest.ResolveKeys(s.keys[:n], s.hashes[:n], true, s.besides[:n]); err != nil {
		return err
	}
	for i := range n {
		_, back, slices := split(s.running.Value(s.places[i]))
		var rest []byte
		if e := s.besides[i]; e != state.NoEntry {
			rest = s.rest.Value(e)
		}
		if err := s.set(s.places[i], rest, back, slices); err != nil {
			return err
		}
	}
	return nil
}

// subtract takes a chunk of a slice out of the back.
func (s *slider) subtract(p *pane, n int) error {
	for i := range n {
		_, back, slices := split(s.running.Value(s.places[i]))
		if slices > 1 {
			s.undo(back, s.acc.of(p.table, s.entries[i]))
		}
		if err := s.set(s.places[i], nil, back, slices-1); err != nil {
			return err
		}
	}
	return nil
}

// combine hands what two accumulators of each of n keys amount to to put, in the order a, b. One of them may be missing.
func (s *slider) combine(n int, pair func(i int) (a, b []byte), put func(i int, merged []byte) error) error {
	s.both = s.both[:0]
	for i := range n {
		switch a, b := pair(i); {
		case a != nil && b != nil:
			s.both = append(s.both, i)
		case a != nil:
			s.value = append(s.value[:0], a...)
			if err := put(i, s.value); err != nil {
				return err
			}
		case b != nil:
			s.value = append(s.value[:0], b...)
			if err := put(i, s.value); err != nil {
				return err
			}
		}
	}
	if len(s.both) == 0 {
		return nil
	}
	return s.acc.merge(len(s.both),
		func(i int) piece {
			s.parts[0], s.parts[1] = pair(s.both[i])
			return piece{s.window(), s.keys[s.both[i]], s.parts[:]}
		},
		func(i int, merged []byte) error { return put(s.both[i], merged) })
}

// purge drops slices that are over.
func (s *slider) purge(watermark int64) error {
	for len(s.panes.open) > 0 && s.panes.window.over(s.panes.open[0].start, watermark) {
		p := s.panes.open[0]
		if p.in {
			s.stale = true
		}
		if err := s.forget(p); err != nil {
			return err
		}
		if err := s.panes.drop(); err != nil {
			return err
		}
	}
	return nil
}
