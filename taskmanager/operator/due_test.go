package operator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// alarms is a process function that holds what fires against what was set.
type alarms struct {
	busy
	t      *testing.T
	set    map[string]map[int64]bool // by key; what the guest knows of
	due    func(key string, time int64) []abi.Action
	fired  int
	groups int // of the fullest call
	walked int
}

func (a *alarms) Call(verb abi.Verb, groups *abi.GroupsWriter, _ *Overlay) (reply []byte, err error) {
	a.groups = max(a.groups, groups.Len())
	le, p := binary.LittleEndian, groups.Bytes()
	n := le.Uint32(p[4:])
	p = p[le.Uint32(p):]
	for i := range n {
		g, key := p[:le.Uint32(p)], string(p[abi.GroupHeaderBytes:][:le.Uint32(p[32:])])
		p = p[le.Uint32(p):]
		time := int64(le.Uint64(g[24:]))
		if verb == abi.VerbTimer {
			a.fired++
			if !a.set[key][time] {
				a.t.Fatalf("a timer of %s for %d fired that is not set", key, time)
			}
			for other := range a.set[key] {
				if other < time {
					a.t.Fatalf("the timer of %s for %d fired before that for %d", key, time, other)
				}
			}
			delete(a.set[key], time)
		}
		reply = a.answer(reply, i, key, a.due(key, time))
	}
	return reply, nil
}

// answer adds what is done for a group.
func (a *alarms) answer(reply []byte, group uint32, key string, actions []abi.Action) []byte {
	le := binary.LittleEndian
	reply = le.AppendUint32(reply, uint32(abi.ReplyEntryBytes+len(actions)*abi.ReplyActionBytes))
	reply = le.AppendUint32(reply, group)
	reply = le.AppendUint64(reply, uint64(len(actions)))
	for _, action := range actions {
		if action.Op == abi.ActionSetTimer {
			a.set[key][action.Time] = true
		} else {
			delete(a.set[key], action.Time)
		}
		reply = le.AppendUint32(reply, abi.ReplyActionBytes)
		reply = le.AppendUint16(reply, uint16(action.Op))
		reply = le.AppendUint16(reply, EventTime)
		reply = le.AppendUint64(reply, uint64(action.Time))
	}
	return reply
}

// counted is timers that count what is walked.
type counted struct {
	state.Timers
	walked *int
}

func (c counted) Due(from state.Place, until int64, yield func(time int64, hash uint64, key []byte) bool) error {
	return c.Timers.Due(from, until, func(time int64, hash uint64, key []byte) bool {
		*c.walked++
		return yield(time, hash, key)
	})
}

// unreadable are timers that lie on a disk that is broken.
type unreadable struct{ state.Timers }

var errUnreadable = errors.New("the disk is broken")

func (unreadable) Next() (int64, error) { return 0, errUnreadable }

func (unreadable) Due(state.Place, int64, func(int64, uint64, []byte) bool) error {
	return errUnreadable
}

// That timers of processing time cannot be read is no reason to wait for ever: they are due, and who fires them is told.
func TestTimersThatCannotBeReadAreToldOf(t *testing.T) {
	p, err := NewProcess(ProcessConfig{UID: "p", Key: "utf8", Function: &abi.Function{}, Store: state.NewMemory(), Calls: &alarms{t: t}})
	if err != nil {
		t.Fatal(err)
	}
	if next := p.Next(); !next.IsZero() {
		t.Fatalf("without timers the next is at %s (expected never)", next)
	}
	p.timers[ProcessingTime] = unreadable{p.timers[ProcessingTime]}
	now := time.UnixMilli(1)
	if next := p.Next(); next.IsZero() || next.After(now) {
		t.Errorf("the next is at %s (expected before %s)", next, now)
	}
	if fired, err := p.Fire(ProcessingTime, now.UnixMilli()); fired || !errors.Is(err, errUnreadable) {
		t.Errorf("fired %v, %v (expected %v)", fired, err, errUnreadable)
	}
}

