package operator

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What a call to a process function has answered: checked as a whole, then applied to its states and timers.

// send makes the call, and takes in what it did: all of it or nothing.
func (p *Process) send(verb abi.Verb) error {
	reply, err := p.calls.Call(verb, &p.groups, &p.overlay)
	if err != nil {
		if failpoint.Planted(failpoint.OverlayLeak) {
			_ = p.overlay.apply()
		}
		if p.overlay.broken != nil {
			return p.overlay.broken
		}
		return err
	}
	if err := p.check(reply); err != nil {
		return err
	}
	if err := p.overlay.check(); err != nil {
		return err
	}
	if p.bare {
		reply = nil // what it asks for comes behind
	}
	if err := p.apply(reply); err != nil {
		return err
	}
	return p.calls.Emit(p.kind)
}

// check looks at every action before the first takes effect.
func (p *Process) check(reply []byte) error {
	if p.bare {
		return p.checkAsked(reply)
	}
	return p.walk(reply, func(group uint32, a *abi.Action) error {
		switch a.Op {
		case abi.ActionPut, abi.ActionClear:
			if p.place(group, a.Index) == nil && (int(a.Index) >= len(p.states) || p.states[a.Index].table == nil) {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d of state %d for group %d (expected a value state)", a.Op, a.Index, group)}
			}
		case abi.ActionSetTimer, abi.ActionDeleteTimer:
			if p.config.Unkeyed {
				return &ReplyError{Problem: "the guest answered a timer of a stream without key (expected a key operator before the function: a timer is a key's)"}
			}
			if int(a.Index) < len(p.timers) && p.timers[a.Index] == nil {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered a timer for group %d (a window function has none: its trigger has)", group)}
			}
			if int(a.Index) >= len(p.timers) {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered a timer of clock %d for group %d (expected 0 or 1)", a.Index, group)}
			}
		default:
			return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d for group %d (expected 1 <= op <= 4)", a.Op, group)}
		}
		return nil
	})
}

// place is where a state of a window lies, nil for one of a key.
func (p *Process) place(group uint32, number uint16) *[]byte {
	if p.scoped == nil {
		return nil
	}
	return p.scoped(group, number)
}

func (p *Process) walk(reply []byte, yield func(group uint32, a *abi.Action) error) error {
	for len(reply) > 0 {
		entry, rest, err := abi.NextReplyEntry(reply)
		if err != nil {
			return &ReplyError{Problem: err.Error()}
		}
		if int(entry.Group) >= len(p.keys) {
			return &ReplyError{Problem: fmt.Sprintf("the guest answered for group %d of %d", entry.Group, len(p.keys))}
		}
		actions := entry.Actions
		for range entry.Count {
			if p.action, actions, err = abi.NextAction(actions); err != nil {
				return &ReplyError{Problem: err.Error()}
			}
			if err := yield(entry.Group, &p.action); err != nil {
				return err
			}
		}
		reply = rest
	}
	return nil
}

func (p *Process) apply(reply []byte) error {
	for _, f := range p.fired { // a timer that fires is no more, unless it is set again
		if err := p.deleteTimer(p.input, f.time, f.hash, f.key); err != nil {
			return err
		}
	}
	if err := p.overlay.apply(); err != nil {
		return err
	}
	return p.walk(reply, func(group uint32, a *abi.Action) error {
		if a.Op == abi.ActionPut || a.Op == abi.ActionClear {
			if at := p.place(group, a.Index); at != nil {
				*at = nil
				if a.Op == abi.ActionPut {
					*at = append([]byte{}, a.Value...)
				}
				return nil
			}
		}
		p.writes(group)
		key, hash := p.keys[group], p.hashes[group]
		switch a.Op {
		case abi.ActionPut:
			return p.put(&p.states[a.Index], key, hash, a.Value)
		case abi.ActionClear:
			return p.clear(&p.states[a.Index], key, hash)
		case abi.ActionSetTimer:
			p.due[a.Index].set(a.Time, hash, key)
			return p.timers[a.Index].Set(a.Time, hash, key)
		}
		return p.deleteTimer(int(a.Index), a.Time, hash, key)
	})
}

func (p *Process) deleteTimer(clock int, time int64, hash uint64, key []byte) error {
	p.due[clock].delete(time, hash, key)
	return p.timers[clock].Delete(time, hash, key)
}

func (p *Process) put(s *processState, key []byte, hash uint64, value []byte) error {
	if err := p.find(s, key, hash, false); err != nil {
		return err
	}
	return s.table.SetValue(p.one.entry[0], value)
}

// find sets p.one.entry to the value of a key.
func (p *Process) find(s *processState, key []byte, hash uint64, read bool) error {
	p.one.key[0], p.one.hash[0] = key, hash
	return s.table.ResolveKeys(p.one.key[:], p.one.hash[:], read, p.one.entry[:])
}

func (p *Process) clear(s *processState, key []byte, hash uint64) error {
	if err := p.find(s, key, hash, true); err != nil {
		return err
	}
	if p.one.entry[0] == state.NoEntry {
		return nil
	}
	return s.table.Delete(p.one.entry[0])
}
