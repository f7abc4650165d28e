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
	native
	rows   *rows
	word   func(b *abi.Batch, row int) (uint64, error) // of one record
	count  func(b *abi.Batch, p *pane) error
	plus   func(a, b uint64) uint64
	acc    [8]byte // scratch, as is merged
	merged [8]byte
}

func newTally(c *Config, p panes) (t *tally, err error) {
	t = &tally{}
	t.native = native{panes: p, final: c.Final, does: t}
	if t.rows, err = newRows(c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	undo, err := t.learn(c)
	if err != nil {
		return nil, err
	}
	return t, t.begin(c, t, undo)
}

// learn settles what a record adds. undo takes one accumulator out of another, nil: that cannot be done.
func (t *tally) learn(c *Config) (undo func(all, part []byte), err error) {
	switch {
	case c.Kind == abi.OperatorCount:
		t.count, t.plus, t.word = countRecords, plusI64, one
	case c.Value == abi.CodecI64:
		t.count, t.plus, t.word = func(b *abi.Batch, p *pane) error { return sumValues(b, p, plusI64) }, plusI64, numberOf
	case c.Value == abi.CodecF64:
		t.count, t.plus, t.word = func(b *abi.Batch, p *pane) error { return sumValues(b, p, plusF64) }, plusF64, numberOf
	default:
		return nil, fmt.Errorf("sum of values of codec %s (expected i64 or f64)", c.Value)
	}
	if c.Kind == abi.OperatorCount || c.Value == abi.CodecI64 { // f64 loses digits
		undo = minusI64
	}
	return undo, nil
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

// add implements keeping.
func (t *tally) add(b *abi.Batch, p *pane) error { return t.count(b, p) }

// join implements keeping.
func (t *tally) join(b *abi.Batch, p *pane) error {
	for i, e := range p.entries {
		acc, err := numberOf(b, int(p.row(i)))
		if err != nil {
			return err
		}
		word := p.table.Word(e)
		*word = t.plus(*word, acc)
	}
	return nil
}

// newest implements keeping.
func (t *tally) newest(p *pane, entries []state.Entry, out *abi.Builder) error {
	for _, e := range entries {
		if err := t.rows.append(out, p.span, p.table.Key(e), *p.table.Word(e)); err != nil {
			return err
		}
	}
	return nil
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
