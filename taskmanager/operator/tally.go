package operator

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
)

// tally is count and sum: a word for each key, to which records add.
type tally struct {
	panes
	rows  *rows
	add   func(b *abi.Batch, p *pane) error
	final bool
}

// addition is what the records of a pane do to its words.
func addition(c *Config) (func(b *abi.Batch, p *pane) error, error) {
	switch {
	case c.Kind == abi.OperatorCount:
		return countRecords, nil
	case c.Value == abi.CodecI64:
		return func(b *abi.Batch, p *pane) error {
			return sumValues(b, p, func(sum, v uint64) uint64 { return sum + v })
		}, nil
	case c.Value == abi.CodecF64:
		return func(b *abi.Batch, p *pane) error {
			return sumValues(b, p, func(sum, v uint64) uint64 {
				return math.Float64bits(math.Float64frombits(sum) + math.Float64frombits(v))
			})
		}, nil
	}
	return nil, fmt.Errorf("sum of values of codec %s (expected i64 or f64)", c.Value)
}

func countRecords(_ *abi.Batch, p *pane) error {
	for _, e := range p.entries {
		*p.table.Word(e)++
	}
	return nil
}

func sumValues(b *abi.Batch, p *pane, add func(sum, v uint64) uint64) error {
	for i, e := range p.entries {
		v := b.Value(int(p.row(i)))
		if len(v) != 8 {
			return &InputError{Problem: fmt.Sprintf("a value has %d bytes (expected 8 of a number)", len(v))}
		}
		word := p.table.Word(e)
		*word = add(*word, binary.LittleEndian.Uint64(v))
	}
	return nil
}

// Process implements Operator.
func (t *tally) Process(b *abi.Batch, hashes []uint64, out *abi.Builder) error {
	if err := t.cut(b, hashes); err != nil {
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
		if t.window == nil && !t.final {
			if err := t.newest(p, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// newest appends the value of each key of the batch once.
func (t *tally) newest(p *pane, out *abi.Builder) error {
	p.grow()
	for _, e := range p.entries {
		if p.group[e] != 0 {
			continue
		}
		p.group[e] = 1
		if err := t.rows.append(out, p, p.table.Key(e), *p.table.Word(e)); err != nil {
			return err
		}
	}
	for _, e := range p.entries {
		p.group[e] = 0
	}
	return nil
}

// Fire implements Operator.
func (t *tally) Fire(watermark int64, out *abi.Builder) (bool, error) {
	p := t.due(watermark)
	if p == nil {
		return false, nil
	}
	if t.window == nil && !t.final {
		return true, t.drop()
	}
	fired := 0
	for limit := out.Bytes() + fireBytes; fired < fireRecords && out.Bytes() < limit; {
		entries, err := t.unfired(p)
		if err != nil {
			return false, err
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			if err := t.rows.append(out, p, p.table.Key(e), *p.table.Word(e)); err != nil {
				return false, err
			}
		}
		fired += len(entries)
	}
	if fired == 0 {
		return true, t.drop()
	}
	return true, nil
}
