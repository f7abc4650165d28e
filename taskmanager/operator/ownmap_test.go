package operator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ruled is a process function over keyed records and broadcast rules, under test: its subtasks and what its model has.
type ruled struct {
	t      testing.TB
	r      *rand.Rand
	all    []*ruledSubtask
	stored restarts
	rules  map[string]string
}

func newRuled(t testing.TB, r *rand.Rand) *ruled {
	return &ruled{t: t, r: r, stored: restarts{t: t, plan: ruledGraph, chain: 1}, rules: map[string]string{}}
}

type ruledSubtask struct {
	*rostering
	op    *Process
	store state.Store
}

func (*ruledSubtask) Emit(abi.ChangeKind) error { return nil }

// Retry leaves out what kills the guest.
func (*ruledSubtask) Retry(err error, n int, _ func(lo, hi int) error, _ func(int) Unit) error {
	if err == errDead && n == 1 {
		return nil
	}
	return err
}

func ruledGraph(parallelism int) *graph.JobGraph {
	f := &abi.Function{Kind: abi.FunctionProcess, Key: abi.CodecUTF8, States: []abi.State{
		{Name: "rules", Scope: abi.ScopeBroadcast, Kind: "map", Key: abi.CodecUTF8, Codec: abi.CodecUTF8},
		{Name: "seen", Scope: abi.ScopeKeyed, Kind: "value", Codec: abi.CodecUTF8},
	}}
	return &graph.JobGraph{MaxParallelism: ownGroups, Operators: []graph.Operator{
		{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: parallelism},
		{Name: "rules", UID: "rules", Kind: abi.OperatorProcess, Parallelism: parallelism, Declared: f, Inputs: []graph.Input{
			{From: 0, Partition: graph.Hash, Exchange: graph.Pipelined}, {From: 0, Partition: graph.Broadcast, Exchange: graph.Pipelined}}},
	}}
}

// start has the operator go on at a parallelism, from what was stored if anything was.
func (j *ruled) start(parallelism int) {
	j.all = nil
	for i, store := range j.stored.start(parallelism) {
		s := &ruledSubtask{rostering: &rostering{}, store: store}
		var err error
		s.op, err = NewProcess(ProcessConfig{UID: "rules", Key: abi.CodecUTF8, Function: j.stored.graph.Operators[1].Declared, Store: s.store, Calls: s, Share: Share{i, parallelism, ownGroups}})
		if err != nil {
			j.t.Fatal(err)
		}
		if err := s.op.Begin(); err != nil {
			j.t.Fatal(err)
		}
		j.all = append(j.all, s)
	}
}

// snapshot stores what has changed.
func (j *ruled) snapshot() {
	for i, s := range j.all {
		if err := s.op.Save(); err != nil {
			j.t.Fatal(err)
		}
		j.stored.store(i, s.store)
	}
}

// change is what a broadcast record has the guest do: the same in every subtask.
func (j *ruled) change() func(o *Overlay, rules map[string]string) error {
	type write struct {
		op    abi.StateOp
		key   string
		value string
	}
	var writes []write
	for range j.r.IntN(4) {
		w := write{abi.StatePut, fmt.Sprint("r", j.r.IntN(12)), strings.Repeat("x", j.r.IntN(20))}
		switch j.r.IntN(8) {
		case 0, 1:
			w.op, w.value = abi.StateDelete, ""
		case 2:
			w.op, w.key, w.value = abi.StateDelete, "", ""
		}
		writes = append(writes, w)
	}
	return func(o *Overlay, rules map[string]string) error {
		for _, w := range writes {
			if err := o.Write(w.op, []abi.StateRequest{{Group: abi.None, State: 0, Key: []byte(w.key), Value: []byte(w.value)}}); err != nil {
				return err
			}
			switch {
			case w.op == abi.StatePut:
				rules[w.key] = w.value
			case w.key == "":
				clear(rules)
			default:
				delete(rules, w.key)
			}
		}
		return j.sees(o, rules)
	}
}

// sees reads the rules as a guest does, whole and one by one.
func (j *ruled) sees(o *Overlay, rules map[string]string) error {
	var got []string
	for r := (abi.StateRequest{Group: abi.None, Limit: 3}); ; {
		answers, err := o.Read(abi.StateScan, []abi.StateRequest{r}, nil)
		if err != nil {
			return err
		}
		for i, v := range answers[0].Values {
			got = append(got, string(answers[0].Keys[i])+"="+string(v))
		}
		if r.Cursor = answers[0].Cursor; !answers[0].More {
			break
		}
	}
	var want []string
	for _, k := range slices.Sorted(maps.Keys(rules)) {
		want = append(want, k+"="+rules[k])
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("rules %q (expected %q)", got, want)
	}
	answers, err := o.Read(abi.StateGet, []abi.StateRequest{{Group: abi.None, Key: []byte("r1")}, {Group: abi.None, Key: []byte("r2")}}, nil)
	if err != nil {
		return err
	}
	for i, k := range []string{"r1", "r2"} {
		if v, there := rules[k]; there != (len(answers[i].Values) == 1) || there && string(answers[i].Values[0]) != v {
			return fmt.Errorf("%s is %q (expected %q, %v)", k, answers[i].Values, v, there)
		}
	}
	return nil
}

