package operator

import (
	"bytes"
	"math"

	"github.com/wasmill/wasmill/abi"
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
	// Emit passes on what the last call has emitted, as changes of that kind.
	Emit(kind abi.ChangeKind) error
	// Retry is that of Guest.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// Process is a process function: it hands each key's records and due timers to the guest, with the key's state, and takes
// its changes in when the call has ended well. Without keys there is one group, of all records, and no timers.
type Process struct {
	config  ProcessConfig
	states  []processState
	clock   *state.Clock    // of states that live by event time, nil: none does
	passed  progress        // the watermark that clock shows
	timers  [2]state.Timers // by clock: event time, processing time
	due     [2]due
	pace    pace
	calls   Calls
	groups  abi.GroupsWriter
	overlay Overlay
	migrate migration
	scoped  func(group uint32, state uint16) *[]byte // of a window function: where a state of the window lies, nil for one of the key

	// records answers, of a window function, for the elements of a group; nil: all come with the call
	records func(group uint32, r *abi.StateRequest, a *abi.StateAnswer, memory *[]byte) error
	kind    abi.ChangeKind // of what the function emits

	// of the batch or firing at hand
	batch  *abi.Batch
	input  int
	bare   bool     // its records are broadcast: they have no key, and change what is
	asked  []uint16 // states whose keys the record of the last call is to be applied to
	walked applying
	all    []keyed
	order  []record
	starts []uint32
	index  map[uint64]uint32 // 1 + number of the newest group with that hash
	call   []uint32          // the groups of the call that runs, as numbers of all
	keys   [][]byte
	hashes []uint64
	stamps []int64 // the event times of what the call's keys write, abi.NoTimestamp for none
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
	own      *ownList      // of the operator's own scope, not of a key
	copied   *ownMap       // the same; broadcast
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

// ProcessConfig is what a process function's operator is made of.
type ProcessConfig struct {
	UID      string
	Key      abi.Codec // of the input
	Unkeyed  bool      // the input has no keys
	Function *abi.Function
	Share    Share // of the operator's own lists
	Store    state.Store
	Calls    Calls
}

// NewProcess makes the operator that c describes.
func NewProcess(c ProcessConfig) (*Process, error) {
	p := &Process{config: c, calls: c.Calls, index: map[uint64]uint32{}}
	p.overlay.process, p.migrate.process = p, p
	for _, s := range c.Function.States {
		ps, err := c.open(s)
		if err != nil {
			return nil, err
		}
		p.states = append(p.states, ps)
	}
	if err := p.openClock(); err != nil {
		return nil, err
	}
	if c.Unkeyed || c.Function.Kind == abi.FunctionWindow {
		return p, nil // there are no timers
	}
	for clock, name := range []string{eventTimers, processingTimers} {
		var err error
		p.due[clock].index = map[uint64]uint32{}
		if p.timers[clock], err = c.Store.Timers(state.Spec{Operator: c.UID, Name: name, Kind: state.Timer, Key: c.Key}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// open opens a declared state.
func (c *ProcessConfig) open(s abi.State) (ps processState, err error) {
	ps.declared = s
	spec := state.Spec{Operator: c.UID, Name: s.Name, TTL: s.TTL, Event: s.ByEventTime(), Version: uint16(s.Version), Key: c.Key, SubKey: s.Key, Value: s.Codec}
	switch {
	case s.Scope == abi.ScopeWindow, c.Function.Kind == abi.FunctionWindow && s.Name == abi.Accumulator: // they lie with the windows
	case s.Scope == abi.ScopeOperator:
		ps.own, err = openList(c.UID, s, c.Store, c.Share)
	case s.Scope == abi.ScopeBroadcast:
		ps.copied, err = openMap(c.UID, s, c.Store, c.Share)
	case s.Kind == "value":
		spec.Kind = state.Bytes
		ps.table, err = c.Store.Table(spec, state.Global)
	case s.Kind == "list":
		spec.Kind = state.List
		ps.sorted, err = c.Store.Sorted(spec)
	case s.Kind == "map":
		spec.Kind = state.Map
		ps.sorted, err = c.Store.Sorted(spec)
	}
	return ps, err
}

// Begin comes before all else: it brings the operator's own lists to the schema that is declared, and has a function that asks for
// it make of them what it needs.
func (p *Process) Begin() error {
	for i := range p.states {
		if own := p.states[i].own; own != nil {
			if err := own.migrate(i, p.calls); err != nil {
				return err
			}
		}
		if m := p.states[i].copied; m != nil {
			if err := m.migrate(i, p.calls); err != nil {
				return err
			}
		}
	}
	if !p.config.Function.Begins {
		return nil
	}
	call := func(int, int) error {
		p.keys, p.hashes, p.fired = p.keys[:0], p.hashes[:0], p.fired[:0]
		p.overlay.begin(0) // of no key
		p.groups.Reset()
		p.groups.Begin(abi.Group{})
		p.groups.EndGroup()
		return p.send(abi.VerbBegin)
	}
	err := call(0, 1)
	if err != nil {
		err = p.calls.Retry(err, 1, call, func(int) Unit { return Unit{Row: -1, Name: "the beginning of a subtask", Time: abi.NoTimestamp} })
	}
	return err
}

// Save stores, before a snapshot, what is not in tables.
func (p *Process) Save() error {
	if p.clock != nil {
		if err := p.passed.save(p.config.Store, p.config.UID, passedName); err != nil {
			return err
		}
	}
	for i := range p.states {
		if own := p.states[i].own; own != nil {
			if err := own.save(p.config.UID, p.config.Store); err != nil {
				return err
			}
		}
		if m := p.states[i].copied; m != nil {
			if err := m.save(p.config.UID, p.config.Store); err != nil {
				return err
			}
		}
	}
	return nil
}

// Process hands a batch of one input to the guest. Without keys there are no hashes.
func (p *Process) Process(b *abi.Batch, hashes []uint64, input int) error {
	defer p.forget()
	p.batch, p.input = b, input
	p.bare = input == 1 && p.config.Function.Broadcasts()
	unkeyed := p.config.Unkeyed || p.bare
	for i := range b.N {
		group := uint32(0)
		if !unkeyed {
			group = p.group(b.Key(i), hashes[i])
		}
		p.order = append(p.order, record{row: uint32(i), group: group})
	}
	if unkeyed {
		p.all = append(p.all, keyed{n: uint32(b.N)})
	} else {
		p.sort()
	}
	for lo := 0; lo < len(p.order); {
		most := len(p.order)
		if p.bare && p.config.Function.Applies {
			most = lo + 1 // it is applied before the next one changes anything
		}
		hi, err := p.fill(lo, most, callBytes)
		if err == nil {
			err = p.send(abi.VerbProcess)
		}
		if err != nil {
			if err = p.retry(err, lo, hi); err != nil {
				return err
			}
		}
		if err := p.applyAsked(lo); err != nil {
			return err
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
	p.order = together(p.order, p.starts)
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
	p.call, p.keys, p.hashes, p.stamps = p.call[:0], p.keys[:0], p.hashes[:0], p.stamps[:0]
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
		p.groups.Begin(abi.Group{Key: p.all[number].key})
		if !p.bare {
			p.prefetch(i)
		}
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
		if p.clock != nil {
			p.stamps = append(p.stamps, latest(p.times))
		}
		p.groups.List(abi.ListInput0+abi.ListTag(p.input), 0, len(p.values), p.times, p.values)
		p.groups.EndGroup()
	}
	return lo, nil
}

// add makes a key one of the call's, if there is one.
func (p *Process) add(number uint32) {
	p.call = append(p.call, number)
	if p.bare {
		return
	}
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

// prefetch writes the value states of group i of the call: one without an element is not set, and one that is not written must be
// asked for.
func (p *Process) prefetch(i int) {
	for k := range p.states {
		s := &p.states[k]
		if s.table == nil {
			continue
		}
		switch v := p.value(s, i); {
		case v == nil:
			p.groups.List(abi.ListState, uint16(k), 0, nil, nil)
		case len(v) > prefetchBytes:
			p.groups.List(abi.ListState, uint16(k), 1, nil, nil)
		default:
			p.values = append(p.values[:0], v)
			p.groups.List(abi.ListState, uint16(k), 1, nil, p.values)
		}
	}
}

// forget makes ready for the next batch.
func (p *Process) forget() {
	clear(p.index)
	clear(p.values[:cap(p.values)])
	p.all, p.order, p.starts, p.batch, p.bare = p.all[:0], p.order[:0], p.starts[:0], nil, false
	p.fired = p.fired[:0]
}

// Clocks of timers.
const (
	EventTime      = 0
	ProcessingTime = 1
)
