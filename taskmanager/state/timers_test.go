package state

import (
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// Key groups without timers on disk are not looked at again for each few timers that are read of the others.
func TestTimersAreReadWhereTheyAre(t *testing.T) {
	const n = 20_000
	dir := t.TempDir()
	s, err := New(Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: 1 << 20, Dir: filepath.Join(dir, "spill"),
		Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Timers(Spec{Operator: "o", Name: "timers", Kind: Timer})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("key")
	hash := xxhash.Sum64(key)
	for i := range int64(n) {
		if err := all.Set(i, hash, key); err != nil {
			t.Fatal(err)
		}
		if err := s.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	fired, read := int64(0), 0
	for fired < n {
		next := fired
		if err := all.Due(nil, n, func(time int64, _ uint64, _ []byte) bool {
			if time != next {
				t.Fatalf("the timer for %d is due (expected that for %d)", time, next)
			}
			next++
			return next < fired+1000
		}); err != nil {
			t.Fatal(err)
		}
		m := all.(*timers)
		if m.ended != nil && !m.all && m.horizonIsBehind(next) {
			read++
			looked := 0
			for _, ended := range m.ended {
				if !ended {
					looked++
				}
			}
			if looked != 1 {
				t.Fatalf("behind %d, %d key groups are looked at (expected that of the key)", next, looked)
			}
		}
		for ; fired < next; fired++ {
			if err := all.Delete(fired, hash, key); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	if read == 0 {
		t.Error("no timers were read from disk")
	}
}

func (m *timers) horizonIsBehind(time int64) bool { return timeOf(m.horizon) >= time }
