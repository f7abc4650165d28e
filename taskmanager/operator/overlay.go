package operator

import (
	"fmt"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// Overlay is what a call of a process function has changed so far, over what is stored: the guest reads its own writes,
// and they are stored when the call has ended well.
type Overlay struct {
	process *Process
	groups  int
	numbers map[overlayKey]int // of the cells
	cells   []overlayCell      // in the order in which they were first written
	memory  []byte             // of what was written
	answers []byte             // of the answers to the last requests
	keys    [][]byte           // scratch
	subs    [][]byte           // scratch
	page    page               // that was answered last, if there is more
	broken  error              // why state could not be read, through no fault of the guest's: what its call ends with
}

// page is where the answer of a part of a list or map has ended, so that the next part is not read from the beginning.
type page struct {
	of     overlayKey
	cursor uint64 // that the answer gave; 0: none
	last   []byte // sub key of the last element answered
}

// resume is the sub key behind which the element is that a cursor counts to, and its number; nil and 0 for the first.
func (o *Overlay) resume(r *abi.StateRequest) (after []byte, at uint64) {
	if p := &o.page; p.cursor != 0 && p.cursor == r.Cursor && p.of == (overlayKey{r.Group, r.State}) {
		return append([]byte{}, p.last...), p.cursor
	}
	return nil, 0
}

type overlayKey struct {
	group uint32
	state uint16
}

// overlayCell is what was written to one state of one key.
type overlayCell struct {
	at      overlayKey
	cleared bool              // what is stored does not count
	entries map[string][]byte // of a map, nil: deleted; of a value, under ""
	added   [][]byte          // to a list
}

func (o *Overlay) begin(groups int) {
	clear(o.numbers)
	o.groups, o.cells, o.memory, o.broken = groups, o.cells[:0], o.memory[:0], nil
	o.page.cursor = 0
}

// cell makes a place for what is written to a state of a key; it keeps the memory of an earlier call's.
func (o *Overlay) cell(k overlayKey) *overlayCell {
	if o.numbers == nil {
		o.numbers = map[overlayKey]int{}
	}
	n := len(o.cells)
	o.numbers[k] = n
	if n == cap(o.cells) {
		o.cells = append(o.cells, overlayCell{})
	}
	o.cells = o.cells[:n+1]
	c := &o.cells[n]
	c.at, c.cleared, c.added = k, false, c.added[:0]
	clear(c.entries)
	return c
}

// keep copies p, which is the guest's, until the next call.
func keep(memory *[]byte, p []byte) []byte {
	if *memory == nil {
		*memory = []byte{} // what is empty is not nil
	}
	at := len(*memory)
	*memory = append(*memory, p...) // what was kept before stays where it was
	return (*memory)[at:len(*memory):len(*memory)]
}

// find checks a request, and returns what was written so far, nil for nothing.
func (o *Overlay) find(r *abi.StateRequest) (*processState, *overlayCell, error) {
	if int(r.State) >= len(o.process.states) {
		return nil, nil, fmt.Errorf("state %d (expected < %d)", r.State, len(o.process.states))
	}
	switch s := &o.process.states[r.State]; {
	case s.ofOperator() && r.Group != abi.None:
		return nil, nil, fmt.Errorf("state %q of group %d (expected group %#x: it is the operator's own)", s.declared.Name, r.Group, abi.None)
	case !s.ofOperator() && o.process.bare:
		return nil, nil, fmt.Errorf("state %q for a record of the broadcast input, which has no key (expected a broadcast state)", s.declared.Name)
	case !s.ofOperator() && int(r.Group) >= o.groups:
		return nil, nil, fmt.Errorf("group %d (expected < %d)", r.Group, o.groups)
	case !s.ofOperator() && s.table == nil && s.sorted == nil:
		return nil, nil, fmt.Errorf("state %q lies with its window (expected another: it comes with the call, and is put by the reply)", s.declared.Name)
	}
	if n, written := o.numbers[overlayKey{r.Group, r.State}]; written {
		return &o.process.states[r.State], &o.cells[n], nil
	}
	return &o.process.states[r.State], nil, nil
}

// Write notes changes.
func (o *Overlay) Write(op abi.StateOp, requests []abi.StateRequest) error {
	o.page.cursor = 0
	for i := range requests {
		r := &requests[i]
		s, c, err := o.find(r)
		if err != nil {
			return err
		}
		if s.copied != nil && !o.process.bare {
			return fmt.Errorf("op %d of state %q, which can only be read here (expected for a record of input 1: what is broadcast changes it, so that it is the same in every subtask)", op, s.declared.Name)
		}
		if c == nil {
			c = o.cell(overlayKey{r.Group, r.State})
		}
		kind := s.kind()
		if c.entries == nil && kind != "list" {
			c.entries = map[string][]byte{}
		}
		value := keep(&o.memory, r.Value)
		switch {
		case op == abi.StateAppend && kind == "list":
			c.added = append(c.added, value)
		case op == abi.StatePut && (kind == "map" || kind == "value" && len(r.Key) == 0):
			c.entries[string(r.Key)] = value
		case op == abi.StateDelete && kind == "map" && len(r.Key) > 0:
			c.entries[string(r.Key)] = nil
		case op == abi.StateDelete && len(r.Key) == 0:
			c.cleared, c.added = true, c.added[:0]
			clear(c.entries)
		default:
			return fmt.Errorf("op %d of state %q, a %s", op, s.declared.Name, kind)
		}
	}
	return nil
}

// kind is that of the state, to those who read and write it.
func (s *processState) kind() string {
	if s.own != nil {
		return "list"
	}
	return s.declared.Kind
}

// ofOperator says whether the state is of the operator's own scope, and no key's.
func (s *processState) ofOperator() bool { return s.own != nil || s.copied != nil }

// check looks at what was written to the operator's own states before any of it is stored.
func (o *Overlay) check() error {
	for i := range o.cells {
		c := &o.cells[i]
		s := &o.process.states[c.at.state]
		if s.copied != nil {
			if n := s.copied.grown(c); n > ownBytes {
				return &ReplyError{Problem: fmt.Sprintf("the broadcast state %q would have %d bytes (expected <= %d: every subtask has a copy in memory)", s.declared.Name, n, ownBytes)}
			}
		}
		if s.own == nil {
			continue
		}
		if n := s.own.grown(c); n > ownBytes {
			return &ReplyError{Problem: fmt.Sprintf("the operator's own list %q would have %d bytes in this subtask (expected <= %d: what grows with the input is state of keys)", s.declared.Name, n, ownBytes)}
		}
	}
	return nil
}

// answerBytes is about how much of a list or map goes into one answer.
const answerBytes = 64 << 10

// Read answers requests. When it meets elements of older versions, these are migrated, and it begins anew.
func (o *Overlay) Read(op abi.StateOp, requests []abi.StateRequest, dst []abi.StateAnswer) ([]abi.StateAnswer, error) {
	m := &o.process.migrate
	for {
		m.begin()
		answers, err := o.read(op, requests, dst)
		if err != nil || len(m.old) == 0 {
			return answers, err
		}
		if o.broken = m.lazily(); o.broken != nil {
			return dst, o.broken
		}
	}
}

func (o *Overlay) read(op abi.StateOp, requests []abi.StateRequest, dst []abi.StateAnswer) ([]abi.StateAnswer, error) {
	o.answers = o.answers[:0]
	if op == abi.StateGet && len(requests) > 1 {
		if o.broken = o.fetch(requests); o.broken != nil {
			return dst, o.broken
		}
	}
	for i := range requests {
		r := &requests[i]
		if op == abi.StateRecords && o.process.records != nil {
			a, err := o.records(r)
			if err != nil {
				return dst, err
			}
			dst = append(dst, a)
			continue
		}
		s, c, err := o.find(r)
		if err != nil {
			return dst, err
		}
		var a abi.StateAnswer
		switch kind := s.kind(); {
		case op == abi.StateGet && kind != "list":
			o.broken = o.get(s, c, r, &a)
		case op == abi.StateScan && kind == "list":
			o.broken = o.scanList(s, c, r, &a)
		case op == abi.StateScan && kind == "map":
			o.broken = o.scanMap(s, c, r, &a)
		default:
			return dst, fmt.Errorf("op %d of state %q, a %s", op, s.declared.Name, kind)
		}
		if o.broken != nil {
			return dst, o.broken
		}
		dst = append(dst, a)
	}
	return dst, nil
}

// records answers elements of a window.
func (o *Overlay) records(r *abi.StateRequest) (a abi.StateAnswer, err error) {
	switch {
	case int(r.Group) >= o.groups:
		return a, fmt.Errorf("records of group %d (expected < %d)", r.Group, o.groups)
	case r.State != uint16(abi.ListInput0):
		return a, fmt.Errorf("records of list %d (expected 0)", r.State)
	}
	o.broken = o.process.records(r.Group, r, &a, &o.answers)
	return a, o.broken
}

// fetch has the values of maps that are asked for read in one pass a state.
func (o *Overlay) fetch(requests []abi.StateRequest) error {
	for number := range o.process.states {
		s := &o.process.states[number]
		if s.declared.Kind != "map" || s.copied != nil {
			continue
		}
		o.keys, o.subs = o.keys[:0], o.subs[:0]
		for i := range requests {
			if r := &requests[i]; int(r.State) == number && int(r.Group) < o.groups {
				o.keys, o.subs = append(o.keys, o.process.keys[r.Group]), append(o.subs, r.Key)
			}
		}
		if len(o.keys) > 1 {
			if err := s.sorted.Fetch(o.keys, o.subs); err != nil {
				return err
			}
		}
	}
	return nil
}

// get answers one value, or none.
func (o *Overlay) get(s *processState, c *overlayCell, r *abi.StateRequest, a *abi.StateAnswer) error {
	v, err := o.value(s, c, r)
	if v != nil {
		a.Values = [][]byte{keep(&o.answers, v)}
	}
	return err
}

func (o *Overlay) value(s *processState, c *overlayCell, r *abi.StateRequest) ([]byte, error) {
	if c != nil {
		if v, written := c.entries[string(r.Key)]; written {
			return v, nil
		}
		if c.cleared {
			return nil, nil
		}
	}
	p := o.process
	switch {
	case s.copied != nil:
		return s.copied.values[string(r.Key)], nil
	case s.table != nil:
		return p.value(s, int(r.Group)), nil
	}
	v, version, err := s.sorted.Get(p.hashes[r.Group], p.keys[r.Group], r.Key)
	if v != nil && s.isOld(version) {
		p.migrate.add(r.State, r.Group, version, r.Key, v)
	}
	return v, err
}

// taker takes elements into an answer, from the one that the request's cursor counts to.
type taker struct {
	o    *Overlay
	r    *abi.StateRequest
	a    *abi.StateAnswer
	at   uint64 // number of the next element
	size int
}

// take answers whether there is room for more. sub is nil for what a page cannot end with.
func (t *taker) take(sub, key, value []byte) bool {
	if t.at >= t.r.Cursor {
		if t.r.Limit > 0 && len(t.a.Values) >= int(t.r.Limit) || t.size > answerBytes {
			t.a.More, t.a.Cursor = true, t.at
			return false
		}
		t.a.Values = append(t.a.Values, keep(&t.o.answers, value))
		if t.a.Keys != nil {
			t.a.Keys = append(t.a.Keys, keep(&t.o.answers, key))
		}
		t.size += len(key) + len(value)
	}
	t.at++
	p := &t.o.page
	if p.cursor = 0; sub != nil {
		p.of, p.cursor, p.last = overlayKey{t.r.Group, t.r.State}, t.at, append(p.last[:0], sub...)
	}
	return true
}

// scanList answers elements of a list.
func (o *Overlay) scanList(s *processState, c *overlayCell, r *abi.StateRequest, a *abi.StateAnswer) error {
	after, at := o.resume(r)
	t := taker{o: o, r: r, a: a, at: at}
	switch p := o.process; {
	case c != nil && c.cleared:
	case s.own != nil:
		if err := s.own.scan(&t); err != nil {
			return err
		}
	default:
		err := s.sorted.Scan(p.hashes[r.Group], p.keys[r.Group], after, func(sub, v []byte, version uint16) bool {
			if s.isOld(version) {
				p.migrate.add(r.State, r.Group, version, sub, v)
			}
			return t.take(sub, nil, v)
		})
		if err != nil {
			return err
		}
	}
	if c != nil && !a.More {
		for _, v := range c.added {
			if !t.take(nil, nil, v) {
				break
			}
		}
	}
	return nil
}

// scanMap answers entries of a map in the order of their keys.
func (o *Overlay) scanMap(s *processState, c *overlayCell, r *abi.StateRequest, a *abi.StateAnswer) error {
	after, at := o.resume(r)
	t := taker{o: o, r: r, a: a, at: at}
	a.Keys = [][]byte{}
	var fresh []string
	if c != nil {
		fresh = slices.Sorted(maps.Keys(c.entries))
		for len(fresh) > 0 && after != nil && fresh[0] <= string(after) {
			fresh = fresh[1:]
		}
	}
	written := func(below string, all bool) bool { // takes what was written before a key
		for len(fresh) > 0 && (all || fresh[0] < below) {
			k := fresh[0]
			fresh = fresh[1:]
			if v := c.entries[k]; v != nil && !t.take([]byte(k), []byte(k), v) {
				return false
			}
		}
		return true
	}
	p := o.process
	stored := func(k, v []byte, version uint16) bool {
		if !written(string(k), false) {
			return false
		}
		if len(fresh) > 0 && fresh[0] == string(k) {
			return true // it was put anew, or deleted
		}
		if s.isOld(version) {
			p.migrate.add(r.State, r.Group, version, k, v)
		}
		return t.take(k, k, v)
	}
	switch {
	case c != nil && c.cleared:
	case s.copied != nil:
		s.copied.scan(after, func(k, v []byte) bool { return stored(k, v, uint16(s.declared.Version)) })
	default:
		if err := s.sorted.Scan(p.hashes[r.Group], p.keys[r.Group], after, stored); err != nil {
			return err
		}
	}
	if !a.More {
		written("", true)
	}
	return nil
}

// apply stores what was written.
func (o *Overlay) apply() error {
	p := o.process
	for i := range o.cells {
		c := &o.cells[i]
		s := &p.states[c.at.state]
		if s.own != nil {
			s.own.apply(c)
			continue
		}
		if s.copied != nil {
			s.copied.apply(c)
			continue
		}
		p.writes(c.at.group)
		key, hash := p.keys[c.at.group], p.hashes[c.at.group]
		if s.table != nil {
			v, set := c.entries[""]
			var err error
			if set {
				err = p.put(s, key, hash, v)
			} else if c.cleared {
				err = p.clear(s, key, hash)
			}
			if err != nil {
				return err
			}
			continue
		}
		if c.cleared {
			if err := s.sorted.Clear(hash, key); err != nil {
				return err
			}
		}
		for sub, v := range c.entries {
			var err error
			if v == nil {
				err = s.sorted.Delete(hash, key, []byte(sub))
			} else {
				err = s.sorted.Put(hash, key, []byte(sub), v)
			}
			if err != nil {
				return err
			}
		}
		for _, v := range c.added {
			if err := s.sorted.Append(hash, key, v); err != nil {
				return err
			}
		}
	}
	return nil
}
