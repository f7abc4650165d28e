package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// cold is what lies outside of memory: a map on disk, once something had to go there, and the files that were restored. The
// task's goroutine uses it; flushes write beside it.
type cold struct {
	config     *Config
	limit      int64 // bytes of the young tables at which a round ends
	trigger    int64 // at least limit: more when what must stay is more
	disk       *disk // nil until something was written
	tables     uint32
	drops      []uint32 // tables to remove from disk
	running    *flush   // that was begun last and is not known to have ended
	misses     []miss
	key        []byte
	sweepFrom  []byte // see sweep
	sweepEvery int64  // milliseconds
	sweptAt    int64
	warming    *warming  // that runs
	toWarm     []*tiered // the next ones
	read       byte      // what fetchSlots has read: for nothing else
}

// Rounds is how many parts of a budget there are: young, old, and on their way to disk. What has not more than one stays in memory.
const Rounds = 3

func newCold(c *Config) *cold {
	return &cold{config: c, limit: c.Budget / Rounds, trigger: c.Budget / Rounds}
}

func hashOf(key []byte) uint64 { return xxhash.Sum64(key) }

// fileState is a state in a restored file.
type fileState struct {
	reader *snapshot.Reader
	state  int
}

// filesOf are the restored files that have the state, the newest first, and the kind that the newest gives it.
func (c *cold) filesOf(s Spec) (files []fileState, kind Kind) {
	for _, r := range slices.Backward(c.config.Restored) {
		if i := r.State(s.Operator, s.Name); i >= 0 {
			if files == nil {
				kind = Kind(r.States()[i].Kind)
			}
			files = append(files, fileState{r, i})
		}
	}
	return files, kind
}

// mayHave says whether any file has values in a namespace.
func mayHave(files []fileState, ns Namespace) bool {
	for _, f := range files {
		if list, listed := f.reader.Namespaces(f.state); !listed {
			return true
		} else if _, found := slices.BinarySearch(list, int64(ns)); found {
			return true
		}
	}
	return false
}

// namespaces are those in which the files have values that no newer one of them removes.
func (c *cold) namespaces(files []fileState) (all []Namespace, err error) {
	seen := map[int64]bool{}
	for i, f := range files {
		list, listed := f.reader.Namespaces(f.state)
		if !listed {
			if list, err = scanNamespaces(f); err != nil {
				return nil, err
			}
		}
		for _, ns := range list {
			if !seen[ns] && !c.removed(files[:i], ns) {
				seen[ns] = true
				all = append(all, Namespace(ns))
			}
		}
	}
	return all, nil
}

// scanNamespaces reads the namespaces of a state of which a file has too many to list.
func scanNamespaces(f fileState) (list []int64, err error) {
	rg := snapshot.Everything
	rg.State, rg.Own = f.state, false
	it := f.reader.Scan(rg)
	seen := map[int64]bool{}
	for it.Next() {
		if e := it.Entry(); e.Op == snapshot.Put && !seen[e.Namespace] {
			seen[e.Namespace] = true
			list = append(list, e.Namespace)
		}
	}
	return list, damaged(it.Err(), f.reader)
}

// removed says whether newer files remove all of a namespace.
func (c *cold) removed(newer []fileState, ns int64) bool {
	for _, f := range newer {
		all := true
		for g := c.config.From; g < c.config.To && all; g++ {
			all = f.reader.DeletesNamespace(f.state, g, ns)
		}
		if all {
			return true
		}
	}
	return false
}

// FileError says which restored file could not be read.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

func damaged(err error, r *snapshot.Reader) error {
	if err == nil {
		return nil
	}
	return &FileError{r.Name(), err}
}

// miss is a key that a batch needs and that is not in memory.
type miss struct {
	at    int // in the batch's entries
	hash  uint64
	group graph.KeyGroup
	key   []byte
}

// Keys on disk are a table's number u32, the key group u16, both big-endian, and the key.
const diskHeader = 6

func appendDiskKey(dst []byte, table uint32, group graph.KeyGroup, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, table)
	dst = binary.BigEndian.AppendUint16(dst, uint16(group))
	return append(dst, key...)
}

// A value on disk is one of these, then what a table stores.
const (
	diskPut    = 0
	diskDelete = 1 // stands before what the restored files have
)

// fetch finds the entries of the batch's misses on disk and in the files, in one sorted pass, and sets entries to them.
// Those that are nowhere are added if add is set, or could be told from those that are there.
func (t *tiered) fetch(entries []Entry, add bool) error {
	c := t.store.cold
	if len(c.misses) == 0 {
		return nil
	}
	for i := range c.misses {
		m := &c.misses[i]
		m.group = t.groupOf(m.hash, m.key)
	}
	slices.SortFunc(c.misses, func(a, b miss) int {
		if a.group != b.group {
			return cmp.Compare(a.group, b.group)
		}
		return bytes.Compare(a.key, b.key)
	})
	get := t.reader()
	defer get.close()
	for i := range c.misses {
		m := &c.misses[i]
		if i > 0 && bytes.Equal(m.key, c.misses[i-1].key) && m.hash == c.misses[i-1].hash {
			entries[m.at] = entries[c.misses[i-1].at]
		} else if err := get.one(m); err != nil {
			return err
		} else if get.found || add || t.spec.Kind != Words {
			e := t.find(m.hash, m.key, true)
			t.page(e).words[e&pageMask] = get.word
			entries[m.at] = e
		}
		if add {
			t.touch(entries[m.at])
		}
	}
	return nil
}

