package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
)

// Writer writes one file. Entries are added in their order; Close ends the file. The first error is given again by every
// call after it, and the file is not to be used. One goroutine uses it.
type Writer struct {
	w      io.Writer
	hash   hash.Hash
	size   int64
	err    error
	closed bool

	footer  footer
	block   blockBuilder
	keys    []uint64 // of the blocks since the last filter
	last    place
	lastKey []byte
	lastOp  Op
	any     bool             // an entry was added
	seen    []map[int64]bool // by state: namespaces with a Put; nil: too many
	oldest  []uint16         // by state: the oldest schema version of what keys have, at first that of the state
	scratch []byte
}

// Info says what a file has become.
type Info struct {
	Size     int64
	Checksum string // SHA-256 of the file in hexadecimal
	Footer   uint32 // checksum of the footer, which has those of all blocks
	Entries  int64
	Stats    []Stat
	Oldest   []uint16 // by state: the oldest schema version of what keys have of it, that of the state where none is older
}

// Stat says how much a file has of a state in a key group.
type Stat struct {
	State   int
	Group   graph.KeyGroup
	Entries int64
	Bytes   int64 // of keys and values
}

// NewWriter begins a file on w with these states, in their order (SortStates).
func NewWriter(w io.Writer, states []State) *Writer {
	f := &Writer{w: w, hash: sha256.New(), seen: make([]map[int64]bool, len(states))}
	f.footer.states = slices.Clone(states)
	f.footer.order = operatorsOf(states)
	for i := range f.seen {
		f.seen[i] = map[int64]bool{}
		f.oldest = append(f.oldest, states[i].Version)
	}
	if f.err = checkStates(states); f.err == nil {
		f.write(appendHeader(nil))
	}
	return f
}

// SetName says the name under which the file will be kept. A Reader gives it back, so that files that were swapped are
// found out without reading them.
func (w *Writer) SetName(name string) { w.footer.name = name }

// States are those that NewWriter was given.
func (w *Writer) States() []State { return w.footer.states }

// Size is how many bytes were written so far.
func (w *Writer) Size() int64 { return w.size }

// Add adds an entry, which is read during the call only.
func (w *Writer) Add(e *Entry) error {
	if w.err == nil && w.closed {
		w.err = errors.New("add an entry: the file is closed")
	}
	shared := 0 // bytes that the key has in common with the last
	if w.err == nil {
		shared, w.err = w.check(e)
	}
	if w.err != nil {
		return w.err
	}
	p := e.place()
	moved := !w.any || p != w.last
	if !w.block.any() {
		w.beginBlock(p, e.Key, moved, shared)
	}
	w.note(e, p, moved)
	w.block.add(e, p, shared, moved)
	w.lastKey = append(w.lastKey[:shared], e.Key[shared:]...)
	w.last, w.lastOp, w.any = p, e.Op, true
	if w.block.size() >= blockTarget {
		w.endBlock()
	}
	return w.err
}

func (w *Writer) check(e *Entry) (shared int, err error) {
	switch {
	case e.State < 0 || e.State >= len(w.footer.states):
		return 0, fmt.Errorf("add an entry: state %d (expected < %d)", e.State, len(w.footer.states))
	case !e.Op.known():
		return 0, fmt.Errorf("add an entry: op %d is not written by this version", e.Op)
	case e.Op == DeleteNamespace && (len(e.Key) > 0 || len(e.Value) > 0):
		return 0, errors.New("add an entry: the removal of a namespace has a key or a value")
	case e.Expiry < 0:
		return 0, fmt.Errorf("add an entry: expiry %d (expected >= 0)", e.Expiry)
	case len(e.Key)+len(e.Value) > MaxEntry:
		return 0, fmt.Errorf("add an entry: key of %d bytes and value of %d (expected <= %d together)", len(e.Key), len(e.Value), MaxEntry)
	}
	shared = commonPrefix(w.lastKey, e.Key)
	if !w.any {
		return shared, nil
	}
	c := w.footer.order.compare(w.last, e.place())
	switch {
	case c != 0:
	case shared < len(w.lastKey) && shared < len(e.Key):
		c = int(w.lastKey[shared]) - int(e.Key[shared])
	default:
		c = len(w.lastKey) - len(e.Key)
	}
	if c > 0 || c == 0 && (w.lastOp != DeleteNamespace || e.Op == DeleteNamespace) {
		return 0, fmt.Errorf("add an entry: %v key %x after %v key %x (expected by operator, key group, state, namespace, key)",
			e.place(), clip(e.Key), w.last, clip(w.lastKey))
	}
	return shared, nil
}

