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
func (f *fold) emit(n int, of func(i int) piece, out *abi.Builder) error {
	if f.emits {
		return f.calls(n, of, func(lo, hi int) error { return f.guest.Result(&f.groups, f.kind) })
	}
	f.several = f.several[:0]
	for i := range n {
		k := of(i)
		if len(k.accs) > 1 {
			f.several = append(f.several, i)
			continue
		}
		out.Append(abi.Record{Timestamp: f.timeOf(k), Key: k.key, Value: k.accs[0]})
	}
	several := f.several
	return f.merge(len(several), func(i int) piece { return of(several[i]) }, func(i int, acc []byte) error {
		k := of(several[i])
		out.Append(abi.Record{Timestamp: f.timeOf(k), Key: k.key, Value: acc})
		return nil
	})
}

// merge implements merging.
func (f *fold) merge(n int, of func(i int) piece, put func(i int, merged []byte) error) error {
	return f.calls(n, of, func(lo, hi int) error {
		reply, err := f.folder.Merge(&f.groups)
		if err != nil {
			return err
		}
		if err := f.answers(reply, hi-lo); err != nil {
			return err
		}
		for i := range hi - lo {
			if err := put(lo+i, f.values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// calls makes calls with the accumulators of n panes, in as many as their size takes. send makes one, with those from lo up
// to hi.
func (f *fold) calls(n int, of func(i int) piece, send func(lo, hi int) error) error {
	fill := func(lo, hi, limit int) int {
		f.groups.Reset()
		for ; lo < hi && f.groups.Size() < limit; lo++ {
			k := of(lo)
			f.groups.Begin(f.groupOf(k))
			f.groups.List(abi.ListAccumulators, 0, len(k.accs), nil, k.accs)
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
			if err = f.folder.Retry(err, hi-lo, again, func(unit int) Unit { return f.resultOf(of(lo + unit)) }); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// groupOf is how a guest sees a piece.
func (f *fold) groupOf(p piece) abi.Group {
	if f.window == nil {
		return abi.Group{Key: p.key}
	}
	return abi.Group{Flags: abi.GroupHasWindow, WindowStart: p.start, WindowEnd: p.end, Key: p.key}
}

// timeOf is the timestamp of a piece's result: none of a window of records.
func (f *fold) timeOf(p piece) int64 {
	if f.window == nil {
		return abi.NoTimestamp
	}
	return p.end - 1
}

// resultOf is a piece whose result cannot be made.
func (f *fold) resultOf(p piece) Unit {
	name := "the result of key"
	if f.window != nil {
		name = fmt.Sprintf("the result from %d to %d of key", p.start, p.end)
	}
	return Unit{Row: -1, Name: name, Data: p.key, Key: p.key, Time: f.timeOf(p)}
}

// absorb implements adding: the guest adds the records, in as many calls as their size takes.
func (f *fold) absorb(b *abi.Batch, n int, of func(i int) (piece, []uint32), put func(i int, acc []byte) error) error {
	f.batch = b
	f.order = f.order[:0]
	for i := range n {
		_, rows := of(i)
		for _, r := range rows {
			f.order = append(f.order, record{row: r, group: uint32(i)})
		}
	}
	fill := func(lo, hi, limit int) int {
		f.groups.Reset()
		f.call = f.call[:0]
		for lo < hi && f.groups.Size() < limit {
			number := f.order[lo].group
			p, _ := of(int(number))
			f.groups.Begin(f.groupOf(p))
			if len(p.accs) > 0 {
				f.groups.List(abi.ListAccumulators, 0, 1, nil, p.accs[:1])
			}
			f.values = f.values[:0]
			for size := 0; lo < hi && f.order[lo].group == number && size < limit; lo++ {
				v := b.Value(int(f.order[lo].row))
				f.values = append(f.values, v)
				size += len(v)
			}
			f.groups.List(abi.ListInput0, 0, len(f.values), nil, f.values)
			f.groups.EndGroup()
			f.call = append(f.call, number)
		}
		return lo
	}
	send := func() error {
		reply, err := f.folder.Accumulate(&f.groups)
		if err != nil {
			return err
		}
		if err := f.answers(reply, len(f.call)); err != nil {
			return err
		}
		for i, number := range f.call {
			if err := put(int(number), f.values[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for lo := 0; lo < len(f.order); {
		hi := fill(lo, len(f.order), callBytes)
		if err := send(); err != nil {
			again := func(a, b int) error {
				fill(lo+a, lo+b, math.MaxInt)
				return send()
			}
			if err = f.folder.Retry(err, hi-lo, again, func(unit int) Unit {
				r := f.order[lo+unit]
				p, _ := of(int(r.group))
				return Unit{Row: int(r.row), Data: b.Value(int(r.row)), Key: p.key}
			}); err != nil {
				return err
			}
		}
		lo = hi
	}
	f.order = f.order[:0]
	return nil
}

// renew implements adding: the guest migrates them.
func (f *fold) renew(key []byte, from uint16, accs [][]byte) error {
	if f.older.batch == nil {
		f.older.batch = abi.NewBuilder(abi.ColumnValues)
	}
	done := false
	once := func(int, int) error {
		f.older.batch.Reset()
		for _, acc := range accs {
			f.older.batch.Append(abi.Record{Value: acc})
		}
		made, err := f.folder.Migrate(f.schema, from, f.older.batch, func(uint32) string {
			return fmt.Sprintf("state %q of key %s, version %d", f.spec.Name, quoted(key), from)
		})
		if err != nil {
			return err
		}
		for i := range accs {
			if accs[i] = made.Value(i); made.ValueNulls != nil && made.ValueNulls[i/8]>>(i%8)&1 == 1 {
				accs[i] = nil
			}
		}
		done = true
		return nil
	}
	err := once(0, 1)
	if err != nil {
		err = f.folder.Retry(err, 1, once, func(int) Unit { return Unit{Row: -1, Name: "what is kept of key", Data: key, Key: key} })
	}
	if !done {
		clear(accs) // they are left out
	}
	return err
}
