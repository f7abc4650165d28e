package operator

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// element is a record that a window keeps.
type element struct {
	time  int64 // its timestamp
	place int64 // when it came, on the clock of sessions: which one it belongs to
	at    int   // its place in the list that it was read from
	value []byte
}

// elements are the records that windows keep, in lists by key and window. A list lies in chunks, each in a table of its own: a
// record that comes has no more than the last one written anew, and a window that is over has its tables dropped whole.
type elements struct {
	store  state.Store
	spec   state.Spec
	chunks int // tables that a window may have
	one    struct {
		key   [1][]byte
		hash  [1]uint64
		entry [1]state.Entry
	}
	record []byte // scratch
}

// chunkBytes is how long a chunk grows before there is another one.
const chunkBytes = 32 << 10

// newElements finds how many tables a snapshot had of a window.
func newElements(store state.Store, spec state.Spec) (*elements, error) {
	l := &elements{store: store, spec: spec}
	for {
		there, err := store.Namespaces(l.chunk(l.chunks))
		if err != nil || len(there) == 0 {
			return l, err
		}
		l.chunks++
	}
}

// chunk is the state of chunk number k.
func (l *elements) chunk(k int) state.Spec {
	s := l.spec
	s.Name, s.Kind, s.Version, s.Value = "elements", state.Bytes, 0, abi.CodecBytes
	if k > 0 {
		s.Name += "." + strconv.Itoa(k)
	}
	return s
}

// keptList is where the list of a key in a window is.
type keptList struct {
	ns     state.Namespace
	key    []byte
	hash   uint64
	chunks int
}

// find is the entry of a list in a chunk; NoEntry if it is only read and not there.
func (l *elements) find(p *keptList, chunk int, read bool) (t state.Table, e state.Entry, err error) {
	if t, err = l.store.Table(l.chunk(chunk), p.ns); err != nil {
		return nil, 0, err
	}
	l.chunks = max(l.chunks, chunk+1)
	l.one.key[0], l.one.hash[0] = p.key, p.hash
	err = t.ResolveKeys(l.one.key[:], l.one.hash[:], read, l.one.entry[:])
	return t, l.one.entry[0], err
}

// add appends elements to a list.
func (l *elements) add(p *keptList, n int, of func(i int) element) error {
	for i := 0; i < n; {
		chunk := max(0, p.chunks-1)
		t, e, err := l.find(p, chunk, false)
		if err != nil {
			return err
		}
		v := t.Value(e)
		if len(v) >= chunkBytes {
			p.chunks++
			continue
		}
		l.record = append(l.record[:0], v...)
		for ; i < n && len(l.record) < chunkBytes; i++ {
			l.record = appendElement(l.record, of(i))
		}
		if err := t.SetValue(e, l.record); err != nil {
			return err
		}
		p.chunks = chunk + 1
	}
	return nil
}

// read appends the elements of a list to dst, in the order in which they came. They share the memory of the state.
func (l *elements) read(p *keptList, dst []element) ([]element, error) {
	for chunk := range p.chunks {
		t, e, err := l.find(p, chunk, true)
		if err != nil {
			return dst, err
		}
		if e == state.NoEntry {
			continue
		}
		for v := t.Value(e); len(v) > 0; {
			var one element
			if one, v, err = nextElement(v); err != nil {
				return dst, fmt.Errorf("elements of key %q: %w", p.key, err)
			}
			one.at = len(dst)
			dst = append(dst, one)
		}
	}
	return dst, nil
}

// clear empties a list.
func (l *elements) clear(p *keptList) error {
	for chunk := range p.chunks {
		t, e, err := l.find(p, chunk, true)
		if err != nil {
			return err
		}
		if e == state.NoEntry {
			continue
		}
		if err := t.Delete(e); err != nil {
			return err
		}
	}
	p.chunks = 0
	return nil
}

// replace makes a list that of some of its elements.
func (l *elements) replace(p *keptList, all []element) error {
	kept := make([]element, len(all)) // what they share goes
	var memory []byte
	for i, o := range all {
		memory = append(memory, o.value...)
		kept[i] = o
	}
	for i, at := 0, 0; i < len(all); i++ {
		kept[i].value = memory[at : at+len(all[i].value)]
		at += len(all[i].value)
	}
	if err := l.clear(p); err != nil {
		return err
	}
	return l.add(p, len(kept), func(i int) element { return kept[i] })
}

// drop removes the lists of a window, whole.
func (l *elements) drop(ns state.Namespace) error {
	for chunk := range l.chunks {
		if err := l.store.Drop(l.chunk(chunk), ns); err != nil {
			return err
		}
	}
	return nil
}

// An element in a chunk: i64 timestamp, i64 place, u32 length of the value, the value.
const elementBytes = 20

func appendElement(dst []byte, e element) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(e.time))
	dst = le.AppendUint64(dst, uint64(e.place))
	return append(le.AppendUint32(dst, uint32(len(e.value))), e.value...)
}

func nextElement(v []byte) (e element, rest []byte, err error) {
	le := binary.LittleEndian
	if len(v) < elementBytes || int(le.Uint32(v[16:])) > len(v)-elementBytes {
		return e, nil, fmt.Errorf("%d bytes are left of the last", len(v))
	}
	n := elementBytes + int(le.Uint32(v[16:]))
	return element{time: int64(le.Uint64(v)), place: int64(le.Uint64(v[8:])), value: v[elementBytes:n:n]}, v[n:], nil
}
