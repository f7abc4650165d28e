package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// native is what count, sum and aggregates have in common: their results are made here, at once.
type native struct {
	panes
	does  keeping
	final bool
}

// newNative makes the operator that c describes.
func newNative(c *Config, p panes) (interface {
	Operator
	adding
}, error) {
	if c.Kind == abi.OperatorAggregates || c.sumsExactly() {
		return newAggregates(c, p)
	}
	return newTally(c, p)
}

// sumsExactly says whether the operator is a sum that is more than a word a key.
func (c *Config) sumsExactly() bool {
	return c.Exact && c.Kind == abi.OperatorSum && c.Value == abi.CodecF64
}

// keeping is what an operator does with records and results of panes by itself.
type keeping interface {
	// add adds the records of a pane, whose entries are resolved, to what is kept of their keys.
	add(b *abi.Batch, p *pane) error
	// join adds the accumulators of a pane, whose entries are resolved, to what is kept of their keys.
	join(b *abi.Batch, p *pane) error
	// newest appends the result of each entry.
	newest(p *pane, entries []state.Entry, out *abi.Builder) error
}

// begin makes ready for the windows that there are, and finds what a snapshot held. undo takes one accumulator out of another;
// nil: that cannot be done.
func (t *native) begin(c *Config, acc adding, undo func(all, part []byte)) (err error) {
	switch w := t.window; {
	case c.adds:
		return nil
	case c.Window != nil && c.Window.Kind == CountWindows:
		t.counted, err = newCounts(&t.panes, acc, c.Window)
	case w != nil && w.sliding():
		t.slider = newSlider(&t.panes, acc, undo)
	case w != nil && w.gap > 0:
		t.session, err = newSessions(&t.panes, acc)
	}
	if err != nil {
		return err
	}
	return t.restore(c.Groups)
}

// Process implements Operator.
func (t *native) Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	switch {
	case b.Partials != nil && (t.session != nil || t.counted != nil):
		return errPartials
	case t.session != nil:
		return t.session.process(b, hashes, now, out)
	case t.counted != nil:
		return t.counted.process(b, hashes, out)
	case t.slider != nil:
		if err := t.slider.catchUp(b, hashes, out); err != nil {
			return err
		}
	}
	if err := t.cut(b, hashes, now); err != nil {
		return err
	}
	defer t.settle()
	take := t.does.add
	if b.Partials != nil {
		take = t.does.join
	}
	for _, p := range t.touched {
		if t.slider != nil {
			if err := t.slider.amend(p, b, hashes); err != nil {
				return err
			}
		}
		if err := t.resolve(p, b, hashes); err != nil {
			return err
		}
		if err := take(b, p); err != nil {
			return err
		}
		if err := t.updates(p, out); err != nil {
			return err
		}
	}
	if t.slider != nil {
		return t.slider.again(out)
	}
	return nil
}

// updates appends the results of p that are due at once: of all time, or of a window that has fired.
func (t *native) updates(p *pane, out *abi.Builder) error {
	switch {
	case t.window == nil && !t.final:
		return t.does.newest(p, t.distinct(p, p.entries), out)
	case t.slider != nil:
		if err := t.slider.changed(p); err != nil {
			return err
		}
		t.slider.came(p, t.distinct(p, p.entries))
	case t.window != nil && t.window.lateness > 0:
		return t.does.newest(p, t.fired(p, t.distinct(p, p.entries)), out)
	}
	return nil
}

// Fire implements Operator.
func (t *native) Fire(watermark int64, out *abi.Builder) (bool, error) {
	switch {
	case t.slider != nil:
		return t.slider.fire(watermark, out)
	case t.session != nil:
		return t.session.fire(watermark, out)
	}
	t.firesTo(watermark)
	p, err := t.due(watermark)
	switch {
	case err != nil:
		return false, err
	case p == nil:
		return false, t.passAll(watermark)
	}
	if t.window == nil && !t.final {
		return true, t.drop()
	}
	fired := 0
	for limit := out.Bytes() + fireBytes; fired < fireRecords && out.Bytes() < limit; {
		entries, more, err := t.unfired(p, t.scan[:])
		switch {
		case err != nil:
			return false, err
		case !more:
			return true, t.close(p, watermark)
		case len(entries) == 0:
			return true, nil
		}
		fired += len(entries)
		if err = t.does.newest(p, entries, out); err == nil {
			err = t.gone(p, entries)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
