package state

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/btree"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// sorted is a state of kind List, Map or Timer: a tree of everything, and a tree of what has changed since the last
// freeze. Its entries are pointers: large maps cost the garbage collector.
type sorted struct {
	store   *hot
	spec    Spec
	all     btree.Map[string, cell]   // by namespace, key: see entryKey
	changes btree.Map[string, change] // by key group, namespace, key
	next    uint64                    // sub key of the next element of a list
	bytes   int64                     // of all, about
	scratch []byte
}

// cell is the value of an entry.
type cell struct {
	value   []byte
	version uint16
	expiry  int64
}

// change is an entry that was put or deleted.
type change struct {
	cell
	deleted bool
}

func newSorted(h *hot, s Spec) *sorted { return &sorted{store: h, spec: s} }

// An entry's place is its namespace, as 8 bytes whose order is that of the numbers, and its key as it stands in files.
func appendNamespace(dst []byte, ns int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(ns)^1<<63)
}

func namespaceOf(place string) int64 {
	return int64(binary.BigEndian.Uint64([]byte(place[:8])) ^ 1<<63)
}

// cellBytes is about what an entry takes.
func cellBytes(place string, c *cell) int64 { return int64(len(place) + len(c.value) + 80) }

func (s *sorted) set(place string, c cell) {
	if was, there := s.all.Set(place, c); there {
		s.bytes -= cellBytes(place, &was)
	}
	s.bytes += cellBytes(place, &c)
}

// put and remove change an entry.
func (s *sorted) put(group graph.KeyGroup, place string, c cell) {
	s.set(place, c)
	s.changes.Set(s.changeKey(group, place), change{cell: c})
}

func (s *sorted) remove(group graph.KeyGroup, place string) {
	if was, there := s.all.Delete(place); there {
		s.bytes -= cellBytes(place, &was)
		s.changes.Set(s.changeKey(group, place), change{deleted: true})
	}
}

func (s *sorted) changeKey(group graph.KeyGroup, place string) string {
	s.scratch = append(binary.BigEndian.AppendUint16(s.scratch[:0], uint16(group)), place...)
	return string(s.scratch)
}

func (s *sorted) restore(e *snapshot.Entry) {
	place := string(append(appendNamespace(nil, e.Namespace), e.Key...))
	s.set(place, cell{value: append([]byte(nil), e.Value...), version: e.Version, expiry: e.Expiry})
	if s.spec.Kind != List {
		return
	}
	if _, sub, ok := snapshot.SplitKey(nil, e.Key); ok && len(sub) == 8 {
		s.next = max(s.next, binary.BigEndian.Uint64(sub)+1)
	}
}

// settle forgets that what was restored has changed.
func (s *sorted) settle() { s.changes.Clear() }

// place is where an entry of a key lies.
func place(key, sub []byte) string {
	return string(snapshot.JoinKey(appendNamespace(make([]byte, 0, 8+len(key)+len(sub)+4), int64(Global)), key, sub))
}

func (s *sorted) fresh(value []byte) cell {
	c := cell{value: append(make([]byte, 0, len(value)), value...), version: s.spec.Version}
	if s.spec.TTL > 0 {
		c.expiry = s.store.now + s.spec.TTL
	}
	return c
}

func (s *sorted) expired(c *cell) bool { return c.expiry != 0 && c.expiry <= s.store.now }

// Get implements Sorted.
func (s *sorted) Get(_ uint64, key, sub []byte) ([]byte, uint16, error) {
	c, ok := s.all.Get(place(key, sub))
	if !ok || s.expired(&c) {
		return nil, 0, nil
	}
	return c.value, c.version, nil
}

// Put implements Sorted.
func (s *sorted) Put(hash uint64, key, sub, value []byte) error {
	if s.spec.Kind != Map {
		return fmt.Errorf("put into state %s of %s: it is no map", s.spec.Name, s.spec.Operator)
	}
	s.put(s.store.group(hash), place(key, sub), s.fresh(value))
	return nil
}

// Migrate implements Sorted.
func (s *sorted) Migrate(hash uint64, key, sub, value []byte) error {
	at := place(key, sub)
	c, ok := s.all.Get(at)
	switch {
	case !ok:
	case value == nil:
		s.remove(s.store.group(hash), at)
	default:
		c.value, c.version = append(make([]byte, 0, len(value)), value...), s.spec.Version
		s.put(s.store.group(hash), at, c)
	}
	return nil
}

// Delete implements Sorted.
func (s *sorted) Delete(hash uint64, key, sub []byte) error {
	s.remove(s.store.group(hash), place(key, sub))
	return nil
}

// Append implements Sorted.
func (s *sorted) Append(hash uint64, key, value []byte) error {
	if s.spec.Kind != List {
		return fmt.Errorf("append to state %s of %s: it is no list", s.spec.Name, s.spec.Operator)
	}
	sub := binary.BigEndian.AppendUint64(nil, s.next)
	s.next++
	s.put(s.store.group(hash), place(key, sub), s.fresh(value))
	return nil
}

// Clear implements Sorted.
func (s *sorted) Clear(hash uint64, key []byte) error {
	prefix := place(key, nil)
	var all []string
	s.all.Ascend(prefix, func(at string, _ cell) bool {
		if !strings.HasPrefix(at, prefix) {
			return false
		}
		all = append(all, at)
		return true
	})
	for _, at := range all {
		s.remove(s.store.group(hash), at)
	}
	return nil
}

// Scan implements Sorted.
func (s *sorted) Scan(_ uint64, key, after []byte, yield func(sub, value []byte, version uint16) bool) error {
	prefix := place(key, nil)
	from := prefix
	if after != nil {
		from = prefix + string(after) + "\x00"
	}
	s.all.Ascend(from, func(at string, c cell) bool {
		if !strings.HasPrefix(at, prefix) {
			return false
		}
		return s.expired(&c) || yield([]byte(at[len(prefix):]), c.value, c.version)
	})
	return nil
}

// timers is a state of kind Timer: the namespace of an entry is its time.
type timers struct{ s *sorted }

func timerPlace(time int64, key []byte) string {
	return string(append(appendNamespace(make([]byte, 0, 8+len(key)), time), key...))
}

// Set implements Timers.
func (t *timers) Set(time int64, hash uint64, key []byte) error {
	at := timerPlace(time, key)
	if _, there := t.s.all.Get(at); !there {
		t.s.put(t.s.store.group(hash), at, cell{})
	}
	return nil
}

// Delete implements Timers.
func (t *timers) Delete(time int64, hash uint64, key []byte) error {
	t.s.remove(t.s.store.group(hash), timerPlace(time, key))
	return nil
}

// Due implements Timers.
func (t *timers) Due(until int64, yield func(time int64, hash uint64, key []byte) bool) error {
	t.s.all.Scan(func(at string, _ cell) bool {
		time := namespaceOf(at)
		if time > until {
			return false
		}
		key := []byte(at[8:])
		return yield(time, xxhash.Sum64(key), key)
	})
	return nil
}

// Next implements Timers.
func (t *timers) Next() (int64, error) {
	at, _, ok := t.s.all.Min()
	if !ok {
		return math.MaxInt64, nil
	}
	return namespaceOf(at), nil
}
