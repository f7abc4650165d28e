package operator

import (
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
)

// windowFunction calls the user's function of windows with what each has, and keeps its states: those of a key are those of a
// process function, those of a window lie in its mark.
type windowFunction struct {
	process *Process
	calls   Calls
	scoped  int   // how many states it has in a mark
	numbers []int // of its states: their number in a mark, -1 for one of the key
	keyed   bool  // it has states of the key
	timed   bool
	pulls   bool            // it asks for elements that did not come with the call
	cells   []*cell         // of the call
	index   map[string]bool // keys of the call
	times   []int64
	values  [][]byte
}

// newWindowFunction makes that of c; first is how many states its trigger has in a mark.
func newWindowFunction(c *Config, first int) (*windowFunction, error) {
	p, err := NewProcess(ProcessConfig{UID: c.UID, Key: c.Key, Function: c.Function, Store: c.Store, Calls: c.Calls})
	if err != nil {
		return nil, err
	}
	f := &windowFunction{process: p, calls: c.Calls, timed: timed(c.Window), pulls: c.Function.Pulls, index: map[string]bool{}}
	for _, s := range c.Function.States {
		if s.Scope != abi.ScopeWindow {
			f.numbers, f.keyed = append(f.numbers, -1), f.keyed || s.Name != abi.Accumulator
			continue
		}
		f.numbers = append(f.numbers, first+f.scoped)
		f.scoped++
	}
	p.scoped = f.place
	return f, nil
}

// place is where a state of the window of a group of the call lies, nil for a state of the key.
func (f *windowFunction) place(group uint32, number uint16) *[]byte {
	if int(number) >= len(f.numbers) || f.numbers[number] < 0 {
		return nil
	}
	return &f.cells[group].mark.states[f.numbers[number]]
}

// call hands what windows have to the function, in as many calls as that takes: with their elements, or what they are folded
// into. What one has changed of a key's state the next one sees.
func (f *windowFunction) call(cells []*cell) error {
	defer clear(f.values[:cap(f.values)])
	for lo := 0; lo < len(cells); {
		hi, err := f.fill(cells, lo, len(cells), callBytes)
		if err == nil {
			err = f.process.send(abi.VerbWindow)
		}
		if err != nil {
			first := lo
			again := func(a, b int) error {
				for at := first + a; at < first+b; {
					var err error
					if at, err = f.fill(cells, at, first+b, math.MaxInt); err != nil {
						return err
					}
					if err := f.process.send(abi.VerbWindow); err != nil {
						return err
					}
				}
				return nil
			}
			if err = f.calls.Retry(err, hi-lo, again, func(unit int) Unit { return f.unit(cells[first+unit]) }); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// fill makes a call of cells from lo up to hi, or to where it has about limit bytes, or a key comes again, and returns the
// first that is not in it.
func (f *windowFunction) fill(cells []*cell, lo, hi, limit int) (int, error) {
	p := f.process
	p.keys, p.hashes = p.keys[:0], p.hashes[:0]
	clear(f.index)
	begun, size := lo, 0
	for ; lo < hi && size < limit; lo++ {
		c := cells[lo]
		key := c.key()
		if f.keyed {
			if f.index[string(key)] {
				break
			}
			f.index[string(key)] = true
		}
		p.keys, p.hashes = append(p.keys, key), append(p.hashes, c.hash())
		size += c.size()
	}
	f.cells = cells[begun:lo]
	if err := p.resolve(); err != nil {
		return lo, err
	}
	p.groups.Reset()
	for i, c := range f.cells {
		g := abi.Group{Key: p.keys[i], Flags: c.timing}
		if f.timed {
			g.Flags |= abi.GroupHasWindow
			g.WindowStart, g.WindowEnd = c.start, c.end
		}
		p.groups.Begin(g)
		p.prefetch(i)
		f.write(c)
		p.groups.EndGroup()
	}
	return lo, nil
}

// size is about how much a cell takes in a call.
func (c *cell) size() (n int) {
	for i := range c.full {
		n += len(c.full[i].value) + 16
	}
	for _, acc := range c.accs {
		n += len(acc)
	}
	return n + len(c.key()) + abi.GroupHeaderBytes
}

// write adds the states of a window and what it has.
func (f *windowFunction) write(c *cell) {
	g := &f.process.groups
	for number, at := range f.numbers {
		if at < 0 {
			continue
		}
		if f.values = f.values[:0]; c.mark.states[at] != nil {
			f.values = append(f.values, c.mark.states[at])
		}
		g.List(abi.ListState, uint16(number), len(f.values), nil, f.values)
	}
	if len(c.accs) > 0 {
		g.List(abi.ListAccumulators, 0, 1, nil, c.accs[:1])
		return
	}
	if c.large != nil {
		g.List(abi.ListInput0, 0, c.large.total, nil, nil)
		return
	}
	f.times, f.values = f.times[:0], f.values[:0]
	for _, e := range c.full {
		f.times, f.values = append(f.times, e.time), append(f.values, e.value)
	}
	g.List(abi.ListInput0, 0, len(f.values), f.times, f.values)
}

// unit is a window whose result cannot be made.
func (f *windowFunction) unit(c *cell) Unit {
	u := Unit{Row: -1, Name: "the result of key", Data: c.key(), Key: c.key(), Time: abi.NoTimestamp}
	if f.timed {
		u.Name, u.Time = fmt.Sprintf("the result from %d to %d of key", c.start, c.end), c.end-1
	}
	return u
}
