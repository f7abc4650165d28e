package operator

import (
	"fmt"
	"reflect"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// aggregates computes several aggregates at once over fields of the values, which never enter a guest: an accumulator for each
// key, of the form that layout says.
type aggregates struct {
	native
	layout  *layout
	rows    resultRows
	filters []field.Predicate // of those that have one
	masks   [][]bool          // by filter and record of the pane: it counts
	accs    [][]byte          // by record of the pane: the accumulator of its key
	total   [2][]byte         // scratch
}

func newAggregates(c *Config, p panes) (*aggregates, error) {
	t := &aggregates{}
	err := t.learn(c)
	if err != nil {
		return nil, err
	}
	p.spec.Name, p.spec.Kind = "aggregates", state.Bytes
	t.native = native{panes: p, final: c.Final, does: t}
	if c.Kind == abi.OperatorSum {
		t.rows, err = newSumRows(c, t.layout)
	} else {
		t.rows, err = newFieldRows(c, t.layout)
	}
	if err != nil {
		return nil, err
	}
	var undo func(all, part []byte)
	if t.layout.subtractable() {
		undo = t.layout.subtract
	}
	return t, t.begin(c, t, undo)
}

// learn settles what is kept of a key, and what a record adds.
func (t *aggregates) learn(c *Config) error {
	asked := c.Aggregates
	if c.Kind == abi.OperatorSum {
		asked = []abi.Aggregate{{Name: "sum", Kind: abi.AggregateSum}}
	}
	list, err := field.NewAggregates(c.Value, asked)
	if err != nil {
		return fmt.Errorf("aggregates%w", err)
	}
	t.layout = newLayout(list, c.Exact)
	for i := range t.layout.kept {
		if k := &t.layout.kept[i]; k.Filter != nil {
			k.filter = t.filter(c.Aggregates[i].Filter, c.Aggregates[:i], k.Filter)
		}
	}
	return nil
}

// filter is the number of a filter: two aggregates that say the same share one.
func (t *aggregates) filter(p *abi.Predicate, before []abi.Aggregate, made field.Predicate) int {
	for i := range before {
		if before[i].Filter != nil && reflect.DeepEqual(before[i].Filter, p) {
			return t.layout.kept[i].filter
		}
	}
	t.filters = append(t.filters, made)
	t.masks = append(t.masks, nil)
	return len(t.filters) - 1
}

// errNoRow is the error of a value that is not what its codec says.
var errNoRow = &InputError{Problem: "a value is not what its codec says", Hint: "the function that made it must write rows of the schema that it declares"}

// add implements keeping. Words come first: parts that grow move their accumulator.
func (t *aggregates) add(b *abi.Batch, p *pane) error {
	if err := t.judge(b, p); err != nil {
		return err
	}
	for _, e := range p.entries {
		if p.table.Value(e) == nil {
			if err := p.table.SetValue(e, t.layout.initial); err != nil {
				return err
			}
		}
	}
	t.accs = t.accs[:0]
	for _, e := range p.entries {
		t.accs = append(t.accs, p.table.Change(e))
	}
	for i := range t.layout.kept {
		if k := &t.layout.kept[i]; k.part == nil {
			if err := t.addWords(k, b, p); err != nil {
				return err
			}
		}
	}
	for i := range t.layout.kept {
		if k := &t.layout.kept[i]; k.part != nil {
			if err := t.addParts(k, b, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge asks the filters about each record of the pane.
func (t *aggregates) judge(b *abi.Batch, p *pane) error {
	for f, filter := range t.filters {
		mask := t.masks[f][:0]
		for i := range p.entries {
			truth := filter(b.Value(int(p.row(i))))
			if truth == field.Unreadable {
				return errNoRow
			}
			mask = append(mask, truth == field.Yes)
		}
		t.masks[f] = mask
	}
	return nil
}

// addWords adds records to an aggregate that is words.
func (t *aggregates) addWords(k *kept, b *abi.Batch, p *pane) error {
	var mask []bool
	if k.Filter != nil {
		mask = t.masks[k.filter]
	}
	for i, acc := range t.accs {
		if mask != nil && !mask[i] {
			continue
		}
		word, s := k.word(b.Value(int(p.row(i))))
		if s == field.Broken {
			return errNoRow
		}
		if s == field.There {
			k.words.add(k, acc[k.at:], word)
		}
	}
	return nil
}

// word is what a value adds to an aggregate that is words.
func (k *kept) word(value []byte) (uint64, field.State) {
	if k.Over == nil {
		return 0, field.There
	}
	return k.Over.Word(value)
}

// addParts adds records to an aggregate that has a part of its own behind the words.
func (t *aggregates) addParts(k *kept, b *abi.Batch, p *pane) error {
	for i, e := range p.entries {
		if k.Filter != nil && !t.masks[k.filter][i] {
			continue
		}
		acc := p.table.Change(e)
		part, grown, s := k.part.add(t.layout.part(acc, k.at), b.Value(int(p.row(i))))
		if s == field.Broken {
			return errNoRow
		}
		if !grown {
			continue
		}
		t.total[0] = t.layout.replace(t.total[0], acc, k.at, part)
		if err := bounded(t.total[0], k); err != nil {
			return err
		}
		if err := p.table.SetValue(e, t.total[0]); err != nil {
			return err
		}
	}
	return nil
}

// join implements keeping.
func (t *aggregates) join(b *abi.Batch, p *pane) error {
	for i, e := range p.entries {
		part := b.Value(int(p.row(i)))
		if len(part) < t.layout.size {
			return errAccumulator
		}
		var err error
		if p.table.Value(e) == nil {
			err = p.table.SetValue(e, part)
		} else {
			err = t.joinOne(p.table, e, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errAccumulator is the error of bytes that are no accumulator of the operator's.
var errAccumulator = &InputError{Problem: "an accumulator that was sent ahead is not of these aggregates"}

// joinOne adds an accumulator to that of an entry, in place as far as it does not grow.
func (t *aggregates) joinOne(table state.Table, e state.Entry, other []byte) error {
	acc := table.Change(e)
	for i := range t.layout.kept {
		k := &t.layout.kept[i]
		if k.part == nil {
			k.join(acc, other)
			continue
		}
		part, grown := k.part.join(t.layout.part(acc, k.at), t.layout.part(other, k.at))
		if !grown {
			continue
		}
		t.total[0] = t.layout.replace(t.total[0], acc, k.at, part)
		if err := bounded(t.total[0], k); err != nil {
			return err
		}
		if err := table.SetValue(e, t.total[0]); err != nil {
			return err
		}
		acc = table.Change(e)
	}
	return nil
}

// bounded is the error of an accumulator that an aggregate has made too large.
func bounded(acc []byte, k *kept) error {
	if len(acc) <= maxAccumulator {
		return nil
	}
	return &InputError{
		Problem: fmt.Sprintf("the accumulator of a key has %d bytes (expected <= %d): %s keeps too much of it", len(acc), maxAccumulator, k.Kind),
		Hint:    "make windows smaller, or keys finer",
	}
}

// maxAccumulator bounds what is kept of a key: it must fit a record.
const maxAccumulator = abi.MaxRecordBytes - 1<<20

// newest implements keeping.
func (t *aggregates) newest(p *pane, entries []state.Entry, out *abi.Builder) error {
	for _, e := range entries {
		if err := t.rows.append(out, p.span, p.table.Key(e), p.table.Value(e)); err != nil {
			return err
		}
	}
	return nil
}

// absorb implements adding.
func (t *aggregates) absorb(b *abi.Batch, n int, of func(i int) (piece, []uint32), put func(i int, acc []byte) error) error {
	for i := range n {
		p, rows := of(i)
		acc := t.layout.initial
		if len(p.accs) > 0 {
			acc = p.accs[0]
		}
		t.total[0] = append(t.total[0][:0], acc...)
		for _, r := range rows {
			if err := t.addOne(b.Value(int(r))); err != nil {
				return err
			}
		}
		if err := put(i, t.total[0]); err != nil {
			return err
		}
	}
	return nil
}

// addOne adds a value to the accumulator total[0].
func (t *aggregates) addOne(value []byte) error {
	for f, filter := range t.filters {
		truth := filter(value)
		if truth == field.Unreadable {
			return errNoRow
		}
		t.masks[f] = append(t.masks[f][:0], truth == field.Yes)
	}
	for i := range t.layout.kept {
		k := &t.layout.kept[i]
		switch {
		case k.Filter != nil && !t.masks[k.filter][0]:
		case k.part != nil:
			part, grown, s := k.part.add(t.layout.part(t.total[0], k.at), value)
			if s == field.Broken {
				return errNoRow
			}
			if grown {
				t.total[1] = t.layout.replace(t.total[1], t.total[0], k.at, part)
				t.total[0], t.total[1] = t.total[1], t.total[0]
			}
			if err := bounded(t.total[0], k); err != nil {
				return err
			}
		default:
			word, s := k.word(value)
			if s == field.Broken {
				return errNoRow
			}
			if s == field.There {
				k.words.add(k, t.total[0][k.at:], word)
			}
		}
	}
	return nil
}

// renew implements adding: there are no versions.
func (t *aggregates) renew([]byte, uint16, [][]byte) error { return nil }

// ready implements merging.
func (t *aggregates) ready(*pane, []state.Entry) error { return nil }

// of implements merging.
func (t *aggregates) of(table state.Table, e state.Entry) []byte { return table.Value(e) }

// merge implements merging.
func (t *aggregates) merge(n int, of func(i int) piece, put func(i int, merged []byte) error) error {
	for i := range n {
		if err := put(i, t.sum(of(i).accs)); err != nil {
			return err
		}
	}
	return nil
}

// emit implements merging.
func (t *aggregates) emit(n int, of func(i int) piece, out *abi.Builder) error {
	for i := range n {
		k := of(i)
		if err := t.rows.append(out, k.span, k.key, t.sum(k.accs)); err != nil {
			return err
		}
	}
	return nil
}

// sum is what accumulators amount to, in their order; valid until the next call.
func (t *aggregates) sum(accs [][]byte) []byte {
	if len(accs) == 1 {
		return accs[0]
	}
	a, b := append(t.total[0][:0], accs[0]...), t.total[1]
	for _, acc := range accs[1:] {
		a, b = t.layout.merge(a, acc, b)
	}
	t.total[0], t.total[1] = a, b
	return a
}
