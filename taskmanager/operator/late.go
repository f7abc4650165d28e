package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// again puts out what late records have made of windows that have fired and still take them, for entries of a slice, each
// once.
func (s *slider) again(p *pane, entries []state.Entry, out *abi.Builder) error {
	w := s.panes.window
	if w.lateness == 0 {
		return nil
	}
	for end := w.first(p.start); end <= w.last(p.start); end = w.next(end) {
		if after(end, w.lateness)-1 <= s.panes.passed {
			continue
		}
		if err := s.repeat(p, entries, span{end - w.size, end}, out); err != nil {
			return err
		}
		if end == abi.MaxTime {
			break
		}
	}
	return nil
}

// repeat is again for one window, if it has fired.
func (s *slider) repeat(p *pane, entries []state.Entry, window span, out *abi.Builder) error {
	var keys [][]byte
	var hashes []uint64
	for _, e := range entries {
		hash := p.table.Hash(e)
		if window.end-1 <= s.panes.passedOf(hash) && !s.panes.shut(window.end, hash) {
			keys, hashes = append(keys, p.table.Key(e)), append(hashes, hash)
		}
	}
	return s.emitOf(keys, hashes, window, out)
}

// emitOf puts out a window for some keys, from what its slices have.
func (s *slider) emitOf(keys [][]byte, hashes []uint64, window span, out *abi.Builder) error {
	if len(keys) == 0 {
		return nil
	}
	accs := make([][][]byte, len(keys))
	found := make([]state.Entry, len(keys))
	for _, slice := range s.panes.open {
		if slice.start < window.start || slice.end > window.end {
			continue
		}
		if err := slice.table.ResolveKeys(keys, hashes, true, found); err != nil {
			return err
		}
		there := slices.DeleteFunc(slices.Clone(found), func(e state.Entry) bool { return e == state.NoEntry })
		if err := s.acc.ready(slice, there); err != nil {
			return err
		}
		for i, e := range found {
			if e == state.NoEntry {
				continue
			}
			if acc := s.acc.of(slice.table, e); acc != nil {
				accs[i] = append(accs[i], append([]byte(nil), acc...))
			}
		}
	}
	some := 0
	for i := range keys {
		if accs[i] != nil {
			keys[some], accs[some] = keys[i], accs[i]
			some++
		}
	}
	return s.panes.told.emit(s.acc, some, func(i int) piece { return piece{window, keys[i], accs[i]} }, out)
}
