package operator

import (
	"cmp"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// repeated is a window that has fired and is to be put out again, for keys that late records of a batch have come for.
type repeated struct {
	end    int64
	keys   [][]byte
	hashes []uint64
	seen   map[string]bool
}

// came notes the windows that have fired and still take the records that have come for entries of a slice, each once.
func (s *slider) came(p *pane, entries []state.Entry) {
	w := s.panes.window
	if w.lateness == 0 {
		return
	}
	passed := s.panes.furthest()
	for end := w.first(p.start); end-1 <= passed && end <= w.last(p.start); end = w.next(end) {
		if after(end, w.lateness)-1 > s.panes.passed {
			s.cameTo(end, p, entries)
		}
		if end == abi.MaxTime {
			break
		}
	}
}

func (s *slider) cameTo(end int64, p *pane, entries []state.Entry) {
	var to *repeated
	for _, e := range entries {
		hash := p.table.Hash(e)
		if end-1 > s.panes.passedOf(hash) || s.panes.shut(end, hash) {
			continue
		}
		if to == nil {
			to = s.repeatedOf(end)
		}
		if key := p.table.Key(e); !to.seen[string(key)] {
			to.seen[string(key)] = true
			to.keys, to.hashes = append(to.keys, key), append(to.hashes, hash)
		}
	}
}

// repeatedOf is what is noted of a window, which is kept in the order of their ends.
func (s *slider) repeatedOf(end int64) *repeated {
	at, there := slices.BinarySearchFunc(s.repeated, end, func(r *repeated, end int64) int { return cmp.Compare(r.end, end) })
	if !there {
		s.repeated = slices.Insert(s.repeated, at, &repeated{end: end, seen: map[string]bool{}})
	}
	return s.repeated[at]
}

// again puts out what the late records of a batch have made of windows, which came has noted: once for each key, however many slices
// of a window have some.
func (s *slider) again(out *abi.Builder) error {
	if len(s.repeated) == 0 {
		return nil
	}
	defer func() { s.repeated = nil }()
	for _, r := range s.repeated {
		if err := s.emitOf(r.keys, r.hashes, span{r.end - s.panes.window.size, r.end}, out); err != nil {
			return err
		}
	}
	return nil
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
