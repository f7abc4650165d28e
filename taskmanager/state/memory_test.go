package state_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/statetest"
)

func TestMemory(t *testing.T) {
	statetest.Run(t, func(*testing.T) state.Store { return state.NewMemory() })
}

// A window that comes and goes reuses the memory of the one before.
func TestMemoryWindowsAllocateNothing(t *testing.T) {
	s := state.NewMemory()
	spec := state.Spec{Operator: "o", Name: "n", Kind: state.Words}
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = fmt.Sprint("word", i)
	}
	b, hashes := statetest.Batch(keys...)
	entries := make([]state.Entry, len(keys))
	window := state.Namespace(0)
	turn := func() {
		tab, err := s.Table(spec, window)
		if err != nil {
			t.Fatal(err)
		}
		if err := tab.Resolve(b, nil, hashes, entries); err != nil {
			t.Fatal(err)
		}
		if err := s.Drop(spec, window); err != nil {
			t.Fatal(err)
		}
		window += 1000
	}
	for range 10 {
		turn()
	}
	before := s.Size()
	if n := allocs.PerRun(100, turn); n > 0 {
		t.Errorf("%v allocations a window (expected 0)", n)
	}
	if s.Size() != before {
		t.Errorf("size went from %d to %d though nothing was kept", before, s.Size())
	}
}

// Windows that have gone leave nothing behind, however many they were.
func TestMemoryOfWindowsThatHaveGone(t *testing.T) {
	const windows, most = 300_000, 256 << 10 // bytes
	s := state.NewMemory()
	b, hashes := statetest.Batch("key")
	spec := state.Spec{Operator: "o", Name: "n", Kind: state.Words}
	var entries [1]state.Entry
	before := heapInUse()
	for i := range windows {
		tab, err := s.Table(spec, state.Namespace(i))
		if err == nil {
			err = tab.Resolve(b, nil, hashes, entries[:])
		}
		if err == nil && i >= 10 {
			err = s.Drop(spec, state.Namespace(i-10))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if is := int64(heapInUse() - before); is > most {
		t.Errorf("%d bytes are held for 10 windows behind %d (expected <= %d)", is, windows, most)
	}
	if s.Size() == 0 {
		t.Error("nothing is held")
	}
}

// heapInUse is the bytes of what is reachable.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func benchmarkBatches(keys int) ([]*abi.Batch, [][]uint64) {
	r := rand.New(rand.NewPCG(1, 1))
	var batches []*abi.Batch
	var hashes [][]uint64
	for range 200 {
		var ks []string
		for range 1024 {
			ks = append(ks, fmt.Sprintf("key-%08d", r.IntN(keys)))
		}
		b, h := statetest.Batch(ks...)
		batches, hashes = append(batches, b), append(hashes, h)
	}
	return batches, hashes
}

// BenchmarkResolveWords counts 1,024 records a turn.
func BenchmarkResolveWords(b *testing.B) {
	for _, keys := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			s := state.NewMemory()
			tab, err := s.Table(state.Spec{Operator: "o", Name: "n", Kind: state.Words}, state.Global)
			if err != nil {
				b.Fatal(err)
			}
			batches, hashes := benchmarkBatches(keys)
			entries := make([]state.Entry, 1024)
			turn := func(k int) {
				if err := tab.Resolve(batches[k], nil, hashes[k], entries); err != nil {
					b.Fatal(err)
				}
				for _, e := range entries {
					*tab.Word(e)++
				}
			}
			for k := range batches {
				turn(k)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				turn(i % len(batches))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/record")
		})
	}
}
