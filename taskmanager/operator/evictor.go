package operator

import (
	"math"

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

// eviction is what an evictor has to know of all elements of a window before it can say which stay. It is of no use for an evictor of
// the guest's.
type eviction struct {
	by     *evictor
	n      int
	newest int64
	last   []byte // value of the element that came last
	far    float64
}

func (e *evictor) begin() eviction { return eviction{by: e, newest: abi.NoTimestamp} }

// look takes note of an element, in the order in which they came.
func (v *eviction) look(e *element) {
	v.n++
	v.newest = max(v.newest, e.time)
	if v.by.kind == abi.EvictDelta {
		v.last = append(v.last[:0], e.value...)
	}
}

// settle follows the last look.
func (v *eviction) settle() (err error) {
	if v.by.kind == abi.EvictDelta && v.n > 0 {
		v.far, err = numberIn(v.by.measured, v.last)
	}
	return err
}

// stays says whether element i of those that were looked at stays.
func (v *eviction) stays(i int, e *element) (bool, error) {
	switch v.by.kind {
	case abi.EvictCount:
		return i >= v.n-v.by.count, nil
	case abi.EvictTime:
		return v.newest == abi.NoTimestamp || e.time > v.newest-v.by.keep, nil
	case abi.EvictDelta:
		n, err := numberIn(v.by.measured, e.value)
		return !(math.Abs(n-v.far) >= v.by.threshold), err
	}
	return true, nil
}

// stay leaves those of the elements of a window that stay, in place and in their order.
func (e *evictor) stay(all []element) ([]element, error) {
	v := e.begin()
	for i := range all {
		v.look(&all[i])
	}
	if err := v.settle(); err != nil {
		return nil, err
	}
	kept := all[:0]
	for i := range all {
		stays, err := v.stays(i, &all[i])
		if err != nil {
			return nil, err
		}
		if stays {
			kept = append(kept, all[i])
		}
	}
	return kept, nil
}