// Broadcast states are the same in every subtask, whatever kills the guest, over snapshots and restores at the same and other
// parallelisms; the other side reads them, and cannot change them.
func TestBroadcastStatesAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 300, func(t testing.TB, r *rand.Rand) {
		j := newRuled(t, r)
		j.start(1 + r.IntN(3))
		for range 1 + r.IntN(24) {
			switch r.IntN(4) {
			case 0, 1:
				j.broadcast()
			case 2:
				j.record()
			default:
				j.snapshot()
				if r.IntN(2) == 0 {
					j.start(1 + r.IntN(5))
				} else {
					j.start(len(j.all))
				}
			}
		}
		j.record()
	})
}

// broadcast has every subtask take a record of the broadcast input. One that kills the guest changes nothing.
func (j *ruled) broadcast() {
	change, dies := j.change(), j.r.IntN(5) == 0
	after := maps.Clone(j.rules)
	for _, s := range j.all {
		s.act = func(_ abi.Verb, o *Overlay) error {
			after = maps.Clone(j.rules)
			if err := change(o, after); err != nil || !dies {
				return err
			}
			return errDead
		}
		b, _ := batchOf(rec{value: 1})
		if err := s.op.Process(b, nil, 1); err != nil {
			j.t.Fatal(err)
		}
	}
	if !dies {
		j.rules = after
	}
}

// record has every subtask take a record of the other input.
func (j *ruled) record() {
	for _, s := range j.all {
		s.act = func(_ abi.Verb, o *Overlay) error {
			if err := o.Write(abi.StatePut, []abi.StateRequest{{Group: abi.None, Key: []byte("r1"), Value: []byte("no")}}); err == nil {
				return fmt.Errorf("a rule was changed by a record of input 0")
			}
			return j.sees(o, j.rules)
		}
		b, hashes := batchOf(rec{value: 1, key: "k"})
		if err := s.op.Process(b, hashes, 0); err != nil {
			j.t.Fatal(err)
		}
	}
}

// A record of the broadcast input has no key: what is a key's is refused, by what it is.
func TestBroadcastRecordsHaveNoKey(t *testing.T) {
	j := newRuled(t, rand.New(rand.NewPCG(1, 1)))
	j.start(1)
	s := j.all[0]
	b, _ := batchOf(rec{value: 1})
	s.act = func(_ abi.Verb, o *Overlay) error {
		_, err := o.Read(abi.StateGet, []abi.StateRequest{{Group: 0, State: 1}}, nil)
		return err
	}
	if err := s.op.Process(b, nil, 1); err == nil || !strings.Contains(err.Error(), `state "seen" for a record of the broadcast input, which has no key`) {
		t.Error(err)
	}
}

// Entries of older schema versions are migrated before anybody sees them; one that is dropped is gone.
func TestBroadcastStatesThroughVersions(t *testing.T) {
	m := &ownMap{declared: abi.State{Name: "rules", Kind: "map", Version: 2}, values: map[string][]byte{}, older: map[string]uint16{}}
	var stored []byte
	for _, e := range []struct {
		version    uint16
		key, value string
	}{{0, "a", "1"}, {1, "b", "2"}, {2, "c", "3"}, {0, "d", "drop"}} {
		stored = snapshot.AppendElement(snapshot.AppendElement(stored, e.version, []byte(e.key)), e.version, []byte(e.value))
	}
	if err := m.read(stored); err != nil {
		t.Fatal(err)
	}
	calls := &versioning{}
	if err := m.migrate(0, calls); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range m.values {
		got[k] = string(v)
	}
	if want := map[string]string{"a": "1 from 0", "b": "2 from 1", "c": "3"}; !maps.Equal(got, want) || len(m.older) > 0 || !m.changed {
		t.Errorf("%v, %d older (expected %v)", got, len(m.older), want)
	}
}

// versioning migrates values by saying what they were.
type versioning struct{ ruledSubtask }

func (*versioning) Migrate(_ int, from uint16, elements *abi.Builder, _ func(uint32) string) (*abi.Batch, error) {
	var in, out abi.Batch
	elements.View(&in)
	made := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	nulls := make([]byte, (in.N+7)/8)
	for i := range in.N {
		value := fmt.Appendf(nil, "%s from %d", in.Value(i), from)
		if string(in.Value(i)) == "drop" {
			value, nulls[i/8] = nil, nulls[i/8]|1<<(i%8)
		}
		made.Append(abi.Record{Key: in.Key(i), Value: value})
	}
	made.View(&out)
	out.ValueNulls = nulls
	return &out, nil
}
