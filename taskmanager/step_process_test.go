package taskmanager

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// alarms notes which timers fire, and at which watermark.
type alarms struct {
	operator.Calls
	step  *processStep
	fired map[string][]int64 // by key
}

func (a *alarms) Call(_ abi.Verb, groups *abi.GroupsWriter, _ *operator.Overlay) ([]byte, error) {
	le, p := binary.LittleEndian, groups.Bytes()
	for p = p[le.Uint32(p):]; len(p) > 0; p = p[le.Uint32(p):] {
		key := string(p[abi.GroupHeaderBytes:][:le.Uint32(p[32:])])
		a.fired[key] = append(a.fired[key], a.step.header.Watermark)
	}
	return nil, nil
}

func (a *alarms) Emit(abi.ChangeKind) error { return nil }

// Of two subtasks one stood in the middle of a watermark, and the other had not come to it. Whoever goes on with the key groups of both
// fires what was due of the first before there is input, and of the second nothing; also if it is interrupted in that.
func TestTimersFireWhereTheirKeyGroupsStood(t *testing.T) {
	const due, other, keys = 70, 60, 3000
	r, store := reachedOf(t, 0, 8, false, stood{0, 4, due, false, nil}, stood{4, 8, other, true, nil})
	timers, err := store.Timers(state.Spec{Operator: "o", Name: "$event-timers", Kind: state.Timer, Key: "utf8"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int64{}
	for i := range keys {
		key, at := fmt.Sprint("k", i), int64(50+i%30)
		hash := xxhash.Sum64String(key)
		if err := timers.Set(at, hash, []byte(key)); err != nil {
			t.Fatal(err)
		}
		switch first := graph.KeyGroupOf(hash, 8) < 4; {
		case first && at <= due:
			want[key] = []int64{due}
		case at <= other:
			want[key] = []int64{other}
		}
	}
	open := func() (*chain, *processStep, *alarms) {
		a := &alarms{fired: map[string][]int64{}}
		g := &guest{}
		a.step = &processStep{name: "o", reached: reached{uid: r.uid, to: r.to}, handle: &handle{guest: g}, time: &taskTime{}, passed: abi.MinTime}
		if a.step.op, err = operator.NewProcess(operator.ProcessConfig{
			UID: "o", Key: "utf8", Function: &abi.Function{}, Store: store, Calls: a, Share: operator.Share{Parallelism: 1, Groups: 8},
		}); err != nil {
			t.Fatal(err)
		}
		c := &chain{store: store, watermark: abi.MinTime}
		c.nodes = []node{{step: a.step, watermark: &c.watermark, seen: abi.MinTime}}
		return c, a.step, a
	}
	c, s, a := open()
	if s.received, s.further, err = s.reached.restore(store); err != nil {
		t.Fatal(err)
	}
	if c.nodes[0].resumes = s.resumes(); !c.resumes() {
		t.Fatal("nothing is to be brought to its end")
	}
	fired := map[string][]int64{}
	interrupted := false
	for pieces := 1; ; pieces++ {
		more, err := c.advance()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		if s.passed != abi.MinTime {
			t.Fatalf("piece %d: passed %d", pieces, s.passed)
		}
		if pieces < 3 || interrupted {
			continue
		}
		interrupted = true
		kept := &own{Store: store}
		if s.reached.store = kept; s.save() != nil {
			t.Fatal("it is not saved")
		}
		fired = a.fired
		c, s, a = open()
		if s.received, s.further, err = s.reached.restore(only{store, kept.value}); err != nil {
			t.Fatal(err)
		}
		c.nodes[0].resumes = s.resumes()
	}
	for key, at := range a.fired {
		fired[key] = append(fired[key], at...)
	}
	if !interrupted || s.received != other || s.passed != other || s.resumes() {
		t.Errorf("interrupted %v; it has received %d and passed %d, resumes %v", interrupted, s.received, s.passed, s.resumes())
	}
	for i := range keys {
		if key := fmt.Sprint("k", i); !slices.Equal(fired[key], want[key]) {
			t.Fatalf("%s has fired at %d (expected %d)", key, fired[key], want[key])
		}
	}
}

// only is a store of a task with all key groups, of whose own scope there is one value.
type only struct {
	state.Store
	value []byte
}

func (o only) Own(string, string) ([]state.Owned, error) {
	return []state.Owned{{From: 0, To: 8, Value: o.value}}, nil
}
