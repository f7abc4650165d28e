package savepoint

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// Report is what a savepoint holds.
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
	Name    string      `json:"name"`
	Key     abi.Codec   `json:"key,omitempty"`
	SubKey  abi.Codec   `json:"subKey,omitempty"`
	Value   abi.Codec   `json:"value,omitempty"`
	Entries int64       `json:"entries"`
	Bytes   int64       `json:"bytes"`  // of keys and values
	Groups  int         `json:"groups"` // key groups that have some
	Sample  []SampleOne `json:"sample,omitempty"`

	Versions map[uint16]int64 `json:"versions,omitempty"` // entries by schema version, of a state that has one
}

// SampleOne is one entry.
type SampleOne struct {
	Group  graph.KeyGroup `json:"group"`
	Window *int64         `json:"window,omitempty"` // that it belongs to, or the time of a timer
	Key    []byte         `json:"key"`
	SubKey []byte         `json:"subKey,omitempty"` // of an entry of a map
	Value  []byte         `json:"value"`
}

// Kinds of states, as taskmanager/state numbers them: keys of entries of these have two parts.
const (
	listState = 3
	mapState  = 4
)

func sampleOf(s *snapshot.State, e *snapshot.Entry) SampleOne {
	one := SampleOne{Group: e.Group, Key: slices.Clone(e.Key), Value: slices.Clone(e.Value)}
	if e.Namespace != math.MinInt64 { // of what is not cut by time
		one.Window = new(e.Namespace)
	}
	if s.Kind == listState || s.Kind == mapState {
		key, sub, _ := snapshot.SplitKey(nil, e.Key)
		if one.Key = slices.Clone(key); s.Kind == mapState {
			one.SubKey = slices.Clone(sub)
		}
	}
	return one
}

// Inspect reads a savepoint from end to end, and so finds all damage, which it names. Of each state it gives that many
// entries.
func Inspect(ctx context.Context, store blob.Store, sample int) (*Report, error) {
	m, err := Open(ctx, store)
	if err != nil {
		return nil, err
	}
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
	for _, t := range m.Tasks {
		if t.InFlight != nil {
			for _, l := range t.InFlight.Lanes {
				r.InFlight += l.Bytes
			}
		}
	}
	states := map[string][]State{}
	for i := range m.Tasks {
		if err := count(states, &m.Tasks[i], readers, sample); err != nil {
			return nil, err
		}
	}
	for _, all := range states {
		for i := range all {
			if _, none := all[i].Versions[0]; none && len(all[i].Versions) == 1 {
				all[i].Versions = nil
			}
		}
	}
	for i := range m.Graph.Operators {
		op := &m.Graph.Operators[i]
		one := Operator{UID: op.UID, Name: op.Name, Kind: op.Kind, Parallelism: op.Parallelism, States: states[op.UID]}
		for _, s := range m.Sources {
			if s.Operator == op.UID {
				one.Splits = &Splits{Total: len(s.Splits), Done: len(s.Done), Open: len(s.Open)}
			}
		}
		if one.Splits != nil || len(one.States) > 0 || checkpoint.Saves(op.Kind) {
			r.Operators = append(r.Operators, one)
		}
	}
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

// count adds what a task has of each state.
func count(states map[string][]State, t *checkpoint.Task, readers map[string]*snapshot.Reader, sample int) error {
	var files []*snapshot.Reader
	for _, f := range t.Files {
		files = append(files, readers[f.Name].Cut(f.From, f.To))
	}
	all := snapshot.Everything
	all.Own = false
	last := -1
	var group graph.KeyGroup
	it := snapshot.ScanMerged(snapshot.AllAhead(files), all)
	for it.Next() {
		e := it.Entry()
		if e.Op != snapshot.Put {
			continue
		}
		s := find(states, &it.States()[e.State])
		if e.State != last || e.Group != group {
			last, group = e.State, e.Group
			s.Groups++
		}
		s.Entries++
		s.Versions[e.Version]++
		s.Bytes += int64(len(e.Key) + len(e.Value))
		if len(s.Sample) < sample {
			s.Sample = append(s.Sample, sampleOf(&it.States()[e.State], e))
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("file %s: %w", it.Fault(), err)
	}
	return nil
}

func find(states map[string][]State, s *snapshot.State) *State {
	all := states[s.Operator]
	i := slices.IndexFunc(all, func(have State) bool { return have.Name == s.Name })
	if i < 0 {
		i = len(all)
		states[s.Operator] = append(all, State{Name: s.Name, Key: s.Key, SubKey: s.SubKey, Value: s.Value, Versions: map[uint16]int64{}})
	}
	return &states[s.Operator][i]
}
