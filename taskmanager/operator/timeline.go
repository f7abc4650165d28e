package operator

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// timeline keeps the records of one input: those of a key in the order of their times, records of one time in that in which
// they came.
type timeline struct {
	table state.Sorted
	place [placeBytes]byte
	gone  []byte // places to be removed
}

// A place is the sub key of a record: its time, so that the order of bytes is that of times, and a number.
const (
	timeBytes  = 8
	placeBytes = timeBytes + 8
)

// goneBytes bounds the places that are removed after one scan.
const goneBytes = 1024 * placeBytes

func newTimeline(store state.Store, spec state.Spec) (t timeline, err error) {
	spec.Kind, spec.SubKey = state.Map, abi.CodecBytes
	t.table, err = store.Sorted(spec)
	return t, err
}

// placeOf appends what every place of a time begins with.
func placeOf(dst []byte, time int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(time)^1<<63)
}

// timeAt is the time of a place.
func timeAt(place []byte) int64 { return int64(binary.BigEndian.Uint64(place) ^ 1<<63) }

// add keeps a record. No two of a key have the same time and number.
func (t *timeline) add(hash uint64, key []byte, time int64, number uint64, value []byte) error {
	place := binary.BigEndian.AppendUint64(placeOf(t.place[:0], time), number)
	return t.table.Put(hash, key, place, value)
}

// from is the place before all records at or behind a time.
func (t *timeline) from(time int64) []byte { return placeOf(t.place[:0], time) }

// scan calls yield for the records of a key behind a place and up to a time, until it answers false.
func (t *timeline) scan(hash uint64, key, after []byte, until int64, yield func(place, value []byte) bool) error {
	return t.table.Scan(hash, key, after, func(place, value []byte, _ uint16) bool {
		return timeAt(place) <= until && yield(place, value)
	})
}

// forget removes the records of a key from a time up to another one. It does not look at what was removed before those: a disk
// may take long to get over that.
func (t *timeline) forget(hash uint64, key []byte, from, until int64) error {
	for {
		t.gone = t.gone[:0]
		err := t.scan(hash, key, t.from(from), until, func(place, _ []byte) bool {
			t.gone = append(t.gone, place...)
			return len(t.gone) < goneBytes
		})
		if err != nil {
			return err
		}
		for gone := t.gone; len(gone) > 0; gone = gone[placeBytes:] {
			if err := t.table.Delete(hash, key, gone[:placeBytes]); err != nil {
				return err
			}
		}
		if len(t.gone) < goneBytes {
			return nil
		}
	}
}
