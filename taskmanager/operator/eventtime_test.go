package operator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// brief is what was written, and when it ends.
type brief struct {
	value string
	ends  int64
}

// ending is the guest of a process function whose states live by event time, and the model of them: it holds what it is given
// against what the definition says, and writes what the test draws.
type ending struct {
	migrating
	t         testing.TB
	r         *rand.Rand
	op        *Process
	store     state.Store
	ttl       int64
	watermark int64
	number    int
	times     map[string]int64 // the latest of each key in the batch at hand
	seen      int              // states that were not empty
	ended     int              // of which something had ended
	values    map[string]brief
	lists     map[string][]brief
	maps      map[string]map[string]brief
}

var endingStates = []string{"value", "list", "map", "ever"}

func (e *ending) function() *abi.Function {
	f := &abi.Function{Kind: abi.FunctionProcess}
	for _, kind := range endingStates {
		s := abi.State{Name: kind, Scope: abi.ScopeKeyed, Kind: kind, Codec: abi.CodecUTF8, TTL: e.ttl, Time: "event"}
		if kind == "map" {
			s.Key = abi.CodecUTF8
		}
		if kind == "ever" {
			s.Kind, s.TTL, s.Time = "value", 1<<40, "processing" // the other clock must not end it, nor this one
		}
		f.States = append(f.States, s)
	}
	return f
}

