package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dustin/go-humanize"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// disk is a store's map on disk, which lives as long as the store and what was frozen of it.
//
// What is written during the generation g of a store (between two freezes) has the version 2g+1 if it has changed in g, and
// 2g if it has not: so what a freeze has to write is what has its version, as long as versions from there on are kept.
type disk struct {
	files *spill.Map

	mu     sync.Mutex
	users  int            // the store, and what is frozen
	frozen map[uint32]int // generations whose changes somebody still has to write
	gen    uint32         // of the store
}

func cleanVersion(gen uint32) uint64 { return 2 * (uint64(gen) + 1) }
func dirtyVersion(gen uint32) uint64 { return cleanVersion(gen) + 1 }

// hold keeps the changes of a generation, which has just ended.
func (d *disk) hold(gen uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users++
	d.frozen[gen]++
}

// advance says that the store has come to a generation.
func (d *disk) advance(gen uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gen = gen
	d.forget()
}

// release ends a hold.
func (d *disk) release(gen uint32) error {
	d.mu.Lock()
	if d.frozen[gen]--; d.frozen[gen] == 0 {
		delete(d.frozen, gen)
	}
	d.forget()
	d.mu.Unlock()
	return d.leave()
}

func (d *disk) forget() {
	oldest := d.gen
	for g := range d.frozen {
		oldest = min(oldest, g)
	}
	d.files.Forget(cleanVersion(oldest))
}

func (d *disk) leave() error {
	d.mu.Lock()
	d.users--
	last := d.users == 0
	d.mu.Unlock()
	if !last {
		return nil
	}
	return d.files.Close()
}

// flush is tables on their way to disk.
type flush struct {
	disk   *disk
	groups int
	gen    uint32
	tables []flushing
	drops  []uint32
	sweep  *sweep
	done   chan struct{} // closed at the end
	err    error         // once done is closed
}

type flushing struct {
	owner *tiered // is not touched by the flush
	table *table  // nobody changes it
	id    uint32
	ended int64 // entries whose time was up by then are gone
	ends  int64 // when the last of those that were written ends
	files bool  // may have some of its keys
	below bool  // so may the disk
}

// begin starts a flush. Another must not run.
func (c *cold) begin(h *hot, tables []flushing) error {
	if c.disk == nil {
		files, err := spill.Open(c.config.Dir, c.config.Space, c.config.Budget)
		if err != nil {
			return err
		}
		c.disk = &disk{files: files, users: 1, frozen: map[uint32]int{}, gen: h.gen}
	}
	f := &flush{disk: c.disk, groups: c.config.Groups, gen: h.gen, tables: tables, drops: c.drops, sweep: c.nextSweep(h), done: make(chan struct{})}
	c.drops = nil
	c.running = f
	go f.run() // who waits for it: cold.wait, before the next one and at the end
	return nil
}

func (f *flush) run() {
	defer close(f.done)
	f.err = f.write()
}

func (f *flush) write() error {
	for _, id := range f.drops {
		prefix := binary.BigEndian.AppendUint32(nil, id)
		if err := f.disk.files.DeleteAll(prefix, dirtyVersion(f.gen)); err != nil {
			return err
		}
	}
	if len(f.tables) > 0 {
		if err := f.writeTables(); err != nil {
			return err
		}
	}
	return f.sweep.run(f)
}

func (f *flush) writeTables() error {
	b := f.disk.files.Batch()
	var memory []byte
	for i := range f.tables {
		var err error
		if memory, err = f.writeTable(b, &f.tables[i], memory); err != nil {
			b.Cancel()
			return err
		}
	}
	return b.Flush()
}

// pendingEntry is an entry to write, with as much of its key as sorting needs most often.
type pendingEntry struct {
	head  uint64 // key group u16, first 6 bytes of the key
	entry Entry
	dirty bool
}

// writeTable returns the rest of the memory that it takes what it writes from: the map keeps what it is given, a table may be small, and
// there may be many of them.
func (f *flush) writeTable(b *spill.Batch, w *flushing, memory []byte) ([]byte, error) {
	t := w.table
	var all []pendingEntry
	for i, p := range t.pages {
		for at := range pageEntries {
			e := Entry(i<<pageBits | at)
			if !p.pending.has(e) || p.moved.has(e) || int(e) >= len(t.keyRefs) || t.spec.Kind != Words && p.words[at] == gone || t.over(e, w.ended) {
				continue
			}
			key := t.Key(e)
			var first [8]byte
			copy(first[:], key)
			group := graph.KeyGroupOf(t.spec.Kind.ownerHash(key), f.groups)
			all = append(all, pendingEntry{uint64(group)<<48 | binary.BigEndian.Uint64(first[:])>>16, e, p.gen == f.gen && p.dirty.has(e)})
		}
	}
	slices.SortFunc(all, func(x, y pendingEntry) int {
		if x.head != y.head {
			return cmp.Compare(x.head, y.head)
		}
		return bytes.Compare(t.Key(x.entry), t.Key(y.entry))
	})
	for _, p := range all {
		version := cleanVersion(f.gen)
		if p.dirty {
			version = dirtyVersion(f.gen)
		}
		key, value := t.Key(p.entry), t.stored(p.entry)
		need := diskHeader + len(key) + 9 + len(value)
		if cap(memory)-len(memory) < need {
			memory = make([]byte, 0, max(64<<10, need))
		}
		at := len(memory)
		memory = appendDiskKey(memory, w.id, graph.KeyGroup(p.head>>48), key)
		end := len(memory)
		diskKey := memory[at:end:end]
		put, err := true, error(nil)
		switch {
		case t.spec.Kind == Words:
			memory = binary.LittleEndian.AppendUint64(append(memory, diskPut), *t.Word(p.entry))
		case value != nil && !t.expiredAt(p.entry, w.ended):
			memory = append(append(memory, diskPut), value...)
			w.ends = max(w.ends, t.expiry(p.entry))
		case w.files:
			memory = append(memory, diskDelete)
		case !w.below && !p.dirty:
			continue // it was never there
		default:
			put = false
		}
		if put {
			err = b.Put(diskKey, memory[end:len(memory):len(memory)], version)
		} else {
			err = b.Delete(diskKey, version)
		}
		if err != nil {
			return nil, err
		}
	}
	return memory, nil
}

