package operator

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
)

// BenchmarkSliding counts records of 10,000 keys, 25,000 a slide, in windows of few and of many slices.
func BenchmarkSliding(b *testing.B) {
	const keys, each, batch = 10_000, 25_000, 1000
	for _, slices := range []int64{1, 5, 600} {
		b.Run(fmt.Sprintf("%d slices", slices), func(b *testing.B) {
			w := &abi.Window{Kind: "sliding", SizeMs: slices * each, SlideMs: each}
			if slices == 1 {
				w = &abi.Window{Kind: "tumbling", SizeMs: each}
			}
			f := start(b, Config{Kind: abi.OperatorCount, Key: "i64", Window: w})
			r := rand.New(rand.NewPCG(1, 1))
			time := int64(0)
			turn := func() (results int) {
				in := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys)
				hashes := make([]uint64, batch)
				for i := range batch {
					key := binary.LittleEndian.AppendUint64(nil, uint64(r.IntN(keys)))
					in.Append(abi.Record{Timestamp: time, Key: key})
					hashes[i] = xxhash.Sum64(key)
					time++
				}
				var view abi.Batch
				in.View(&view)
				if err := f.op.Process(&view, hashes, 0, f.out); err != nil {
					b.Fatal(err)
				}
				for more := true; more; {
					var err error
					if more, err = f.op.Fire(time-1, f.out); err != nil {
						b.Fatal(err)
					}
					results += f.out.Len()
					f.out.Reset()
				}
				return results
			}
			for time < 2*slices*each { // until the window is full, and the front was turned
				turn()
			}
			b.ResetTimer()
			results := 0
			for range b.N {
				results += turn()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/record")
			b.ReportMetric(float64(results)/float64(b.N*batch), "results/record")
		})
	}
}
