package state_test

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// Sizes of TestLargeState; `make bench` gives larger ones.
var (
	largeKeys    = flag.Int("large-keys", 100_000, "keys of the state that does not fit")
	largeBudget  = flag.Int64("large-budget", 2<<20, "bytes of memory for them")
	largeUpdates = flag.Int("large-updates", 100_000, "uniform updates of them")
	largeChanged = flag.Int("large-changed", 100_000, "keys that have changed when a barrier comes")
	largeEntries = flag.Int("large-entries", 100_000, "entries in memory when garbage is collected")
)

// counts is a table of words by number, filled and read in batches.
type counts struct {
	t       *testing.T
	s       state.Store
	tab     state.Table
	keys    [][]byte
	hashes  []uint64
	entries []state.Entry
}

func newCounts(t *testing.T, budget int64) *counts {
	c := state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: budget}
	dir := t.TempDir()
	c.Dir, c.Space = filepath.Join(dir, "spill"), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
	s, err := state.New(c)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := s.Table(state.Spec{Operator: "o", Name: "n", Kind: state.Words}, state.Global)
	if err != nil {
		t.Fatal(err)
	}
	return &counts{t: t, s: s, tab: tab}
}

// add counts the keys that next answers, 1,024 at a time.
func (c *counts) add(n int, next func() int) {
	for ; n > 0; n -= 1024 {
		c.resolve(min(n, 1024), next)
		for _, e := range c.entries {
			*c.tab.Word(e)++
		}
		c.trim()
	}
}

// value is what was counted of a key.
func (c *counts) value(key int) uint64 {
	c.resolve(1, func() int { return key })
	defer c.trim()
	return *c.tab.Word(c.entries[0]) // as long as nothing is trimmed
}

func (c *counts) resolve(n int, next func() int) {
	b := abi.NewBuilder(abi.ColumnKeys)
	c.hashes = c.hashes[:0]
	for range n {
		key := binary.BigEndian.AppendUint64([]byte("key-"), uint64(next()))
		b.Append(abi.Record{Key: key})
		c.hashes = append(c.hashes, xxhash.Sum64(key))
	}
	var batch abi.Batch
	b.View(&batch)
	c.entries = make([]state.Entry, n)
	if err := c.tab.Resolve(&batch, nil, c.hashes, c.entries); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counts) trim() {
	if err := c.s.Trim(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counts) close() {
	if err := c.s.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func processors() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // our own
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A state far larger than its budget counts right, and a barrier and a garbage collection do not stop it for long. The lines
// that it logs are those of `make bench`.
func TestLargeState(t *testing.T) {
	c := newCounts(t, *largeBudget)
	n := 0
	c.add(*largeKeys, func() int { n++; return n - 1 })
	want := make([]uint8, *largeKeys)
	r := rand.New(rand.NewPCG(1, 1))
	begun, cpu := time.Now(), processors()
	c.add(*largeUpdates, func() int { i := r.IntN(*largeKeys); want[i]++; return i })
	wall, used := time.Since(begun), processors()-cpu
	if size := c.s.Size(); size > *largeBudget*5/4 {
		t.Errorf("%d bytes of memory (expected <= %d)", size, *largeBudget)
	}
	for i := 0; i < *largeKeys; i += max(*largeKeys/10_000, 1) {
		if got, want := c.value(i), 1+uint64(want[i]); got != want {
			t.Fatalf("key %d has %d (expected %d)", i, got, want)
		}
	}
	c.close()
	t.Logf("uniform updates of %d keys, %d MiB of memory: %.0f a second, %.0f a second and core", *largeKeys, *largeBudget>>20,
		float64(*largeUpdates)/wall.Seconds(), float64(*largeUpdates)/used.Seconds())

	c = newCounts(t, 1<<40)
	n = 0
	c.add(*largeChanged, func() int { n++; return n - 1 })
	begun = time.Now()
	f, err := c.s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("freeze with %d changed keys: %.3f ms", *largeChanged, time.Since(begun).Seconds()*1e3)
	f.Release()
	c.add(max(*largeEntries-*largeChanged, 0), func() int { n++; return n - 1 })
	runtime.GC()
	begun = time.Now()
	runtime.GC()
	t.Logf("garbage collection with %d entries: %.1f ms", n, time.Since(begun).Seconds()*1e3)
	c.close()
}
