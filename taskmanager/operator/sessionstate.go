package operator

import (
	"encoding/binary"
	"fmt"
)

// A session in the state: i64 start, i64 end, u32 length of its accumulator, u32 1 if some of it has gone out, the accumulator.
const sessionHeader = 24

// load appends the sessions that a key has.
func (s *sessions) load(number int) error {
	e := s.keys[number].entry
	v := s.pane.table.Value(e)
	if len(v) == 0 {
		return nil
	}
	version, first := s.pane.table.Version(e), len(s.all)
	v = s.keep(v)
	for len(v) > 0 {
		le := binary.LittleEndian
		if len(v) < sessionHeader || int(le.Uint32(v[16:])) > len(v)-sessionHeader {
			return fmt.Errorf("sessions of key %q: %d bytes are left of the last", s.pane.table.Key(e), len(v))
		}
		n := sessionHeader + int(le.Uint32(v[16:]))
		s.all = append(s.all, session{
			span: span{int64(le.Uint64(v)), int64(le.Uint64(v[8:]))}, key: number, accs: s.list(v[sessionHeader:n:n]),
			fired: le.Uint32(v[20:]) != 0, timed: true,
		})
		v = v[n:]
	}
	if version >= s.panes.spec.Version {
		return nil
	}
	s.accs = s.accs[:0]
	for _, one := range s.all[first:] {
		s.accs = append(s.accs, one.accs[0])
	}
	if err := s.acc.renew(s.pane.table.Key(e), version, s.accs); err != nil {
		return err
	}
	kept := s.all[:first]
	for i, one := range s.all[first:] {
		if s.accs[i] != nil {
			one.accs[0] = s.keep(s.accs[i])
			kept = append(kept, one)
		}
	}
	s.all = kept
	return nil
}

// store writes what a key has now, and sees to it that a timer comes when something of it ends.
func (s *sessions) store(k *sessionKey) error {
	t, v := s.pane.table, s.record[:0]
	for i := k.first; i < k.last; i++ {
		one := &s.all[i]
		if len(one.accs) == 0 {
			continue
		}
		if one.turn != laterTurn && s.isOver(one, s.panes.passedOf(t.Hash(k.entry))) {
			if err := s.leave(one); err != nil {
				return err
			}
			continue
		}
		le := binary.LittleEndian
		v = le.AppendUint64(v, uint64(one.start))
		v = le.AppendUint64(v, uint64(one.end))
		v = le.AppendUint32(v, uint32(len(one.accs[0])))
		fired := uint32(0)
		if one.fired {
			fired = 1
		}
		v = append(le.AppendUint32(v, fired), one.accs[0]...)
		if !one.timed || one.fired {
			at := one.end - 1
			if one.fired && one.turn != laterTurn && s.passed(one) {
				at = after(one.end, s.panes.window.lateness) - 1
			}
			if err := s.timers.Set(at, t.Hash(k.entry), t.Key(k.entry)); err != nil {
				return err
			}
		}
	}
	s.record = v
	if len(v) == 0 {
		return t.Delete(k.entry)
	}
	return t.SetValue(k.entry, v)
}
