package savepoint

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// MaxSample bounds how many entries of each state a report may give.
const MaxSample = 1000

// Report is what a savepoint, or a checkpoint, holds.
type Report struct {
	Job        graph.JobID   `json:"job"`
	Name       string        `json:"name"`
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Time       time.Time     `json:"time"`
	KeyGroups  int           `json:"keyGroups"` // the largest parallelism that it can be gone on with
	Files      int           `json:"files"`
	Size       int64         `json:"size"`
	InFlight   int64         `json:"inFlight,omitempty"` // bytes of records that were in flight: part of size
	Operators  []Operator    `json:"operators"`
}

// Operator is one that has something in a savepoint.
type Operator struct {
	UID         string           `json:"uid"`
	Name        string           `json:"name"`
	Kind        abi.OperatorKind `json:"kind"`
	Parallelism int              `json:"parallelism"`
	States      []State          `json:"states,omitempty"`
	Splits      *Splits          `json:"splits,omitempty"` // of a source
}

// Splits says how far a source was.
type Splits struct {
	Total int `json:"total"`
	Done  int `json:"done"`
	Open  int `json:"open"` // read in part
}

// State is one state of an operator: what stands under its keys.
type State struct {
	Name    string    `json:"name"`
	Scope   string    `json:"scope,omitempty"` // operator, of a list that is no key's; broadcast, of a map of which every subtask has a copy
	Key     abi.Codec `json:"key,omitempty"`
	SubKey  abi.Codec `json:"subKey,omitempty"` // of a map
	Value   abi.Codec `json:"value,omitempty"`
	Entries int64     `json:"entries"`
	Bytes   int64     `json:"bytes"`  // of keys and values
	Groups  int       `json:"groups"` // key groups that have some; none of a list of the operator's own scope
	Sample  []Entry   `json:"sample,omitempty"`

	Versions map[uint16]int64 `json:"versions,omitempty"` // entries by schema version, of a state that has one

	shape shape
}

// Inspect reads a savepoint from end to end, and so finds all damage, which it names. Of each state it gives that many
// entries.
func Inspect(ctx context.Context, store blob.Store, sample int) (*Report, error) {
	m, err := Open(ctx, store)
	if err != nil {
		return nil, err
	}
	return InspectManifest(ctx, store, m, sample)
}

// InspectManifest is Inspect of what a manifest names.
func InspectManifest(ctx context.Context, store blob.Store, m *checkpoint.Manifest, sample int) (*Report, error) {
	r := &Report{Job: m.Job, Name: m.Graph.Name, Checkpoint: m.Checkpoint, Time: m.Time, KeyGroups: m.Graph.MaxParallelism}
	readers := map[string]*snapshot.Reader{}
	for _, f := range m.AllFiles() {
		o, err := store.Open(ctx, f.Name)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Name, err)
		}
		defer o.Close()
		if readers[f.Name], err = verified(o, &f); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Name, err)
		}
		r.Files++
		r.Size += f.Size
	}
	c := census{graph: &m.Graph, states: map[string][]State{}, sample: sample}
	for i := range m.Tasks {
		if t := m.Tasks[i].InFlight; t != nil {
			for _, l := range t.Lanes {
				r.InFlight += l.Bytes
			}
		}
		if err := c.count(ctx, &m.Tasks[i], readers); err != nil {
			return nil, err
		}
	}
	r.Operators = c.operators(m)
	return r, nil
}

// verified opens a file and holds it against its checksum.
func verified(o blob.Object, f *checkpoint.File) (*snapshot.Reader, error) {
	if o.Size() != f.Size {
		return nil, fmt.Errorf("%d bytes (expected %d): %w", o.Size(), f.Size, snapshot.ErrDamaged)
	}
	sum, err := snapshot.Sum(io.NewSectionReader(o, 0, o.Size()), o.Size())
	if err != nil {
		return nil, err
	}
	if sum != f.Checksum {
		return nil, fmt.Errorf("checksum %.12s (expected %.12s): %w", sum, f.Checksum, snapshot.ErrDamaged)
	}
	r, err := snapshot.Open(o, o.Size())
	if err == nil && r.Name() != f.Name {
		return nil, fmt.Errorf("it is %s, under another name: %w", r.Name(), snapshot.ErrDamaged)
	}
	return r, err
}

// census counts what stands in states.
type census struct {
	graph  *graph.JobGraph
	states map[string][]State // by uid
	sample int                // entries to give of each
}

