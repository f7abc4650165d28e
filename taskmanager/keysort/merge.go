package keysort

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
)

// merge gives the records of runs in order. Runs are in the order in which their records came.
type merge struct {
	runs  []*runReader // a heap by record; those that have ended are gone
	order map[*runReader]int
	begun bool
	all   []*runReader
}

func openMerge(runs []run) (*merge, error) {
	m := &merge{order: map[*runReader]int{}}
	for i, run := range runs {
		r, err := openRun(run.path)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.all = append(m.all, r)
		m.order[r] = i
		more, err := r.step()
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		if more {
			m.runs = append(m.runs, r)
		}
	}
	heap.Init(m)
	return m, nil
}

func (m *merge) next() (Record, bool, error) {
	if m.begun && len(m.runs) > 0 {
		more, err := m.runs[0].step()
		if err != nil {
			return Record{}, false, err
		}
		if more {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
	}
	m.begun = true
	if len(m.runs) == 0 {
		return Record{}, false, nil
	}
	return m.runs[0].record(), true, nil
}

func (m *merge) close() error {
	var errs []error
	for _, r := range m.all {
		errs = append(errs, r.file.Close())
	}
	m.all, m.runs = nil, nil
	return errors.Join(errs...)
}

// compare orders records as the sorter does.
func (m *merge) compare(a, b *runReader) int {
	x, y := a.record(), b.record()
	if x.hash() != y.hash() {
		return cmp.Compare(x.hash(), y.hash())
	}
	if c := bytes.Compare(x.key(), y.key()); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(timeOf(x.Batch, x.Row), timeOf(y.Batch, y.Row)), cmp.Compare(x.Lane, y.Lane), cmp.Compare(m.order[a], m.order[b]))
}

// Len, Less, Swap, Push and Pop make it a heap.
func (m *merge) Len() int           { return len(m.runs) }
func (m *merge) Less(i, j int) bool { return m.compare(m.runs[i], m.runs[j]) < 0 }
func (m *merge) Swap(i, j int)      { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }
func (m *merge) Push(r any)         { m.runs = append(m.runs, r.(*runReader)) }
func (m *merge) Pop() any {
	last := m.runs[len(m.runs)-1]
	m.runs = m.runs[:len(m.runs)-1]
	return last
}
