package state

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// hot is a Store whose entries lie in memory, all of them or those that were touched last.
type hot struct {
	config Config
	clock  Clock             // processing time
	events map[string]*Clock // event time, by operator
	gen    uint32            // grows with every Freeze
	states map[stateName]*held
	own    map[stateName]*ownValue
	young  atomic.Int64 // bytes of the tables that take entries, as of the last Table, Drop, Resolve or Trim
	older  atomic.Int64 // bytes of those that take none any more
	cold   *cold        // what lies outside of memory; nil: nothing ever does
}

// stateName is what tells states apart.
type stateName struct{ operator, name string }

func (s Spec) id() stateName { return stateName{s.Operator, s.Name} }

// held is what a store has of one state.
type held struct {
	spec     Spec
	open     map[Namespace]*tiered
	free     []*tiered          // emptied, for the next namespace: windows come and go
	dropped  []Namespace        // since the last freeze, of those that a snapshot may have
	elements *tiered            // the one table of a list, map or set of timers, which is also in open
	sorted   *sorted            // of a list or map
	files    []fileState        // restored files that have the state and are read when they are needed, the newest first
	gone     map[Namespace]bool // namespaces that the files do not count for any more
}

// keptTables is how many emptied tables a state keeps.
const keptTables = 2

// ownValue is a value of an operator's own scope.
type ownValue struct {
	restored []Owned
	value    []byte
	set      bool // value is this subtask's
	changed  bool
}

// New makes a store that goes on from what c.Restored holds.
func New(c Config) (Store, error) {
	h := &hot{config: c, states: map[stateName]*held{}, own: map[stateName]*ownValue{}, events: map[string]*Clock{}}
	restore := h.restore
	if c.Budget > 0 {
		h.cold = newCold(&h.config)
		restore = h.restoreLazily
	}
	if len(c.Restored) == 0 {
		return h, nil
	}
	if err := restore(); err != nil {
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
	if err := h.restoreRange(snapshot.Everything); err != nil {
		return err
	}
	h.settle()
	return nil
}

func (h *hot) restoreRange(rg snapshot.Range) error {
	all := snapshot.ScanMerged(snapshot.AllAhead(h.config.Restored), rg)
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
		return &FileError{all.Fault(), err}
	}
	return nil
}

// settle begins to note changes: nothing of what was restored has changed.
func (h *hot) settle() {
	h.gen++
	for _, s := range h.states {
		for _, t := range s.open {
			t.kept, t.changed = true, false
			t.seal()
			t.count()
		}
	}
}

func (h *hot) restoreOwn(s *snapshot.State, e *snapshot.Entry) error {
	from, to, ok := snapshot.SplitOwnKey(e.Key)
	if !ok || len(s.Name) < len(snapshot.OwnPrefix) {
		return fmt.Errorf("%s of %s: key %x of an operator's own scope: %w", s.Name, s.Operator, e.Key, snapshot.ErrDamaged)
	}
	if e.Op != snapshot.Put {
		return nil
	}
	v := h.ownOf(s.Operator, s.Name[len(snapshot.OwnPrefix):])
	v.restored = append(v.restored, Owned{From: from, To: to, Value: bytes.Clone(e.Value)})
	return nil
}

func (h *hot) restoreEntry(s *snapshot.State, e *snapshot.Entry) error {
	spec := Spec{Operator: s.Operator, Name: s.Name, Kind: Kind(s.Kind), TTL: s.TTL, Event: s.Event, Version: s.Version, Key: s.Key, SubKey: s.SubKey, Value: s.Value}
	if spec.Kind >= Words && spec.Kind <= Piece {
		ns := Namespace(e.Namespace)
		if spec.Kind == Timer {
			ns = Global
		}
		t, err := h.table(spec, ns)
		if err != nil {
			return err
		}
		return t.restore(e)
	}
	return fmt.Errorf("state %s of %s: kind %d is not known to this version: %w", s.Name, s.Operator, s.Kind, snapshot.ErrDamaged)
}

// SetTime implements Store.
func (h *hot) SetTime(ms int64) { h.clock = Clock{Now: ms, At: ms} }

