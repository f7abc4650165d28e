package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// catchUp joins windows that should have fired for the batch's keys and have not: who goes on from the middle of a firing has records
// before the rest of it, and these are late for them.
func (j *windowJoin) catchUp(b *abi.Batch, hashes []uint64) error {
	if !j.midway() || j.window.processing {
		return nil
	}
	keys, of, _ := j.behind(b, hashes)
	all := make([]firing, len(keys)) // by key the window that was looked at last
	for i, key := range keys {
		all[i] = firing{j.passedOf(of[i]), of[i], key}
	}
	for len(all) > 0 {
		for i := range all {
			if err := j.goOn(&all[i]); err != nil {
				return err
			}
		}
		all = slices.DeleteFunc(all, func(f firing) bool { return f.time == abi.MaxTime })
		j.due = append(j.due[:0], all...)
		if err := j.fired(); err != nil {
			return err
		}
	}
	return nil
}

// goOn takes a key on to the next of its windows that should have fired and is still to come; the end of time: there is none.
func (j *windowJoin) goOn(f *firing) error {
	for until := j.reached(f.hash); ; {
		end := int64(abi.MaxTime)
		for input := range j.match.kept {
			kept := &j.match.kept[input]
			err := kept.scan(f.hash, f.key, kept.from(shift(f.time+1, -j.window.size)), until, func(place, _ []byte) bool {
				slice, _ := j.window.bounds(timeAt(place))
				next, ok := j.window.upcoming(slice, f.time)
				if ok {
					end = min(end, next)
				}
				return !ok
			})
			if err != nil {
				return err
			}
		}
		if f.time = end - 1; f.time > until {
			f.time = abi.MaxTime
			return nil
		}
		if due, err := j.ends.Has(f.time, f.hash, f.key); due || err != nil {
			return err
		}
	}
}
