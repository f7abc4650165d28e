package operator

// join merges the accumulators of the batch into those of their keys, in the order in which they came.
func (f *fold) join() error {
	if err := f.renewBatch(); err != nil {
		return err
	}
	f.several = f.several[:0]
	for i := range f.all {
		g := &f.all[i]
		there, err := f.wholeResult(uint32(i))
		if err != nil {
			return err
		}
		g.dropped = !there
		own := there && g.pane.table.Value(g.entry) != nil
		switch parts := f.partsOf(i); {
		case len(parts) == 0 || len(parts) == 1 && own:
		case len(parts) == 1:
			if err := g.pane.table.SetValue(g.entry, parts[0]); err != nil {
				return err
			}
			g.dropped = false
		default:
			f.several = append(f.several, i)
		}
	}
	several := f.several
	return f.merge(len(several),
		func(i int) piece {
			g := &f.all[several[i]]
			return piece{g.pane.span, g.pane.table.Key(g.entry), f.partsOf(several[i])}
		},
		func(i int, merged []byte) error {
			g := &f.all[several[i]]
			g.dropped = false
			return g.pane.table.SetValue(g.entry, merged)
		})
}

// partsOf is the accumulators of a group: its own, if it has one, and those of the batch. It is valid until the next call.
func (f *fold) partsOf(i int) [][]byte {
	f.parts = f.parts[:0]
	g, first := &f.all[i], uint32(0)
	if i > 0 {
		first = f.starts[i-1] // starts are ends now
	}
	if own := g.pane.table.Value(g.entry); own != nil && !g.dropped {
		f.parts = append(f.parts, own)
	}
	for _, r := range f.order[first:f.starts[i]] {
		acc, older := f.renewed[r.row]
		switch {
		case !older:
			f.parts = append(f.parts, f.batch.Value(int(r.row)))
		case acc != nil:
			f.parts = append(f.parts, acc)
		}
	}
	return f.parts
}

// renewBatch migrates accumulators of the batch that are of an older version: a barrier had overtaken them, and the job goes on
// from there with another module.
func (f *fold) renewBatch() error {
	clear(f.renewed)
	if f.spec.Version == 0 {
		return nil
	}
	for row, p := range f.batch.Partials {
		if p.Version() >= f.spec.Version {
			continue
		}
		accs := [][]byte{f.batch.Value(row)}
		if err := f.renew(f.batch.Key(row), p.Version(), accs); err != nil {
			return err
		}
		if f.renewed == nil {
			f.renewed = map[uint32][]byte{}
		}
		if accs[0] != nil {
			accs[0] = append([]byte{}, accs[0]...)
		}
		f.renewed[uint32(row)] = accs[0]
	}
	return nil
}
