package operator

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
)

// BenchmarkAggregates counts rows of 100,000 keys, with the least and the most of a field, in windows of a million records.
func BenchmarkAggregates(b *testing.B) {
	const keys, each, batch = 100_000, 1_000_000, 1000
	for _, c := range []struct {
		name string
		list []abi.Aggregate
	}{
		{"count", []abi.Aggregate{{Name: "n", Kind: "count"}}},
		{"count, min, max", []abi.Aggregate{{Name: "n", Kind: "count"}, {Name: "a", Kind: "min", Field: "price"}, {Name: "b", Kind: "max", Field: "price"}}},
		{"distinct", []abi.Aggregate{{Name: "n", Kind: "countDistinct", Field: "price"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := start(b, Config{Kind: abi.OperatorAggregates, Key: "i64", Value: "row(auction: i64, price: i64)", Aggregates: c.list,
				Window: &abi.Window{Kind: "tumbling", SizeMs: each}})
			schema, _ := abi.ParseSchema("row(auction: i64, price: i64)")
			r := rand.New(rand.NewPCG(1, 1))
			var batches []abi.Batch
			var hashes [][]uint64
			for range 512 {
				in := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues)
				var w abi.RowWriter
				w.Reset(schema)
				var hashed []uint64
				for range batch {
					key := binary.LittleEndian.AppendUint64(nil, uint64(r.IntN(keys)))
					w.SetI64(1, r.Int64N(1000))
					in.Append(abi.Record{Key: key, Value: w.AppendTo(nil)})
					hashed = append(hashed, xxhash.Sum64(key))
				}
				var view abi.Batch
				in.View(&view)
				batches, hashes = append(batches, view), append(hashes, hashed)
			}
			time := int64(0)
			b.ResetTimer()
			for i := range b.N {
				one := &batches[i%len(batches)]
				for k := range one.Timestamps {
					one.Timestamps[k] = time
					time++
				}
				if err := f.op.Process(one, hashes[i%len(hashes)], 0, f.out); err != nil {
					b.Fatal(err)
				}
				for more := true; more; f.out.Reset() {
					var err error
					if more, err = f.op.Fire(time-1, f.out); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/record")
		})
	}
}