// newAlarms starts a process function with timers of some keys in store.
func newAlarms(t *testing.T, store state.Store, set map[string]map[int64]bool) (*Process, *alarms) {
	t.Helper()
	a := &alarms{t: t, set: set, due: func(string, int64) []abi.Action { return nil }}
	p, err := NewProcess(ProcessConfig{UID: "p", Key: "utf8", Function: &abi.Function{}, Store: store, Calls: a})
	if err != nil {
		t.Fatal(err)
	}
	p.timers[EventTime] = counted{p.timers[EventTime], &a.walked}
	for key, times := range set {
		for time := range times {
			if err := p.timers[EventTime].Set(time, xxhash.Sum64String(key), []byte(key)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p, a
}

func fireAll(t *testing.T, p *Process, store state.Store, until int64) (calls int) {
	t.Helper()
	for fired := true; fired; calls++ {
		var err error
		if fired, err = p.Fire(EventTime, until); err == nil {
			err = store.Trim()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return calls - 1
}

// Each call has one timer of a key; that many wait for it does not make the call longer, wherever they lie.
func TestManyTimersOfOneKey(t *testing.T) {
	const n = 100_000
	for _, budget := range []int64{1 << 20, 1 << 30} {
		dir := t.TempDir()
		store, err := state.New(state.Config{
			Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: budget, Dir: filepath.Join(dir, "spill"),
			Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		p, a := newAlarms(t, store, map[string]map[int64]bool{"key": {}})
		for time := range int64(n) {
			if err = p.timers[EventTime].Set(time, xxhash.Sum64String("key"), []byte("key")); err == nil {
				err = store.Trim()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		next := int64(0)
		p.calls = oneByOne{a, &next}
		if calls := fireAll(t, p, store, n); calls != n || next != n {
			t.Errorf("%d timers of one key fired in %d calls (expected %d)", next, calls, n)
		}
		if a.walked > n+n/10 {
			t.Errorf("with %d bytes, %d timers were walked to fire %d", budget, a.walked, n)
		}
	}
}

// oneByOne wants one timer a call, each for the time after that of the one before.
type oneByOne struct {
	*alarms
	next *int64
}

func (o oneByOne) Call(_ abi.Verb, groups *abi.GroupsWriter, _ *Overlay) ([]byte, error) {
	if time := int64(binary.LittleEndian.Uint64(groups.Bytes()[binary.LittleEndian.Uint32(groups.Bytes()):][24:])); time != *o.next {
		return nil, fmt.Errorf("the timer for %d fires (expected that for %d)", time, *o.next)
	}
	*o.next++
	return nil, nil
}

// What a timer sets and deletes, before others or behind them, counts at once: each key's timers fire in their order.
func TestTimersThatChangeTimers(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys, span := 1+r.IntN(3000), 1+r.Int64N(10_000)
		set := map[string]map[int64]bool{}
		for i := range keys {
			set[fmt.Sprint("key ", i)] = map[int64]bool{}
		}
		for range 6000 {
			set[fmt.Sprint("key ", r.IntN(1+r.IntN(keys)))][r.Int64N(span)] = true
		}
		store := state.NewMemory()
		p, a := newAlarms(t, store, set)
		changes := 10_000
		a.due = func(string, int64) (actions []abi.Action) {
			for range r.IntN(5) {
				op := abi.ActionDeleteTimer
				if r.IntN(2) == 0 && changes > 0 {
					op = abi.ActionSetTimer
				}
				changes--
				actions = append(actions, abi.Action{Op: op, Time: r.Int64N(span)})
			}
			return actions
		}
		for until := span / 4; until < 2*span; until += span/3 + 1 {
			for i := 0; ; i++ {
				fired, err := p.Fire(EventTime, until)
				if err != nil {
					t.Fatal(err)
				}
				if !fired {
					break
				}
				if i%7 == 0 { // records come in between
					key := fmt.Sprint("key ", r.IntN(keys))
					b, hashes := batchOf(rec{key: key})
					if err := p.Process(b, hashes, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			for key, times := range set {
				for time := range times {
					if time <= until {
						t.Fatalf("seed %d: the timer of %s for %d has not fired at %d", seed, key, time, until)
					}
				}
			}
		}
		if a.groups > fireTimers || a.fired == 0 {
			t.Errorf("seed %d: %d timers fired, up to %d in a call (expected up to %d)", seed, a.fired, a.groups, fireTimers)
		}
	}
}

// Key groups that had come to a later watermark than others fire theirs alone, and what the others have comes when they do.
func TestTimersOfSomeKeyGroupsFire(t *testing.T) {
	store, set := state.NewMemory(), map[string]map[int64]bool{}
	for i := range 3000 {
		set[fmt.Sprint("k", i)] = map[int64]bool{int64(i % 10): true, 50: true}
	}
	p, a := newAlarms(t, store, set)
	p.config.Share.Groups = 8
	fired := map[string]int{}
	a.due = func(key string, _ int64) []abi.Action { fired[key]++; return nil }
	for more := true; more; {
		var err error
		if more, err = p.FireOf(20, 2, 5); err != nil {
			t.Fatal(err)
		}
	}
	some := 0
	for key := range set {
		want := 0
		if g := graph.KeyGroupOf(xxhash.Sum64String(key), 8); 2 <= g && g < 5 {
			want = 1
			some++
		}
		if fired[key] != want {
			t.Fatalf("%s has fired %d times (expected %d)", key, fired[key], want)
		}
	}
	if some == 0 || some == len(set) {
		t.Fatalf("%d keys of %d are in the groups", some, len(set))
	}
	fireAll(t, p, store, 10)
	for key := range set {
		if fired[key] != 1 {
			t.Fatalf("%s has fired %d times (expected 1)", key, fired[key])
		}
	}
}

// Where some key groups fire alone, what the others have is looked through once, whatever timers set meanwhile, also more than is looked
// up at once.
func TestTimersOfOthersAreLookedThroughOnce(t *testing.T) {
	const keys, until = 60_000, 20
	for _, flood := range []int{0, 60} {
		store, set := state.NewMemory(), map[string]map[int64]bool{}
		mine, others := map[string]bool{}, 0
		for i := range keys {
			key := fmt.Sprint("k", i)
			set[key] = map[int64]bool{int64(i % 10): true}
			if g := graph.KeyGroupOf(xxhash.Sum64String(key), 8); 2 <= g && g < 5 {
				mine[key] = true
			} else {
				others++
			}
		}
		p, a := newAlarms(t, store, set)
		p.config.Share.Groups = 8
		fired, want := 0, len(mine)
		a.due = func(key string, _ int64) (actions []abi.Action) {
			if fired++; !mine[key] {
				t.Fatalf("%s has fired", key)
			}
			if fired <= 4*fireTimers { // before its own others and those of keys before it, and behind, and what is due later
				for i := range flood {
					actions = append(actions, abi.Action{Op: abi.ActionSetTimer, Time: int64(i - 30 - fired%64)})
				}
			}
			return actions
		}
		for more := true; more; {
			var err error
			if more, err = p.FireOf(until, 2, 5); err != nil {
				t.Fatal(err)
			}
		}
		left := 0
		for key := range mine {
			for time := range set[key] {
				if time <= until {
					left++
				}
			}
		}
		if left > 0 || fired < want {
			t.Errorf("of %d keys %d timers fired, and %d are left (expected none)", len(mine), fired, left)
		}
		if a.walked > others+2*fired { // what was set may have been known and have been given up
			t.Errorf("%d timers were looked at, to fire %d beside %d of other keys", a.walked, fired, others)
		}
		if len(p.due[EventTime].from) > 0 {
			t.Error("what others have is looked for from the middle on")
		}
	}
}
