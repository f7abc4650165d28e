package c_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// A word of Moby-Dick through split and key, metered: from a batch of lines to batches that have the columns given.
func benchmarkWords(b *testing.B, columns abi.Columns) {
	ctx := context.Background()
	engine, err := host.NewEngine(ctx, host.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close(ctx)
	i := instance(b, engine, wordcount)
	err = i.Open(0, &abi.Handle{Functions: []abi.HandleFunction{
		{Function: 0, Upstream: abi.None},
		{Function: 1, Upstream: 0, Outputs: []abi.HandleOutput{{Columns: columns}}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	batches := mobyDick(b)
	b.ReportAllocs()
	b.ResetTimer()
	count := 0
	for n := 0; n < b.N; n++ {
		effects, err := i.Process(0, &abi.CallHeader{Parallelism: 1}, batches[n%len(batches)])
		if err != nil {
			b.Fatal(err)
		}
		for k := range effects.Emits {
			count += effects.Emits[k].Batch.N
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(count), "ns/word")
}

func BenchmarkWordsToKeys(b *testing.B) { benchmarkWords(b, abi.ColumnKeys) }
func BenchmarkWordsToKeysAndTimes(b *testing.B) {
	benchmarkWords(b, abi.ColumnKeys|abi.ColumnTimestamps)
}
func BenchmarkWordsToKeysAndValues(b *testing.B) { benchmarkWords(b, abi.ColumnKeys|abi.ColumnValues) }

func instance(t testing.TB, engine *host.Engine, path string) *host.Instance {
	t.Helper()
	ctx := context.Background()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := engine.Inspect(ctx, wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.Load(ctx, inspected.MeteredID, func(context.Context) ([]byte, error) { return inspected.Metered, nil })
	if err != nil {
		t.Fatal(err)
	}
	i, err := m.Instantiate(ctx, host.InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close(ctx) })
	return i
}

// mobyDick returns the lines of the book in batches of 1,024.
func mobyDick(t testing.TB) []*abi.Builder {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "data", "moby-dick.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var batches []*abi.Builder
	for k, line := range bytes.Split(text, []byte("\n")) {
		if k%1024 == 0 {
			batches = append(batches, abi.NewBuilder(abi.ColumnTimestamps|abi.ColumnValues))
		}
		batches[len(batches)-1].Append(abi.Record{Timestamp: int64(k), Value: line})
	}
	return batches
}
