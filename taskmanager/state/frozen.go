package state

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/btree"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// frozen is what had changed when it was made: pages and keys as they were, and trees of changes.
type frozen struct {
	groups   int
	from, to graph.KeyGroup
	now      int64
	states   []snapshot.State
	tables   [][]frozenTable // by state
	dropped  [][]Namespace   // by state
	changes  []*btree.Map[string, change]
	own      []frozenOwn // by state
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
}

// frozenOwn is a value of an operator's own scope, and those of other ranges that it replaces.
type frozenOwn struct {
	value []byte
	set   bool
	gone  []Owned
}

// Freeze implements Store.
func (h *hot) Freeze() (Frozen, error) {
	f := &frozen{groups: h.config.Groups, from: h.config.From, to: h.config.To, now: h.now}
	type part struct {
		state snapshot.State
		held  *held
		own   *ownValue
	}
	var parts []part
	for _, s := range h.states {
		if s.isChanged() {
			parts = append(parts, part{state: stateInfo(s.spec), held: s})
		}
	}
	for id, v := range h.own {
		if v.changed {
			parts = append(parts, part{state: snapshot.State{Operator: id.operator, Name: ownPrefix + id.name}, own: v})
		}
	}
	for _, p := range parts {
		f.states = append(f.states, p.state)
	}
	snapshot.SortStates(f.states)
	n := len(f.states)
	f.tables, f.dropped = make([][]frozenTable, n), make([][]Namespace, n)
	f.changes, f.own = make([]*btree.Map[string, change], n), make([]frozenOwn, n)
	for _, p := range parts {
		i := slices.IndexFunc(f.states, func(s snapshot.State) bool {
			return s.Operator == p.state.Operator && s.Name == p.state.Name
		})
		switch {
		case p.own != nil:
			f.own[i] = frozenOwn{value: p.own.value, set: true, gone: p.own.restored}
			p.own.changed = false
		case p.held.sorted != nil:
			f.changes[i] = p.held.sorted.freeze()
		default:
			f.tables[i], f.dropped[i] = p.held.freeze(h.gen)
		}
	}
	if !failpoint.Planted(failpoint.MutateFrozen) {
		h.gen++
	}
	return f, nil
}

func stateInfo(s Spec) snapshot.State {
	return snapshot.State{
		Operator: s.Operator, Name: s.Name, Kind: uint8(s.Kind), TTL: s.TTL, Version: s.Version, Key: s.Key, SubKey: s.SubKey, Value: s.Value,
	}
}

func (st *held) isChanged() bool {
	if st.sorted != nil {
		return st.sorted.changes.Len() > 0
	}
	for _, t := range st.open {
		if t.changed {
			return true
		}
	}
	return len(st.dropped) > 0
}

func (s *sorted) freeze() *btree.Map[string, change] {
	f := new(btree.Map[string, change])
	*f, s.changes = s.changes, btree.Map[string, change]{}
	return f
}

func (st *held) freeze(gen uint32) (tables []frozenTable, dropped []Namespace) {
	for ns, t := range st.open {
		if !t.changed {
			continue
		}
		tables = append(tables, frozenTable{
			ns: ns, kind: t.spec.Kind, head: t.headerBytes(), gen: gen, pages: slices.Clone(t.pages), keyRefs: t.keyRefs,
			keys: t.keys, values: t.values, deleted: t.deleted, removed: t.removed,
		})
		t.changed, t.kept, t.deleted, t.removed = false, true, nil, arena{}
		t.seal()
	}
	dropped, st.dropped = st.dropped, nil
	return tables, dropped
}

// States implements Frozen.
func (f *frozen) States() []snapshot.State { return f.states }

// Release implements Frozen: nothing but memory is held.
func (f *frozen) Release() {}

// item is an entry to write.
type item struct {
	group graph.KeyGroup
	ns    int64
	key   []byte
	op    snapshot.Op
	table *frozenTable
	word  uint64
	cell  cell
}

