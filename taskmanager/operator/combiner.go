package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Combiner folds the records of a keyed operator before they are sent to it: what it puts out are accumulators, one a key and
// slice of time, which the operator merges. It holds back what it has folded until it is drained, and nothing outlives that.
// While it finds that this does not pay, it takes nothing.
type Combiner struct {
	window  *windowing // nil: the operator has none, or one by its own clock
	acc     adding     // nil of a count, whose accumulators are how many records they are of
	tally   *tally     // of a sum, whose accumulators are words
	version uint16     // of accumulators
	table   partials
	payoff  payoff
	taken   volume // since it was drained

	slice   span     // of the record before
	entries []uint32 // of the records at hand, as is the rest
	groups  []uint32 // entries, each once
	ends    []uint32 // where the rows of each group end
	rows    []uint32
	own     [1][]byte
}

// NewCombiner makes what folds ahead for the operator that c describes, which needs neither a store nor a guest. folder is that of a
// reduce or aggregate. remote says that records leave the process.
func NewCombiner(c Config, folder Folder, remote bool) (*Combiner, error) {
	m := &Combiner{window: newWindowing(c.Window), payoff: payoff{fewer: enough}}
	if folder != nil && !remote {
		m.payoff.fewer = enoughForCalls
	}
	if m.window != nil && m.window.processing {
		m.window = nil
	}
	switch {
	case c.Kind == abi.OperatorCount:
	case c.Kind == abi.OperatorSum && !c.sumsExactly():
		m.tally = &tally{}
		if _, err := m.tally.learn(&c); err != nil {
			return nil, err
		}
	case c.Kind == abi.OperatorAggregates, c.Kind == abi.OperatorSum:
		t := &aggregates{}
		if err := t.learn(&c); err != nil {
			return nil, err
		}
		m.acc = t
	case c.Kind == abi.OperatorReduce, c.Kind == abi.OperatorAggregate:
		f := &fold{panes: panes{window: m.window, spec: foldSpec(&c)}, folder: folder}
		m.acc, m.version = f, f.spec.Version
	default:
		return nil, fmt.Errorf("fold ahead of an operator of kind %s: not one that merges", c.Kind)
	}
	return m, nil
}

// Folding costs about what an accumulator costs less on its way, if it stands for two records. A guest folds them for about the same
// wherever it does, and is called once more for each accumulator: without a network in between that must be few.
const (
	enough         = 2
	enoughForCalls = 8
)

// PartialColumns are those of the accumulators that are sent ahead to an operator.
func PartialColumns(kind abi.OperatorKind, window *abi.Window) abi.Columns {
	return Columns(kind, window) | abi.ColumnValues | abi.ColumnPartials
}

// Passes says that n records are to go on as they are, because folding them would not pay. What is held back must go first.
func (m *Combiner) Passes(n int) bool { return m.payoff.passes(n) }

// Full says that it is to be drained before it takes more.
func (m *Combiner) Full() bool { return m.table.full() }

// Len is how many accumulators are held back.
func (m *Combiner) Len() int { return len(m.table.entries) }

// Fold takes the records of b from lo up to hi, a few thousand at most: what is held back exceeds its bounds by as many.
func (m *Combiner) Fold(b *abi.Batch, lo, hi int, hashes []uint64) error {
	if err := m.resolve(b, lo, hi, hashes); err != nil {
		return err
	}
	m.taken.records += int64(hi - lo)
	m.taken.bytes += int64(hi-lo)*recordOverhead + int64(b.KeyOffs[hi]-b.KeyOffs[lo])
	if b.ValueOffs != nil {
		m.taken.bytes += int64(b.ValueOffs[hi] - b.ValueOffs[lo])
	}
	switch {
	case m.tally != nil:
		return m.sum(b, lo)
	case m.acc != nil:
		return m.absorb(b, lo)
	}
	return nil
}

// About what a record and an accumulator take on their way, besides keys and values.
const (
	recordOverhead  = 20
	partialOverhead = recordOverhead + 8
)

