package state

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// hot is a Store whose entries all lie in memory.
type hot struct {
	config Config
	now    int64
	gen    uint32 // grows with every Freeze
	states map[stateName]*held
	own    map[stateName]*ownValue
	size   atomic.Int64 // as of the last Table, Drop or Resolve
}

// stateName is what tells states apart.
type stateName struct{ operator, name string }

func (s Spec) id() stateName { return stateName{s.Operator, s.Name} }

// held is what a store has of one state.
type held struct {
	spec    Spec
	open    map[Namespace]*sizedTable
	free    []*sizedTable // emptied, for the next namespace: windows come and go
	dropped []Namespace   // since the last freeze, of those that a snapshot may have
	sorted  *sorted
}

// keptTables is how many emptied tables a state keeps.
const keptTables = 2

// sizedTable is a table that reports how its size changes.
type sizedTable struct {
	*table
	known int64 // what is counted in total
	total *atomic.Int64
}

// ownValue is a value of an operator's own scope.
type ownValue struct {
	restored []Owned
	value    []byte
	set      bool // value is this subtask's
	changed  bool
}

// New makes a store that goes on from what c.Restored holds.
func New(c Config) (Store, error) {
	h := &hot{config: c, states: map[stateName]*held{}, own: map[stateName]*ownValue{}}
	if len(c.Restored) == 0 {
		return h, nil
	}
	if err := h.restore(); err != nil {
		return nil, fmt.Errorf("restore state: %w", err)
	}
	return h, nil
}

// NewMemory makes an empty store of all key groups of a job with the default number of them.
func NewMemory() Store {
	h, _ := New(Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism}) // nothing is read
	return h
}

// restore takes in everything that the files hold.
func (h *hot) restore() error {
	all := snapshot.ScanMerged(h.config.Restored, snapshot.Everything)
	states := all.States()
	for all.Next() {
		e := all.Entry()
		s := &states[e.State]
		if e.Group == snapshot.Own {
			if err := h.restoreOwn(s, e); err != nil {
				return err
			}
			continue
		}
		if e.Op != snapshot.Put {
			continue // nothing lies below
		}
		if err := h.restoreEntry(s, e); err != nil {
			return err
		}
	}
	if err := all.Err(); err != nil {
		return err
	}
	h.gen++ // nothing of it has changed
	for _, s := range h.states {
		for _, t := range s.open {
			t.kept, t.changed = true, false
			t.seal()
			t.count()
		}
		if s.sorted != nil {
			s.sorted.settle()
		}
	}
	return nil
}

// ownPrefix begins the name that a value of an operator's own scope has in files, so that it is no state's.
const ownPrefix = "$own:"

func (h *hot) restoreOwn(s *snapshot.State, e *snapshot.Entry) error {
	from, to, ok := snapshot.SplitOwnKey(e.Key)
	if !ok || len(s.Name) < len(ownPrefix) {
		return fmt.Errorf("%s of %s: key %x of an operator's own scope: %w", s.Name, s.Operator, e.Key, snapshot.ErrDamaged)
	}
	if e.Op != snapshot.Put {
		return nil
	}
	v := h.ownOf(s.Operator, s.Name[len(ownPrefix):])
	v.restored = append(v.restored, Owned{From: from, To: to, Value: bytes.Clone(e.Value)})
	return nil
}

func (h *hot) restoreEntry(s *snapshot.State, e *snapshot.Entry) error {
	spec := Spec{Operator: s.Operator, Name: s.Name, Kind: Kind(s.Kind), TTL: s.TTL, Version: s.Version, Key: s.Key, SubKey: s.SubKey, Value: s.Value}
	switch spec.Kind {
	case Words, Bytes:
		t, err := h.table(spec, Namespace(e.Namespace))
		if err != nil {
			return err
		}
		return t.restore(e)
	case List, Map, Timer:
		st, err := h.stateOf(spec)
		if err != nil {
			return err
		}
		st.sorted.restore(e)
		return nil
	}
	return fmt.Errorf("state %s of %s: kind %d is not known to this version: %w", s.Name, s.Operator, s.Kind, snapshot.ErrDamaged)
}

// SetTime implements Store.
func (h *hot) SetTime(ms int64) { h.now = ms }