// settled takes note of a flush that has ended.
func (c *cold) settled() error {
	f := c.running
	if f == nil {
		return nil
	}
	c.running = nil
	c.swept(f.sweep)
	for _, w := range f.tables {
		if w.owner.flushing == w.table {
			w.owner.flushing = nil
			w.owner.ends = max(w.owner.ends, w.ends)
			w.owner.left(w.table)
			w.owner.countRest()
		}
	}
	return f.err
}

// wait ends the flush that runs.
func (c *cold) wait() error {
	if c.running == nil {
		return nil
	}
	<-c.running.done
	return c.settled()
}

// poll is wait if that takes no time.
func (c *cold) poll() error {
	if c.running == nil {
		return nil
	}
	select {
	case <-c.running.done:
		return c.settled()
	default:
		return nil
	}
}

func (c *cold) close() error {
	c.stopWarming()
	err := c.wait()
	if c.disk != nil {
		err = errors.Join(err, c.disk.leave())
	}
	return err
}

// KeysError says that the keys which cannot leave the memory take all of it.
type KeysError struct {
	Spec   Spec
	Is     int64 // bytes of them and their values
	Budget int64
}

func (e *KeysError) Error() string {
	return fmt.Sprintf("spill state: the keys above %s of state %q of operator %q take %s of memory, which they cannot leave (the task has %s of state.budget): use shorter keys, raise state.budget, or give the job more slots",
		humanize.IBytes(spill.MaxKey), e.Spec.Name, e.Spec.Operator, humanize.IBytes(uint64(e.Is)), humanize.IBytes(uint64(e.Budget)))
}

// Trim implements Store.
func (h *hot) Trim() error {
	for _, st := range h.states {
		if t := st.elements; t != nil && t.scan == nil {
			t.shed(halfEnded)
		}
	}
	c := h.cold
	if c == nil {
		return nil
	}
	if err := c.poll(); err != nil {
		return err
	}
	for _, st := range h.states {
		if st.elements != nil {
			st.elements.count()
		}
	}
	if h.young.Load() > c.trigger {
		h.shrink()
	}
	if h.young.Load() <= c.trigger {
		if c.running == nil && (len(c.drops) > 0 || c.sweepIsDue(h)) {
			return c.begin(h, nil)
		}
		return nil
	}
	if err := c.wait(); err != nil {
		return err
	}
	var out []flushing
	var stuck int64
	for _, st := range h.states {
		for _, t := range st.open {
			if t.scan != nil && t.scan.pinned {
				continue
			}
			if was := t.turn(); was != nil {
				out = append(out, h.toDisk(t, was))
			}
			t.count()
			t.countRest()
			if stuck += t.stuck; stuck > c.config.Budget {
				return &KeysError{Spec: t.spec, Is: stuck, Budget: c.config.Budget}
			}
		}
	}
	c.trigger = max(c.limit, h.young.Load()+c.limit/2)
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b flushing) int { return cmp.Compare(a.id, b.id) })
	return c.begin(h, out)
}

// What has ended leaves the memory of a table that nobody deletes from when it is so much of it: half, or a quarter before anything
// would go to disk.
const halfEnded, quarterEnded = 2, 4

// shrink has tables let go of what was deleted: what has ended need not go to disk, nor what is in use on its account.
func (h *hot) shrink() {
	for _, st := range h.states {
		for _, t := range st.open {
			switch {
			case t.scan != nil:
			case t.spec.Once:
				t.shedAny(quarterEnded)
				t.count()
			case !t.layered() && t.dead > minDead && quarterEnded*t.dead > len(t.keyRefs):
				t.rebuild()
				t.count()
			}
		}
	}
}

// toDisk makes a table ready to be flushed.
func (h *hot) toDisk(t *tiered, was *table) flushing {
	below := t.id != 0
	if !below {
		h.cold.tables++
		t.id = h.cold.tables
	}
	t.flushing, t.flushed = was, h.gen+1
	return flushing{owner: t, table: was, id: t.id, ended: t.clock.Now, files: t.files != nil, below: below}
}
