package state

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
)

// Memory is a Store of hot tables alone: what does not fit in memory does not fit.
type Memory struct {
	states map[stateName]*tables
	size   atomic.Int64 // as of the last Table, Drop or Resolve
}

// stateName is what tells states apart.
type stateName struct{ operator, name string }

func (s Spec) name() stateName { return stateName{s.Operator, s.Name} }

// tables are those of one state.
type tables struct {
	kind Kind
	open map[Namespace]*sizedTable
	free []*sizedTable // emptied, for the next namespace: windows come and go
}

// keptTables is how many emptied tables a state keeps.
const keptTables = 2

// sizedTable reports how its size changes.
type sizedTable struct {
	*table
	known int64 // what is counted in total
	total *atomic.Int64
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{states: map[stateName]*tables{}} }

// Table implements Store.
func (m *Memory) Table(s Spec, ns Namespace) (Table, error) {
	ts := m.states[s.name()]
	if ts == nil {
		ts = &tables{kind: s.Kind, open: map[Namespace]*sizedTable{}}
		m.states[s.name()] = ts
	}
	if ts.kind != s.Kind {
		return nil, fmt.Errorf("open state %s of %s: kind %d (expected %d)", s.Name, s.Operator, s.Kind, ts.kind)
	}
	t := ts.open[ns]
	if t != nil {
		return t, nil
	}
	if n := len(ts.free); n > 0 {
		t, ts.free = ts.free[n-1], ts.free[:n-1]
	} else {
		t = &sizedTable{table: newTable(s.Kind), total: &m.size}
		t.count()
	}
	ts.open[ns] = t
	return t, nil
}

// Drop implements Store.
func (m *Memory) Drop(s Spec, ns Namespace) error {
	ts := m.states[s.name()]
	if ts == nil || ts.open[ns] == nil {
		return nil
	}
	t := ts.open[ns]
	delete(ts.open, ns)
	t.reset()
	t.count()
	if len(ts.free) < keptTables {
		ts.free = append(ts.free, t)
	} else {
		m.size.Add(-t.known)
	}
	return nil
}

// Namespaces implements Store.
func (m *Memory) Namespaces(s Spec) ([]Namespace, error) {
	var out []Namespace
	if ts := m.states[s.name()]; ts != nil {
		for ns := range ts.open {
			out = append(out, ns)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Size implements Store.
func (m *Memory) Size() int64 { return m.size.Load() }

// Close implements Store.
func (m *Memory) Close() error {
	clear(m.states)
	m.size.Store(0)
	return nil
}

// count tells the store what the table holds now.
func (t *sizedTable) count() {
	n := t.size()
	t.total.Add(n - t.known)
	t.known = n
}

// Resolve implements Table.
func (t *sizedTable) Resolve(b *abi.Batch, rows []uint32, hashes []uint64, entries []Entry) error {
	err := t.table.Resolve(b, rows, hashes, entries)
	t.count()
	return err
}

var errNotYet = errors.New("state: not yet")

func (m *Memory) SetTime(int64)                                      {}
func (m *Memory) Sorted(Spec) (Sorted, error)                        { return nil, errNotYet }
func (m *Memory) Timers(Spec) (Timers, error)                        { return nil, errNotYet }
func (m *Memory) Own(string, string) ([]Owned, error)                { return nil, nil }
func (m *Memory) SetOwn(string, string, []byte) error                { return errNotYet }
func (m *Memory) Freeze() (Frozen, error)                            { return nil, errNotYet }
func (t *table) ResolveKeys([][]byte, []uint64, bool, []Entry) error { return errNotYet }
func (t *table) Word(e Entry) *uint64                                { return &t.words[e] }
func (t *table) Version(Entry) uint16                                { return 0 }
func (t *table) Delete(Entry) error                                  { return errNotYet }
func (t *table) Hash(Entry) uint64                                   { return 0 }
