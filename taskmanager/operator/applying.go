package operator

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a broadcast record does to all keys: the guest asks for the keys of a state when it has seen the record, and is called with
// them, some at a time, before the next record comes.

// Roomy is Calls whose outputs may be full: Room waits until they take more. It is called between two calls for keys.
type Roomy interface{ Room() error }

// applying is the keys at hand.
type applying struct {
	entries []state.Entry
	memory  []byte
	keys    [][]byte
	hashes  []uint64
	value   [1][]byte // of the record
	time    [1]int64
}

// checkAsked looks at what the guest has answered for a broadcast record: which states' keys it is to be applied to.
func (p *Process) checkAsked(reply []byte) error {
	p.asked = p.asked[:0]
	if len(reply) > 0 && !p.config.Function.Applies {
		return &ReplyError{Problem: "the guest answered for a record of the broadcast input, which has no key whose state or timers it could change"}
	}
	for len(reply) > 0 {
		entry, rest, err := abi.NextReplyEntry(reply)
		if err != nil {
			return &ReplyError{Problem: err.Error()}
		}
		for actions := entry.Actions; len(actions) > 0; {
			var a abi.Action
			if a, actions, err = abi.NextAction(actions); err != nil {
				return &ReplyError{Problem: err.Error()}
			}
			if a.Op != abi.ActionApply || int(a.Index) >= len(p.states) || p.states[a.Index].table == nil && p.states[a.Index].sorted == nil {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d of state %d for a record of the broadcast input (expected op %d of a state of keys)", a.Op, a.Index, abi.ActionApply)}
			}
			if !slices.Contains(p.asked, a.Index) {
				p.asked = append(p.asked, a.Index)
			}
		}
		reply = rest
	}
	return nil
}

// applyAsked applies record order[at] to the keys that it has asked for.
func (p *Process) applyAsked(at int) error {
	if !p.bare || len(p.asked) == 0 {
		return nil
	}
	p.bare = false
	defer func() { p.bare, p.asked = true, p.asked[:0] }()
	row := int(p.order[at].row)
	p.walked.value[0], p.walked.time[0] = p.batch.Value(row), p.batch.Timestamp(row)
	for _, number := range p.asked {
		if err := p.applyTo(&p.states[number]); err != nil {
			return err
		}
	}
	return nil
}

// applyTo applies the record to each key that has something in a state. The keys of a list or map are written down first: what the
// guest adds while it is called for them is not to bring one of them up again.
func (p *Process) applyTo(s *processState) error {
	if s.table != nil {
		return p.applyAll(s.table)
	}
	store, spec := p.config.Store, state.Spec{Operator: p.config.UID, Name: appliedKeys, Kind: state.Bytes, Key: p.config.Key, Derived: true}
	keys, err := store.Table(spec, state.Global)
	if err != nil {
		return err
	}
	if err := p.walked.collect(s.sorted, keys); err != nil {
		return err
	}
	if err := p.applyAll(keys); err != nil {
		return err
	}
	return store.Drop(spec, state.Global)
}

// appliedKeys names the host's own state of the keys that a broadcast record is applied to, while it is.
const appliedKeys = "$applied-keys"

// collect has a table hold the keys that have something in a list or map, each once.
func (w *applying) collect(from state.Sorted, to state.Table) error {
	w.memory, w.keys = w.memory[:0], w.keys[:0]
	err := from.Keys(func(key []byte) error {
		if n := len(w.keys); n > 0 && bytes.Equal(w.keys[n-1], key) {
			return nil
		}
		if w.keys = append(w.keys, keep(&w.memory, key)); len(w.keys) < fireRecords {
			return nil
		}
		return w.note(to)
	})
	if err != nil {
		return err
	}
	return w.note(to)
}

// note puts the keys at hand into a table.
func (w *applying) note(to state.Table) error {
	slices.SortFunc(w.keys, bytes.Compare)
	w.keys = slices.CompactFunc(w.keys, bytes.Equal)
	w.hashes = w.hashes[:0]
	for _, key := range w.keys {
		w.hashes = append(w.hashes, xxhash.Sum64(key))
	}
	w.entries = entriesFor(w.entries, len(w.keys))[:len(w.keys)]
	if err := to.ResolveKeys(w.keys, w.hashes, false, w.entries); err != nil {
		return err
	}
	for _, e := range w.entries {
		if err := to.SetValue(e, noted); err != nil {
			return err
		}
	}
	w.memory, w.keys = w.memory[:0], w.keys[:0]
	return nil
}

var noted = []byte{1}

// applyAll applies the record to each key that has a value in a table.
func (p *Process) applyAll(t state.Table) error {
	w := &p.walked
	w.entries = entriesFor(w.entries, fireRecords)[:fireRecords]
	for cursor := uint64(0); ; {
		n, next, err := t.Scan(cursor, w.entries)
		if err != nil || n == 0 {
			return err
		}
		cursor = next
		if err := w.gather(t, n); err != nil {
			return err
		}
		if len(w.keys) == 0 {
			continue
		}
		call := func(lo, hi int) error {
			if err := p.fillApplied(lo, hi); err != nil {
				return err
			}
			return p.send(abi.VerbApply)
		}
		if err = call(0, len(w.keys)); err != nil {
			err = p.calls.Retry(err, len(w.keys), call, func(unit int) Unit {
				return Unit{Kind: "result", Row: -1, Name: "what a broadcast record does to key", Data: w.keys[unit], Key: w.keys[unit], Time: w.time[0]}
			})
		}
		if r, ok := p.calls.(Roomy); ok && err == nil {
			err = r.Room()
		}
		if err != nil {
			return err
		}
	}
}

// gather takes in the keys of n entries that still have a value.
func (w *applying) gather(t state.Table, n int) error {
	w.memory, w.keys, w.hashes = w.memory[:0], w.keys[:0], w.hashes[:0]
	for _, e := range w.entries[:n] {
		w.keys, w.hashes = append(w.keys, keep(&w.memory, t.Key(e))), append(w.hashes, t.Hash(e))
	}
	if err := t.ResolveKeys(w.keys, w.hashes, true, w.entries[:n]); err != nil {
		return err
	}
	left := 0
	for i, e := range w.entries[:n] {
		if e != state.NoEntry && t.Value(e) != nil {
			w.keys[left], w.hashes[left] = w.keys[i], w.hashes[i]
			left++
		}
	}
	w.keys, w.hashes = w.keys[:left], w.hashes[:left]
	return nil
}

// fillApplied makes a call of some of the keys at hand.
func (p *Process) fillApplied(lo, hi int) error {
	w := &p.walked
	p.call, p.fired, p.stamps = p.call[:0], p.fired[:0], p.stamps[:0]
	p.keys, p.hashes = append(p.keys[:0], w.keys[lo:hi]...), append(p.hashes[:0], w.hashes[lo:hi]...)
	if p.clock != nil {
		for range p.keys {
			p.stamps = append(p.stamps, w.time[0])
		}
	}
	if err := p.resolve(); err != nil {
		return err
	}
	p.groups.Reset()
	for i := range p.keys {
		p.groups.Begin(abi.Group{Key: p.keys[i]})
		p.prefetch(i)
		p.groups.List(abi.ListInput1, 0, 1, w.time[:], w.value[:])
		p.groups.EndGroup()
	}
	return nil
}
