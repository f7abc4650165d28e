package operator

import (
	"fmt"
	"math"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// fold is reduce and aggregate: an accumulator for each key, which the guest makes of its records.
type fold struct {
	panes
	guest  Guest  // nil of what folds ahead, as it has no results
	folder Folder // the same guest
	emits  bool   // results come from the guest
	final  bool
	schema int // number of the state that declares the schema of accumulators
	groups abi.GroupsWriter

	// of the batch at hand
	batch  *abi.Batch
	all    []group
	order  []record // its records, those of a group together
	starts []uint32 // scratch: where the records of each group begin
	call   []uint32 // the groups of the call that runs, as numbers of all
	values [][]byte // scratch: of a group, or the accumulators of a reply
	acc    [1][]byte

	kind    abi.ChangeKind    // of the results that are put out
	several []int             // scratch of folded.go and join.go
	parts   [][]byte          // scratch of join
	renewed map[uint32][]byte // by record of the batch, accumulators of an older version, migrated

	older accumulators // to bring to the version declared
}

// group is one key of one pane.
type group struct {
	pane  *pane
	entry state.Entry
	n     uint32

	dropped bool // its accumulator by migrating, and it has no new one
	fresh   bool // its result is the first: it had no accumulator before the batch, or none has been told of
}

// record is one of the batch: which, and the group that it belongs to.
type record struct{ row, group uint32 }

// callBytes bounds what one call carries, but for a single group's accumulator.
const callBytes = 256 << 10

func newFold(c *Config, p panes) (*fold, error) {
	f := &fold{panes: p, guest: c.Guest, folder: c.Guest, emits: EmitsItself(c.Function), final: c.Final}
	if p.window != nil && p.window.sliding() {
		f.slider = newSlider(&f.panes, f, nil)
	}
	if c.Window != nil && c.Window.Kind == CountWindows {
		var err error
		if f.counted, err = newCounts(&f.panes, f, c.Window); err != nil {
			return nil, err
		}
	}
	if p.window != nil && p.window.gap > 0 {
		var err error
		if f.session, err = newSessions(&f.panes, f); err != nil {
			return nil, err
		}
	}
	return f, f.restore(c.Groups)
}

// Process implements Operator.
func (f *fold) Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	switch {
	case b.Partials != nil && (f.session != nil || f.counted != nil):
		return errPartials
	case f.session != nil:
		return f.session.process(b, hashes, now, out)
	case f.counted != nil:
		return f.counted.process(b, hashes, out)
	case f.slider != nil:
		if err := f.slider.catchUp(b, hashes, out); err != nil {
			return err
		}
	}
	if err := f.cut(b, hashes, now); err != nil {
		return err
	}
	defer f.forget()
	f.batch = b
	for _, p := range f.touched {
		if err := f.resolve(p, b, hashes); err != nil {
			return err
		}
		f.group(p)
	}
	f.sort()
	take := f.accumulate
	if b.Partials != nil {
		take = f.join
	}
	if err := take(); err != nil {
		return err
	}
	return f.updates(out)
}

// updates puts out the results of the batch's keys that are due at once: of all time, or of a window that has fired.
func (f *fold) updates(out *abi.Builder) error {
	switch {
	case f.window == nil && f.final:
		return nil
	case f.window == nil:
		return f.changes(out)
	case f.slider != nil:
		return f.revise(out)
	case f.window.lateness == 0:
		return nil
	}
	late := f.all[:0]
	for _, g := range f.all {
		if g.pane.done || !f.fires(g.pane.end, g.pane.table.Hash(g.entry)) {
			late = append(late, g)
		} else {
			g.pane.group[g.entry] = 0 // it is forgotten here
		}
	}
	f.all = late
	return f.changes(out)
}

// changes emits the results of all: the first ones of their keys, and what has become of others. Of those that the operator
// makes itself, the keys tell.
func (f *fold) changes(out *abi.Builder) error {
	if !f.emits || f.window != nil && f.told == nil {
		return f.results(out)
	}
	all := f.all
	if f.told != nil {
		for i := range all {
			g := &all[i]
			kind, err := f.told.tell(g.pane.span, g.pane.table.Hash(g.entry), g.pane.table.Key(g.entry))
			if err != nil {
				return err
			}
			g.fresh = kind == abi.Insert
		}
	}
	slices.SortStableFunc(all, func(a, b group) int {
		switch {
		case a.fresh == b.fresh:
			return 0
		case a.fresh:
			return -1
		}
		return 1
	})
	first := slices.IndexFunc(all, func(g group) bool { return !g.fresh })
	if first < 0 {
		first = len(all)
	}
	f.all = all[:first]
	err := f.results(out)
	if err == nil {
		f.all, f.kind = all[first:], abi.UpdateAfter
		err = f.results(out)
	}
	f.all, f.kind = all, abi.Insert
	return err
}

// revise tells the slider of the batch's keys, those of one slice together.
func (f *fold) revise(out *abi.Builder) error {
	for lo := 0; lo < len(f.all); {
		p := f.all[lo].pane
		f.once = f.once[:0]
		for ; lo < len(f.all) && f.all[lo].pane == p; lo++ {
			f.once = append(f.once, f.all[lo].entry)
		}
		if err := f.slider.changed(p); err != nil {
			return err
		}
		f.slider.came(p, f.once)
	}
	return f.slider.again(out)
}

