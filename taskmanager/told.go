package taskmanager

import (
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// told knows of which keys, and windows of them, a keyed operator has put out a result, so that each result says what change it
// is: of one that nobody has seen yet, or of an earlier one.
type told struct {
	store    state.Store
	spec     state.Spec
	windowed bool
	lateness int64

	rows    []uint32
	entries []state.Entry
}

func newTold(uid string, window *abi.Window, store state.Store) *told {
	t := &told{store: store, spec: state.Spec{Operator: uid, Name: "$told", Kind: state.Words}}
	if window != nil {
		t.windowed, t.lateness = true, window.LatenessMs
	}
	return t
}

// mark sets the kinds of results, which have keys, and with windows the time of theirs.
func (t *told) mark(b *batch) error {
	hashes, err := b.hashes()
	if err != nil {
		return err
	}
	for lo := 0; lo < b.N; {
		ns, hi := state.Global, b.N
		if t.windowed {
			for hi = lo + 1; hi < b.N && b.Timestamps[hi] == b.Timestamps[lo]; {
				hi++
			}
			ns = state.Namespace(b.Timestamps[lo])
		}
		if err := t.markRange(b, lo, hi, ns, hashes); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

func (t *told) markRange(b *batch, lo, hi int, ns state.Namespace, hashes []uint64) error {
	table, err := t.store.Table(t.spec, ns)
	if err != nil {
		return err
	}
	t.rows = t.rows[:0]
	for i := lo; i < hi; i++ {
		t.rows = append(t.rows, uint32(i))
	}
	t.entries = append(t.entries[:0], make([]state.Entry, hi-lo)...)
	if err := table.Resolve(&b.Batch, t.rows, hashes, t.entries); err != nil {
		return err
	}
	for i, e := range t.entries {
		seen := table.Word(e)
		b.Kinds[lo+i] = byte(abi.Insert)
		if *seen != 0 {
			b.Kinds[lo+i] = byte(abi.UpdateAfter)
		}
		*seen = 1
	}
	return nil
}

// forget drops what is known of windows that no record can change behind the watermark.
func (t *told) forget(watermark int64) error {
	if !t.windowed {
		return nil
	}
	open, err := t.store.Namespaces(t.spec)
	for _, ns := range open {
		if err == nil && int64(ns) <= math.MaxInt64-t.lateness && int64(ns)+t.lateness <= watermark {
			err = t.store.Drop(t.spec, ns)
		}
	}
	return err
}
