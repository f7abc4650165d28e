package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/btree"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// frozen is what had changed when it was made: pages and keys as they were, trees of changes, and what had gone to disk.
type frozen struct {
	gen      uint32
	disk     *disk          // held; nil: nothing of it is there
	flush    *flush         // to wait for before the disk is read
	spilled  [][]frozenDisk // by state, by namespace
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
}

// Freeze implements Store.
func (h *hot) Freeze() (Frozen, error) {
	f := &frozen{gen: h.gen, groups: h.config.Groups, from: h.config.From, to: h.config.To, now: h.now}
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
	f.spilled = make([][]frozenDisk, n)
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

// Release implements Frozen.
func (f *frozen) Release() {
	if f.disk != nil {
		_ = f.disk.release(f.gen) // the directory is garbage, and removed when the TaskManager starts again
		f.disk = nil
	}
}

// item is an entry to write.
type item struct {
	group graph.KeyGroup
	ns    int64
	key   []byte
	op    snapshot.Op
	table *frozenTable
	word  uint64
	cell  cell
	weak  bool // counts only if there is no other item of the key
}

// Write implements Frozen. Files are sorted by operator, key group, state: so the states of an operator are taken together.
func (f *frozen) Write(w *snapshot.Writer) error {
	if f.flush != nil {
		<-f.flush.done
		if f.flush.err != nil {
			return f.flush.err
		}
	}
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
		all = append(all, stateItems{i, inOrder(f.items(i))})
	}
	spilled := graph.KeyGroup(snapshot.Own) // the next group to look for on disk
	if slices.ContainsFunc(f.spilled[lo:hi], func(d []frozenDisk) bool { return len(d) > 0 }) {
		spilled = f.from
	}
	for {
		group, any := spilled, spilled < f.to
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
			n := 0
			for n < len(s.items) && s.items[n].group == group {
				n++
			}
			if err := f.writeGroup(w, s.state, group, s.items[:n]); err != nil {
				return err
			}
			s.items = s.items[n:]
		}
		if group == spilled {
			spilled++
		}
	}
}

// writeGroup writes what a state has in one key group: of a key that is in memory and on disk, what is in memory.
func (f *frozen) writeGroup(w *snapshot.Writer, state int, group graph.KeyGroup, items []item) error {
	var last *item
	first := func(disk *item) (err error) { // writes the items before disk
		for len(items) > 0 && err == nil && (disk == nil || before(&items[0], disk)) {
			it := &items[0]
			if items = items[1:]; !it.weak || last == nil || it.ns != last.ns || last.op == snapshot.DeleteNamespace || !bytes.Equal(it.key, last.key) {
				err = f.add(w, state, it)
			}
			last = it
		}
		return err
	}
	for _, d := range f.spilled[state] {
		if group == snapshot.Own {
			break
		}
		prefix := appendDiskKey(nil, d.id, group, nil)
		err := f.disk.files.ScanVersion(dirtyVersion(f.gen), prefix, func(key, value []byte, deleted bool) error {
			it := item{group: group, ns: int64(d.ns), key: key[diskHeader:], op: snapshot.Delete}
			if err := first(&it); err != nil {
				return err
			}
			if len(items) > 0 && items[0].ns == it.ns && items[0].op != snapshot.DeleteNamespace && bytes.Equal(items[0].key, it.key) {
				if !items[0].weak {
					return nil // what is in memory is newer
				}
				items = items[1:]
			}
			if !deleted && value[0] == diskPut {
				it.op, it.cell = snapshot.Put, d.cell(value[1:])
			}
			return f.add(w, state, &it)
		})
		if err != nil {
			return err
		}
	}
	return first(nil)
}

// cell is a value as a table stores it.
func (d *frozenDisk) cell(stored []byte) cell {
	if d.kind == Words {
		return cell{value: stored}
	}
	c := cell{version: binary.LittleEndian.Uint16(stored), value: stored[d.head:]}
	if d.head > 2 {
		c.expiry = int64(binary.LittleEndian.Uint64(stored[2:]))
	}
	return c
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
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return !a.weak && b.weak
}

// rank stands for an item while items are sorted: an item is large, and its key lies elsewhere.
type rank struct {
	head  uint64 // the first bytes of the key, which order most keys
	at    uint32 // where the item is
	group graph.KeyGroup
}

// inOrder sorts items as before orders them, equal ones as they come.
func inOrder(items []item) []item {
	plain := true // one namespace, so that groups and keys are all of the order
	ranks := make([]rank, len(items))
	for i := range items {
		it := &items[i]
		plain = plain && it.ns == items[0].ns && it.op != snapshot.DeleteNamespace
		ranks[i] = rank{head(it.key), uint32(i), it.group}
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		switch {
		case a.group != b.group:
			return int(a.group) - int(b.group)
		case plain && a.head != b.head:
			return cmp.Compare(a.head, b.head)
		case before(&items[a.at], &items[b.at]):
			return -1
		case before(&items[b.at], &items[a.at]):
			return 1
		}
		return cmp.Compare(a.at, b.at)
	})
	out := make([]item, len(items))
	for i, r := range ranks {
		out[i] = items[r.at]
	}
	return out
}

// head is the first 8 bytes of a key as a number that orders as they do; a key that is shorter is a prefix of zeros.
func head(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var p [8]byte
	copy(p[:], key)
	return binary.BigEndian.Uint64(p[:])
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
		items = append(items, item{group: graph.KeyGroupOf(xxhash.Sum64(key), groups), ns: int64(t.ns), key: key, op: snapshot.Delete, weak: true})
	}
	return items
}