// group gives each key of p that the batch has a number, and each record that of its key.
func (f *fold) group(p *pane) {
	p.grow()
	for i, e := range p.entries {
		g := p.group[e]
		if g == 0 {
			f.all = append(f.all, group{pane: p, entry: e, fresh: p.table.Value(e) == nil})
			g = uint32(len(f.all))
			p.group[e] = g
		}
		f.all[g-1].n++
		f.order = append(f.order, record{row: p.row(i), group: g - 1})
	}
}

// sort puts the records of each group together, in the order in which they came.
func (f *fold) sort() {
	at := uint32(0)
	for _, g := range f.all {
		f.starts = append(f.starts, at)
		at += g.n
	}
	f.order = together(f.order, f.starts)
}

// together orders records by group, those of a group as they came. starts is where each group begins; afterwards, where it
// ends.
func together(order []record, starts []uint32) []record {
	n := len(order)
	order = append(order, order...)
	sorted, came := order[:n], order[n:]
	for _, r := range came {
		sorted[starts[r.group]] = r
		starts[r.group]++
	}
	return sorted
}

// accumulate hands the records to the guest, in as many calls as their size takes. What a call has answered is in the
// state before the next one begins.
func (f *fold) accumulate() error {
	for lo := 0; lo < len(f.order); {
		hi, err := f.fill(lo, len(f.order), callBytes)
		if err == nil {
			err = f.send()
		}
		if err != nil {
			if err = f.retry(err, lo, hi); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// retry is what comes after the call with order[lo:hi] has died with err.
func (f *fold) retry(err error, lo, hi int) error {
	again := func(a, b int) error {
		if _, err := f.fill(lo+a, lo+b, math.MaxInt); err != nil {
			return err
		}
		return f.send()
	}
	return f.folder.Retry(err, hi-lo, again, func(unit int) Unit {
		r := f.order[lo+unit]
		g := f.all[r.group]
		return Unit{Row: int(r.row), Data: f.batch.Value(int(r.row)), Key: g.pane.table.Key(g.entry)}
	})
}

// fill makes a call of the records from order[lo] up to hi, or to where it has about limit bytes, and returns the first
// that is not in it. With an error, that is the one behind the first that the accumulator was needed for.
func (f *fold) fill(lo, hi, limit int) (int, error) {
	f.groups.Reset()
	f.call = f.call[:0]
	for lo < hi && f.groups.Size() < limit {
		if err := f.current(f.order[lo].group); err != nil {
			return lo + 1, err
		}
		lo = f.write(lo, hi, limit-f.groups.Size())
	}
	return lo, nil
}

// send makes the call and stores what it answers.
func (f *fold) send() error {
	reply, err := f.folder.Accumulate(&f.groups)
	if err != nil {
		return err
	}
	return f.apply(reply)
}

// write adds the group of order[lo] to the call, with its accumulator and its records before hi, and returns the next
// record to write.
func (f *fold) write(lo, hi, limit int) int {
	number := f.order[lo].group
	g := &f.all[number]
	f.begin(g)
	f.values = f.values[:0]
	size := 0
	for lo < hi && f.order[lo].group == number && size < limit {
		v := f.batch.Value(int(f.order[lo].row))
		f.values = append(f.values, v)
		size += len(v)
		lo++
	}
	f.groups.List(abi.ListInput0, 0, len(f.values), nil, f.values)
	f.groups.EndGroup()
	f.call = append(f.call, number)
	return lo
}

// begin opens a group with its key, window and accumulator.
func (f *fold) begin(g *group) {
	h := abi.Group{Key: g.pane.table.Key(g.entry)}
	if f.window != nil {
		h.Flags, h.WindowStart, h.WindowEnd = abi.GroupHasWindow, g.pane.start, g.pane.end
	}
	f.groups.Begin(h)
	if f.acc[0] = g.pane.table.Value(g.entry); f.acc[0] != nil && !g.dropped {
		f.groups.List(abi.ListAccumulators, 0, 1, nil, f.acc[:])
	}
}

// apply stores the accumulators that the guest replied, one for each group of the call: all of them or none.
func (f *fold) apply(reply []byte) error {
	if err := f.answers(reply, len(f.call)); err != nil {
		return err
	}
	for i, number := range f.call {
		g := &f.all[number]
		if err := g.pane.table.SetValue(g.entry, f.values[i]); err != nil {
			return err
		}
		g.dropped = false
	}
	return nil
}

// answers sets values to the accumulators that the guest replied for n groups.
func (f *fold) answers(reply []byte, n int) error {
	f.values = f.values[:0]
	for i := range n {
		if len(reply) == 0 {
			return &ReplyError{Problem: fmt.Sprintf("the guest answered for %d of %d groups", i, n)}
		}
		entry, rest, err := abi.NextReplyEntry(reply)
		if err != nil {
			return &ReplyError{Problem: err.Error()}
		}
		reply = rest
		action, more, err := abi.NextAction(entry.Actions)
		switch {
		case err != nil:
			return &ReplyError{Problem: err.Error()}
		case entry.Group != uint32(i):
			return &ReplyError{Problem: fmt.Sprintf("the guest answered for group %d (expected %d)", entry.Group, i)}
		case action.Op != abi.ActionPut || action.Index != 0 || len(more) > 0:
			return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d of state %d for group %d (expected one put of its accumulator)", action.Op, action.Index, i)}
		}
		f.values = append(f.values, action.Value)
	}
	return nil
}

// ReplyError is a reply that does not answer the call.
type ReplyError struct{ Problem string }

func (e *ReplyError) Error() string { return e.Problem }

// forget makes ready for the next batch.
func (f *fold) forget() {
	for _, g := range f.all {
		g.pane.group[g.entry] = 0
	}
	clear(f.values[:cap(f.values)])
	f.all, f.order, f.starts, f.batch, f.acc[0] = f.all[:0], f.order[:0], f.starts[:0], nil, nil
	f.settle()
}

// Fire implements Operator.
func (f *fold) Fire(watermark int64, out *abi.Builder) (bool, error) {
	switch {
	case f.slider != nil:
		return f.slider.fire(watermark, out)
	case f.session != nil:
		return f.session.fire(watermark, out)
	}
	f.firesTo(watermark)
	p, err := f.due(watermark)
	switch {
	case err != nil:
		return false, err
	case p == nil:
		return false, f.passAll(watermark)
	}
	if f.window == nil && !f.final {
		return true, f.drop()
	}
	defer f.pace.end()
	done, err := f.collect(p)
	f.pace.keys(len(f.all))
	if err == nil {
		err = f.changes(out)
	}
	f.all = f.all[:0]
	if done && err == nil {
		err = f.close(p, watermark)
	}
	return true, err
}

// collect sets all to keys of a pane whose results go out together, and answers whether they are the last.
func (f *fold) collect(p *pane) (done bool, err error) {
	most := fireRecords
	if f.emits {
		most = f.pace.of(fireRecords)
	}
	for size := 0; len(f.all) < most && size < fireBytes; {
		entries, more, err := f.unfired(p, f.scan[:])
		if err != nil || len(entries) == 0 {
			return !more, err
		}
		for _, e := range entries {
			f.all = append(f.all, group{pane: p, entry: e, fresh: true})
			size += len(p.table.Key(e)) + len(p.table.Value(e))
		}
		if err := f.gone(p, entries); err != nil {
			return false, err
		}
	}
	return false, nil
}

// results emits those of all: the guest's, or the accumulators as they are.
func (f *fold) results(out *abi.Builder) error {
	if !f.emits {
		for i := range f.all {
			if there, err := f.wholeResult(uint32(i)); err != nil {
				return err
			} else if !there {
				continue
			}
			g := &f.all[i]
			timestamp := abi.NoTimestamp
			if f.window != nil {
				timestamp = g.pane.end - 1
			}
			out.Append(abi.Record{Timestamp: timestamp, Key: g.pane.table.Key(g.entry), Value: g.pane.table.Value(g.entry)})
		}
		return nil
	}
	for lo := 0; lo < len(f.all); {
		hi, err := f.fillResults(lo, len(f.all), callBytes)
		if err == nil {
			err = f.sendResults()
		}
		if err != nil {
			if err = f.retryResults(err, lo, hi); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// fillResults makes a call of the accumulators of all[lo:hi], or up to where it has about limit bytes. With an error, the last
// one was not to be had.
func (f *fold) fillResults(lo, hi, limit int) (int, error) {
	f.groups.Reset()
	f.call = f.call[:0]
	for ; lo < hi && f.groups.Size() < limit; lo++ {
		if err := f.current(uint32(lo)); err != nil {
			return lo + 1, err
		}
		if g := &f.all[lo]; !g.dropped {
			f.begin(g)
			f.groups.EndGroup()
			f.call = append(f.call, uint32(lo))
		}
	}
	return lo, nil
}

// retryResults is what comes after the call with all[lo:hi] has died with err.
func (f *fold) retryResults(err error, lo, hi int) error {
	again := func(a, b int) error {
		if _, err := f.fillResults(lo+a, lo+b, math.MaxInt); err != nil {
			return err
		}
		return f.sendResults()
	}
	return f.folder.Retry(err, hi-lo, again, func(unit int) Unit { return f.resultUnit(lo + unit) })
}

// sendResults makes the call, unless nothing is left of what it was to be about.
func (f *fold) sendResults() error {
	if len(f.call) == 0 {
		return nil
	}
	return f.guest.Result(&f.groups, f.kind)
}

// resultUnit is the result of all[i].
func (f *fold) resultUnit(i int) Unit {
	g := f.all[i]
	key := g.pane.table.Key(g.entry)
	name, time := "the result of key", abi.NoTimestamp
	if f.window != nil {
		name, time = fmt.Sprintf("the result from %d to %d of key", g.pane.start, g.pane.end), g.pane.end-1
	}
	return Unit{Row: -1, Name: name, Data: key, Key: key, Time: time}
}