func clip(b []byte) []byte { return b[:min(len(b), 32)] }

func (p place) String() string {
	return fmt.Sprintf("state %d group %d namespace %d", p.state, p.group, p.ns)
}

// note takes down what the footer says of an entry.
func (w *Writer) note(e *Entry, p place, moved bool) {
	f := &w.footer
	f.ops |= 1 << e.Op
	f.entries++
	if n := len(f.sections); moved && (n == 0 || f.sections[n-1].state != e.State || f.sections[n-1].group != e.Group) {
		f.sections = append(f.sections, section{state: e.State, group: e.Group})
	}
	s := &f.sections[len(f.sections)-1]
	s.entries++
	s.bytes += int64(len(e.Key) + len(e.Value))
	switch e.Op {
	case DeleteNamespace:
		f.deleted = append(f.deleted, p)
		return // it is looked up in the list
	case Put:
		if e.Group != Own {
			w.oldest[e.State] = min(w.oldest[e.State], e.Version)
		}
		if seen := w.seen[e.State]; seen != nil && (moved || w.lastOp != Put) {
			if seen[e.Namespace] = true; len(seen) > maxNamespaces {
				w.seen[e.State] = nil
			}
		}
	}
	w.keys = append(w.keys, keyHash(p, e.Key))
}

func (w *Writer) beginBlock(p place, key []byte, moved bool, shared int) {
	b := block{sep: p}
	if !moved {
		b.sepKey = bytes.Clone(key[:min(shared+1, len(key))])
	}
	w.footer.blocks = append(w.footer.blocks, b)
}

func (w *Writer) endBlock() {
	f := &w.footer
	data := w.block.finish()
	b := &f.blocks[len(f.blocks)-1]
	b.length, b.sum = len(data), checksum(data)
	w.write(data)
	w.block.reset()
	if len(f.blocks)%blocksPerFilter == 0 {
		w.endFilter()
	}
}

func (w *Writer) endFilter() {
	w.scratch = appendBloom(w.scratch[:0], w.keys)
	w.footer.filters = append(w.footer.filters, filter{length: len(w.scratch), sum: checksum(w.scratch)})
	w.write(w.scratch)
	w.keys = w.keys[:0]
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	w.hash.Write(b)
	n, err := w.w.Write(b)
	w.size += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write a snapshot: %w", err)
	}
}

// Close ends the file. It does not close what the file was written to.
func (w *Writer) Close() (Info, error) {
	if w.err == nil && w.closed {
		w.err = errors.New("end a snapshot: it is closed")
	}
	w.closed = true
	if w.err != nil {
		return Info{}, w.err
	}
	f := &w.footer
	if w.block.any() {
		w.endBlock()
	}
	if len(f.blocks)%blocksPerFilter != 0 {
		w.endFilter()
	}
	f.namespaces = make([][]int64, len(f.states))
	for i, seen := range w.seen {
		if seen == nil {
			continue
		}
		list := make([]int64, 0, len(seen))
		for ns := range seen {
			list = append(list, ns)
		}
		slices.Sort(list)
		f.namespaces[i] = list
	}
	b, sum, err := appendFooter(w.scratch[:0], f)
	if err != nil {
		w.err = fmt.Errorf("end a snapshot: %w", err)
		return Info{}, w.err
	}
	w.write(b)
	if w.err != nil {
		return Info{}, w.err
	}
	return Info{Size: w.size, Checksum: hex.EncodeToString(w.hash.Sum(nil)), Footer: sum, Entries: f.entries, Stats: f.stats(), Oldest: w.oldest}, nil
}

func (f *footer) stats() []Stat {
	stats := make([]Stat, len(f.sections))
	for i, s := range f.sections {
		stats[i] = Stat{State: s.state, Group: s.group, Entries: s.entries, Bytes: s.bytes}
	}
	return stats
}
