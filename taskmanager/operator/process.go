package operator

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Calls is the user's process function. What a call has done counts when Emit is called: until then it may be dropped.
type Calls interface {
	// Call makes a call for some groups. The reply is valid until the next call.
	Call(verb abi.Verb, groups *abi.GroupsWriter, overlay *Overlay) (reply []byte, err error)
	// Migrate has elements of a state brought from an older schema version to the one declared. The answer has as many
	// records, a null one for an element to drop, and is valid until the next call; it may be asked for during a Call. name
	// says which element a record is, abi.None: which all are.
	Migrate(state int, from uint16, elements *abi.Builder, name func(record uint32) string) (*abi.Batch, error)
	// Emit passes on what the last call has emitted.
	Emit() error
	// Retry is that of Guest.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// Process is a process function over keyed records: it hands each key's records and due timers to the guest, with the
// key's state, and takes its changes in when the call has ended well.
type Process struct {
	states  []processState
	timers  [2]state.Timers // by clock: event time, processing time
	due     [2]due
	calls   Calls
	groups  abi.GroupsWriter
	overlay Overlay
	migrate migration

	// of the batch or firing at hand
	batch  *abi.Batch
	input  int
	all    []keyed
	order  []record
	starts []uint32
	index  map[uint64]uint32 // 1 + number of the newest group with that hash
	call   []uint32          // the groups of the call that runs, as numbers of all
	keys   [][]byte
	hashes []uint64
	values [][]byte
	times  []int64
	fired  []firing
	action abi.Action // that is looked at
	one    struct {   // what is put or cleared
		key   [1][]byte
		hash  [1]uint64
		entry [1]state.Entry
	}
}

// processState is a declared state and where it is kept.
type processState struct {
	declared abi.State
	table    state.Table
	sorted   state.Sorted
	entries  []state.Entry // of the call's groups
}

// keyed is one key of a batch.
type keyed struct {
	key  []byte
	hash uint64
	n    uint32
	last uint32 // 1 + number of the group before with the same hash
}

// firing is a timer that is due.
type firing struct {
	time int64
	hash uint64
	key  []byte
}

// Names of the host's own states of a process function.
const (
	eventTimers      = "$event-timers"
	processingTimers = "$processing-timers"
)

// A value larger than this does not come with the call: the guest asks for it.
const prefetchBytes = 4 << 10

// NewProcess makes the operator of uid that runs f.
func NewProcess(uid string, key abi.Codec, f *abi.Function, store state.Store, calls Calls) (*Process, error) {
	p := &Process{calls: calls, index: map[uint64]uint32{}}
	p.overlay.process, p.migrate.process = p, p
	for _, s := range f.States {
		spec := state.Spec{Operator: uid, Name: s.Name, TTL: s.TTL, Version: uint16(s.Version), Key: key, SubKey: s.Key, Value: s.Codec}
		ps := processState{declared: s}
		var err error
		switch s.Kind {
		case "value":
			spec.Kind = state.Bytes
			ps.table, err = store.Table(spec, state.Global)
		case "list":
			spec.Kind = state.List
			ps.sorted, err = store.Sorted(spec)
		case "map":
			spec.Kind = state.Map
			ps.sorted, err = store.Sorted(spec)
		}
		if err != nil {
			return nil, err
		}
		p.states = append(p.states, ps)
	}
	for clock, name := range []string{eventTimers, processingTimers} {
		var err error
		p.due[clock].index = map[uint64]uint32{}
		if p.timers[clock], err = store.Timers(state.Spec{Operator: uid, Name: name, Kind: state.Timer, Key: key}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Process hands a batch of one input to the guest.
func (p *Process) Process(b *abi.Batch, hashes []uint64, input int) error {
	defer p.forget()
	p.batch, p.input = b, input
	for i := range b.N {
		p.order = append(p.order, record{row: uint32(i), group: p.group(b.Key(i), hashes[i])})
	}
	p.sort()
	for lo := 0; lo < len(p.order); {
		hi, err := p.fill(lo, len(p.order), callBytes)
		if err == nil {
			err = p.send(abi.VerbProcess)
		}
		if err != nil {
			if err = p.retry(err, lo, hi); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// group is the number of a key in the batch.
func (p *Process) group(key []byte, hash uint64) uint32 {
	head := p.index[hash]
	for g := head; g != 0; g = p.all[g-1].last {
		if bytes.Equal(p.all[g-1].key, key) {
			p.all[g-1].n++
			return g - 1
		}
	}
	p.all = append(p.all, keyed{key: key, hash: hash, n: 1, last: head})
	p.index[hash] = uint32(len(p.all))
	return uint32(len(p.all) - 1)
}

// sort puts the records of each key together, in the order in which they came.
func (p *Process) sort() {
	at := uint32(0)
	for _, g := range p.all {
		p.starts = append(p.starts, at)
		at += g.n
	}
	n := len(p.order)
	p.order = append(p.order, p.order...)
	sorted, came := p.order[:n], p.order[n:]
	for _, r := range came {
		sorted[p.starts[r.group]] = r
		p.starts[r.group]++
	}
	p.order = sorted
}

func (p *Process) retry(err error, lo, hi int) error {
	again := func(a, b int) error {
		if _, err := p.fill(lo+a, lo+b, math.MaxInt); err != nil {
			return err
		}
		return p.send(abi.VerbProcess)
	}
	return p.calls.Retry(err, hi-lo, again, func(unit int) Unit {
		r := p.order[lo+unit]
		return Unit{Row: int(r.row), Data: p.batch.Value(int(r.row)), Key: p.all[r.group].key}
	})
}

// fill makes a call of the records from order[lo] up to hi, or to where it has about limit bytes, and returns the first
// that is not in it. Records of a key that do not fit come with the next call.
func (p *Process) fill(lo, hi, limit int) (int, error) {
	first := lo
	p.call, p.keys, p.hashes = p.call[:0], p.keys[:0], p.hashes[:0]
	size := 0
	for ; lo < hi && size < limit; lo++ {
		r := p.order[lo]
		if len(p.call) == 0 || p.call[len(p.call)-1] != r.group {
			p.add(r.group)
		}
		size += len(p.batch.Value(int(r.row))) + 16
	}
	if err := p.resolve(); err != nil {
		return lo, err
	}
	p.groups.Reset()
	at := first
	for i, number := range p.call {
		p.groups.Begin(abi.Group{Key: p.keys[i]})
		p.prefetch(i)
		p.values, p.times = p.values[:0], p.times[:0]
		for ; at < lo && p.order[at].group == number; at++ {
			row := int(p.order[at].row)
			p.values = append(p.values, p.batch.Value(row))
			t := abi.NoTimestamp
			if p.batch.Timestamps != nil {
				t = p.batch.Timestamps[row]
			}
			p.times = append(p.times, t)
		}
		p.groups.List(abi.ListInput0+abi.ListTag(p.input), 0, len(p.values), p.times, p.values)
		p.groups.EndGroup()
	}
	return lo, nil
}

// add makes a key one of the call's.
func (p *Process) add(number uint32) {
	p.call = append(p.call, number)
	p.keys = append(p.keys, p.all[number].key)
	p.hashes = append(p.hashes, p.all[number].hash)
}

// resolve finds the values of the call's keys, in the version declared, and begins the call's overlay.
func (p *Process) resolve() error {
	p.overlay.begin(len(p.keys))
	for i := range p.states {
		s := &p.states[i]
		if s.table == nil {
			continue
		}
		if cap(s.entries) < len(p.keys) {
			s.entries = make([]state.Entry, 2*len(p.keys))
		}
		s.entries = s.entries[:len(p.keys)]
		if err := s.table.ResolveKeys(p.keys, p.hashes, true, s.entries); err != nil {
			return err
		}
	}
	return p.migrate.values()
}

// value is a value state of group i of the call, nil when it is not set.
func (p *Process) value(s *processState, i int) []byte {
	if e := s.entries[i]; e != state.NoEntry {
		return s.table.Value(e)
	}
	return nil
}

// prefetch writes the value states of group i of the call.
func (p *Process) prefetch(i int) {
	for k := range p.states {
		s := &p.states[k]
		if s.table == nil {
			continue
		}
		switch v := p.value(s, i); {
		case v == nil:
		case len(v) > prefetchBytes:
			p.groups.List(abi.ListState, uint16(k), 1, nil, nil)
		default:
			p.values = append(p.values[:0], v)
			p.groups.List(abi.ListState, uint16(k), 1, nil, p.values)
		}
	}
}

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
	if err := p.apply(reply); err != nil {
		return err
	}
	return p.calls.Emit()
}

// check looks at every action before the first takes effect.
func (p *Process) check(reply []byte) error {
	return p.walk(reply, func(group uint32, a *abi.Action) error {
		switch a.Op {
		case abi.ActionPut, abi.ActionClear:
			if int(a.Index) >= len(p.states) || p.states[a.Index].table == nil {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d of state %d for group %d (expected a value state)", a.Op, a.Index, group)}
			}
		case abi.ActionSetTimer, abi.ActionDeleteTimer:
			if int(a.Index) >= len(p.timers) {
				return &ReplyError{Problem: fmt.Sprintf("the guest answered a timer of clock %d for group %d (expected 0 or 1)", a.Index, group)}
			}
		default:
			return &ReplyError{Problem: fmt.Sprintf("the guest answered op %d for group %d (expected 1 <= op <= 4)", a.Op, group)}
		}
		return nil
	})
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

// forget makes ready for the next batch.
func (p *Process) forget() {
	clear(p.index)
	clear(p.values[:cap(p.values)])
	p.all, p.order, p.starts, p.batch = p.all[:0], p.order[:0], p.starts[:0], nil
	p.fired = p.fired[:0]
}

// Clocks of timers.
const (
	EventTime      = 0
	ProcessingTime = 1
)

// fireTimers is how many timers fire in one call.
const fireTimers = 1024

// Fire has timers of a clock that are due at until fire, at most one of each key, the earliest first, and answers whether
// any did: then it is to be called again.
func (p *Process) Fire(clock int, until int64) (fired bool, err error) {
	defer p.forget()
	d := &p.due[clock]
	if err := d.find(p.timers[clock], until); err != nil {
		return false, err
	}
	next := d.next(until, fireTimers)
	times := make([]int64, 0, len(next))
	for _, number := range next {
		k := &d.keys[number]
		p.all = append(p.all, keyed{key: k.key, hash: k.hash, n: 1})
		times = append(times, k.times[0])
	}
	if len(p.all) == 0 {
		return false, nil
	}
	p.input = clock
	call := func(lo, hi int) error {
		if err := p.fillTimers(lo, hi, clock, times); err != nil {
			return err
		}
		return p.send(abi.VerbTimer)
	}
	if err = call(0, len(p.all)); err != nil {
		err = p.calls.Retry(err, len(p.all), call, func(unit int) Unit {
			k := p.all[unit]
			name := fmt.Sprintf("the %s timer for %d of key", [...]string{"event-time", "processing-time"}[clock], times[unit])
			due := abi.NoTimestamp
			if clock == 0 {
				due = times[unit]
			}
			return Unit{Row: -1, Name: name, Data: k.key, Key: k.key, Time: due, Skip: func() error { return p.deleteTimer(clock, times[unit], k.hash, k.key) }}
		})
	}
	return true, err
}

func (p *Process) fillTimers(lo, hi, clock int, times []int64) error {
	p.call, p.keys, p.hashes, p.fired = p.call[:0], p.keys[:0], p.hashes[:0], p.fired[:0]
	for i := lo; i < hi; i++ {
		p.add(uint32(i))
		p.fired = append(p.fired, firing{times[i], p.all[i].hash, p.all[i].key})
	}
	if err := p.resolve(); err != nil {
		return err
	}
	p.groups.Reset()
	for i := range p.keys {
		g := abi.Group{Flags: abi.GroupHasTimer, TimerTime: times[lo+i], Key: p.keys[i]}
		if clock == ProcessingTime {
			g.Flags |= abi.GroupTimerProcessing
		}
		p.groups.Begin(g)
		p.prefetch(i)
		p.groups.EndGroup()
	}
	return nil
}

// Next is when the next timer of processing time is due, the zero time for never.
func (p *Process) Next() time.Time {
	next, err := p.timers[ProcessingTime].Next()
	if err != nil || next == abi.MaxTime {
		return time.Time{}
	}
	return time.UnixMilli(next)
}