// open makes the operator of a store, whose processing time is far from all event times.
func (e *ending) open(store state.Store) {
	store.SetTime(1 << 41)
	op, err := NewProcess(ProcessConfig{UID: "u", Key: abi.CodecUTF8, Function: e.function(), Store: store, Calls: e, Share: Share{0, 1, graph.DefaultMaxParallelism}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.op, e.store = op, store
}

func (e *ending) Call(verb abi.Verb, groups *abi.GroupsWriter, o *Overlay) (reply []byte, err error) {
	eachGroup(groups.Bytes(), func(i int, g abi.Group, l groupLists) {
		at := e.watermark
		switch {
		case verb == abi.VerbTimer && g.Flags&abi.GroupTimerProcessing == 0:
			at = g.TimerTime
		case verb == abi.VerbProcess && e.times[string(g.Key)] != abi.NoTimestamp:
			at = e.times[string(g.Key)]
		}
		e.compare(uint32(i), string(g.Key), l, o)
		reply = appendEntry(reply, i, e.write(uint32(i), string(g.Key), at, o)...)
	})
	return reply, nil
}

// lives says whether the watermark has not ended something.
func (e *ending) lives(b brief) bool {
	if b.ends != 0 && b.ends <= e.watermark {
		e.ended++
	}
	return b.ends != 0 && b.ends > e.watermark
}

func (e *ending) compare(i uint32, key string, l groupLists, o *Overlay) {
	same := func(state int, got [][]byte, want []string) {
		texts := []string{}
		for _, v := range got {
			texts = append(texts, string(v))
		}
		if e.seen += len(want); !slices.Equal(texts, want) {
			e.t.Fatalf("%s of %s at watermark %d: %q (expected %q)", endingStates[state], key, e.watermark, texts, want)
		}
	}
	want := []string{}
	if v := e.values[key]; e.lives(v) {
		want = append(want, v.value)
	}
	same(0, l.states[0], want)
	if l := e.lists[key]; len(l) > 0 {
		want = []string{l[len(l)-1].value} // "ever" has the last that was written
		same(3, o.process.groupState(3, int(i)), want)
	}
	for number, kind := range endingStates[:3] {
		if kind == "value" {
			continue
		}
		answers, err := o.Read(abi.StateScan, []abi.StateRequest{{Group: i, State: uint16(number)}}, nil)
		if err != nil {
			e.t.Fatal(err)
		}
		want := []string{}
		if kind == "list" {
			for _, v := range e.lists[key] {
				if e.lives(v) {
					want = append(want, v.value)
				}
			}
		} else {
			for _, sub := range subKeys {
				if v := e.maps[key][sub]; e.lives(v) {
					want = append(want, v.value)
				}
			}
		}
		same(number, answers[0].Values, want)
	}
}

var subKeys = []string{"a", "b", "c"}

// groupState is a value state of group i of the call that runs.
func (p *Process) groupState(number, i int) [][]byte {
	if v := p.value(&p.states[number], i); v != nil {
		return [][]byte{v}
	}
	return nil
}

func (e *ending) write(i uint32, key string, at int64, o *Overlay) (actions [][]byte) {
	e.number++
	b := brief{fmt.Sprint(e.number), max(at+e.ttl, 1)}
	sub := subKeys[e.r.IntN(len(subKeys))]
	if e.r.IntN(3) > 0 {
		e.values[key] = b
		actions = append(actions, action(abi.ActionPut, 0, 0, []byte(b.value)))
	}
	e.lists[key] = append(e.lists[key], b)
	actions = append(actions, action(abi.ActionPut, 3, 0, []byte(b.value)))
	if e.maps[key] == nil {
		e.maps[key] = map[string]brief{}
	}
	e.maps[key][sub] = b
	err := o.Write(abi.StateAppend, []abi.StateRequest{{Group: i, State: 1, Value: []byte(b.value)}})
	if err == nil {
		err = o.Write(abi.StatePut, []abi.StateRequest{{Group: i, State: 2, Key: []byte(sub), Value: []byte(b.value)}})
	}
	if err != nil {
		e.t.Fatal(err)
	}
	if e.r.IntN(2) == 0 {
		actions = append(actions, action(abi.ActionSetTimer, uint16(e.r.IntN(2)), max(e.watermark, -1000)+e.r.Int64N(300), nil))
	}
	return actions
}

// step is a batch, a watermark, a firing of processing time, or a restore from a snapshot.
func (e *ending) step(now *int64) {
	switch n := e.r.IntN(10); {
	case n < 5:
		var batch []rec
		e.times = map[string]int64{}
		for range 1 + e.r.IntN(6) {
			r := rec{time: *now - e.r.Int64N(200), key: fmt.Sprint("k", e.r.IntN(4))}
			if e.r.IntN(4) == 0 {
				r.time = abi.NoTimestamp
			}
			if last, had := e.times[r.key]; !had || r.time > last {
				e.times[r.key] = r.time
			}
			batch = append(batch, r)
		}
		b, hashes := batchOf(batch...)
		if err := e.op.Process(b, hashes, 0); err != nil {
			e.t.Fatal(err)
		}
	case n < 8:
		*now += e.r.Int64N(100)
		watermark := max(e.watermark, *now-e.r.Int64N(150))
		e.fire(EventTime, watermark)
		e.watermark = watermark
	case n < 9:
		e.fire(ProcessingTime, *now)
	default:
		if err := e.op.Save(); err != nil {
			e.t.Fatal(err)
		}
		e.open(restored(e.t, e.store))
	}
}

// fire has all timers of a clock fire that are due; a guest sets no timer before the watermark, so it comes to an end.
func (e *ending) fire(clock int, until int64) {
	for more, turns := true, 0; more; turns++ {
		var err error
		if more, err = e.op.Fire(clock, until); err != nil || turns > 10_000 {
			e.t.Fatal(turns, err)
		}
	}
}

// What values, lists and maps that live by event time have is what their definition says, with records out of order or without
// time, timers of both clocks, watermarks that jump, and restores.
func TestStatesEndByEventTime(t *testing.T) {
	seen, ended := 0, 0
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) {
		e := &ending{t: t, r: r, ttl: 1 + r.Int64N(300), watermark: abi.MinTime, values: map[string]brief{}, lists: map[string][]brief{}, maps: map[string]map[string]brief{}}
		e.open(state.NewMemory())
		now := r.Int64N(2000) - 500
		for range 30 {
			e.step(&now)
		}
		e.fire(EventTime, abi.MaxTime) // the end of the input ends nothing
		e.times = map[string]int64{"k0": abi.NoTimestamp}
		b, hashes := batchOf(rec{time: abi.NoTimestamp, key: "k0"})
		if err := e.op.Process(b, hashes, 0); err != nil {
			t.Fatal(err)
		}
		seen, ended = seen+e.seen, ended+e.ended
	})
	if seen < 1000 || ended < 1000 {
		t.Errorf("%d elements seen, %d times one had ended: nothing is tested", seen, ended)
	}
}
