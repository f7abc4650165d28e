package snapshot

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
)

// Merged steps through the entries of several files as if they were one: of entries with the same key, the one of the
// newest file is given; what a newer file's DeleteNamespace removes is left out; the DeleteNamespace of the newest file
// that has it is given. Deletes are given too: older files may lie below. One goroutine uses it.
type Merged struct {
	states  []State
	order   order
	sources []*source // oldest first; nil when it has ended
	winner  *source
	deleted deletion
	entry   Entry
	err     error
	fault   string // name of the file that err is of
}

type source struct {
	name   string
	it     *Iterator
	states []int  // index in the merged states
	owner  []byte // key of what counts of the operators' own scope; nil: all does
	age    int    // index among the readers
	head   Entry  // State is that of the merged states
}

// deletion is the newest DeleteNamespace at the place that the iteration is at.
type deletion struct {
	place place
	age   int
	is    bool
}

// MergeStates is the union of the states of the readers, in the order of a file; of a state that several have, what the
// newest says of it. The readers are ordered from oldest to newest.
func MergeStates(readers []*Reader) []State {
	var all []State
	for _, r := range slices.Backward(readers) {
		for i, s := range r.States() {
			if r.Shows(i) && !slices.ContainsFunc(all, func(have State) bool { return compareStates(have, s) == 0 }) {
				all = append(all, s)
			}
		}
	}
	SortStates(all)
	return all
}

// ScanMerged scans a range of several files, the oldest first. States are those of MergeStates, also in the range.
func ScanMerged(readers []*Reader, rg Range) *Merged {
	m := newMerged(readers)
	for age, r := range readers {
		s := m.source(r, age)
		own := rg
		if rg.State != All {
			if own.State = slices.Index(s.states, rg.State); own.State < 0 {
				continue // the file has nothing of the state
			}
		}
		s.it = r.Scan(own)
		if m.advance(s) {
			m.sources = append(m.sources, s)
		}
	}
	return m
}

func newMerged(readers []*Reader) *Merged {
	m := &Merged{states: MergeStates(readers)}
	m.order = operatorsOf(m.states)
	return m
}

// source is a reader as one of those that m steps through.
func (m *Merged) source(r *Reader, age int) *source {
	s := &source{name: r.Name(), age: age, states: make([]int, len(r.States())), owner: r.owner}
	for i, st := range r.States() {
		s.states[i] = All // no entry names it
		if r.Shows(i) {
			s.states[i], _ = slices.BinarySearchFunc(m.states, st, compareStates)
		}
	}
	return s
}

// States are those that entries name.
func (m *Merged) States() []State { return m.states }

// Entry is where Next stepped to, valid until the next call of Next.
func (m *Merged) Entry() *Entry { return &m.entry }

// Age is the index of the reader that the entry is of.
func (m *Merged) Age() int { return m.winner.age }

// Err is what ended the iteration before its time.
func (m *Merged) Err() error { return m.err }

// Fault is the name of the file that Err is about.
func (m *Merged) Fault() string { return m.fault }

func (m *Merged) advance(s *source) bool {
	for there := false; !there; {
		if !s.it.Next() {
			if err := s.it.Err(); err != nil {
				m.err, m.fault = err, s.name
			}
			return false
		}
		s.head = *s.it.Entry()
		there = s.owner == nil || s.head.Group != Own || bytes.Equal(s.head.Key, s.owner)
	}
	s.head.State = s.states[s.head.State]
	return true
}

// compare orders two heads: by place and key, a DeleteNamespace before the rest of its place.
func (m *Merged) compare(a, b *Entry) int {
	if c := m.order.compareKeys(a.place(), a.Key, b.place(), b.Key); c != 0 {
		return c
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(e *Entry) int {
	if e.Op == DeleteNamespace {
		return 0
	}
	return 1
}

// Next steps to the next entry. It answers false at the end, and when there is an error.
func (m *Merged) Next() bool {
	for m.err == nil {
		if m.winner != nil {
			m.pass()
			if m.err != nil {
				break
			}
		}
		m.winner = nil
		for _, s := range m.sources {
			// Of equal heads the last, which is the newest, wins.
			if m.winner == nil || m.compare(&s.head, &m.winner.head) <= 0 {
				m.winner = s
			}
		}
		if m.winner == nil {
			return false
		}
		e := &m.winner.head
		if e.Op == DeleteNamespace {
			m.deleted = deletion{place: e.place(), age: m.winner.age, is: true}
		} else if m.deleted.is && m.deleted.place == e.place() && m.winner.age < m.deleted.age {
			continue
		}
		m.entry = *e
		return true
	}
	return false
}

// pass steps all sources over the entry that won, the winner last: the others are compared with it.
func (m *Merged) pass() {
	won := m.winner
	keep := m.sources[:0]
	for _, s := range m.sources {
		if s != won && m.compare(&s.head, &won.head) == 0 && !m.advance(s) {
			continue
		}
		keep = append(keep, s)
	}
	m.sources = keep
	if !m.advance(won) {
		m.sources = slices.DeleteFunc(m.sources, func(s *source) bool { return s == won })
	}
}

// Folding says how files are folded into one.
type Folding struct {
	From, To graph.KeyGroup // From <= group < To; the operators' own scope is always included
	Base     bool           // nothing lies below the oldest file: what removes something is left out
	Now      int64          // milliseconds: entries that have expired by then are removed; 0: none
	// Watermarks are, by operator, what Now is for states whose entries end by event time; of an operator that is not there
	// none are removed.
	Watermarks map[string]int64
}

// Merge writes to w, which was made with MergeStates(readers), what the readers, the oldest first, say together. The
// caller closes w.
func Merge(w *Writer, readers []*Reader, f Folding) error {
	rg := Everything
	rg.From, rg.To = f.From, f.To
	m := ScanMerged(readers, rg)
	if !slices.Equal(m.states, w.States()) {
		return fmt.Errorf("fold snapshots: the writer has other states than the files")
	}
	ended := f.ended(m.states)
	for m.Next() {
		e := m.Entry()
		if e.Expired(ended[e.State]) {
			*e = Entry{State: e.State, Group: e.Group, Namespace: e.Namespace, Key: e.Key, Op: Delete}
		}
		if f.Base && e.Op != Put {
			continue
		}
		if err := w.Add(e); err != nil {
			return fmt.Errorf("fold snapshots: %w", err)
		}
	}
	if err := m.Err(); err != nil {
		return fmt.Errorf("fold snapshots: %w", err)
	}
	return nil
}

// ended is, by state, the time by which entries have ended.
func (f *Folding) ended(states []State) []int64 {
	all := make([]int64, len(states)) // no entry expires before 1
	for i, s := range states {
		if all[i] = f.Now; s.Event {
			all[i] = f.Watermarks[s.Operator]
		}
	}
	return all
}
