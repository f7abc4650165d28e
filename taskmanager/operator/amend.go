package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// A record may come for a slice that a slider has taken in already. Where an accumulator can be taken out of another, the totals of
// the keys that have such records are amended; else all totals are made anew when the next window fires.

// amendment is a key that has records for a slice that is in.
type amendment struct {
	key  []byte
	hash uint64
	was  []byte // what the slice had of it, nil: nothing
}

// amend notes what a slice has of the keys of its records, before they are added to it.
func (s *slider) amend(p *pane, b *abi.Batch, hashes []uint64) error {
	s.amended = s.amended[:0]
	if !p.in || s.undo == nil || s.stale {
		return nil
	}
	seen := map[string]bool{}
	keys, of := s.amendKeys[:0], s.amendHashes[:0]
	for _, row := range p.rows {
		if key := b.Key(int(row)); !seen[string(key)] {
			seen[string(key)] = true
			keys, of = append(keys, key), append(of, hashes[row])
		}
	}
	s.amendKeys, s.amendHashes = keys, of
	found := make([]state.Entry, len(keys))
	if err := p.table.ResolveKeys(keys, of, true, found); err != nil {
		return err
	}
	for i, e := range found {
		one := amendment{key: keys[i], hash: of[i]}
		if e != state.NoEntry {
			one.was = append([]byte{}, s.acc.of(p.table, e)...)
		}
		s.amended = append(s.amended, one)
	}
	return nil
}

// changed says that records have come for a slice, and takes them into what has been amended.
func (s *slider) changed(p *pane) error {
	if !p.in || s.undo == nil || s.stale {
		s.stale = s.stale || p.in
		return nil
	}
	found := make([]state.Entry, len(s.amended))
	if err := p.table.ResolveKeys(s.amendKeys, s.amendHashes, true, found); err != nil {
		return err
	}
	places := make([]state.Entry, len(s.amended))
	if err := s.running.ResolveKeys(s.amendKeys, s.amendHashes, false, places); err != nil {
		return err
	}
	for i, one := range s.amended {
		if err := s.amendKey(&one, places[i], s.acc.of(p.table, found[i])); err != nil {
			return err
		}
	}
	return nil
}

// amendKey takes what a slice has now of a key into its total, in place of what it had.
func (s *slider) amendKey(one *amendment, place state.Entry, now []byte) error {
	_, back, slices := split(s.running.Value(place))
	if one.was == nil {
		slices++
	} else if slices > 1 {
		back = append([]byte{}, back...)
		s.undo(back, one.was)
	} else {
		back = nil // it was this slice's alone
	}
	if back == nil {
		return s.set(place, nil, append([]byte{}, now...), slices)
	}
	s.parts[0], s.parts[1] = back, now
	return s.acc.merge(1, func(int) piece { return piece{s.window(), one.key, s.parts[:]} },
		func(_ int, merged []byte) error { return s.set(place, nil, merged, slices) })
}
