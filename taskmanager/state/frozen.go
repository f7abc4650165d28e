package state

import (
	"cmp"
	"slices"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// frozen is what had changed when it was made: pages and keys as they were, and what had gone to disk.
type frozen struct {
	gen      uint32
	disk     *disk          // held; nil: nothing of it is there
	flush    *flush         // to wait for before the disk is read
	spilled  [][]frozenDisk // by state, by namespace
	groups   int
	from, to graph.KeyGroup
	states   []snapshot.State
	ended    []int64         // by state: entries whose time was up by then are gone
	tables   [][]frozenTable // by state
	dropped  [][]Namespace   // by state
	own      []frozenOwn     // by state
	full     bool            // everything, not only what had changed: nothing lies below
	whole    *frozen         // that is full; nil: not all of it lay in memory
}

type frozenTable struct {
	ns      Namespace
	kind    Kind
	head    int // bytes before a value
	gen     uint32
	pages   []*page
	keyRefs []ref
	keys    arena
	values  arena
	deleted []ref
	removed arena
	full    bool // all entries count
}

// frozenDisk is a table of which something that has changed is on disk.
type frozenDisk struct {
	ns   Namespace
	id   uint32
	kind Kind
	head int
}

// frozenOwn is a value of an operator's own scope, and those of other ranges that it replaces.
type frozenOwn struct {
	value []byte
	set   bool
	gone  []Owned
	kept  []Owned // as they were restored
}

// Freeze implements Store.
func (h *hot) Freeze() (Frozen, error) {
	f := &frozen{gen: h.gen, groups: h.config.Groups, from: h.config.From, to: h.config.To}
	if err := h.markLists(); err != nil {
		return nil, err
	}
	type part struct {
		state snapshot.State
		held  *held
		own   *ownValue
	}
	var parts []part
	for _, s := range h.states {
		if s.isChanged() && !s.spec.Derived {
			parts = append(parts, part{state: stateInfo(s.spec), held: s})
		}
	}
	for id, v := range h.own {
		if v.changed {
			parts = append(parts, part{state: snapshot.State{Operator: id.operator, Name: snapshot.OwnPrefix + id.name}, own: v})
		}
	}
	for _, p := range parts {
		f.states = append(f.states, p.state)
	}
	snapshot.SortStates(f.states)
	f.grow(len(f.states))
	for _, p := range parts {
		i := slices.IndexFunc(f.states, func(s snapshot.State) bool {
			return s.Operator == p.state.Operator && s.Name == p.state.Name
		})
		if p.own != nil {
			f.own[i] = frozenOwn{value: p.own.value, set: true, gone: p.own.restored}
			p.own.changed = false
		} else {
			f.ended[i] = h.clockOf(p.held.spec).Now
			f.tables[i], f.spilled[i], f.dropped[i] = p.held.freeze(h.gen)
			if len(f.spilled[i]) > 0 && f.disk == nil {
				f.disk, f.flush = h.cold.disk, h.cold.running
			}
		}
	}
	if f.disk != nil {
		f.disk.hold(h.gen)
	}
	if !failpoint.Planted(failpoint.MutateFrozen) {
		h.gen++
	}
	if h.cold != nil && h.cold.disk != nil {
		h.cold.disk.advance(h.gen)
	}
	if len(f.states) > 0 {
		f.whole = h.whole()
	}
	return f, nil
}

// grow makes room for so many states.
func (f *frozen) grow(n int) {
	f.tables, f.dropped = make([][]frozenTable, n), make([][]Namespace, n)
	f.spilled = make([][]frozenDisk, n)
	f.ended = make([]int64, n)
	f.own = make([]frozenOwn, n)
}

func stateInfo(s Spec) snapshot.State {
	return snapshot.State{
		Operator: s.Operator, Name: s.Name, Kind: uint8(s.Kind), TTL: s.TTL, Event: s.Event, Version: s.Version, Key: s.Key, SubKey: s.SubKey, Value: s.Value,
	}
}

func (st *held) isChanged() bool {
	for _, t := range st.open {
		if t.changed {
			return true
		}
	}
	return len(st.dropped) > 0
}

func (st *held) freeze(gen uint32) (tables []frozenTable, spilled []frozenDisk, dropped []Namespace) {
	for ns, t := range st.open {
		if !t.changed {
			continue
		}
		tables = append(tables, t.frozen(ns, gen))
		tables[len(tables)-1].deleted, tables[len(tables)-1].removed = t.deleted, t.removed
		if t.old != nil {
			tables = append(tables, t.old.frozen(ns, gen))
		}
		if t.flushed == gen+1 {
			spilled = append(spilled, frozenDisk{ns: ns, id: t.id, kind: t.spec.Kind, head: t.headerBytes()})
		}
		t.changed, t.kept, t.deleted, t.removed = false, true, nil, arena{}
		t.seal()
	}
	slices.SortFunc(spilled, func(a, b frozenDisk) int { return cmp.Compare(a.ns, b.ns) })
	dropped, st.dropped = st.dropped, nil
	return tables, spilled, dropped
}

func (t *table) frozen(ns Namespace, gen uint32) frozenTable {
	return frozenTable{
		ns: ns, kind: t.spec.Kind, head: t.headerBytes(), gen: gen, pages: slices.Clone(t.pages), keyRefs: t.keyRefs, keys: t.keys, values: t.values,
	}
}

// States implements Frozen.
func (f *frozen) States() []snapshot.State { return f.states }

// Whole implements Frozen.
func (f *frozen) Whole() Frozen {
	if f.whole == nil {
		return nil
	}
	return f.whole
}

// Release implements Frozen.
func (f *frozen) Release() {
	if f.disk != nil {
		_ = f.disk.release(f.gen) // the directory is garbage, and removed when the TaskManager starts again
		f.disk = nil
	}
	f.whole = nil
}
