package operator

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/wasmill/wasmill/taskmanager/state"
)

// due is the part of a clock's timers that fires next. A call has one timer of each key, so many timers of few keys take
// many calls: they are looked up once for all of them, and changed as the timers are.
type due struct {
	there bool  // false: what fires next is not known
	until int64 // no timer up to it is missing here, but those of until itself that were not looked up
	keys  []dueKey
	index map[uint64]uint32 // 1 + number of the newest key with that hash
	order []uint32          // numbers of the keys that have timers, and of some that have none any more
	size  int

	from, place state.Place // while some keys are looked for: none of their timers is before from but those that are here; place is scratch
}

// dueKey is the timers of one key.
type dueKey struct {
	key    []byte
	hash   uint64
	times  []int64 // that are to come, ascending
	listed bool    // it is in order
	last   uint32  // 1 + number of the key before with the same hash
}

const (
	dueBytes   = 128 << 10 // about what is looked up at once takes; twice as much with what is set meanwhile
	timerBytes = 64        // about what one takes, without the key
	keptTimes  = 8         // what a key has kept for its times when it is used again
	keptKey    = 64
)

// find looks up what fires next, if that is not known, of some keys; nil: of all. The timers of others stay where they are: they are
// looked through once, until what is looked for changes.
func (d *due) find(timers state.Timers, until int64, of func(hash uint64) bool) error {
	if d.there && d.any() {
		return nil
	}
	d.drop()
	end, all := until, true
	err := timers.Due(d.from, until, func(time int64, hash uint64, key []byte) bool {
		if of == nil || of(hash) {
			d.add(time, hash, key)
		}
		if d.size < dueBytes {
			return true
		}
		end, all = time, false
		if of != nil {
			d.from = state.AppendPlace(d.from[:0], time, key)
		}
		return false
	})
	if of != nil && all && err == nil {
		d.from = state.AppendPlace(d.from[:0], min(until, math.MaxInt64-1)+1, nil)
	}
	d.there, d.until = err == nil && len(d.order) > 0, end
	return err
}

// any takes keys without timers out of the order, and answers whether there are others.
func (d *due) any() bool {
	d.order = slices.DeleteFunc(d.order, func(k uint32) bool {
		d.keys[k].listed = len(d.keys[k].times) > 0
		return !d.keys[k].listed
	})
	return len(d.order) > 0
}

// next are up to n keys with timers up to until, those with the earliest first. It is valid until the next change.
func (d *due) next(until int64, n int) []uint32 {
	slices.SortFunc(d.order, func(i, k uint32) int {
		a, b := &d.keys[i], &d.keys[k]
		if a.times[0] != b.times[0] {
			return cmp.Compare(a.times[0], b.times[0])
		}
		return bytes.Compare(a.key, b.key)
	})
	late := slices.IndexFunc(d.order, func(k uint32) bool { return d.keys[k].times[0] > until })
	if late < 0 {
		late = len(d.order)
	}
	return d.order[:min(late, n)]
}

// set notes that a timer was set.
func (d *due) set(time int64, hash uint64, key []byte) {
	if !d.there || time > d.until {
		d.back(time, key)
		return
	}
	if d.add(time, hash, key); d.size > 2*dueBytes {
		for _, k := range d.order {
			if k := &d.keys[k]; len(k.times) > 0 {
				d.back(k.times[0], k.key)
			}
		}
		d.drop()
	}
}

// back has looking up begin at a timer, or before it.
func (d *due) back(time int64, key []byte) {
	if len(d.from) == 0 {
		return
	}
	d.place = state.AppendPlace(d.place[:0], time, key)
	if bytes.Compare(d.place, d.from) < 0 {
		d.from, d.place = d.place, d.from
	}
}

// end has other keys looked for from now on.
func (d *due) end() {
	d.drop()
	d.from = d.from[:0]
}

// delete notes that a timer was deleted.
func (d *due) delete(time int64, hash uint64, key []byte) {
	if !d.there {
		return
	}
	if number := d.number(hash, key); number > 0 {
		k := &d.keys[number-1]
		if at, found := slices.BinarySearch(k.times, time); found {
			k.times = slices.Delete(k.times, at, at+1)
		}
	}
}

// number is 1 + the number of a key, 0 if it is not there.
func (d *due) number(hash uint64, key []byte) uint32 {
	number := d.index[hash]
	for number > 0 && !bytes.Equal(d.keys[number-1].key, key) {
		number = d.keys[number-1].last
	}
	return number
}

func (d *due) add(time int64, hash uint64, key []byte) {
	number := d.number(hash, key)
	if number == 0 {
		number = d.newKey(hash, key)
	}
	k := &d.keys[number-1]
	at, found := slices.BinarySearch(k.times, time)
	if found {
		return
	}
	k.times = slices.Insert(k.times, at, time)
	d.size += timerBytes
	if !k.listed {
		k.listed = true
		d.order = append(d.order, number-1)
	}
}

func (d *due) newKey(hash uint64, key []byte) (number uint32) {
	n := len(d.keys)
	if n < cap(d.keys) {
		d.keys = d.keys[:n+1]
	} else {
		d.keys = append(d.keys, dueKey{})
	}
	k := &d.keys[n]
	*k = dueKey{key: append(k.key[:0], key...), times: k.times[:0], hash: hash, last: d.index[hash]}
	d.index[hash] = uint32(n + 1)
	d.size += len(key)
	return uint32(n + 1)
}

// drop has what fires next looked up again.
func (d *due) drop() {
	for i := range d.keys {
		k := &d.keys[i]
		if cap(k.times) > keptTimes {
			k.times = nil
		}
		if cap(k.key) > keptKey {
			k.key = nil
		}
	}
	clear(d.index)
	d.there, d.keys, d.order, d.size = false, d.keys[:0], d.order[:0], 0
}
