package state

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// Restored tables are read when their entries are touched: that gives the first results soon, but costs a block of a file
// for each entry, so a state that is touched all over would take minutes to come to its pace. So tables are also warmed,
// one after the other: a goroutine reads the files of a table in their order, key group by key group, and the task takes in
// what was read between its batches, until all of it is in memory or there is no more room. What was touched meanwhile
// is newer and stays.

// warming is the reading ahead of one table.
type warming struct {
	t        *tiered
	ns       Namespace
	kind     Kind
	files    []fileState // the newest first
	from, to graph.KeyGroup
	portions chan *portion // closed at the end
	used     chan *portion // to be filled again
	stopped  chan struct{}
	done     chan struct{} // nothing is read any more
	err      error         // once portions is closed
}

// portion is some entries of one key group, the newest of a key first.
type portion struct {
	group   graph.KeyGroup
	last    bool // of its group
	entries []warmEntry
	bytes   []byte // of the keys and values, one behind the other
}

type warmEntry struct {
	hash     uint64
	expiry   int64
	keyEnd   uint32
	valueEnd uint32
	version  uint16
	op       snapshot.Op
}

const (
	portionEntries = 2048
	portionBytes   = 256 << 10
	portionsAhead  = 4
	readAhead      = 512 << 10 // bytes of a file at a time
	// warmPart is the part of what the young tables may hold, in percent, that warming fills: a round is not to end for
	// what nobody has asked for.
	warmPart = 90
)

// errNotWarmed ends a warming that is of no use; entries are read when they are touched.
var errNotWarmed = errors.New("not warmed")

