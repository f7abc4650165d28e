package operator

import "fmt"

// How lists of elements are read, and how some leave them.

// scan calls yield for the elements of lists, one list after the other, each in the order in which it came, until it answers false.
// What is not in memory is read for many lists in one pass. An element is valid during the call, and nothing may be added meanwhile.
func (l *elements) scan(lists []*keptList, yield func(list int, e *element) bool) error {
	if len(lists) == 0 {
		return nil
	}
	w := listWalk{of: l, lists: lists, yield: yield, number: lists[0].first}
	return w.run()
}

// walk is a scan of one list, from a piece on, that is still to be run; the places of its elements are those behind there.
func (l *elements) walk(list *keptList, piece uint32) *listWalk {
	return &listWalk{of: l, lists: []*keptList{list}, number: max(piece, list.first)}
}

// listWalk is a scan under way.
type listWalk struct {
	of     *elements
	lists  []*keptList
	yield  func(list int, e *element) bool
	list   int    // at hand
	number uint32 // of its next piece
	piece  uint32 // that the element at hand is in, behind the last: it is in none
	at     int    // place of its next element
	over   bool
	err    error
}

func (w *listWalk) run() error {
	for w.list < len(w.lists) && !w.over {
		if err := w.some(); err != nil {
			return fmt.Errorf("elements of windows: %w", err)
		}
	}
	return nil
}

// some goes through as many pieces as are read in one pass.
func (w *listWalk) some() error {
	l := w.of
	l.asked, l.owners = l.asked[:0], l.owners[:0]
	list, number := w.list, w.number
	ns := w.lists[list].ns
	for list < len(w.lists) && w.lists[list].ns == ns && len(l.asked) < int(l.limits.atOnce) {
		if p := w.lists[list]; number < p.next {
			l.asked, l.owners = append(l.asked, p.piece(number)), append(l.owners, list)
			number++
			continue
		}
		if list++; list < len(w.lists) {
			number = w.lists[list].first
		}
	}
	if len(l.asked) > 0 {
		pieces, err := l.store.Pieces(l.spec, ns)
		if err != nil {
			return err
		}
		err = pieces.Read(l.asked, func(i int, v []byte) bool {
			w.finish(l.owners[i])
			w.piece = l.asked[i].Number
			w.each(v)
			return !w.over
		})
		if err != nil {
			return err
		}
	}
	w.finish(list)
	w.number = number
	return w.err
}

// finish goes through the ends of the lists before one.
func (w *listWalk) finish(list int) {
	for ; w.list < list && !w.over; w.list++ {
		w.piece = w.lists[w.list].next
		w.each(w.lists[w.list].tail)
		w.at = 0
	}
}

func (w *listWalk) each(v []byte) {
	for len(v) > 0 && !w.over {
		var e element
		if e, v, w.err = nextElement(v); w.err != nil {
			w.over = true
			return
		}
		e.at = w.at
		w.at++
		w.over = !w.yield(w.list, &e)
	}
}

// sifted is a piece that some elements have left: what stays lies in the scratch memory.
type sifted struct {
	number   uint32
	from, to int
}

// sift leaves those elements in a list that stay. It is asked about each, in their order.
func (l *elements) sift(p *keptList, stays func(e *element) bool) error {
	s := sifting{of: l, was: p, stays: stays, is: listNote{first: p.next, next: p.next}}
	for number := p.first; number < p.next; number += l.limits.atOnce {
		if err := s.some(number, min(number+l.limits.atOnce, p.next)); err != nil {
			return fmt.Errorf("elements of key %q: %w", p.key, err)
		}
	}
	l.record = l.record[:0]
	if _, err := s.each(p.tail); err != nil {
		return fmt.Errorf("elements of key %q: %w", p.key, err)
	}
	s.is.tail = keep(&l.arena, l.record)
	p.listNote = s.is
	return nil
}

// sifting is a sift under way.
type sifting struct {
	of    *elements
	was   *keptList
	is    listNote
	at    int
	stays func(e *element) bool
}

// some sifts pieces that are read in one pass.
func (s *sifting) some(from, to uint32) error {
	l := s.of
	l.asked, l.sifted, l.record = l.asked[:0], l.sifted[:0], l.record[:0]
	for number := from; number < to; number++ {
		l.asked = append(l.asked, s.was.piece(number))
	}
	pieces, err := l.store.Pieces(l.spec, s.was.ns)
	if err != nil {
		return err
	}
	var broken error
	err = pieces.Read(l.asked, func(i int, v []byte) bool {
		begin, left := len(l.record), false
		if left, broken = s.each(v); broken != nil {
			return false
		}
		if len(l.record) > begin {
			s.is.first = min(s.is.first, l.asked[i].Number)
		}
		if left {
			l.sifted = append(l.sifted, sifted{l.asked[i].Number, begin, len(l.record)})
		} else {
			l.record = l.record[:begin]
		}
		return true
	})
	if err != nil || broken != nil {
		return errorOf(broken, err)
	}
	for _, one := range l.sifted {
		if one.from == one.to {
			err = pieces.Delete(s.was.piece(one.number))
		} else {
			err = pieces.Put(s.was.piece(one.number), l.record[one.from:one.to])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// each appends those elements of v that stay to the scratch memory, and says whether one has left.
func (s *sifting) each(v []byte) (left bool, err error) {
	for len(v) > 0 {
		var e element
		if e, v, err = nextElement(v); err != nil {
			return left, err
		}
		e.at = s.at
		s.at++
		if !s.stays(&e) {
			left = true
			continue
		}
		was := len(s.of.record)
		s.of.record = appendElement(s.of.record, e)
		s.is.records, s.is.bytes = s.is.records+1, s.is.bytes+len(s.of.record)-was
	}
	return left, nil
}

func errorOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
