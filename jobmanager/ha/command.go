package ha

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/wasmill/wasmill/internal/graph"
)

// command is one entry of the replicated log, as JSON: operations, or a counter to count, or (Lead) a new epoch. Fields
// are only ever added.
type command struct {
	Epoch   graph.Epoch `json:"epoch"` // of the process that asks
	Lead    bool        `json:"lead,omitempty"`
	Ops     []Op        `json:"ops,omitempty"`
	Counter string      `json:"counter,omitempty"`
}

// answer is what carrying out a command gives.
type answer struct {
	number uint64 // the new epoch or count
	err    error
}

// metadata is the replicated state: raft applies the log's commands to it, in order, on every process alike.
type metadata struct {
	mu       sync.RWMutex
	epoch    graph.Epoch       // guarded by mu, like the rest
	values   map[string][]byte // values are never changed in place
	counters map[string]uint64
}

// snapshot is all of the metadata, as JSON on disk. Fields are only ever added.
type snapshot struct {
	Epoch    graph.Epoch       `json:"epoch"`
	Values   map[string][]byte `json:"values"`
	Counters map[string]uint64 `json:"counters"`
}

func newMetadata() *metadata {
	return &metadata{values: map[string][]byte{}, counters: map[string]uint64{}}
}

// Apply carries out one entry of the log.
func (m *metadata) Apply(entry *raft.Log) any {
	var c command
	if err := json.Unmarshal(entry.Data, &c); err != nil {
		return answer{err: fmt.Errorf("metadata log: entry %d: %w", entry.Index, err)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case c.Lead:
		m.epoch++
		return answer{number: uint64(m.epoch)}
	case c.Epoch != m.epoch:
		return answer{err: ErrStale}
	case c.Counter != "":
		m.counters[c.Counter]++
		return answer{number: m.counters[c.Counter]}
	}
	return answer{err: m.applyOps(c.Ops)}
}

func (m *metadata) applyOps(ops []Op) error {
	for _, op := range ops {
		if _, exists := m.values[op.Key]; exists && op.Kind == OpPutIfAbsent {
			return fmt.Errorf("%s: %w", op.Key, ErrExists)
		}
	}
	for _, op := range ops {
		switch op.Kind {
		case OpPut, OpPutIfAbsent:
			m.values[op.Key] = op.Value
		case OpDelete:
			delete(m.values, op.Key)
		case OpDropCounter:
			delete(m.counters, op.Key)
		}
	}
	return nil
}

func (m *metadata) get(key string) ([]byte, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.values[key]
	return v, ok
}

func (m *metadata) list(prefix string) []Entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Entry
	for k, v := range m.values {
		if strings.HasPrefix(k, prefix) {
			found = append(found, Entry{Key: k, Value: v})
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// Snapshot freezes the maps, not the values: those never change.
func (m *metadata) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return &snapshot{Epoch: m.epoch, Values: maps.Clone(m.values), Counters: maps.Clone(m.counters)}, nil
}

// Persist writes the snapshot where raft keeps it.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release does nothing: a snapshot is plain memory.
func (s *snapshot) Release() {}

// Restore replaces everything by a snapshot.
func (m *metadata) Restore(r io.ReadCloser) error {
	defer r.Close()
	fresh := snapshot{Values: map[string][]byte{}, Counters: map[string]uint64{}}
	if err := json.NewDecoder(r).Decode(&fresh); err != nil {
		return fmt.Errorf("restore metadata snapshot: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.values, m.counters = fresh.Epoch, fresh.Values, fresh.Counters
	return nil
}
