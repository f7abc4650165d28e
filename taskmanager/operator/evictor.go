package operator

import (
	"math"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// evictor says what leaves a window, before its function is called or after. It is pure; that of a guest says nothing here.
type evictor struct {
	kind      string
	count     int
	keep      int64
	threshold float64
	measured  *field.Field
	after     bool
}

// newEvictor reads what a window says; nil: nothing leaves.
func newEvictor(w *abi.Window, value abi.Codec) (e *evictor, err error) {
	given := w.Evictor
	if w.Kind == CountWindows && w.CountSlide > 0 { // the newest of each key
		given = &abi.Evictor{Kind: abi.EvictCount, Count: w.Count}
	}
	if given == nil {
		return nil, nil
	}
	e = &evictor{kind: given.Kind, count: given.Count, keep: given.KeepMs, after: given.After}
	if e.kind == abi.EvictDelta {
		e.measured, e.threshold, err = measure(value, given.Field, given.Threshold)
	}
	return e, err
}

// stay leaves those of the elements of a window that stay, in place and in their order.
func (e *evictor) stay(all []element) ([]element, error) {
	switch e.kind {
	case abi.EvictCount:
		return all[max(0, len(all)-e.count):], nil
	case abi.EvictTime:
		newest := abi.NoTimestamp
		for i := range all {
			newest = max(newest, all[i].time)
		}
		if newest == abi.NoTimestamp {
			return all, nil
		}
		return slices.DeleteFunc(all, func(o element) bool { return o.time <= newest-e.keep }), nil
	case abi.EvictDelta:
		return e.near(all)
	}
	return all, nil
}

// near is stay of the elements that are near to the last.
func (e *evictor) near(all []element) ([]element, error) {
	if len(all) == 0 {
		return all, nil
	}
	last, err := numberIn(e.measured, all[len(all)-1].value)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, o := range all {
		n, err := numberIn(e.measured, o.value)
		if err != nil {
			return nil, err
		}
		if !(math.Abs(n-last) >= e.threshold) {
			kept = append(kept, o)
		}
	}
	return kept, nil
}
