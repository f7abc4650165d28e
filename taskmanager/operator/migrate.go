package operator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// migration brings elements of older schema versions to the version that their state declares, before the guest sees
// them: the value states of all keys of a call at once, elements of lists and maps when the guest reads them. What comes of
// it is stored at once, whatever becomes of the call: it says the same in other bytes.
type migration struct {
	process *Process
	old     []oldElement
	memory  []byte // of their sub keys and values, but those of tables
	batches [2]*abi.Builder
	shy     bool // something that no call had asked for could not be migrated: it is not tried again
}

// oldElement is a value, or an element of a list or map, of an older version.
type oldElement struct {
	state   uint16
	version uint16
	group   uint32      // of the call
	entry   state.Entry // of a table
	sub     []byte
	value   []byte // nil: the table has it
}

func (m *migration) begin() { m.old, m.memory = m.old[:0], m.memory[:0] }

// isOld says whether an element of that version must be migrated.
func (s *processState) isOld(version uint16) bool { return int(version) < s.declared.Version }

// values migrates the value states of the call's keys.
func (m *migration) values() error {
	m.begin()
	p := m.process
	for k := range p.states {
		s := &p.states[k]
		if s.table == nil || s.declared.Version == 0 {
			continue
		}
		for i, e := range s.entries {
			if e == state.NoEntry || !s.isOld(s.table.Version(e)) || s.table.Value(e) == nil {
				continue
			}
			m.old = append(m.old, oldElement{state: uint16(k), version: s.table.Version(e), group: uint32(i), entry: e})
		}
	}
	return m.run()
}

// add notes an element of a list or map.
func (m *migration) add(k uint16, group uint32, version uint16, sub, value []byte) {
	at := len(m.memory)
	m.memory = append(append(m.memory, sub...), value...)
	mid, end := at+len(sub), len(m.memory)
	m.old = append(m.old, oldElement{state: k, version: version, group: group, sub: m.memory[at:mid:mid], value: m.memory[mid:end:end]})
}

// lazily migrates what a read has met, and as much of what the call's other keys have in the same states as fits beside it: a
// guest asks for one key after the other. Then everything is read again.
func (m *migration) lazily() error {
	asked := len(m.old)
	if !m.shy {
		if err := m.lookAhead(); err != nil {
			return err
		}
	}
	ahead := len(m.old) > asked
	err := m.run()
	if err != nil && ahead {
		m.shy = true
		return nil
	}
	return err
}

// aheadElements bounds how many elements are looked at that nobody has asked for.
const aheadElements = 1024

func (m *migration) lookAhead() error {
	p := m.process
	asked := map[overlayKey]bool{}
	for _, e := range m.old {
		asked[overlayKey{e.group, e.state}] = true
	}
	states := map[uint16]bool{}
	for k := range asked {
		states[k.state] = true
	}
	looked := 0
	for k := range p.states {
		for g := 0; states[uint16(k)] && g < len(p.keys) && looked < aheadElements && len(m.memory) < callBytes; g++ {
			if asked[overlayKey{uint32(g), uint16(k)}] {
				continue
			}
			s := &p.states[k]
			err := s.sorted.Scan(p.hashes[g], p.keys[g], nil, func(sub, value []byte, version uint16) bool {
				looked++
				if s.isOld(version) {
					m.add(uint16(k), uint32(g), version, sub, value)
				}
				return looked < aheadElements && len(m.memory) < callBytes
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// run migrates what was noted, those of one state and version together.
func (m *migration) run() error {
	slices.SortStableFunc(m.old, func(a, b oldElement) int {
		return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(a.version, b.version))
	})
	for lo := 0; lo < len(m.old); {
		batch, hi := m.batch(lo)
		some := m.old[lo:hi]
		made, err := m.process.calls.Migrate(int(some[0].state), some[0].version, batch, func(record uint32) string { return m.name(some, record) })
		if err != nil {
			return err
		}
		for i := range some {
			var value []byte
			if made.ValueNulls == nil || made.ValueNulls[i/8]>>(i%8)&1 == 0 {
				value = made.Value(i)
			}
			if err := m.store(&some[i], value); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// batch makes a batch of old[lo:hi], elements of one state and version.
func (m *migration) batch(lo int) (batch *abi.Builder, hi int) {
	s := &m.process.states[m.old[lo].state]
	kind, columns := 0, abi.ColumnValues
	if s.declared.Kind == "map" {
		kind, columns = 1, columns|abi.ColumnKeys
	}
	if m.batches[kind] == nil {
		m.batches[kind] = abi.NewBuilder(columns)
	}
	batch = m.batches[kind]
	batch.Reset()
	for hi = lo; hi < len(m.old) && m.old[hi].state == m.old[lo].state && m.old[hi].version == m.old[lo].version && batch.Size() < callBytes; hi++ {
		e := &m.old[hi]
		value := e.value
		if s.table != nil {
			value = s.table.Value(e.entry)
		}
		batch.Append(abi.Record{Key: e.sub, Value: value})
	}
	return batch, hi
}

// store puts what became of an element in its place; nil drops it.
func (m *migration) store(e *oldElement, value []byte) error {
	p := m.process
	s := &p.states[e.state]
	switch {
	case s.sorted != nil:
		return s.sorted.Migrate(p.hashes[e.group], p.keys[e.group], e.sub, value)
	case value == nil:
		s.entries[e.group] = state.NoEntry
		return s.table.Delete(e.entry)
	}
	return s.table.Migrate(e.entry, value)
}

// name says what elements are, or one of them, for people.
func (m *migration) name(some []oldElement, record uint32) string {
	p := m.process
	one := &some[0]
	if int(record) < len(some) {
		one = &some[record]
	}
	s := &p.states[one.state]
	text := fmt.Sprintf("state %q", s.declared.Name)
	if int(record) < len(some) || !slices.ContainsFunc(some, func(e oldElement) bool { return e.group != one.group }) {
		text += " of key " + quoted(p.keys[one.group])
	}
	if s.declared.Kind == "map" && (len(some) == 1 || int(record) < len(some)) {
		text += ", entry " + quoted(one.sub)
	}
	return fmt.Sprintf("%s, version %d", text, one.version)
}

// quoted is the beginning of a key.
func quoted(key []byte) string { return strconv.QuoteToASCII(string(key[:min(len(key), 64)])) }
