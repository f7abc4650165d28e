package operator

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a windower does where all windows of a key lie in one entry, and some keys have fired to a watermark and others not: who goes on
// from the middle of a firing, with key groups of several subtasks, has records before the rest of it. A key that is behind fires
// before it takes one, and so finds its windows as those do that fired in time.

// catchUp has the batch's keys come to what was reached of their key groups.
func (w *windower) catchUp(b *abi.Batch, hashes []uint64, out *abi.Builder) error {
	if !w.shape.keyed() || !w.midway() {
		return nil
	}
	for {
		if err := w.behind(b, hashes); err != nil || len(w.expired) == 0 {
			return err
		}
		if err := w.fireExpired(w.shape.own, w.passed, out); err != nil {
			return err
		}
		w.forget()
	}
}

// behind finds the first timer of each key of the batch that has not fired, though others of its time have.
func (w *windower) behind(b *abi.Batch, hashes []uint64) error {
	seen := map[string]bool{}
	var keys [][]byte
	var of []uint64
	for row, hash := range hashes {
		if key := b.Key(row); !seen[string(key)] {
			seen[string(key)] = true
			keys, of = append(keys, key), append(of, hash)
		}
	}
	table, found := w.open[0].table, make([]state.Entry, len(keys))
	if err := table.ResolveKeys(keys, of, true, found); err != nil {
		return err
	}
	w.expired, w.dueKeys, w.dueHashes = w.expired[:0], w.dueKeys[:0], w.dueHashes[:0]
	for i, e := range found {
		if e == state.NoEntry || len(table.Value(e)) < sessionsHeader {
			continue
		}
		at := int64(binary.LittleEndian.Uint64(table.Value(e)[8*w.shape.own:]))
		if at <= w.reached(of[i]) {
			w.expired = append(w.expired, dueTimer{at, of[i], keys[i]})
			w.dueKeys, w.dueHashes = append(w.dueKeys, keys[i]), append(w.dueHashes, of[i])
		}
	}
	return nil
}

// passedFor is the watermark to which the windows of a cell's key have fired.
func (w *windower) passedFor(c *cell) int64 {
	if w.shape.keyed() {
		return w.keys[c.of].passed
	}
	return w.passedOf(c.hash())
}
