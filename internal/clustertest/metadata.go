package clustertest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// metadata is what a quorum would hold: it outlives every JobManager. Each that starts gets a lease on it, with an epoch
// of its own; writes of an older one are refused.
type metadata struct {
	mu       sync.Mutex
	epoch    graph.Epoch
	values   map[string][]byte
	counters map[string]uint64
	fail     int // the next writes that fail: odd ones after they took place, even ones before
	failed   int
}

func newMetadata() *metadata {
	return &metadata{values: map[string][]byte{}, counters: map[string]uint64{}}
}

var errQuorum = errors.New("write metadata: leadership lost while committing log")

// lead opens the metadata for a new JobManager.
func (m *metadata) lead() *lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	return &lease{m: m, epoch: m.epoch}
}

// failNext makes writes answer an error that leaves open whether they took place.
func (m *metadata) failNext(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = max(0, m.fail+n)
}

// lease is the metadata as one JobManager has it: an ha.Store.
type lease struct {
	m     *metadata
	epoch graph.Epoch

	mu   sync.Mutex
	over bool // the process was killed: nothing it still does has an effect
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// write does one write under the rules.
func (l *lease) write(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	switch {
	case l.over:
		return errQuorum
	case l.epoch != l.m.epoch:
		return ha.ErrStale
	case l.m.fail > 0:
		l.m.fail--
		l.m.failed++
		if l.m.failed%2 == 1 {
			_ = do()
		}
		return errQuorum
	}
	return do()
}

// Epoch implements ha.Store.
func (l *lease) Epoch() graph.Epoch { return l.epoch }

// Get implements ha.Store.
func (l *lease) Get(key string) ([]byte, bool) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	v, ok := l.m.values[key]
	return v, ok
}

// List implements ha.Store.
func (l *lease) List(prefix string) []ha.Entry {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	var all []ha.Entry
	for _, k := range slices.Sorted(maps.Keys(l.m.values)) {
		if strings.HasPrefix(k, prefix) {
			all = append(all, ha.Entry{Key: k, Value: l.m.values[k]})
		}
	}
	return all
}

// Apply implements ha.Store.
func (l *lease) Apply(ops ...ha.Op) error {
	return l.write(func() error {
		for _, op := range ops {
			if _, there := l.m.values[op.Key]; op.Kind == ha.OpPutIfAbsent && there {
				return ha.ErrExists
			}
		}
		for _, op := range ops {
			switch op.Kind {
			case ha.OpPut, ha.OpPutIfAbsent:
				l.m.values[op.Key] = slices.Clone(op.Value)
			case ha.OpDelete:
				delete(l.m.values, op.Key)
			case ha.OpDropCounter:
				delete(l.m.counters, op.Key)
			}
		}
		return nil
	})
}

// Next implements ha.Store.
func (l *lease) Next(counter string) (n uint64, err error) {
	err = l.write(func() error {
		l.m.counters[counter]++
		n = l.m.counters[counter]
		return nil
	})
	return n, err
}

// Close implements ha.Store.
func (l *lease) Close() error { return nil }

// failures is how many writes have failed.
func (m *metadata) failures() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}