// stateOf is what is held of a state. One that was restored takes the rest of its spec from the first who names it.
func (h *hot) stateOf(s Spec) (*held, error) {
	st := h.states[s.id()]
	if st == nil {
		st = &held{spec: s, open: map[Namespace]*tiered{}, gone: map[Namespace]bool{}}
		if h.cold != nil {
			kind := Kind(0)
			if st.files, kind = h.cold.filesOf(s); kind != 0 && kind != s.Kind {
				return nil, fmt.Errorf("open state %s of %s: kind %d (expected %d)", s.Name, s.Operator, s.Kind, kind)
			}
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
			t.respec(s)
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

func (h *hot) table(s Spec, ns Namespace) (*tiered, error) {
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
		t = &tiered{table: newTable(h, s)}
		t.count()
	}
	t.ns, t.files, t.whole, t.loaded = ns, nil, false, nil
	if len(st.files) > 0 && !st.gone[ns] && (s.Kind == Timer || mayHave(st.files, ns)) {
		t.files, t.kept = st.files, true
		h.cold.toWarm = append(h.cold.toWarm, t)
	}
	st.open[ns] = t
	if s.Kind.ordered() {
		st.elements = t
	}
	if s.Kind == Timer {
		t.timers = newTimers(t)
	}
	return t, nil
}

// Drop implements Store.
func (h *hot) Drop(s Spec, ns Namespace) error {
	if h.cold != nil && len(h.config.Restored) > 0 {
		if _, err := h.table(s, ns); err != nil { // the files may have it
			return err
		}
	}
	st := h.states[s.id()]
	if st == nil || st.open[ns] == nil {
		return nil
	}
	t := st.open[ns]
	delete(st.open, ns)
	if mayHave(st.files, ns) { // else windows that come and go would each leave something behind
		st.gone[ns] = true
	}
	if t.kept {
		st.dropped = append(st.dropped, ns)
	}
	if len(st.free) < keptTables && !t.shared && !t.layered() {
		t.reset()
		t.scan, t.stuck = nil, 0
		t.count()
		st.free = append(st.free, t)
		return nil
	}
	h.young.Add(-t.known)
	h.older.Add(-t.rest)
	t.unwarm()
	t.files, t.known, t.rest, t.old, t.flushing, t.scan = nil, 0, 0, nil, nil, nil
	if t.id != 0 {
		h.cold.drops = append(h.cold.drops, t.id)
	}
	return nil
}

// Namespaces implements Store.
func (h *hot) Namespaces(s Spec) ([]Namespace, error) {
	if _, err := h.stateOf(s); err != nil {
		return nil, err
	}
	var out []Namespace
	if st := h.states[s.id()]; st != nil {
		for ns := range st.open {
			out = append(out, ns)
		}
		restored, err := h.cold.namespaces(st.files)
		if err != nil {
			return nil, fmt.Errorf("restore state %s of %s: %w", s.Name, s.Operator, err)
		}
		for _, ns := range restored {
			if !st.gone[ns] && st.open[ns] == nil {
				out = append(out, ns)
			}
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
	t, err := h.table(s, Global)
	if err != nil {
		return nil, err
	}
	st := h.states[s.id()]
	if st.sorted == nil {
		if st.sorted, err = newSorted(t); err != nil {
			return nil, err
		}
	}
	return st.sorted, nil
}

// Timers implements Store.
func (h *hot) Timers(s Spec) (Timers, error) {
	if s.Kind != Timer {
		return nil, fmt.Errorf("open state %s of %s: kind %d is no set of timers", s.Name, s.Operator, s.Kind)
	}
	t, err := h.table(s, Global)
	if err != nil {
		return nil, err
	}
	return t.timers, nil
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
func (h *hot) Size() int64 { return h.young.Load() + h.older.Load() }

// Close implements Store.
func (h *hot) Close() error {
	clear(h.states)
	h.young.Store(0)
	h.older.Store(0)
	if h.cold == nil {
		return nil
	}
	return h.cold.close()
}

// group is the key group of a hash.
func (h *hot) group(hash uint64) graph.KeyGroup { return graph.KeyGroupOf(hash, h.config.Groups) }