// resolve finds the entries of records.
func (m *Combiner) resolve(b *abi.Batch, lo, hi int, hashes []uint64) error {
	if m.window != nil && b.Timestamps == nil {
		return errNoTimestamp
	}
	m.entries = m.entries[:0]
	for i := lo; i < hi; i++ {
		start := int64(0)
		if m.window != nil {
			t := b.Timestamps[i]
			if t < m.slice.start || t >= m.slice.end {
				if t == abi.NoTimestamp {
					return errNoTimestamp
				}
				m.slice.start, m.slice.end = m.window.bounds(t)
			}
			start = m.slice.start
		}
		e := m.table.find(hashes[i], b.Key(i), start)
		m.table.entries[e].records++
		m.entries = append(m.entries, e)
	}
	return nil
}

// sum adds the values of records to words.
func (m *Combiner) sum(b *abi.Batch, lo int) error {
	for i, e := range m.entries {
		word, err := m.tally.word(b, lo+i)
		if err != nil {
			return err
		}
		p := &m.table.entries[e]
		p.word = m.tally.plus(p.word, word)
	}
	return nil
}

// absorb adds records to accumulators, those of one key and slice together.
func (m *Combiner) absorb(b *abi.Batch, lo int) error {
	m.gather(lo)
	return m.acc.absorb(b, len(m.groups),
		func(i int) (piece, []uint32) {
			e, first := m.groups[i], uint32(0)
			if i > 0 {
				first = m.ends[i-1]
			}
			p := piece{span: m.span(e), key: m.table.key(e)}
			if m.own[0] = m.table.acc(e); m.own[0] != nil {
				p.accs = m.own[:]
			}
			return p, m.rows[first:m.ends[i]]
		},
		func(i int, acc []byte) error {
			m.table.set(m.groups[i], acc)
			return nil
		})
}

// gather puts the rows of records of one entry together, in the order in which they came.
func (m *Combiner) gather(lo int) {
	m.groups, m.ends = m.groups[:0], m.ends[:0]
	for _, e := range m.entries {
		p := &m.table.entries[e]
		if p.group == 0 {
			m.groups, m.ends = append(m.groups, e), append(m.ends, 0)
			p.group = uint32(len(m.groups))
		}
		m.ends[p.group-1]++
	}
	at := uint32(0)
	for g, n := range m.ends {
		m.ends[g], at = at, at+n
	}
	m.rows = append(m.rows[:0], m.entries...)
	for i, e := range m.entries {
		g := m.table.entries[e].group - 1
		m.rows[m.ends[g]] = uint32(lo + i)
		m.ends[g]++
	}
	for _, e := range m.groups {
		m.table.entries[e].group = 0
	}
}

// span is the slice of an entry.
func (m *Combiner) span(e uint32) span {
	if m.window == nil {
		return span{abi.MinTime, abi.MaxTime}
	}
	start := m.table.entries[e].start
	return span{start, after(start, m.window.slice)}
}

// Drain appends what is held back to out, which has PartialColumns, and forgets it.
func (m *Combiner) Drain(out *abi.Builder) {
	var word [8]byte
	made := volume{records: int64(len(m.table.entries))}
	for i := range m.table.entries {
		p := &m.table.entries[i]
		value := word[:]
		switch {
		case m.acc != nil:
			value = m.table.acc(uint32(i))
		case m.tally != nil:
			binary.LittleEndian.PutUint64(value, p.word)
		default:
			binary.LittleEndian.PutUint64(value, uint64(p.records))
		}
		out.Append(abi.Record{
			Timestamp: p.start, Hash: p.hash, Key: m.table.keys[p.key:p.keyEnd], Value: value, Partial: abi.NewPartial(p.records, m.version),
		})
		made.bytes += partialOverhead + int64(p.keyEnd-p.key) + int64(len(value))
	}
	m.table.reset()
	m.payoff.folded(m.taken, made)
	m.taken = volume{}
}

// foldSpec names the accumulators of a reduce or aggregate.
func foldSpec(c *Config) state.Spec {
	spec := state.Spec{Operator: c.UID, Name: abi.Accumulator, Kind: state.Bytes}
	if declared := c.Function.States; len(declared) > 0 {
		spec.Version = uint16(declared[0].Version)
	}
	return spec
}
