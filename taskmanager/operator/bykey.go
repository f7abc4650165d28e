package operator

import "github.com/wasmill/wasmill/taskmanager/state"

// byKey puts the records of a batch that have one key together. Its fields are scratch memory.
type byKey struct {
	entries []state.Entry
	starts  []uint32
	order   []record
}

// each calls visit for each key of a batch that p has resolved, with its records in the order in which they came.
func (k *byKey) each(p *pane, visit func(e state.Entry, records []record) error) error {
	p.grow()
	k.entries, k.starts, k.order = k.entries[:0], k.starts[:0], k.order[:0]
	for i, e := range p.entries {
		if p.group[e] == 0 {
			k.entries, k.starts = append(k.entries, e), append(k.starts, 0)
			p.group[e] = uint32(len(k.entries))
		}
		g := p.group[e] - 1
		k.starts[g]++
		k.order = append(k.order, record{row: uint32(i), group: g})
	}
	at := uint32(0)
	for g, n := range k.starts {
		k.starts[g], at = at, at+n
		p.group[k.entries[g]] = 0
	}
	k.order = together(k.order, k.starts)
	first := uint32(0)
	for g, e := range k.entries { // starts are ends now
		if err := visit(e, k.order[first:k.starts[g]]); err != nil {
			return err
		}
		first = k.starts[g]
	}
	return nil
}
