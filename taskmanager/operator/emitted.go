package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// emitted knows of which keys a window has put out its result, where a snapshot lies in the middle of that: who goes on from there
// leaves them out. Of a window that is put out without a snapshot in between nothing is noted.
type emitted struct {
	store state.Store
	spec  state.Spec
	marks map[state.Namespace]*marks // by the start of the window

	keys    [][]byte // scratch
	hashes  []uint64
	entries []state.Entry
}

// marks are the keys of a window, each with a word: 1, or 0 again if its result is still to come after all.
type marks struct {
	table    state.Table
	restored bool // some were made before the window is put out here
}

// restore finds the windows that a snapshot lay in the middle of.
func (e *emitted) restore(store state.Store, of state.Spec) error {
	e.store, e.marks = store, map[state.Namespace]*marks{}
	e.spec = state.Spec{Operator: of.Operator, Name: "$emitted", Kind: state.Words, Key: of.Key}
	there, err := store.Namespaces(e.spec)
	for _, ns := range there {
		if err != nil || failpoint.Planted(failpoint.ForgetEmitted) {
			break
		}
		m := &marks{restored: true}
		m.table, err = store.Table(e.spec, ns)
		e.marks[ns] = m
	}
	return err
}

// mark notes that entries of a table have been put out.
func (e *emitted) mark(ns state.Namespace, table state.Table, entries []state.Entry) error {
	m, err := e.of(ns)
	if err != nil {
		return err
	}
	if err := e.find(m, table, entries, false); err != nil {
		return err
	}
	for _, at := range e.entries {
		*m.table.Word(at) = 1
	}
	return nil
}

// of are the marks of a window.
func (e *emitted) of(ns state.Namespace) (*marks, error) {
	m := e.marks[ns]
	if m == nil {
		m = &marks{}
		var err error
		if m.table, err = e.store.Table(e.spec, ns); err != nil {
			return nil, err
		}
		e.marks[ns] = m
	}
	return m, nil
}

// ahead marks keys whose results are put out before the window is, and answers which of them had not been.
func (e *emitted) ahead(ns state.Namespace, keys [][]byte, hashes []uint64) (fresh [][]byte, of []uint64, err error) {
	m, err := e.of(ns)
	if err != nil {
		return nil, nil, err
	}
	m.restored = true
	e.entries = entriesFor(e.entries, len(keys))
	if err := m.table.ResolveKeys(keys, hashes, false, e.entries); err != nil {
		return nil, nil, err
	}
	for i, at := range e.entries {
		if word := m.table.Word(at); *word == 0 {
			*word = 1
			fresh, of = append(fresh, keys[i]), append(of, hashes[i])
		}
	}
	return fresh, of, nil
}

// find sets entries of e to those of the marks.
func (e *emitted) find(m *marks, table state.Table, of []state.Entry, read bool) error {
	e.keys, e.hashes, e.entries = e.keys[:0], e.hashes[:0], entriesFor(e.entries, len(of))
	for _, one := range of {
		e.keys, e.hashes = append(e.keys, table.Key(one)), append(e.hashes, table.Hash(one))
	}
	return m.table.ResolveKeys(e.keys, e.hashes, read, e.entries)
}

// missing leaves out of entries of a table those that had been put out before the operator went on.
func (e *emitted) missing(ns state.Namespace, table state.Table, entries []state.Entry) ([]state.Entry, error) {
	m := e.marks[ns]
	if m == nil || !m.restored || len(entries) == 0 {
		return entries, nil
	}
	if err := e.find(m, table, entries, true); err != nil {
		return nil, err
	}
	kept := 0
	for i, one := range entries {
		if at := e.entries[i]; at == state.NoEntry || *m.table.Word(at) == 0 {
			entries[kept] = one
			kept++
		}
	}
	return entries[:kept], nil
}

// comes says that records of a pane are in a window that is not done with: of a key that it has put out, and that takes them, it puts
// the result out again.
func (e *emitted) comes(m *marks, p *pane, b *abi.Batch, hashes []uint64, takes func(hash uint64) bool) error {
	rows := p.rows
	if p.all {
		rows = nil
	}
	e.entries = entriesFor(e.entries, len(p.entries))
	if err := m.table.Resolve(b, rows, hashes, e.entries); err != nil {
		return err
	}
	for i, at := range e.entries {
		if takes(hashes[p.row(i)]) {
			*m.table.Word(at) = 0
		}
	}
	return nil
}

// over forgets a window that is put out.
func (e *emitted) over(ns state.Namespace) error {
	if e.marks[ns] == nil {
		return nil
	}
	delete(e.marks, ns)
	return e.store.Drop(e.spec, ns)
}

// scanning is how far the scan of a table has come that puts a window out.
type scanning struct {
	cursor uint64
	marked uint64 // what lies before it bears a mark
}

// passed follows the results of entries of a table. What can be gone through again is marked when there is a snapshot.
func (e *emitted) passed(ns state.Namespace, table state.Table, s *scanning, entries []state.Entry) error {
	if table.Repeats() {
		return nil
	}
	s.marked = s.cursor
	return e.mark(ns, table, entries)
}

// settle marks, before a snapshot, what has been put out since the last one.
func (e *emitted) settle(ns state.Namespace, table state.Table, s *scanning) error {
	var some [chunk]state.Entry
	for s.marked < s.cursor {
		n, next := table.Rescan(s.marked, s.cursor, some[:])
		if n > 0 {
			if err := e.mark(ns, table, some[:n]); err != nil {
				return err
			}
		}
		s.marked = next
	}
	return nil
}
