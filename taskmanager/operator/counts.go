package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// counts are windows of as many records of a key as size, one every slide records; the first ones have fewer. Like those of
// time they are made of slices, each of which has an accumulator: the newest may still be filling. What is left of a window
// when the input ends has no result.
type counts struct {
	panes  *panes
	acc    adding
	pane   pane // all of the state
	slice  int  // records of one
	window int  // slices of a window
	step   int  // slices between the ends of two windows

	of      byKey
	keys    []countKey
	parts   []countPart
	rows    []uint32 // of the batch, those of a slice together
	some    []int    // scratch: slices that have records of the batch
	lists   [][]byte // what accs of slices are parts of
	accs    [][]byte // scratch, of a piece
	results []countResult
	arena   []byte
	record  []byte // scratch
}

// countKey is a key of the batch; its slices are parts[first:last], those that it had and those that begin with the batch.
type countKey struct {
	entry       state.Entry
	first, last int
	ended       uint64 // slices that it has had, whole ones
}

// countPart is a slice of a key: so many records, of which rows are the batch's.
type countPart struct {
	key  int
	n    int
	accs [][]byte
	rows []uint32
}

// countResult is a window that has ended: parts[first:last].
type countResult struct{ key, first, last int }

func newCounts(p *panes, acc adding, w *abi.Window) (*counts, error) {
	size, slide := int64(w.Count), int64(w.CountSlide)
	if slide == 0 {
		slide = size
	}
	slice := gcd(size, slide)
	c := &counts{panes: p, acc: acc, slice: int(slice), window: int(size / slice), step: int(slide / slice)}
	spec := p.spec
	spec.Name, spec.Kind = "counts", state.Bytes
	var err error
	c.pane.table, err = p.store.Table(spec, state.Global)
	c.pane.all = true
	return c, err
}

