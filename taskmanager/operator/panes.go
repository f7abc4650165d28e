package operator

import (
	"fmt"
	"slices"
	"sort"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// pane is what an operator remembers of one slice of time, or of all of it, with what concerns it of the batch at hand.
type pane struct {
	span
	done      bool // a tumbling window that has fired, and takes late records
	in, front bool // a slice that a slider has taken in; into its front
	table     state.Table
	rows      []uint32      // records of the batch that belong to it, without all
	all       bool          // all records of the batch belong to it
	entries   []state.Entry // of rows, by resolve
	group     []uint32      // by entry: 1 + the number of its group in the batch, 0 for none; see fold
	scanning                // that fires it
}

// resolve finds the entries of the pane's records.
func (p *pane) resolve(b *abi.Batch, hashes []uint64) error {
	n, rows := len(p.rows), p.rows
	if p.all {
		n, rows = b.N, nil
	}
	if cap(p.entries) < n {
		p.entries = make([]state.Entry, max(n, 2*cap(p.entries)))
	}
	p.entries = p.entries[:n]
	return p.table.Resolve(b, rows, hashes, p.entries)
}

// row is the record of the batch that entries[i] is of.
func (p *pane) row(i int) uint32 {
	if p.all {
		return uint32(i)
	}
	return p.rows[i]
}

// panes cuts batches by slice, and holds those that are open, in ascending order.
type panes struct {
	store    state.Store
	spec     state.Spec
	window   *windowing // nil: one pane without end
	slider   *slider    // of windows that have several slices
	session  *sessions  // of windows that are sessions
	counted  *counts    // of windows of records
	open     []*pane
	touched  []*pane // by the batch at hand
	free     []*pane
	progress          // the watermark to which windows have fired
	ends     bool     // they fire for the end of time; what was passed before that is kept
	until    progress // the watermark that they fire to, or did before a snapshot: what is over by it is late
	emitted  emitted
	pace     pace
	late     int64
	lateOut  *abi.Builder // takes late records as they came; nil: they are dropped
	lateRows []uint32
	told     *Told // says what change a result is that this says itself, nil: nobody asks, or none changes
	scan     [fireEntries]state.Entry
	once     []state.Entry // scratch
}

func newPanes(store state.Store, window *abi.Window, late *abi.Builder, spec state.Spec) panes {
	return panes{store: store, window: newWindowing(window), lateOut: late, progress: unpassed, until: unpassed, spec: spec}
}

// Late implements Operator.
func (p *panes) Late() int64 { return p.late }

// cut sets touched to the panes that b's records belong to, and the records of each. now is processing time.
func (p *panes) cut(b *abi.Batch, hashes []uint64, now int64) error {
	p.touched = p.touched[:0]
	switch {
	case p.window == nil:
		return p.whole()
	case p.window.processing:
		found, err := p.at(p.clock(now))
		if err == nil {
			found.all = true
		}
		return err
	}
	if b.Timestamps == nil {
		return errNoTimestamp
	}
	var last *pane
	p.lateRows = p.lateRows[:0]
	apart := p.apart != nil || p.midway()
	for i, t := range b.Timestamps {
		if apart && t != abi.NoTimestamp && p.window.over(t, p.reached(hashes[i])) {
			p.cutLate(b, i)
			continue
		}
		if last == nil || t < last.start || t >= last.end {
			var err error
			if last, err = p.at(t); err != nil {
				return err
			}
			if last == nil {
				p.cutLate(b, i)
				continue
			}
		}
		last.rows = append(last.rows, uint32(i))
	}
	if len(p.lateRows) > 0 {
		p.lateOut.AppendRows(b, p.lateRows, b.Hashes)
	}
	return nil
}

// isLate takes note of a record whose window has fired.
func (p *panes) isLate(row int) {
	p.late++
	if p.lateOut != nil {
		p.lateRows = append(p.lateRows, uint32(row))
	}
}

// cutLate is isLate of what may be an accumulator of several records. These come only where nobody takes late records.
func (p *panes) cutLate(b *abi.Batch, row int) {
	if b.Partials != nil {
		p.late += b.Partials[row].Records()
		return
	}
	p.isLate(row)
}

// errPartials is the error of a window that has more than a slice's records of a key apart.
var errPartials = &InputError{Problem: "accumulators came for a window that cannot take them"}

// whole is cut without a window.
func (p *panes) whole() error {
	if len(p.open) == 0 {
		if err := p.add(0, abi.MinTime, abi.MaxTime, state.Global); err != nil {
			return err
		}
	}
	p.open[0].all = true
	p.touched = append(p.touched, p.open[0])
	return nil
}

// errNoTimestamp is the error of a windowed operator behind nothing that gives records an event time.
var errNoTimestamp = &InputError{Problem: "a record has no timestamp, and a window needs one", Hint: "give the source timestamps, or put a timestamp function before the window"}

// InputError is a record that the operator cannot take; trying again does not help.
type InputError struct{ Problem, Hint string }

func (e *InputError) Error() string { return e.Problem }

// at returns the pane of the slice that t lies in, touched by the batch; nil if it is over.
func (p *panes) at(t int64) (*pane, error) {
	if t == abi.NoTimestamp {
		return nil, errNoTimestamp
	}
	start, end := p.window.bounds(t)
	if p.window.over(start, p.passed) {
		return nil, nil
	}
	i := len(p.open)
	if i > 0 && p.open[i-1].start > start { // most records are of the newest
		i = sort.Search(i-1, func(n int) bool { return p.open[n].start > start })
	}
	if i == 0 || p.open[i-1].start != start {
		if err := p.add(i, start, end, state.Namespace(start)); err != nil {
			return nil, err
		}
		i++
	}
	found := p.open[i-1]
	if len(found.rows) == 0 {
		p.touched = append(p.touched, found)
	}
	return found, nil
}

// add opens a pane at open[i].
func (p *panes) add(i int, start, end int64, ns state.Namespace) error {
	table, err := p.store.Table(p.spec, ns)
	if err != nil {
		return fmt.Errorf("open window %d: %w", start, err)
	}
	var fresh *pane
	if n := len(p.free); n > 0 {
		fresh, p.free = p.free[n-1], p.free[:n-1]
	} else {
		fresh = &pane{}
	}
	fresh.span, fresh.table, fresh.scanning, fresh.in, fresh.front = span{start, end}, table, scanning{}, false, false
	fresh.done = p.window != nil && !p.window.sliding() && end-1 <= p.passed
	p.open = append(p.open, nil)
	copy(p.open[i+1:], p.open[i:])
	p.open[i] = fresh
	return nil
}

// resolve finds the entries of the records that a pane has of the batch.
func (p *panes) resolve(o *pane, b *abi.Batch, hashes []uint64) error {
	if err := o.resolve(b, hashes); err != nil {
		return err
	}
	for ns, m := range p.emitted.marks {
		if w := p.window; !m.restored || w != nil && (o.end <= int64(ns) || o.start >= after(int64(ns), w.size)) {
			continue
		}
		if err := p.emitted.comes(m, o, b, hashes, func(hash uint64) bool { return p.takes(ns, hash) }); err != nil {
			return err
		}
	}
	return nil
}

// takes says whether a window that is being put out still takes records of a key: late ones, or those that nobody expected behind
// the end of the input.
func (p *panes) takes(ns state.Namespace, hash uint64) bool {
	return p.window == nil || !p.shut(after(int64(ns), p.window.size), hash)
}

// shut says whether a window that ends at end takes no more records of a key.
func (p *panes) shut(end int64, hash uint64) bool {
	return after(end, p.window.lateness)-1 <= p.reached(hash)
}

// settle forgets the batch.
func (p *panes) settle() {
	for _, t := range p.touched {
		t.rows, t.entries, t.all = t.rows[:0], t.entries[:0], false
	}
	p.touched = p.touched[:0]
}

// Due implements Operator.
func (p *panes) Due() (int64, bool) {
	if p.window == nil {
		return 0, false
	}
	if p.session != nil {
		return p.session.next()
	}
	if p.slider != nil && p.slider.phase != idle {
		return p.passed, true
	}
	end, ok := p.upcoming(p.passed)
	return end - 1, ok
}

// upcoming is the end of the first window that there is something of and that fires behind a watermark; false: there is none.
func (p *panes) upcoming(passed int64) (end int64, ok bool) {
	for _, o := range p.open {
		if end, ok = p.window.upcoming(o.start, passed); ok {
			break
		}
	}
	return end, ok
}

// fires says whether the result of a window that ends at end is still to come for a key.
func (p *panes) fires(end int64, hash uint64) bool {
	return p.apart == nil || end-1 > p.apart.of(hash)
}

// passedOf is the watermark to which windows have fired for a key.
func (p *panes) passedOf(hash uint64) int64 { return p.progress.of(hash) }

// reached is the watermark by which records of a key are late: that to which windows have fired, or some of them.
func (p *panes) reached(hash uint64) int64 { return max(p.passedOf(hash), p.until.of(hash)) }

// midway says whether windows may have fired for some keys of those that reached says.
func (p *panes) midway() bool { return p.until.beyond(&p.progress) }

// clock is the time of a window of processing time that has not fired: a clock may go back.
func (p *panes) clock(now int64) int64 { return max(now, p.passed+1, p.until.passed+1) }

// firesTo notes that windows are firing to a watermark. The end of the input is none: nothing comes behind that.
func (p *panes) firesTo(watermark int64) {
	p.begin(watermark)
	if watermark < abi.MaxTime {
		p.until.pass(watermark)
	}
}

// pass notes how far the watermark has come. From then on what it has passed is late.
func (p *panes) pass(watermark int64) {
	p.begin(watermark)
	before := p.before // begin says: some windows may have fired for the end of time since
	p.progress.pass(watermark)
	p.before = before
}

// passAll is pass behind the last result that was due.
func (p *panes) passAll(watermark int64) error {
	p.pass(watermark)
	if p.told == nil {
		return nil
	}
	return p.told.Forget(watermark)
}

// begin notes how far windows had fired before those fire that only the end of time has come for.
func (p *panes) begin(watermark int64) {
	if watermark == abi.MaxTime && !p.ends {
		p.ends, p.before = true, p.passed
	}
}

// due returns the first pane that the watermark has reached the end of and that has not fired; nil if there is none. Those
// before it that are over are dropped.
func (p *panes) due(watermark int64) (*pane, error) {
	for len(p.open) > 0 && p.open[0].done && p.window.over(p.open[0].start, watermark) {
		if err := p.drop(); err != nil {
			return nil, err
		}
	}
	for _, o := range p.open {
		switch {
		case p.window == nil && watermark < abi.MaxTime || o.end-1 > watermark:
			return nil, nil
		case !o.done:
			return o, nil
		}
	}
	return nil, nil
}

// passedOver is how many keys that need no result are looked at in one call.
const passedOver = 1 << 16

// unfired returns entries of a pane that have not fired yet, as many as dst takes, and false when all have; none where only others
// were met so far. What it has returned counts as fired: an entry does not outlive a call of Fire.
func (p *panes) unfired(of *pane, dst []state.Entry) (entries []state.Entry, more bool, err error) {
	for n, left := 0, passedOver; len(entries) == 0 && left > 0; left -= n {
		if n, of.cursor, err = of.table.Scan(of.cursor, dst); err != nil || n == 0 {
			return nil, false, err
		}
		if entries, err = p.waiting(of, dst[:n]); err != nil {
			return nil, false, err
		}
	}
	return entries, true, nil
}

// waiting leaves out of entries those whose result has gone out, before the operator had their key groups.
func (p *panes) waiting(of *pane, entries []state.Entry) ([]state.Entry, error) {
	entries, err := p.emitted.missing(of.namespace(), of.table, entries)
	if p.apart == nil || p.window == nil || err != nil {
		return entries, err
	}
	return slices.DeleteFunc(entries, func(e state.Entry) bool { return !p.fires(of.end, of.table.Hash(e)) }), nil
}

// gone follows the results of entries.
func (p *panes) gone(of *pane, entries []state.Entry) error {
	return p.emitted.passed(of.namespace(), of.table, &of.scanning, entries)
}

// namespace is that of the pane's table.
func (p *pane) namespace() state.Namespace {
	if p.start == abi.MinTime && p.end == abi.MaxTime {
		return state.Global
	}
	return state.Namespace(p.start)
}

// fired leaves out of entries those whose window is still to fire.
func (p *panes) fired(of *pane, entries []state.Entry) []state.Entry {
	if of.done {
		return entries
	}
	return slices.DeleteFunc(entries, func(e state.Entry) bool { return p.fires(of.end, of.table.Hash(e)) })
}

// distinct is each of the pane's entries once.
func (p *panes) distinct(of *pane, entries []state.Entry) []state.Entry {
	of.grow()
	p.once = p.once[:0]
	for _, e := range entries {
		if of.group[e] == 0 {
			of.group[e] = 1
			p.once = append(p.once, e)
		}
	}
	for _, e := range p.once {
		of.group[e] = 0
	}
	return p.once
}

// close follows the last result of a window: it is dropped, unless it takes late records.
func (p *panes) close(fired *pane, watermark int64) error {
	if err := p.finish(fired, watermark); err != nil {
		return err
	}
	if p.window != nil && !p.window.over(fired.start, watermark) {
		return nil
	}
	return p.drop()
}

// finish says that all of a pane has been put out.
func (p *panes) finish(o *pane, watermark int64) error {
	o.done, o.scanning = true, scanning{}
	if p.window != nil {
		p.passed = max(p.passed, min(o.end-1, watermark)) // so that a snapshot has it
	}
	return p.emitted.over(o.namespace())
}

// drop closes the first pane with all it remembers.
func (p *panes) drop() error {
	gone := p.open[0]
	ns := state.Namespace(gone.start)
	if p.window == nil {
		ns = state.Global
	}
	copy(p.open, p.open[1:])
	p.open = p.open[:len(p.open)-1]
	gone.table = nil
	if len(p.free) < keptPanes {
		p.free = append(p.free, gone)
	}
	return p.store.Drop(p.spec, ns)
}

// keptPanes bounds the closed panes whose memory is kept for those to come.
const keptPanes = 4

// grow makes group as long as the table.
func (p *pane) grow() {
	if n := p.table.Len(); len(p.group) < n {
		p.group = append(p.group, make([]uint32, n-len(p.group)+len(p.group)/2)...)
	}
}