// getter reads single entries of a table from disk and files. What is found becomes a word of the young table.
type getter struct {
	t     *tiered
	view  spill.View
	disk  bool
	found bool
	word  uint64
}

func (t *tiered) reader() getter {
	g := getter{t: t, disk: t.id != 0}
	if g.disk {
		g.view = t.store.cold.disk.files.View()
	}
	return g
}

func (g *getter) close() {
	if g.disk {
		g.view.Close()
	}
}

func (g *getter) one(m *miss) error {
	g.found, g.word = false, g.t.blank()
	return g.lookUp(m, func(v []byte) (err error) {
		g.word, g.found, err = g.t.fromDisk(v)
		return err
	}, func(e *snapshot.Entry) (err error) {
		g.word, g.found, err = g.t.fromFile(e)
		return err
	})
}

// lookUp calls one of two functions, if there is something: with a value as it lies on disk, or an entry of a file.
func (g *getter) lookUp(m *miss, disk func(v []byte) error, file func(e *snapshot.Entry) error) error {
	if g.disk {
		c := g.t.store.cold
		c.key = appendDiskKey(c.key[:0], g.t.id, m.group, m.key)
		if there, err := g.view.Get(c.key, disk); there || err != nil {
			return err
		}
	}
	if g.t.inMemory(m.group) {
		return nil
	}
	ns, key := g.t.spec.Kind.inFile(int64(g.t.ns), m.key)
	for _, f := range g.t.files {
		e, there, err := f.reader.Get(f.state, m.group, ns, key)
		if err != nil {
			return damaged(err, f.reader)
		}
		if there {
			return damaged(file(&e), f.reader)
		}
	}
	return nil
}

// groupOf is the key group of a key with its hash.
func (t *table) groupOf(hash uint64, key []byte) graph.KeyGroup {
	if t.spec.Kind.elements() {
		hash = t.spec.Kind.ownerHash(key)
	}
	return t.store.group(hash)
}

// blank is the word of an entry without a value.
func (t *table) blank() uint64 {
	if t.spec.Kind != Words {
		return noValue
	}
	return 0
}

// fromDisk is the word of a value as it lies on disk.
func (t *table) fromDisk(v []byte) (word uint64, found bool, err error) {
	switch {
	case len(v) == 1 && v[0] == diskDelete:
		return t.blank(), false, nil
	case t.spec.Kind == Words && len(v) == 9:
		return binary.LittleEndian.Uint64(v[1:]), true, nil
	case t.spec.Kind != Words && len(v) >= 1+t.headerBytes():
		r := t.values.reserve(len(v)-1, (len(v)+6)&^7)
		copy(t.values.get(r), v[1:])
		return uint64(r), true, nil
	}
	return 0, false, fmt.Errorf("read state %s of %s from disk: a value of %d bytes", t.spec.Name, t.spec.Operator, len(v))
}

// fromFile is the word of a file's entry.
func (t *table) fromFile(e *snapshot.Entry) (word uint64, found bool, err error) {
	switch {
	case e.Op != snapshot.Put || e.Expired(t.clock.Now):
		return t.blank(), false, nil
	case t.spec.Kind != Words:
		head := t.headerBytes()
		r := t.values.reserve(head+len(e.Value), (head+len(e.Value)+7)&^7)
		p := t.values.get(r)
		t.putHeader(p, e.Version, e.Expiry)
		copy(p[head:], e.Value)
		return uint64(r), true, nil
	case len(e.Value) != 8:
		return 0, false, fmt.Errorf("state %s of %s: a word of %d bytes: %w", t.spec.Name, t.spec.Operator, len(e.Value), snapshot.ErrDamaged)
	}
	return binary.LittleEndian.Uint64(e.Value), true, nil
}

func (t *table) putHeader(p []byte, version uint16, expiry int64) {
	binary.LittleEndian.PutUint16(p, version)
	if t.headerBytes() > shortHeader {
		if expiry == 0 { // it was written when the state had no TTL
			expiry = math.MaxInt64
		}
		binary.LittleEndian.PutUint64(p[2:], uint64(expiry))
	}
}

// restoreLazily takes in the operators' own scope. Everything else is read when it is touched.
func (h *hot) restoreLazily() error {
	own := snapshot.Range{State: snapshot.All, Own: true, First: math.MinInt64, Last: math.MaxInt64}
	if err := h.restoreRange(own); err != nil {
		return err
	}
	h.settle()
	return nil
}