// process adds the records of a batch to the windows of their keys, and puts out those that end.
func (c *counts) process(b *abi.Batch, hashes []uint64, out *abi.Builder) error {
	defer c.forget()
	if err := c.pane.resolve(b, hashes); err != nil {
		return err
	}
	if err := c.deal(); err != nil {
		return err
	}
	c.some = c.some[:0]
	for i := range c.parts {
		if len(c.parts[i].rows) > 0 {
			c.some = append(c.some, i)
		}
	}
	err := c.acc.absorb(b, len(c.some),
		func(i int) (piece, []uint32) { return c.piece(c.some[i], c.some[i]+1), c.parts[c.some[i]].rows },
		func(i int, acc []byte) error {
			c.parts[c.some[i]].accs = c.list(c.keep(acc))
			return nil
		})
	if err != nil {
		return err
	}
	if err := c.emit(out); err != nil {
		return err
	}
	for i := range c.keys {
		if err := c.store(&c.keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// deal cuts the records of each key into slices.
func (c *counts) deal() error {
	return c.of.each(&c.pane, func(e state.Entry, records []record) error {
		c.keys = append(c.keys, countKey{entry: e})
		return c.dealKey(len(c.keys)-1, records)
	})
}

// dealKey is deal for one key.
func (c *counts) dealKey(number int, records []record) error {
	k := &c.keys[number]
	k.first = len(c.parts)
	if err := c.load(number); err != nil {
		return err
	}
	for _, r := range records {
		if n := len(c.parts); n == k.first || c.parts[n-1].n == c.slice {
			c.parts = append(c.parts, countPart{key: number})
		}
		one := &c.parts[len(c.parts)-1]
		c.rows = append(c.rows, r.row) // those of a slice lie together
		one.rows = c.rows[len(c.rows)-len(one.rows)-1:]
		if one.n++; one.n < c.slice {
			continue
		}
		if k.ended++; k.ended%uint64(c.step) == 0 {
			c.results = append(c.results, countResult{number, max(k.first, len(c.parts)-c.window), len(c.parts)})
		}
	}
	k.last = len(c.parts)
	return nil
}

// piece is what there is of the slices parts[first:last] of one key, valid until the next call.
func (c *counts) piece(first, last int) piece {
	p := piece{key: c.pane.table.Key(c.keys[c.parts[first].key].entry)}
	if last == first+1 {
		p.accs = c.parts[first].accs
		return p
	}
	c.accs = c.accs[:0]
	for _, one := range c.parts[first:last] {
		c.accs = append(c.accs, one.accs...)
	}
	p.accs = c.accs
	return p
}

// emit puts out the windows that have ended.
func (c *counts) emit(out *abi.Builder) error {
	n := 0
	for _, r := range c.results {
		if len(c.piece(r.first, r.last).accs) > 0 { // else all of it was left out
			c.results[n] = r
			n++
		}
	}
	return c.acc.emit(n, func(i int) piece { return c.piece(c.results[i].first, c.results[i].last) }, out)
}

// A key in the state: u64 whole slices that it has had, then of those that are kept, the oldest first: u32 records, u32 1 + length
// of the accumulator, 0 without, the accumulator.
func (c *counts) load(number int) error {
	k := &c.keys[number]
	v := c.pane.table.Value(k.entry)
	if len(v) == 0 {
		return nil
	}
	le := binary.LittleEndian
	version := c.pane.table.Version(k.entry)
	v = c.keep(v)
	for k.ended, v = le.Uint64(v), v[8:]; len(v) > 0; {
		n := 0
		if len(v) >= 8 {
			n = max(0, int(le.Uint32(v[4:]))-1)
		}
		if len(v) < 8 || n > len(v)-8 {
			return fmt.Errorf("windows of key %q: %d bytes are left of the last", c.pane.table.Key(k.entry), len(v))
		}
		one := countPart{key: number, n: int(le.Uint32(v))}
		if le.Uint32(v[4:]) > 0 {
			one.accs = c.list(v[8 : 8+n : 8+n])
		}
		c.parts, v = append(c.parts, one), v[8+n:]
	}
	if version >= c.panes.spec.Version {
		return nil
	}
	var older [][]byte
	var of []int
	for i := k.first; i < len(c.parts); i++ {
		if c.parts[i].accs != nil {
			older, of = append(older, c.parts[i].accs[0]), append(of, i)
		}
	}
	if err := c.acc.renew(c.pane.table.Key(k.entry), version, older); err != nil {
		return err
	}
	for j, i := range of {
		if c.parts[i].accs = nil; older[j] != nil {
			c.parts[i].accs = c.list(c.keep(older[j]))
		}
	}
	return nil
}

// store writes what a key needs for the windows to come.
func (c *counts) store(k *countKey) error {
	first := k.first
	if whole := k.last - first; whole > 0 {
		if c.parts[k.last-1].n < c.slice {
			whole--
		}
		first += max(0, whole-(c.window-1)) // the next window has one slice more at least
	}
	le := binary.LittleEndian
	v := le.AppendUint64(c.record[:0], k.ended)
	for _, one := range c.parts[first:k.last] {
		v = le.AppendUint32(v, uint32(one.n))
		if len(one.accs) == 0 {
			v = le.AppendUint32(v, 0)
			continue
		}
		v = append(le.AppendUint32(v, uint32(1+len(one.accs[0]))), one.accs[0]...)
	}
	c.record = v
	return c.pane.table.SetValue(k.entry, v)
}

// keep copies bytes that are valid for a call only.
func (c *counts) keep(p []byte) []byte {
	at := len(c.arena)
	c.arena = append(c.arena, p...)
	return c.arena[at:len(c.arena):len(c.arena)]
}

// list is a list of one.
func (c *counts) list(acc []byte) [][]byte {
	c.lists = append(c.lists, acc)
	return c.lists[len(c.lists)-1 : len(c.lists) : len(c.lists)]
}

// forget makes ready for the next batch.
func (c *counts) forget() {
	c.keys, c.parts, c.rows, c.lists, c.results, c.arena = c.keys[:0], c.parts[:0], c.rows[:0], c.lists[:0], c.results[:0], c.arena[:0]
}
