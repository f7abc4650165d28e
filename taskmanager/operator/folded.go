package operator

import (
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ready implements merging: accumulators of an older version are migrated.
func (f *fold) ready(p *pane, entries []state.Entry) error {
	if f.spec.Version == 0 {
		return nil
	}
	kept := f.all // of the batch at hand
	defer func() { f.all = kept }()
	f.all = nil
	for _, e := range entries {
		f.all = append(f.all, group{pane: p, entry: e})
	}
	for i := range f.all {
		if _, err := f.wholeResult(uint32(i)); err != nil {
			return err
		}
		if f.all[i].dropped {
			if err := p.table.Delete(f.all[i].entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// of implements merging. What could not be migrated does not count.
func (f *fold) of(t state.Table, e state.Entry) []byte {
	if f.spec.Version > 0 && t.Version(e) < f.spec.Version {
		return nil
	}
	return t.Value(e)
}

// emit implements merging: the results are the guest's, or the accumulators as they are.
func (f *fold) emit(w span, n int, of func(i int) (key []byte, accs [][]byte), out *abi.Builder) error {
	if f.emits {
		return f.calls(w, n, of, func(lo, hi int) error { return f.guest.Result(&f.groups) })
	}
	f.several = f.several[:0]
	for i := range n {
		key, accs := of(i)
		if len(accs) > 1 {
			f.several = append(f.several, i)
			continue
		}
		out.Append(abi.Record{Timestamp: w.end - 1, Key: key, Value: accs[0]})
	}
	several := f.several
	return f.calls(w, len(several), func(i int) ([]byte, [][]byte) { return of(several[i]) }, func(lo, hi int) error {
		return f.merged(hi-lo, func(i int, acc []byte) error {
			key, _ := of(several[lo+i])
			out.Append(abi.Record{Timestamp: w.end - 1, Key: key, Value: acc})
			return nil
		})
	})
}

// merge implements merging.
func (f *fold) merge(w span, n int, pair func(i int) (key, a, b []byte), put func(i int, merged []byte) error) error {
	of := func(i int) ([]byte, [][]byte) {
		key, a, b := pair(i)
		f.pair[0], f.pair[1] = a, b
		return key, f.pair[:]
	}
	return f.calls(w, n, of, func(lo, hi int) error {
		return f.merged(hi-lo, func(i int, acc []byte) error { return put(lo+i, acc) })
	})
}

// merged has the guest merge the accumulators of the n groups of the call.
func (f *fold) merged(n int, put func(i int, acc []byte) error) error {
	reply, err := f.guest.Merge(&f.groups)
	if err != nil {
		return err
	}
	if err := f.answers(reply, n); err != nil {
		return err
	}
	for i := range n {
		if err := put(i, f.values[i]); err != nil {
			return err
		}
	}
	return nil
}

// calls makes calls with the accumulators of n keys in a window, in as many as their size takes. send makes one, with those
// from lo up to hi.
func (f *fold) calls(w span, n int, of func(i int) (key []byte, accs [][]byte), send func(lo, hi int) error) error {
	fill := func(lo, hi, limit int) int {
		f.groups.Reset()
		for ; lo < hi && f.groups.Size() < limit; lo++ {
			key, accs := of(lo)
			f.groups.Begin(abi.Group{Flags: abi.GroupHasWindow, WindowStart: w.start, WindowEnd: w.end, Key: key})
			f.groups.List(abi.ListAccumulators, 0, len(accs), nil, accs)
			f.groups.EndGroup()
		}
		return lo
	}
	for lo := 0; lo < n; {
		hi := fill(lo, n, callBytes)
		if err := send(lo, hi); err != nil {
			again := func(a, b int) error {
				fill(lo+a, lo+b, math.MaxInt)
				return send(lo+a, lo+b)
			}
			if err = f.guest.Retry(err, hi-lo, again, func(unit int) Unit { return resultOf(w, lo+unit, of) }); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// resultOf is a key of a window whose result cannot be made.
func resultOf(w span, i int, of func(i int) (key []byte, accs [][]byte)) Unit {
	key, _ := of(i)
	return Unit{Row: -1, Name: fmt.Sprintf("the result from %d to %d of key", w.start, w.end), Data: key, Key: key, Time: w.end - 1}
}
