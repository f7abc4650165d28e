package operator

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// tally is count and sum: a word for each key, to which records add.
type tally struct {
	panes
	rows   *rows
	word   func(b *abi.Batch, row int) (uint64, error) // of one record
	add    func(b *abi.Batch, p *pane) error
	plus   func(a, b uint64) uint64
	final  bool
	acc    [8]byte // scratch, as is merged
	merged [8]byte
}

func newTally(c *Config, p panes) (t *tally, err error) {
	t = &tally{panes: p, final: c.Final}
	if t.rows, err = newRows(c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	switch {
	case c.Kind == abi.OperatorCount:
		t.add, t.plus, t.word = countRecords, plusI64, one
	case c.Value == abi.CodecI64:
		t.add, t.plus, t.word = func(b *abi.Batch, p *pane) error { return sumValues(b, p, plusI64) }, plusI64, numberOf
	case c.Value == abi.CodecF64:
		t.add, t.plus, t.word = func(b *abi.Batch, p *pane) error { return sumValues(b, p, plusF64) }, plusF64, numberOf
	default:
		return nil, fmt.Errorf("sum of values of codec %s (expected i64 or f64)", c.Value)
	}
	if p.window != nil && p.window.sliding() {
		t.slider = newSlider(&t.panes, t, nil)
		if c.Kind == abi.OperatorCount || c.Value == abi.CodecI64 { // f64 loses digits
			t.slider.undo = minusI64
		}
	}
	if c.Window != nil && c.Window.Kind == CountWindows {
		if t.counted, err = newCounts(&t.panes, t, c.Window); err != nil {
			return nil, err
		}
	}
	if p.window != nil && p.window.gap > 0 {
		if t.session, err = newSessions(&t.panes, t); err != nil {
			return nil, err
		}
	}
	return t, t.restore(c.Groups)
}

func one(*abi.Batch, int) (uint64, error) { return 1, nil }

func numberOf(b *abi.Batch, row int) (uint64, error) {
	v := b.Value(row)
	if len(v) != 8 {
		return 0, &InputError{Problem: fmt.Sprintf("a value has %d bytes (expected 8 of a number)", len(v))}
	}
	return binary.LittleEndian.Uint64(v), nil
}

func plusI64(a, b uint64) uint64 { return a + b }

func minusI64(all, part []byte) {
	binary.LittleEndian.PutUint64(all, binary.LittleEndian.Uint64(all)-binary.LittleEndian.Uint64(part))
}

func plusF64(a, b uint64) uint64 {
	return math.Float64bits(math.Float64frombits(a) + math.Float64frombits(b))
}

func countRecords(_ *abi.Batch, p *pane) error {
	for _, e := range p.entries {
		*p.table.Word(e)++
	}
	return nil
}

func sumValues(b *abi.Batch, p *pane, add func(sum, v uint64) uint64) error {
	for i, e := range p.entries {
		v, err := numberOf(b, int(p.row(i)))
		if err != nil {
			return err
		}
		word := p.table.Word(e)
		*word = add(*word, v)
	}
	return nil
}

// Process implements Operator.
func (t *tally) Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	switch {
	case t.session != nil:
		return t.session.process(b, hashes, now, out)
	case t.counted != nil:
		return t.counted.process(b, hashes, out)
	}
	if err := t.cut(b, hashes, now); err != nil {
		return err
	}
	defer t.settle()
	for _, p := range t.touched {
		if err := p.resolve(b, hashes); err != nil {
			return err
		}
		if err := t.add(b, p); err != nil {
			return err
		}
		if err := t.updates(p, out); err != nil {
			return err
		}
	}
	return nil
}

// updates appends the results of p that are due at once: of all time, or of a window that has fired.
func (t *tally) updates(p *pane, out *abi.Builder) error {
	switch {
	case t.window == nil && !t.final:
		return t.newest(p, t.distinct(p, p.entries), out)
	case t.slider != nil:
		t.slider.changed(p)
		return t.slider.again(p, t.distinct(p, p.entries), out)
	case t.window != nil && t.window.lateness > 0:
		return t.newest(p, t.fired(p, t.distinct(p, p.entries)), out)
	}
	return nil
}

// newest appends the value of each entry.
func (t *tally) newest(p *pane, entries []state.Entry, out *abi.Builder) error {
	for _, e := range entries {
		if err := t.rows.append(out, p.span, p.table.Key(e), *p.table.Word(e)); err != nil {
			return err
		}
	}
	return nil
}

// Fire implements Operator.
func (t *tally) Fire(watermark int64, out *abi.Builder) (bool, error) {
	switch {
	case t.slider != nil:
		return t.slider.fire(watermark, out)
	case t.session != nil:
		return t.session.fire(watermark, out)
	}
	p, err := t.due(watermark)
	if p == nil || err != nil {
		t.pass(watermark)
		return false, err
	}
	if t.window == nil && !t.final {
		return true, t.drop()
	}
	scanned := 0
	for limit := out.Bytes() + fireBytes; scanned < fireRecords && out.Bytes() < limit; {
		entries, err := t.unfired(p)
		if err != nil {
			return false, err
		}
		if len(entries) == 0 {
			break
		}
		scanned += len(entries)
		if err := t.newest(p, t.waiting(p, entries), out); err != nil {
			return false, err
		}
	}
	if scanned == 0 {
		return true, t.close(p, watermark)
	}
	return true, nil
}

// ready implements merging.
func (t *tally) ready(*pane, []state.Entry) error { return nil }

// of implements merging.
func (t *tally) of(table state.Table, e state.Entry) []byte {
	binary.LittleEndian.PutUint64(t.acc[:], *table.Word(e))
	return t.acc[:]
}

// merge implements merging.
func (t *tally) merge(n int, of func(i int) piece, put func(i int, merged []byte) error) error {
	for i := range n {
		binary.LittleEndian.PutUint64(t.merged[:], t.total(of(i).accs))
		if err := put(i, t.merged[:]); err != nil {
			return err
		}
	}
	return nil
}

// emit implements merging.
func (t *tally) emit(n int, of func(i int) piece, out *abi.Builder) error {
	for i := range n {
		k := of(i)
		if err := t.rows.append(out, k.span, k.key, t.total(k.accs)); err != nil {
			return err
		}
	}
	return nil
}

// total is what accumulators amount to.
func (t *tally) total(accs [][]byte) uint64 {
	total := binary.LittleEndian.Uint64(accs[0])
	for _, acc := range accs[1:] {
		total = t.plus(total, binary.LittleEndian.Uint64(acc))
	}
	return total
}

// absorb implements adding.
func (t *tally) absorb(b *abi.Batch, n int, of func(i int) (piece, []uint32), put func(i int, acc []byte) error) error {
	for i := range n {
		p, rows := of(i)
		total := uint64(0)
		if len(p.accs) > 0 {
			total = binary.LittleEndian.Uint64(p.accs[0])
		}
		for _, r := range rows {
			word, err := t.word(b, int(r))
			if err != nil {
				return err
			}
			total = t.plus(total, word)
		}
		binary.LittleEndian.PutUint64(t.merged[:], total)
		if err := put(i, t.merged[:]); err != nil {
			return err
		}
	}
	return nil
}

// renew implements adding.
func (t *tally) renew([]byte, uint16, [][]byte) error { return nil }
