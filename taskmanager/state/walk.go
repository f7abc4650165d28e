package state

import (
	"bytes"
	"math"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// walk steps through elements of a table in their order, whatever tiers they lie in: those whose keys begin with a prefix,
// from a key on. Of a key that several tiers have, the youngest counts. Nothing may be added meanwhile.
type walk struct {
	t      *tiered
	tiers  []*table // in memory, the youngest first
	memory [3]*table
	spots  [3]spot
	rank   uint64 // of the prefix
	prefix []byte // empty: of any rank
	below  *deep  // nil: nothing there is to be looked at
	stale  bool   // below is where it was in the step before

	key   []byte // of the element, valid until the next step
	cell  cell   // its value
	found *deep  // below, if it is from there
}

func (t *tiered) walk(prefix, from []byte, below *deep) *walk {
	at := t.spec.Kind.standingOf(from)
	w := &walk{t: t, prefix: prefix, rank: at.rank, below: below}
	w.tiers = w.memory[:0]
	for _, tier := range [...]*table{t.table, t.old, t.flushing} {
		if tier != nil {
			w.spots[len(w.tiers)] = tier.order.seek(tier, at, from)
			w.tiers = append(w.tiers, tier)
		}
	}
	return w
}

// at is the element that a tier is at, NoEntry if there is none.
func (w *walk) at(i int) (Entry, []byte) {
	t := w.tiers[i]
	for t.order.in(w.spots[i]) {
		if len(w.prefix) > 0 && t.order.rank(w.spots[i]) > w.rank {
			break
		}
		e := t.order.entry(w.spots[i])
		key := t.Key(e)
		if bytes.HasPrefix(key, w.prefix) && !t.pages[e>>pageBits].moved.has(e) {
			return e, key
		}
		w.spots[i] = t.order.after(w.spots[i])
	}
	return NoEntry, nil
}

// next steps to the next element; false when there is none.
func (w *walk) next() (bool, error) {
	for {
		if w.stale {
			w.stale = false
			if err := w.below.next(); err != nil {
				return false, err
			}
		}
		var entries [3]Entry
		var keys [3][]byte
		first := -1
		for i := range w.tiers {
			if entries[i], keys[i] = w.at(i); entries[i] != NoEntry && (first < 0 || bytes.Compare(keys[i], keys[first]) < 0) {
				first = i
			}
		}
		deeper := 1 // how what lies below compares to what is in memory
		if w.below != nil && w.below.there {
			deeper = -1
			if first >= 0 {
				deeper = bytes.Compare(w.below.key, keys[first])
			}
		}
		if first < 0 && deeper > 0 {
			return false, nil
		}
		w.stale = deeper <= 0
		if deeper < 0 {
			if w.key, w.cell, w.found = w.below.key, w.below.cell, w.below; w.below.live {
				return true, nil
			}
			continue
		}
		for i := range w.tiers {
			if entries[i] != NoEntry && (i == first || bytes.Equal(keys[i], keys[first])) {
				w.spots[i] = w.tiers[i].order.after(w.spots[i])
			}
		}
		t := w.tiers[first]
		if stored := t.stored(entries[first]); stored != nil && !t.expired(entries[first]) {
			w.key, w.cell, w.found = keys[first], cellOf(t.headerBytes(), stored), nil
			return true, nil
		}
	}
}

// deep steps through what the disk and the restored files have of elements in one key group, deleted ones included.
type deep struct {
	t      *tiered
	prefix []byte // of the keys

	disk     *spill.Iterator // nil: nothing is there
	onlyDisk []byte          // what the keys there begin with
	onDisk   bool
	files    *snapshot.Merged // nil: they have nothing more to say
	inFiles  bool
	fileKey  []byte
	readDisk bool // the element is the disk's
	readFile bool // the files have its key

	there bool
	key   []byte // of the element, valid until the next step
	cell  cell   // its value, if it is live
	live  bool
}

// isDeep says whether there may be more of a key group than what is in memory.
func (t *tiered) isDeep(group graph.KeyGroup) bool { return t.onDisk() || !t.inMemory(group) }

// onDisk says whether the disk may have anything of the table that has not ended.
func (t *tiered) onDisk() bool { return t.id != 0 && !(t.spec.Once && t.ends <= t.clock.Now) }

// diskIterator steps through what the disk has of the table in keys that begin with a prefix. It is nil if nothing is there.
func (t *tiered) diskIterator(prefix []byte) (it *spill.Iterator, closing func()) {
	if !t.onDisk() {
		return nil, func() {}
	}
	view := t.store.cold.disk.files.View()
	it = view.Iterator(prefix)
	return it, func() {
		it.Close()
		view.Close()
	}
}

// deep goes to the first element at or behind a key. disk steps through those of the prefix, or of more.
func (t *tiered) deep(disk *spill.Iterator, group graph.KeyGroup, prefix, from []byte) (*deep, error) {
	d := &deep{t: t, prefix: prefix, disk: disk}
	if disk != nil {
		d.onlyDisk = appendDiskKey(nil, t.id, group, prefix)
		there, err := disk.Seek(appendDiskKey(nil, t.id, group, from))
		if err != nil {
			return nil, err
		}
		d.onDisk = there && bytes.HasPrefix(disk.Key(), d.onlyDisk)
	}
	if !t.inMemory(group) {
		d.files = t.scanFilesFrom(group, from)
		if err := d.stepFiles(); err != nil {
			return nil, err
		}
	}
	d.merge()
	return d, nil
}

// scanFilesFrom goes through what the files have of elements of a key group, from a key on.
func (t *tiered) scanFilesFrom(group graph.KeyGroup, from []byte) *snapshot.Merged {
	rg := snapshot.Range{From: group, To: group + 1, First: int64(t.ns), Last: int64(t.ns), Key: from}
	if t.spec.Kind == Timer {
		rg.First, rg.Last, rg.Key = math.MinInt64, math.MaxInt64, nil
		if len(from) > 0 {
			rg.First, rg.Key = t.spec.Kind.inFile(0, from)
		}
		return t.scanRange(rg)
	}
	if t.seeker == nil {
		t.seeker = snapshot.NewSeeker(t.store.config.Restored, t.spec.Operator, t.spec.Name)
	}
	return t.seeker.Scan(rg)
}

func (d *deep) stepFiles() error {
	d.inFiles = d.files.Next()
	if err := d.files.Err(); err != nil {
		return d.t.damagedIn(d.files)
	}
	if d.inFiles {
		d.fileKey = d.t.spec.Kind.appendKey(d.fileKey[:0], d.files.Entry())
		d.inFiles = bytes.HasPrefix(d.fileKey, d.prefix)
	}
	return nil
}

func (d *deep) next() error {
	if d.readDisk {
		there, err := d.disk.Next()
		if err != nil {
			return err
		}
		d.onDisk = there && bytes.HasPrefix(d.disk.Key(), d.onlyDisk)
	}
	if d.readFile {
		if err := d.stepFiles(); err != nil {
			return err
		}
	}
	d.merge()
	return nil
}

// merge takes the first of what disk and files are at.
func (d *deep) merge() {
	d.there = d.onDisk || d.inFiles
	d.readDisk, d.readFile = d.onDisk, d.inFiles
	if d.onDisk && d.inFiles {
		c := bytes.Compare(d.disk.Key()[diskHeader:], d.fileKey)
		d.readDisk, d.readFile = c <= 0, c >= 0
	}
	if d.readDisk {
		d.key = d.disk.Key()[diskHeader:]
		v := d.disk.Value()
		if d.live = v[0] == diskPut; d.live {
			d.cell = cellOf(d.t.headerBytes(), v[1:])
		}
	} else if d.readFile {
		e := d.files.Entry()
		d.key, d.live = d.fileKey, e.Op == snapshot.Put
		d.cell = cell{value: e.Value, version: e.Version, expiry: e.Expiry}
	}
	d.live = d.there && d.live && (d.cell.expiry == 0 || d.cell.expiry > d.t.clock.Now)
}
