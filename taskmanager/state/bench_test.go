package state

import (
	"encoding/binary"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// BenchmarkFreeze measures what a checkpoint costs for each key that has changed: 1,000,000 words, half of them in each of
// two stores, of which a fraction has changed. Keys of 8 bytes are numbers, others digits.
func BenchmarkFreeze(b *testing.B) {
	for _, size := range []int{8, 12, 92} {
		for _, every := range []int{1, 10} {
			b.Run(fmt.Sprintf("key=%d/one-in=%d", size, every), func(b *testing.B) { benchmarkFreeze(b, size, every) })
		}
	}
}

func benchmarkFreeze(b *testing.B, size, every int) {
	const n = 500_000
	s, err := New(Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: 4 << 30, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	t, err := s.Table(Spec{Operator: "counts", Name: "result", Kind: Words}, Global)
	if err != nil {
		b.Fatal(err)
	}
	keys, hashes := make([][]byte, n), make([]uint64, n)
	for i := range keys {
		x := uint64(i) * 0x9e3779b97f4a7c15
		if keys[i] = binary.BigEndian.AppendUint64(nil, x); size > 8 {
			keys[i] = fmt.Appendf(nil, "%0*d", size, x%1_000_000_007)
		}
		hashes[i] = xxhash.Sum64(keys[i])
	}
	entries := make([]Entry, n)
	if err := t.ResolveKeys(keys, hashes, false, entries); err != nil {
		b.Fatal(err)
	}
	if f, err := s.Freeze(); err != nil {
		b.Fatal(err)
	} else {
		f.Release()
	}
	changed := n / every
	var info snapshot.Info
	var took time.Duration
	for b.Loop() {
		b.StopTimer()
		for i := 0; i < n; i += every {
			if err := t.ResolveKeys(keys[i:i+1], hashes[i:i+1], false, entries); err != nil {
				b.Fatal(err)
			}
		}
		begun := processorTime(b)
		b.StartTimer()
		f, err := s.Freeze()
		if err != nil {
			b.Fatal(err)
		}
		w := snapshot.NewWriter(io.Discard, f.States())
		if err := f.Write(w); err != nil {
			b.Fatal(err)
		}
		if info, err = w.Close(); err != nil {
			b.Fatal(err)
		}
		f.Release()
		took += processorTime(b) - begun
		if info.Entries != int64(changed) {
			b.Fatalf("%d entries (expected %d)", info.Entries, changed)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(changed), "ns/key")
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(changed), "CPU-ns/key")
	b.ReportMetric(float64(info.Size)/float64(changed), "B/key")
}

// processorTime is what the process has taken of the processors, whatever else runs on them.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
