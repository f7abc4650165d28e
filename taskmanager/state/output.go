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