// Write implements Frozen. Files are sorted by operator, key group, state: so the states of an operator are taken together.
func (f *frozen) Write(w *snapshot.Writer) error {
	for lo := 0; lo < len(f.states); {
		hi := lo + 1
		for hi < len(f.states) && f.states[hi].Operator == f.states[lo].Operator {
			hi++
		}
		if err := f.writeOperator(w, lo, hi); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

type stateItems struct {
	state int
	items []item
}

func (f *frozen) writeOperator(w *snapshot.Writer, lo, hi int) error {
	all := make([]stateItems, 0, hi-lo)
	for i := lo; i < hi; i++ {
		items := f.items(i)
		sort.SliceStable(items, func(a, b int) bool { return before(&items[a], &items[b]) })
		all = append(all, stateItems{i, items})
	}
	for {
		group, any := graph.KeyGroup(0), false
		for _, s := range all {
			if len(s.items) > 0 && (!any || s.items[0].group < group) {
				group, any = s.items[0].group, true
			}
		}
		if !any {
			return nil
		}
		for k := range all {
			s := &all[k]
			for len(s.items) > 0 && s.items[0].group == group {
				if err := f.add(w, s.state, &s.items[0]); err != nil {
					return err
				}
				s.items = s.items[1:]
			}
		}
	}
}

// before orders items by key group, namespace and key; the removal of a namespace comes first. Of a key that was deleted
// and set again, only one is there.
func before(a, b *item) bool {
	switch {
	case a.group != b.group:
		return a.group < b.group
	case a.ns != b.ns:
		return a.ns < b.ns
	case a.op == snapshot.DeleteNamespace || b.op == snapshot.DeleteNamespace:
		return a.op == snapshot.DeleteNamespace && b.op != snapshot.DeleteNamespace
	}
	return bytes.Compare(a.key, b.key) < 0
}

func (f *frozen) add(w *snapshot.Writer, state int, it *item) error {
	e := snapshot.Entry{State: state, Group: it.group, Namespace: it.ns, Key: it.key, Op: it.op}
	if it.op == snapshot.Put {
		switch t := it.table; {
		case t == nil:
			e.Value, e.Version, e.Expiry = it.cell.value, it.cell.version, it.cell.expiry
		case t.kind == Words:
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], it.word)
			e.Value = word[:]
		default:
			p := t.values.get(ref(it.word))
			e.Version = binary.LittleEndian.Uint16(p)
			if t.head > 2 {
				e.Expiry = int64(binary.LittleEndian.Uint64(p[2:]))
			}
			e.Value = p[t.head:]
		}
		if e.Expiry != 0 && e.Expiry <= f.now {
			e.Op, e.Value, e.Version, e.Expiry = snapshot.Delete, nil, 0, 0
		}
	}
	if e.Op == snapshot.Delete && failpoint.Planted(failpoint.ForgetTombstone) {
		return nil
	}
	return w.Add(&e)
}

// items are the changes of a state, in no order.
func (f *frozen) items(state int) (items []item) {
	for _, ns := range f.dropped[state] {
		for g := f.from; g < f.to; g++ {
			items = append(items, item{group: g, ns: int64(ns), op: snapshot.DeleteNamespace})
		}
	}
	for i := range f.tables[state] {
		items = f.tables[state][i].items(items, f.groups)
	}
	if c := f.changes[state]; c != nil && (f.states[state].Kind != uint8(Timer) || !failpoint.Planted(failpoint.LoseTimer)) {
		c.Scan(func(at string, c change) bool {
			it := item{group: graph.KeyGroup(binary.BigEndian.Uint16([]byte(at[:2]))), ns: namespaceOf(at[2:]), key: []byte(at[10:]), op: snapshot.Put, cell: c.cell}
			if c.deleted {
				it.op = snapshot.Delete
			}
			items = append(items, it)
			return true
		})
	}
	if own := f.own[state]; own.set {
		for _, o := range own.gone {
			if o.From != f.from || o.To != f.to {
				items = append(items, item{group: snapshot.Own, key: snapshot.OwnKey(o.From, o.To), op: snapshot.Delete})
			}
		}
		items = append(items, item{group: snapshot.Own, key: snapshot.OwnKey(f.from, f.to), op: snapshot.Put, cell: cell{value: own.value}})
	}
	return items
}

func (t *frozenTable) items(items []item, groups int) []item {
	first := len(items)
	dirtyEntries(t.pages, t.gen, func(e Entry, word uint64) {
		if int(e) >= len(t.keyRefs) || t.kind == Bytes && word == gone {
			return
		}
		it := item{ns: int64(t.ns), key: t.keys.get(t.keyRefs[e]), op: snapshot.Put, table: t, word: word}
		if t.kind == Bytes && word == noValue {
			it.op, it.table = snapshot.Delete, nil
		}
		it.group = graph.KeyGroupOf(xxhash.Sum64(it.key), groups)
		items = append(items, it)
	})
	if len(t.deleted) == 0 {
		return items
	}
	live := make(map[string]bool, len(items)-first)
	for _, it := range items[first:] {
		live[string(it.key)] = true
	}
	for _, r := range t.deleted {
		key := t.removed.get(r)
		if live[string(key)] {
			continue // it was set again, or deleted twice
		}
		live[string(key)] = true
		items = append(items, item{group: graph.KeyGroupOf(xxhash.Sum64(key), groups), ns: int64(t.ns), key: key, op: snapshot.Delete})
	}
	return items
}
