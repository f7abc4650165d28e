package state

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// timers is a state of kind Timer. Which timers are due is asked all the time, so what lies in disk and files is read
// ahead by time, some at once, and those that are before the place where that has ended are all in memory:
//
//	floor      no timer is before it
//	horizon    every timer before it is in memory; those behind it may lie anywhere
//
// A timer that leaves the memory takes the horizon back to its own place.
type timers struct {
	t       *tiered
	floor   []byte // of a key; it says nothing if there are none
	none    bool
	horizon []byte // of a key; it says nothing if all are in memory
	all     bool
	ended   []bool // by key group: what it has at the horizon or behind is in memory; nil for none
	key     []byte // scratch
}

func newTimers(t *tiered) *timers { return &timers{t: t, all: t.files == nil} }

func (m *timers) join(time int64, key []byte) []byte {
	m.key = AppendPlace(m.key[:0], time, key)
	return m.key
}

// Set implements Timers. A timer that is there already has not changed, if it is in memory.
func (m *timers) Set(time int64, _ uint64, key []byte) error {
	joined := m.join(time, key)
	if m.none || bytes.Compare(joined, m.floor) < 0 {
		m.none, m.floor = false, append(m.floor[:0], joined...)
	}
	e := m.t.place(hashOf(joined), joined)
	if m.t.stored(e) != nil {
		return nil
	}
	return m.t.SetValue(e, nil)
}

// Delete implements Timers.
func (m *timers) Delete(time int64, _ uint64, key []byte) error { return m.t.remove(m.join(time, key)) }

// Has implements Timers.
func (m *timers) Has(time int64, _ uint64, key []byte) (bool, error) {
	joined := m.join(time, key)
	var found [1]Entry
	err := m.t.ResolveKeys([][]byte{joined}, []uint64{hashOf(joined)}, true, found[:])
	return err == nil && found[0] != NoEntry && m.t.stored(found[0]) != nil, err
}

// Due implements Timers.
func (m *timers) Due(from Place, until int64, yield func(time int64, hash uint64, key []byte) bool) error {
	if m.none {
		return nil
	}
	low := bytes.Compare(from, m.floor) <= 0
	if low {
		from = m.floor
	}
	w := m.t.walk(nil, from, nil)
	for first := true; ; first = false {
		there, err := m.step(&w, from, until)
		if err != nil {
			return err
		}
		if first && low {
			m.raise(w, there)
		}
		if !there || timeOf(w.key) > until || !yield(timeOf(w.key), m.t.spec.Kind.ownerHash(w.key), w.key[timeBytes:]) {
			return nil
		}
	}
}

// raise sets the floor to the first timer, or to where there may be one: what was deleted is not met again.
func (m *timers) raise(w *walk, there bool) {
	switch {
	case there:
		m.floor = append(m.floor[:0], w.key...)
	case m.all:
		m.none = true
	default:
		m.floor = append(m.floor[:0], m.horizon...)
	}
}

// Next implements Timers.
func (m *timers) Next() (int64, error) {
	next := int64(math.MaxInt64)
	err := m.Due(nil, math.MaxInt64, func(time int64, _ uint64, _ []byte) bool { next = time; return false })
	return next, err
}

// step goes to the next timer of a walk that began at a place, and reads on for that if need be; false when there is none, or only
// later ones than until.
func (m *timers) step(w **walk, from []byte, until int64) (bool, error) {
	last := (*w).key // nil: where it began
	for {
		there, err := (*w).next()
		if err != nil {
			return false, err
		}
		if m.all || there && bytes.Compare((*w).key, m.horizon) < 0 {
			return there, nil
		}
		if len(m.horizon) > 0 && timeOf(m.horizon) > until {
			return false, nil // what comes next, wherever it lies, is later
		}
		if err := m.load(); err != nil {
			return false, err
		}
		at := from
		if last != nil {
			at = append(bytes.Clone(last), 0)
		}
		*w = m.t.walk(nil, at, nil)
	}
}

// left notes that a table's entries have left the memory; nil: that what is in memory is all there is.
func (m *timers) left(was *table) {
	if was == nil {
		m.all = true
		return
	}
	for s := (spot{}); was.order.in(s); s = was.order.after(s) {
		e := was.order.entry(s)
		if key := was.Key(e); was.stored(e) != nil && !was.pages[e>>pageBits].moved.has(e) {
			clear(m.ended)
			if m.all || bytes.Compare(key, m.horizon) < 0 {
				m.all, m.horizon = false, append(m.horizon[:0], key...)
			}
			return
		}
	}
}

// Timers are read ahead by so many: what they take is a small part of the budget.
const (
	mostTimers  = 16 << 10
	timerBytes  = 128 // about what one takes
	timersShare = 8   // 1 in so many bytes of what the young tables may hold
	// leastTimers are read of each key group, however small the budget is: what is read of a group behind the place where
	// the least far was left is read for nothing, and of few timers that is nearly all.
	leastTimers = 16
)

// load reads timers from the horizon on, some of each key group, and takes the horizon to the first place that a group was
// not read up to. What was read behind it is only read again.
func (m *timers) load() error {
	c := m.t.store.cold
	if m.ended == nil {
		m.ended = make([]bool, c.config.To-c.config.From)
	}
	groups := 0
	for _, ended := range m.ended {
		if !ended {
			groups++
		}
	}
	each := max(min(mostTimers, int(c.limit)/timersShare/timerBytes)/max(groups, 1), leastTimers)
	disk, closing := m.t.diskIterator(binary.BigEndian.AppendUint32(nil, m.t.id))
	defer closing()
	var until []byte // nil: to the end
	for g := c.config.From; g < c.config.To; g++ {
		if m.ended[g-c.config.From] || !m.t.isDeep(g) {
			continue
		}
		last, err := m.loadGroup(disk, g, each)
		if err != nil {
			return err
		}
		m.ended[g-c.config.From] = last == nil
		if last != nil && (until == nil || bytes.Compare(last, until) < 0) {
			until = last
		}
	}
	m.all = until == nil
	m.horizon = append(m.horizon[:0], until...)
	m.t.count()
	return nil
}

// loadGroup takes in up to n timers of a key group from the horizon on, or what they may take, and returns the key of the
// first that was not taken, nil if there is none.
func (m *timers) loadGroup(disk *spill.Iterator, g graph.KeyGroup, n int) ([]byte, error) {
	d, err := m.t.deep(disk, g, nil, m.horizon)
	if err != nil {
		return nil, err
	}
	for room := n * timerBytes; d.there; err = d.next() {
		if err != nil {
			return nil, err
		}
		if !d.live {
			continue
		}
		if n--; n < 0 || room < 0 {
			return bytes.Clone(d.key), nil
		}
		room -= len(d.key)
		hash := hashOf(d.key)
		m.t.makeRoom(1)
		if m.t.near(hash, d.key) == NoEntry {
			m.t.set(m.t.find(hash, d.key, true), d.cell.version, d.cell.expiry, nil)
		}
	}
	return nil, err
}
