package keysort

import (
	"bytes"
	"cmp"
	"errors"
)

// merge gives the records of runs in order. Runs are in the order in which their records came.
type merge struct {
	runs  []*runReader // a heap by record; those that have ended are gone
	begun bool
	all   []*runReader
	hash  uint64 // of the record before
	key   []byte
}

func openMerge(runs []run) (*merge, error) {
	m := &merge{}
	for i, run := range runs {
		r, err := openRun(run.path)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		r.order = i
		m.all = append(m.all, r)
		more, err := r.step()
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		if more {
			m.runs = append(m.runs, r)
		}
	}
	for i := len(m.runs)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

func (m *merge) next() (Record, bool, error) {
	first := !m.begun
	if m.begun && len(m.runs) > 0 {
		more, err := m.runs[0].step()
		if err != nil {
			return Record{}, false, err
		}
		if !more {
			last := len(m.runs) - 1
			m.runs[0] = m.runs[last]
			m.runs = m.runs[:last]
		}
		m.sink(0)
	}
	m.begun = true
	if len(m.runs) == 0 {
		return Record{}, false, nil
	}
	r := m.runs[0].record()
	if hash := r.Batch.Hashes[r.Row]; !first && hash == m.hash && bytes.Equal(r.key(), m.key) {
		r.Again = true
	} else {
		m.hash, m.key = hash, append(m.key[:0], r.key()...)
	}
	return r, true, nil
}

// sink brings the run at i to its place in the heap, where all below it are in theirs.
func (m *merge) sink(i int) {
	for {
		first := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(m.runs); c++ {
			if before(m.runs[c], m.runs[first]) {
				first = c
			}
		}
		if first == i {
			return
		}
		m.runs[i], m.runs[first] = m.runs[first], m.runs[i]
		i = first
	}
}

func (m *merge) close() error {
	var errs []error
	for _, r := range m.all {
		errs = append(errs, r.file.Close())
	}
	m.all, m.runs = nil, nil
	return errors.Join(errs...)
}

// before orders records as the sorter does.
func before(a, b *runReader) bool {
	if x, y := a.batch.Hashes[a.row], b.batch.Hashes[b.row]; x != y {
		return x < y
	}
	x, y := a.record(), b.record()
	if c := bytes.Compare(x.key(), y.key()); c != 0 {
		return c < 0
	}
	return cmp.Or(cmp.Compare(timeOf(x.Batch, x.Row), timeOf(y.Batch, y.Row)), cmp.Compare(x.Lane, y.Lane), cmp.Compare(a.order, b.order)) < 0
}
