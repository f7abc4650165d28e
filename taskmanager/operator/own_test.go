package operator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// rostering is the guest of a process function without key, which does with its two lists what a test says.
type rostering struct {
	migrating
	act func(verb abi.Verb, o *Overlay) error
}

func (r *rostering) Call(verb abi.Verb, _ *abi.GroupsWriter, o *Overlay) ([]byte, error) {
	return nil, r.act(verb, o)
}

// subtask is one of the operator: what runs, and what its model has.
type subtask struct {
	op    *Process
	guest *rostering
	store state.Store
	lists [2][]string // what the guest must see
	was   []string    // of the union, what is stored while nobody has written to it
	begun bool        // nobody has
}

// ownJob is an operator under test, at some parallelism.
type ownJob struct {
	t      testing.TB
	r      *rand.Rand
	begins bool
	all    []*subtask
	stored restarts
	next   int // of the element added next
}

func ownFunction(version int, begins bool) *abi.Function {
	of := func(name, kind string) abi.State {
		return abi.State{Name: name, Scope: abi.ScopeOperator, Kind: kind, Codec: abi.CodecUTF8, Version: version, Migrates: version > 0}
	}
	return &abi.Function{Kind: abi.FunctionProcess, Begins: begins, States: []abi.State{of("held", "list"), of("shared", "union")}}
}

func (j *ownJob) plan(parallelism int) *graph.JobGraph {
	return &graph.JobGraph{MaxParallelism: ownGroups, Operators: []graph.Operator{
		{Name: "in", UID: "in", Kind: abi.OperatorSource, Parallelism: parallelism},
		{Name: "own", UID: "own", Kind: abi.OperatorProcess, Parallelism: parallelism, Declared: ownFunction(0, j.begins),
			Inputs: []graph.Input{{From: 0, Partition: graph.Forward, Exchange: graph.Pipelined}}},
	}}
}

// start makes the operator go on, from what was stored if anything was, at a parallelism.
func (j *ownJob) start(parallelism int) {
	was := j.all
	j.all = nil
	for i, store := range j.stored.start(parallelism) {
		s := &subtask{begun: true, store: store}
		s.lists, s.was = j.model(was, i, parallelism)
		var err error
		s.guest = &rostering{}
		s.op, err = NewProcess(ProcessConfig{UID: "own", Unkeyed: true, Function: ownFunction(0, j.begins), Store: s.store, Calls: s.guest, Share: Share{i, parallelism, ownGroups}})
		if err != nil {
			j.t.Fatal(err)
		}
		j.all = append(j.all, s)
		called := false
		s.guest.act = func(verb abi.Verb, o *Overlay) error {
			called = verb == abi.VerbBegin
			return j.change(s, o)
		}
		if err := s.op.Begin(); err != nil || called != j.begins {
			j.t.Fatalf("begin: called %t, %v", called, err)
		}
	}
}

// model is what subtask i of n begins with, by the definition.
func (j *ownJob) model(was []*subtask, i, n int) (lists [2][]string, stored []string) {
	var all [2][]string
	for _, s := range was {
		all[0] = append(all[0], s.lists[0]...)
		if s.begun {
			all[1] = append(all[1], s.was...)
		} else {
			all[1] = append(all[1], s.lists[1]...)
		}
	}
	lists[1] = all[1]
	part := func(list []string) []string { return list[len(list)*i/n : len(list)*(i+1)/n] }
	if len(was) == n {
		stored = was[i].lists[1]
		if was[i].begun {
			stored = was[i].was
		}
		lists[0] = was[i].lists[0]
		return lists, stored
	}
	lists[0] = part(all[0])
	return lists, part(all[1])
}

// change has the guest read both lists, which must be as the model has them, and change one.
func (j *ownJob) change(s *subtask, o *Overlay) error {
	for k := range s.lists {
		if got := j.read(o, uint16(k)); !slices.Equal(got, s.lists[k]) {
			j.t.Fatalf("list %d is %q (expected %q)", k, got, s.lists[k])
		}
	}
	k := j.r.IntN(3)
	if k == 2 {
		return nil
	}
	list, wrote := slices.Clone(s.lists[k]), false
	if j.r.IntN(5) == 0 {
		if err := o.Write(abi.StateDelete, []abi.StateRequest{{Group: abi.None, State: uint16(k)}}); err != nil {
			return err
		}
		list, wrote = nil, true
	}
	for range j.r.IntN(4) {
		e := strings.Repeat("x", j.r.IntN(3)*j.r.IntN(3)*2000) + fmt.Sprint(j.next)
		j.next++
		if err := o.Write(abi.StateAppend, []abi.StateRequest{{Group: abi.None, State: uint16(k), Value: []byte(e)}}); err != nil {
			return err
		}
		list, wrote = append(list, e), true
	}
	if got := j.read(o, uint16(k)); !slices.Equal(got, list) {
		j.t.Fatalf("list %d is %q within the call (expected %q)", k, got, list)
	}
	if j.r.IntN(6) == 0 {
		return fmt.Errorf("a trap") // nothing of it counts
	}
	s.begun = s.begun && !(wrote && k == 1)
	s.lists[k] = list
	return nil
}

// read scans a list, page by page.
func (j *ownJob) read(o *Overlay, k uint16) (all []string) {
	for r := (abi.StateRequest{Group: abi.None, State: k, Limit: uint32(j.r.IntN(4))}); ; {
		answers, err := o.Read(abi.StateScan, []abi.StateRequest{r}, nil)
		if err != nil {
			j.t.Fatal(err)
		}
		for _, v := range answers[0].Values {
			all = append(all, string(v))
		}
		if !answers[0].More {
			return all
		}
		r.Cursor = answers[0].Cursor
	}
}

// snapshot stores what has changed.
func (j *ownJob) snapshot() {
	for i, s := range j.all {
		if err := s.op.Save(); err != nil {
			j.t.Fatal(err)
		}
		j.stored.store(i, s.store)
	}
}

// Lists of the operator are what they are defined as, over snapshots and restores at the same and other parallelisms.
func TestOwnListsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 120, func(t testing.TB, r *rand.Rand) {
		j := &ownJob{t: t, r: r, begins: r.IntN(2) == 0}
		j.stored = restarts{t: t, plan: j.plan}
		sizes := []int{1, 2, 3, 5, 9, 10, 11}
		j.start(1 + r.IntN(3))
		for range 12 {
			for range r.IntN(6) {
				s := j.all[r.IntN(len(j.all))]
				b, _ := batchOf(rec{value: 1})
				if err := s.op.Process(b, nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(2) == 0 {
				continue
			}
			j.snapshot()
			if r.IntN(2) == 0 {
				n := len(j.all)
				if r.IntN(2) == 0 {
					n = sizes[r.IntN(len(sizes))]
				}
				j.start(n)
			}
		}
	})
}
