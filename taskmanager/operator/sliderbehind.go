package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// catchUp puts out windows that take no more records of the batch's keys, where their results are still to come: who goes on from the
// middle of a firing has records before the rest of it, and one that is in time for a later window of its slice is not in those.
func (s *slider) catchUp(b *abi.Batch, hashes []uint64, out *abi.Builder) error {
	if !s.panes.midway() || s.panes.window.processing {
		return nil
	}
	keys, of, until := s.panes.behind(b, hashes)
	for passed := s.panes.passed; len(keys) > 0; {
		end, ok := s.panes.upcoming(passed)
		if !ok || end-1 > until {
			return nil
		}
		if err := s.bringForward(keys, of, end, out); err != nil {
			return err
		}
		passed = end - 1
	}
	return nil
}

// bringForward puts out the window that ends at end for those of some keys for which it takes no more records, and is not out.
func (s *slider) bringForward(keys [][]byte, hashes []uint64, end int64, out *abi.Builder) (err error) {
	var shut [][]byte
	var of []uint64
	for i, hash := range hashes {
		if s.panes.passedOf(hash) < end-1 && s.panes.shut(end, hash) {
			shut, of = append(shut, keys[i]), append(of, hash)
		}
	}
	window := span{end - s.panes.window.size, end}
	if len(shut) > 0 {
		shut, of, err = s.panes.emitted.ahead(state.Namespace(window.start), shut, of)
	}
	if err != nil {
		return err
	}
	return s.emitOf(shut, of, window, out)
}

// behind are keys of a batch, each once, that have a record of a slice of which windows should have fired and have not, or not for all
// keys; until is the latest watermark to which they should have.
func (p *panes) behind(b *abi.Batch, hashes []uint64) (keys [][]byte, of []uint64, until int64) {
	seen := map[string]bool{}
	until = abi.MinTime
	for row, t := range b.Timestamps {
		key, hash := b.Key(row), hashes[row]
		reached := p.reached(hash)
		if slice, _ := p.window.bounds(t); t == abi.NoTimestamp || p.passedOf(hash) == reached || p.window.first(slice)-1 > reached || seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		keys, of, until = append(keys, key), append(of, hash), max(until, reached)
	}
	return keys, of, until
}