// count adds what a task has of each state.
func (c *census) count(ctx context.Context, t *checkpoint.Task, readers map[string]*snapshot.Reader) error {
	var files []*snapshot.Reader
	owner, ownerTo := c.groupsOf(t.Task)
	for _, f := range t.Files {
		files = append(files, readers[f.Name].Cut(f.From, f.To).Of(f.Operators).OfOwner(owner, ownerTo))
	}
	all := snapshot.Everything
	last := -1
	var group graph.KeyGroup
	it := snapshot.ScanMerged(snapshot.AllAhead(files), all)
	for it.Next() {
		e := it.Entry()
		if e.Op != snapshot.Put {
			continue
		}
		if e.Group == snapshot.Own {
			if err := c.own(&it.States()[e.State], t.Task, e.Value); err != nil {
				return err
			}
			continue
		}
		s := c.find(&it.States()[e.State])
		if e.State != last || e.Group != group {
			last, group = e.State, e.Group
			s.Groups++
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		s.Entries++
		s.Versions[e.Version]++
		s.Bytes += int64(len(e.Key) + len(e.Value))
		if len(s.Sample) < c.sample {
			s.Sample = append(s.Sample, s.shape.sample(e))
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("file %s: %w", it.Fault(), err)
	}
	return nil
}

// groupsOf are the key groups of the subtask that a task of the manifest was.
func (c *census) groupsOf(t graph.TaskID) (from, to graph.KeyGroup) {
	chains := graph.Expand(c.graph).Chains
	if t.Chain >= len(chains) || chains[t.Chain].Parallelism < 1 {
		return 0, graph.KeyGroup(c.graph.MaxParallelism)
	}
	return graph.KeyGroupsOf(t.Subtask, chains[t.Chain].Parallelism, c.graph.MaxParallelism)
}

// own counts what a task has of a list of its operator's own scope. What the host keeps there for itself is not told of.
func (c *census) own(s *snapshot.State, t graph.TaskID, list []byte) error {
	name, declared := snapshot.DeclaredList(s.Name)
	if !declared {
		return c.copied(s, t, list)
	}
	in := c.find(&snapshot.State{Operator: s.Operator, Name: name})
	in.Scope = abi.ScopeOperator
	for rest := list; len(rest) > 0; {
		version, value, behind, err := snapshot.NextElement(rest)
		if err != nil {
			return fmt.Errorf("state %q of %s: %w", name, s.Operator, err)
		}
		rest = behind
		in.Entries++
		in.Versions[version]++
		in.Bytes += int64(len(value))
		if len(in.Sample) < c.sample {
			in.Sample = append(in.Sample, in.shape.element(t.Subtask, version, value))
		}
	}
	return nil
}

// find is where a state is counted.
func (c *census) find(s *snapshot.State) *State {
	all := c.states[s.Operator]
	i := slices.IndexFunc(all, func(have State) bool { return have.Name == s.Name })
	if i < 0 {
		i = len(all)
		one := shapeOf(c.graph, s)
		c.states[s.Operator] = append(all, State{Name: s.Name, Key: one.key, SubKey: one.subKey, Value: one.value, Versions: map[uint16]int64{}, shape: one})
	}
	return &c.states[s.Operator][i]
}

// copied counts a broadcast state, of which every task has a copy, once.
func (c *census) copied(s *snapshot.State, t graph.TaskID, stored []byte) error {
	name, declared := snapshot.DeclaredMap(s.Name)
	if !declared || t.Subtask > 0 {
		return nil
	}
	in := c.find(&snapshot.State{Operator: s.Operator, Name: name})
	in.Scope = abi.ScopeBroadcast
	err := snapshot.EachOfMap(stored, func(version uint16, key, value []byte) {
		in.Entries++
		in.Versions[version]++
		in.Bytes += int64(len(key) + len(value))
		if len(in.Sample) < c.sample {
			in.Sample = append(in.Sample, in.shape.copied(version, key, value))
		}
	})
	if err != nil {
		return fmt.Errorf("state %q of %s: %w", name, s.Operator, err)
	}
	return nil
}

// operators are those of the graph that have something, with what was counted.
func (c *census) operators(m *checkpoint.Manifest) (all []Operator) {
	for i := range m.Graph.Operators {
		op := &m.Graph.Operators[i]
		one := Operator{UID: op.UID, Name: op.Name, Kind: op.Kind, Parallelism: op.Parallelism, States: c.states[op.UID]}
		for k := range one.States {
			if s := &one.States[k]; s.Versions[0] > 0 && len(s.Versions) == 1 {
				s.Versions = nil
			}
		}
		for _, s := range m.Sources {
			if s.Operator == op.UID {
				one.Splits = &Splits{Total: len(s.Splits), Done: len(s.Done), Open: len(s.Open)}
			}
		}
		if one.Splits != nil || len(one.States) > 0 || checkpoint.Saves(op.Kind) {
			all = append(all, one)
		}
	}
	return all
}
