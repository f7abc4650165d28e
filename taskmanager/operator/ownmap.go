package operator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ownMap is a map of the operator's own scope of which every subtask has a copy: a broadcast state. All of them are changed by the
// same records, and so are the same at a checkpoint. It lies in memory.
type ownMap struct {
	declared abi.State
	values   map[string][]byte
	keys     []string          // in order; nil: to be put in order
	older    map[string]uint16 // schema versions of those that have an older one
	size     int               // bytes of keys and values, as they are stored
	changed  bool              // since it was stored
}

// openMap goes on with what a checkpoint has: at another parallelism with the copy of its first subtask.
func openMap(uid string, declared abi.State, store state.Store, share Share) (*ownMap, error) {
	m := &ownMap{declared: declared, values: map[string][]byte{}, older: map[string]uint16{}, changed: true}
	parts, err := store.Own(uid, snapshot.MapName(declared.Name))
	if err != nil || len(parts) == 0 || share.Subtask > 0 && failpoint.Planted(failpoint.OneCopy) {
		return m, err
	}
	if err := m.read(copyOf(parts, share).Value); err != nil {
		return nil, fmt.Errorf("restore state %q of %s: %w", declared.Name, uid, err)
	}
	return m, nil
}

// copyOf is the copy that a subtask goes on with: its own, if that is there.
func copyOf(parts []state.Owned, share Share) *state.Owned {
	from, to := graph.KeyGroupsOf(share.Subtask, share.Parallelism, share.Groups)
	i := slices.IndexFunc(parts, func(p state.Owned) bool { return p.From == from && p.To == to })
	if i >= 0 {
		return &parts[i]
	}
	first := slices.MinFunc(parts, func(a, b state.Owned) int { return cmp.Compare(a.From, b.From) })
	return &first
}

func (m *ownMap) read(stored []byte) error {
	return snapshot.EachOfMap(stored, func(version uint16, key, value []byte) {
		m.set(string(key), slices.Clone(value))
		if int(version) < m.declared.Version {
			m.older[string(key)] = version
		}
	})
}

func (m *ownMap) set(key string, value []byte) {
	if was, there := m.values[key]; there {
		m.size -= entryBytes(key, was)
	} else {
		m.keys = nil
	}
	m.values[key] = value
	m.size += entryBytes(key, value)
	delete(m.older, key)
}

func (m *ownMap) remove(key string) {
	if was, there := m.values[key]; there {
		m.size -= entryBytes(key, was)
		delete(m.values, key)
		delete(m.older, key)
		m.keys = nil
	}
}

func entryBytes(key string, value []byte) int {
	return snapshot.ElementBytes(len(key)) + snapshot.ElementBytes(len(value))
}

// scan calls yield for the entries behind a key (nil: all), in the order of the keys' bytes, until it answers false.
func (m *ownMap) scan(after []byte, yield func(key, value []byte) bool) {
	if m.keys == nil {
		m.keys = slices.Sorted(maps.Keys(m.values))
	}
	i := 0
	if after != nil {
		at, found := slices.BinarySearch(m.keys, string(after))
		if i = at; found {
			i++
		}
	}
	for _, k := range m.keys[i:] {
		if !yield([]byte(k), m.values[k]) {
			return
		}
	}
}

// grown is about how long the map is when what a call has written is in it: what it replaces counts, too.
func (m *ownMap) grown(c *overlayCell) int {
	n := m.size
	if c.cleared {
		n = 0
	}
	for k, v := range c.entries {
		if v != nil {
			n += entryBytes(k, v)
		}
	}
	return n
}

// apply takes in what a call has written.
func (m *ownMap) apply(c *overlayCell) {
	if c.cleared {
		clear(m.values)
		clear(m.older)
		m.size, m.keys = 0, nil
	}
	for k, v := range c.entries {
		if v == nil {
			m.remove(k)
		} else {
			m.set(k, slices.Clone(v))
		}
	}
	m.changed = true
}

// save stores the map.
func (m *ownMap) save(uid string, store state.Store) error {
	if !m.changed {
		return nil
	}
	m.changed = false
	var stored []byte
	m.scan(nil, func(key, value []byte) bool {
		version := uint16(m.declared.Version)
		if was, older := m.older[string(key)]; older {
			version = was
		}
		stored = snapshot.AppendElement(snapshot.AppendElement(stored, version, key), version, value)
		return true
	})
	return store.SetOwn(uid, snapshot.MapName(m.declared.Name), stored)
}

// migrate brings entries of older schema versions to the one declared, those of one version together.
func (m *ownMap) migrate(index int, calls Calls) error {
	for len(m.older) > 0 {
		version := slices.Min(slices.Collect(maps.Values(m.older)))
		var keys []string
		batch := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
		for _, k := range slices.Sorted(maps.Keys(m.older)) {
			if m.older[k] == version && batch.Size() < callBytes {
				keys = append(keys, k)
				batch.Append(abi.Record{Key: []byte(k), Value: m.values[k]})
			}
		}
		name := func(uint32) string { return fmt.Sprintf("state %q, version %d", m.declared.Name, version) }
		became, err := calls.Migrate(index, version, batch, name)
		if err != nil {
			return err
		}
		for i, k := range keys {
			if became.ValueNulls == nil || became.ValueNulls[i/8]>>(i%8)&1 == 0 {
				m.set(k, slices.Clone(became.Value(i)))
			} else {
				m.remove(k)
			}
		}
		m.changed = true
	}
	return nil
}