func (c *cold) startWarming(t *tiered) *warming {
	w := &warming{
		t: t, ns: t.ns, kind: t.spec.Kind, files: t.files, from: c.config.From, to: c.config.To,
		portions: make(chan *portion, portionsAhead), used: make(chan *portion, portionsAhead+2),
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
	t.loaded = make([]bool, c.config.To-c.config.From)
	go func() { // who waits for it: warming.stop
		defer close(w.done)
		defer close(w.portions)
		w.err = w.read()
	}()
	return w
}

// stop ends the reading and waits for it: the files may be closed then.
func (w *warming) stop() {
	close(w.stopped)
	<-w.done
}

func (w *warming) read() error {
	all := make([]*snapshot.Iterator, len(w.files))
	for i, f := range w.files {
		rg := snapshot.Range{State: f.state, From: w.from, To: w.to, First: int64(w.ns), Last: int64(w.ns)}
		if w.kind == Timer {
			rg.First, rg.Last = math.MinInt64, math.MaxInt64
		}
		all[i] = f.reader.Ahead(readAhead).Scan(rg)
		all[i].Next()
	}
	for g := w.from; g < w.to; g++ {
		p := w.portion(g)
		removed := false // by a newer file
		for i, it := range all {
			for ok := it.Placed(); ok && it.Entry().Group == g; ok = it.Next() {
				e := it.Entry()
				if removed || e.Op == snapshot.DeleteNamespace {
					continue
				}
				if w.kind == Words && (e.Op != snapshot.Put || len(e.Value) != 8) {
					return errNotWarmed // whoever touches it is told
				}
				if len(p.entries) == portionEntries || len(p.bytes) > portionBytes {
					if !w.give(p) {
						return nil
					}
					p = w.portion(g)
				}
				p.add(w.kind, e)
			}
			if err := it.Err(); err != nil {
				return damaged(err, w.files[i].reader)
			}
			removed = removed || w.files[i].reader.DeletesNamespace(w.files[i].state, g, int64(w.ns))
		}
		p.last = true
		if !w.give(p) {
			return nil
		}
	}
	return nil
}

func (w *warming) portion(group graph.KeyGroup) *portion {
	select {
	case p := <-w.used:
		*p = portion{group: group, entries: p.entries[:0], bytes: p.bytes[:0]}
		return p
	default:
		return &portion{group: group}
	}
}

func (w *warming) give(p *portion) bool {
	select {
	case w.portions <- p:
		return true
	case <-w.stopped:
		return false
	}
}

func (p *portion) add(kind Kind, e *snapshot.Entry) {
	begin := len(p.bytes)
	p.bytes = kind.appendKey(p.bytes, e)
	end := len(p.bytes)
	p.bytes = append(p.bytes, e.Value...)
	p.entries = append(p.entries, warmEntry{
		hash: xxhash.Sum64(p.bytes[begin:end]), expiry: e.Expiry, keyEnd: uint32(end), valueEnd: uint32(len(p.bytes)), version: e.Version, op: e.Op,
	})
}

// Warm implements Store.
func (h *hot) Warm(n int, wait time.Duration) (more bool, err error) {
	c := h.cold
	if c == nil || c.warming == nil && len(c.toWarm) == 0 {
		return false, nil
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for n > 0 {
		w := c.warming
		if w == nil {
			if w = c.nextWarming(); w == nil {
				return false, nil
			}
			c.warming = w
		}
		select {
		case p, ok := <-w.portions:
			if !ok {
				w.t.whole = w.err == nil
				c.stopWarming()
				if w.t.whole && w.kind.ordered() {
					w.t.forgetFiles()
				}
				if w.err != nil && w.err != errNotWarmed {
					return false, fmt.Errorf("read state %s of %s ahead: %w", w.t.spec.Name, w.t.spec.Operator, w.err)
				}
				continue
			}
			if h.young.Load()+int64(len(p.bytes)) > c.limit*warmPart/100 {
				c.toWarm = nil // nor is there room for others
				c.stopWarming()
				return false, nil
			}
			if err := w.t.takePortion(p); err != nil {
				return false, damaged(err, w.files[0].reader)
			}
			n -= len(p.entries) + 1
			w.used <- p
		case <-late.C:
			return true, nil
		}
	}
	return true, nil
}

// nextWarming begins with the next table that is as it was when it was opened.
func (c *cold) nextWarming() *warming {
	for len(c.toWarm) > 0 {
		t := c.toWarm[0]
		if c.toWarm = c.toWarm[1:]; t.warmable() {
			return c.startWarming(t)
		}
	}
	return nil
}

// warmable says whether nothing of the table lies anywhere but in memory and in the restored files.
func (t *tiered) warmable() bool {
	return t.files != nil && !t.whole && t.old == nil && t.flushing == nil && t.id == 0 && t.scan == nil
}

func (c *cold) stopWarming() {
	if c.warming != nil {
		c.warming.stop()
		c.warming = nil
	}
}

// unwarm says that something of the table, or all of it, leaves the memory.
func (t *tiered) unwarm() {
	t.whole, t.loaded = false, nil
	if c := t.store.cold; c != nil && c.warming != nil && c.warming.t == t {
		c.stopWarming()
	}
}

// forgetFiles makes all that is in memory, which is all there is, the table's own: what is deleted is no more then, and
// need not stand before what the files have. Timers come and go: as tombstones they would fill the memory.
func (t *tiered) forgetFiles() {
	t.files = nil
	kept := t.kept
	for i := range t.keyRefs {
		e := Entry(i)
		p := t.pages[i>>pageBits]
		switch p.words[i&pageMask] {
		case gone:
		case noValue:
			t.kept = kept && p.gen == t.store.gen && p.dirty.has(e)
			_ = t.table.Delete(e) // it is not of words
		default:
			p.pending.set(e)
		}
	}
	t.kept = kept
	t.left(nil)
}

// inMemory says whether all that the files have of a key group was taken in.
func (t *tiered) inMemory(group graph.KeyGroup) bool {
	return t.files == nil || t.whole || t.loaded != nil && t.loaded[group-t.store.config.From]
}

// takePortion adds what is not there already.
func (t *tiered) takePortion(p *portion) error {
	defer t.count()
	t.makeRoom(len(p.entries))
	at := uint32(0)
	for i := range p.entries {
		if i%ahead == 0 {
			t.fetchSlots(p.entries[i:min(i+ahead, len(p.entries))])
		}
		e := &p.entries[i]
		key, value := p.bytes[at:e.keyEnd], p.bytes[e.keyEnd:e.valueEnd]
		at = e.valueEnd
		n := len(t.keyRefs)
		to := t.find(e.hash, key, true)
		if len(t.keyRefs) == n {
			continue // it is newer
		}
		word, _, err := t.fromFile(&snapshot.Entry{Op: e.op, Version: e.version, Expiry: e.expiry, Value: value})
		if err != nil {
			return err
		}
		t.page(to).words[to&pageMask] = word
	}
	if p.last {
		t.loaded[p.group-t.store.config.From] = true
		t.expect(int(p.group - t.store.config.From + 1))
	}
	return nil
}

// expect makes room for all key groups, when some of them were taken in: an index that grows step by step is made anew at
// each. It is a guess, for which a quarter of
// the room that is left may be taken.
func (t *tiered) expect(groups int) {
	all := len(t.loaded)
	if n := len(t.keyRefs); groups == (all+31)/32 && all > groups {
		more := n * (all - groups) / groups
		more += more / 8
		if c := t.store.cold; int64(32*more) < (c.limit-t.store.young.Load())/4 {
			t.makeRoom(more)
			t.keyRefs = slices.Grow(t.keyRefs, more)
		}
	}
}

// fetchSlots looks at where keys of some hashes may be, so that the processor fetches all of it at the same time.
func (t *tiered) fetchSlots(entries []warmEntry) {
	var found [ahead]uint32
	for i := range entries {
		tag := uint32(entries[i].hash >> 32)
		slot := t.index[tag>>t.shift]
		if uint32(slot>>32) == tag && slot != grave {
			found[i] = uint32(slot)
		}
	}
	var refs [ahead]ref
	for i, e := range found[:len(entries)] {
		if e != 0 {
			refs[i] = t.keyRefs[e-1]
		}
	}
	read := byte(0)
	for i, e := range found[:len(entries)] {
		if e != 0 {
			chunk, at := t.keys.chunks[refs[i]>>32], int(uint32(refs[i]))
			read += chunk[at] + chunk[min(at+64, len(chunk)-1)]
		}
	}
	t.store.cold.read += read
}