// stateOf is what is held of a state. One that was restored takes the rest of its spec from the first who names it.
func (h *hot) stateOf(s Spec) (*held, error) {
	st := h.states[s.id()]
	if st == nil {
		st = &held{spec: s, open: map[Namespace]*sizedTable{}}
		if s.Kind > Bytes {
			st.sorted = newSorted(h, s)
		}
		h.states[s.id()] = st
		return st, nil
	}
	if st.spec.Kind != s.Kind {
		return nil, fmt.Errorf("open state %s of %s: kind %d (expected %d)", s.Name, s.Operator, s.Kind, st.spec.Kind)
	}
	if st.spec != s {
		st.spec = s
		for _, t := range st.open {
			t.spec = s
		}
		if st.sorted != nil {
			st.sorted.spec = s
		}
	}
	return st, nil
}

// Table implements Store.
func (h *hot) Table(s Spec, ns Namespace) (Table, error) {
	if s.Kind > Bytes {
		return nil, fmt.Errorf("open state %s of %s: kind %d is no table's", s.Name, s.Operator, s.Kind)
	}
	return h.table(s, ns)
}

func (h *hot) table(s Spec, ns Namespace) (*sizedTable, error) {
	st, err := h.stateOf(s)
	if err != nil {
		return nil, err
	}
	t := st.open[ns]
	if t != nil {
		return t, nil
	}
	if n := len(st.free); n > 0 {
		t, st.free = st.free[n-1], st.free[:n-1]
		t.spec = s
	} else {
		t = &sizedTable{table: newTable(h, s), total: &h.size}
		t.count()
	}
	st.open[ns] = t
	return t, nil
}

// Drop implements Store.
func (h *hot) Drop(s Spec, ns Namespace) error {
	st := h.states[s.id()]
	if st == nil || st.open[ns] == nil {
		return nil
	}
	t := st.open[ns]
	delete(st.open, ns)
	if t.kept {
		st.dropped = append(st.dropped, ns)
	}
	if len(st.free) < keptTables && !t.shared {
		t.reset()
		t.count()
		st.free = append(st.free, t)
	} else {
		h.size.Add(-t.known)
	}
	return nil
}

// Namespaces implements Store.
func (h *hot) Namespaces(s Spec) ([]Namespace, error) {
	var out []Namespace
	if st := h.states[s.id()]; st != nil {
		for ns := range st.open {
			out = append(out, ns)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Sorted implements Store.
func (h *hot) Sorted(s Spec) (Sorted, error) {
	if s.Kind != List && s.Kind != Map {
		return nil, fmt.Errorf("open state %s of %s: kind %d is neither a list nor a map", s.Name, s.Operator, s.Kind)
	}
	st, err := h.stateOf(s)
	if err != nil {
		return nil, err
	}
	return st.sorted, nil
}

// Timers implements Store.
func (h *hot) Timers(s Spec) (Timers, error) {
	if s.Kind != Timer {
		return nil, fmt.Errorf("open state %s of %s: kind %d is no set of timers", s.Name, s.Operator, s.Kind)
	}
	st, err := h.stateOf(s)
	if err != nil {
		return nil, err
	}
	return &timers{st.sorted}, nil
}

func (h *hot) ownOf(operator, name string) *ownValue {
	id := stateName{operator, name}
	v := h.own[id]
	if v == nil {
		v = &ownValue{}
		h.own[id] = v
	}
	return v
}

// Own implements Store.
func (h *hot) Own(operator, name string) ([]Owned, error) {
	if v := h.own[stateName{operator, name}]; v != nil {
		return v.restored, nil
	}
	return nil, nil
}

// SetOwn implements Store.
func (h *hot) SetOwn(operator, name string, value []byte) error {
	v := h.ownOf(operator, name)
	if v.set && bytes.Equal(v.value, value) {
		return nil
	}
	v.value, v.set, v.changed = bytes.Clone(value), true, true
	return nil
}

// Size implements Store.
func (h *hot) Size() int64 { return h.size.Load() }

// Close implements Store.
func (h *hot) Close() error {
	clear(h.states)
	h.size.Store(0)
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

// ResolveKeys implements Table.
func (t *sizedTable) ResolveKeys(keys [][]byte, hashes []uint64, read bool, entries []Entry) error {
	err := t.table.ResolveKeys(keys, hashes, read, entries)
	t.count()
	return err
}

// group is the key group of a hash.
func (h *hot) group(hash uint64) graph.KeyGroup { return graph.KeyGroupOf(hash, h.config.Groups) }
