package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
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

// item is an entry of an operator's own scope to write.
type item struct {
	key   []byte
	op    snapshot.Op
	value []byte
}

// cell is the value of an entry.
type cell struct {
	value   []byte
	version uint16
	expiry  int64
}

// Write implements Frozen. Files are sorted by operator, key group, state: so the states of an operator are taken together.
func (f *frozen) Write(w *snapshot.Writer) error {
	if f.flush != nil {
		<-f.flush.done
		if f.flush.err != nil {
			return f.flush.err
		}
	}
	out := &output{f: f, w: w}
	for lo := 0; lo < len(f.states); {
		hi := lo + 1
		for hi < len(f.states) && f.states[hi].Operator == f.states[lo].Operator {
			hi++
		}
		if err := out.operator(lo, hi); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// output writes what is frozen, group by group.
type output struct {
	f     *frozen
	w     *snapshot.Writer
	entry snapshot.Entry // that is being added
	word  [8]byte        // its value
	last  []byte         // key of the rank before it
	room  rankRoom
}

// pending is what a state has still to write.
type pending struct {
	state int
	items []item // in order
	parts []part // of a state of tables, by namespace
}

// part is a namespace of a state of tables.
type part struct {
	ns      int64
	dropped bool  // before it came to what else there is
	lane    *lane // nil: nothing in memory has changed
	disk    *frozenDisk
}

func (o *output) operator(lo, hi int) error {
	f := o.f
	all := make([]pending, 0, hi-lo)
	each := false // every group is to be looked at
	for i := lo; i < hi; i++ {
		p := pending{state: i, items: f.items(i), parts: f.parts(i)}
		all = append(all, p)
		each = each || slices.ContainsFunc(p.parts, func(p part) bool { return p.dropped || p.disk != nil })
	}
	defer func() {
		for _, s := range all {
			for _, p := range s.parts {
				if p.lane != nil {
					p.lane.release()
				}
			}
		}
	}()
	next := graph.KeyGroup(snapshot.Own) // the next group to look at, whatever else there is
	if each {
		next = f.from
	}
	for {
		group, any := next, next < f.to
		for i := range all {
			if g, ok := all[i].next(); ok && (!any || g < group) {
				group, any = g, true
			}
		}
		if !any {
			return nil
		}
		for i := range all {
			if err := o.group(&all[i], group); err != nil {
				return err
			}
		}
		if group == next {
			next++
		}
	}
}

// next is the least group of what lies in memory.
func (s *pending) next() (group graph.KeyGroup, any bool) {
	if len(s.items) > 0 {
		group, any = snapshot.Own, true
	}
	for _, p := range s.parts {
		if p.lane == nil {
			continue
		}
		if g, more := p.lane.group(); more && (!any || g < group) {
			group, any = g, true
		}
	}
	return group, any
}

// group writes what a state has in one key group.
func (o *output) group(s *pending, group graph.KeyGroup) error {
	for len(s.items) > 0 && group == snapshot.Own {
		it := &s.items[0]
		o.entry = snapshot.Entry{State: s.state, Group: group, Key: it.key, Op: it.op, Value: it.value}
		if err := o.add(); err != nil {
			return err
		}
		s.items = s.items[1:]
	}
	for i := range s.parts {
		if err := o.part(s.state, &s.parts[i], group); err != nil {
			return err
		}
	}
	return nil
}

// part writes what a namespace has in one key group: of a key that is in memory and on disk, what is in memory.
func (o *output) part(state int, p *part, group graph.KeyGroup) error {
	o.entry, o.last = snapshot.Entry{State: state, Group: group, Namespace: p.ns}, nil
	if p.dropped && group < o.f.to {
		o.entry.Op = snapshot.DeleteNamespace
		if err := o.add(); err != nil {
			return err
		}
	}
	var ranks []rank
	if p.lane != nil {
		ranks = p.lane.take(group, &o.room)
	}
	if p.disk == nil || group == snapshot.Own {
		return o.ranks(p, ranks)
	}
	prefix := appendDiskKey(nil, p.disk.id, group, nil)
	err := o.f.disk.files.ScanVersion(dirtyVersion(o.f.gen), prefix, func(key, value []byte, deleted bool) error {
		key = key[diskHeader:] // of its table
		n := 0
		for n < len(ranks) && bytes.Compare(p.lane.keyAt(ranks[n].at), key) < 0 {
			n++
		}
		if err := o.ranks(p, ranks[:n]); err != nil {
			return err
		}
		if ranks = ranks[n:]; len(ranks) > 0 && bytes.Equal(p.lane.keyAt(ranks[0].at), key) {
			if p.lane.weakAt(ranks[0].at) == 0 {
				return nil // what is in memory is newer
			}
			ranks = ranks[1:]
		}
		o.entry.Namespace, o.entry.Key = p.disk.kind.inFile(p.ns, key)
		o.entry.Op = snapshot.Delete
		o.entry.Value, o.entry.Version, o.entry.Expiry = nil, 0, 0
		if !deleted && value[0] == diskPut {
			o.entry.Op = snapshot.Put
			o.set(p.disk.cell(value[1:]))
		}
		o.last = append(o.last[:0], key...)
		return o.add()
	})
	if err != nil {
		return err
	}
	return o.ranks(p, ranks)
}

// ranks writes entries of one namespace in one key group.
func (o *output) ranks(p *part, ranks []rank) error {
	l := p.lane
	for i := range ranks {
		if i%ahead == 0 {
			l.fetchValues(ranks[i:min(i+ahead, len(ranks))])
		}
		at := ranks[i].at
		word, t := l.word(at)
		e, key, weak := &o.entry, l.keyAt(at), l.weakAt(at) != 0
		if weak && o.last != nil && bytes.Equal(key, o.last) {
			continue
		}
		if l.weak {
			o.last = append(o.last[:0], key...)
		}
		e.Namespace, e.Key = t.kind.inFile(p.ns, key)
		e.Op, e.Value, e.Version, e.Expiry = snapshot.Put, nil, 0, 0
		switch {
		case weak || t.kind != Words && word == noValue:
			e.Op = snapshot.Delete
		case t.kind == Words:
			binary.LittleEndian.PutUint64(o.word[:], word)
			e.Value = o.word[:]
		default:
			o.set(cellOf(t.head, t.values.get(ref(word))))
		}
		if err := o.add(); err != nil {
			return err
		}
	}
	return nil
}

// set gives the entry a value.
func (o *output) set(c cell) {
	o.entry.Value, o.entry.Version, o.entry.Expiry = c.value, c.version, c.expiry
}

func (o *output) add() error {
	e := &o.entry
	if e.Op == snapshot.Put && e.Expired(o.f.ended[e.State]) {
		e.Op, e.Value, e.Version, e.Expiry = snapshot.Delete, nil, 0, 0
	}
	if e.Op != snapshot.Put && o.f.full {
		return nil
	}
	if e.Op == snapshot.Delete && failpoint.Planted(failpoint.ForgetTombstone) {
		return nil
	}
	if o.f.states[e.State].Kind == uint8(Piece) && failpoint.Planted(failpoint.LoseElements) {
		return nil
	}
	return o.w.Add(e)
}

// cell is a value as a table stores it.
func (d *frozenDisk) cell(stored []byte) cell {
	if d.kind == Words {
		return cell{value: stored}
	}
	return cellOf(d.head, stored)
}

// cellOf is a stored value of any kind but Words, whose header has so many bytes.
func cellOf(head int, stored []byte) cell {
	c := cell{version: binary.LittleEndian.Uint16(stored), value: stored[head:]}
	if head > shortHeader {
		c.expiry = int64(binary.LittleEndian.Uint64(stored[2:]))
	}
	return c
}

// parts are the changes of a state of tables, by namespace.
func (f *frozen) parts(state int) (parts []part) {
	if f.states[state].Kind == uint8(Timer) && failpoint.Planted(failpoint.LoseTimer) {
		return nil
	}
	at := func(ns int64) *part {
		i, found := slices.BinarySearchFunc(parts, ns, func(p part, ns int64) int { return cmp.Compare(p.ns, ns) })
		if !found {
			parts = slices.Insert(parts, i, part{ns: ns})
		}
		return &parts[i]
	}
	for _, ns := range f.dropped[state] {
		at(int64(ns)).dropped = true
	}
	tables := map[int64][]*frozenTable{}
	for i := range f.tables[state] {
		t := &f.tables[state][i]
		tables[int64(t.ns)] = append(tables[int64(t.ns)], t)
	}
	for ns, of := range tables {
		l := newLane(of, f.groups)
		if _, any := l.group(); any {
			at(ns).lane = l
		}
	}
	for i := range f.spilled[state] {
		d := &f.spilled[state][i]
		at(int64(d.ns)).disk = d
	}
	return parts
}

// items are the changes of an operator's own scope, in order.
func (f *frozen) items(state int) (items []item) {
	put := func(from, to graph.KeyGroup, value []byte) {
		items = append(items, item{key: snapshot.OwnKey(from, to), op: snapshot.Put, value: value})
	}
	own := &f.own[state]
	for _, o := range own.kept {
		put(o.From, o.To, o.Value)
	}
	if own.set {
		for _, o := range own.gone {
			same := o.From == f.from && o.To == f.to
			if !same && o.From < f.to && f.from < o.To { // others may be those of a task that there is now
				items = append(items, item{key: snapshot.OwnKey(o.From, o.To), op: snapshot.Delete})
			}
		}
		put(f.from, f.to, own.value)
	}
	slices.SortFunc(items, func(a, b item) int { return bytes.Compare(a.key, b.key) })
	return items
}
