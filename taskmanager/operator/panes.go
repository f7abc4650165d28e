package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// pane is what an operator remembers of one window, or of all time, with what concerns it of the batch at hand.
type pane struct {
	start, end int64 // end is exclusive
	table      state.Table
	rows       []uint32      // records of the batch that belong to it, without all
	all        bool          // all records of the batch belong to it
	entries    []state.Entry // of rows, by resolve
	group      []uint32      // by entry: 1 + the number of its group in the batch, 0 for none; see fold
	cursor     uint64        // of a scan that fires it
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

// panes cuts batches by window, and holds those that are open, in ascending order.
type panes struct {
	store    state.Store
	spec     state.Spec
	window   *abi.Window // nil: one pane without end
	open     []*pane
	touched  []*pane // by the batch at hand
	free     []*pane
	fired    int64 // the watermark to which windows have fired
	apart    *apart
	late     int64
	lateOut  *abi.Builder // takes late records as they came; nil: they are dropped
	lateRows []uint32
	scan     [fireEntries]state.Entry
}

// Late implements Operator.
func (p *panes) Late() int64 { return p.late }

// cut sets touched to the panes that b's records belong to, and the records of each.
func (p *panes) cut(b *abi.Batch, hashes []uint64) error {
	p.touched = p.touched[:0]
	if p.window == nil {
		return p.whole()
	}
	if b.Timestamps == nil {
		return errNoTimestamp
	}
	var last *pane
	p.lateRows = p.lateRows[:0]
	for i, t := range b.Timestamps {
		if p.apart != nil && t != abi.NoTimestamp && p.apart.late(p.window, t, hashes[i]) {
			p.isLate(i)
			continue
		}
		if last == nil || t < last.start || t >= last.end {
			var err error
			if last, err = p.at(t); err != nil {
				return err
			}
			if last == nil {
				p.isLate(i)
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

// at returns the pane of the window that t lies in, touched by the batch; nil if the window has fired.
func (p *panes) at(t int64) (*pane, error) {
	if t == abi.NoTimestamp {
		return nil, errNoTimestamp
	}
	start, end := bounds(p.window, t)
	if end-1 <= p.fired {
		return nil, nil
	}
	i := len(p.open) // windows are looked up from the newest: that is where most records are
	for i > 0 && p.open[i-1].start > start {
		i--
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

// bounds is the window that t lies in; what would overflow is cut off.
func bounds(w *abi.Window, t int64) (start, end int64) {
	into := (t%w.SizeMs - w.OffsetMs) % w.SizeMs
	if into < 0 {
		into += w.SizeMs
	}
	start = t - into
	if start > t {
		start = abi.MinTime + 1
	}
	end = start + w.SizeMs
	if end < start {
		end = abi.MaxTime
	}
	return start, end
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
	fresh.start, fresh.end, fresh.table, fresh.cursor = start, end, table, 0
	p.open = append(p.open, nil)
	copy(p.open[i+1:], p.open[i:])
	p.open[i] = fresh
	return nil
}

// settle forgets the batch.
func (p *panes) settle() {
	for _, t := range p.touched {
		t.rows, t.entries, t.all = t.rows[:0], t.entries[:0], false
	}
	p.touched = p.touched[:0]
}

// due returns the first pane whose end the watermark has reached; nil if there is none. From then on its window is
// late.
func (p *panes) due(watermark int64) *pane {
	p.fired = max(watermark, p.fired)
	if p.apart != nil && watermark >= p.apart.most {
		p.apart = nil
	}
	if len(p.open) == 0 || p.window == nil && watermark < abi.MaxTime || p.open[0].end-1 > watermark {
		return nil
	}
	return p.open[0]
}

// unfired returns entries of the pane that have not fired yet, none when all have. What it has returned counts as fired: an
// entry does not outlive a call of Fire.
func (p *panes) unfired(first *pane) ([]state.Entry, error) {
	n, cursor, err := first.table.Scan(first.cursor, p.scan[:])
	if err != nil {
		return nil, err
	}
	first.cursor = cursor
	return p.scan[:n], nil
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

// firedName is the name in the operator's own scope of the watermark to which windows have fired.
const firedName = "fired"

// Save implements Operator.
func (p *panes) Save() error {
	if p.window == nil || p.fired == abi.MinTime && p.apart == nil {
		return nil
	}
	value := binary.LittleEndian.AppendUint64(nil, uint64(p.fired))
	if p.apart != nil {
		value = p.apart.encode(p.fired)
	}
	return p.store.SetOwn(p.spec.Operator, firedName, value)
}

// restore finds the panes that a snapshot held, and how far each subtask had fired.
func (p *panes) restore(groups int) error {
	namespaces, err := p.store.Namespaces(p.spec)
	if err != nil {
		return err
	}
	for _, ns := range namespaces {
		start, end := abi.MinTime, abi.MaxTime
		if p.window != nil {
			start, end = bounds(p.window, int64(ns))
		}
		if err := p.add(len(p.open), start, end, ns); err != nil {
			return err
		}
	}
	if p.window == nil || failpoint.Planted(failpoint.FiredAgain) {
		return nil
	}
	all, err := p.store.Own(p.spec.Operator, firedName)
	if err != nil || len(all) == 0 {
		return err
	}
	p.fired, p.apart, err = decodeFired(all, groups)
	if err != nil {
		return fmt.Errorf("restore %s of %s: %w", firedName, p.spec.Operator, err)
	}
	return nil
}

// keptPanes bounds the closed panes whose memory is kept for those to come.
const keptPanes = 4

// grow makes group as long as the table.
func (p *pane) grow() {
	if n := p.table.Len(); len(p.group) < n {
		p.group = append(p.group, make([]uint32, n-len(p.group)+len(p.group)/2)...)
	}
}
