package operator

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
)

// BenchmarkWindows counts records of so many keys, 1,024 a batch, in windows, and holds what comes out against what went in.
// A slide of the sliding ones has 25,000 records.
func BenchmarkWindows(b *testing.B) {
	const slide = 25_000
	for _, c := range []struct {
		name    string
		keys    int
		window  abi.Window
		windows int64 // that a record is in
	}{
		{"tumbling, 100,000 keys", 100_000, abi.Window{Kind: "tumbling", SizeMs: 1_000_000}, 1},
		{"tumbling, 10 million keys", 10_000_000, abi.Window{Kind: "tumbling", SizeMs: 20_000_000}, 1},
		{"sliding, 5 slices, 10,000 keys", 10_000, abi.Window{Kind: "sliding", SizeMs: 5 * slide, SlideMs: slide}, 5},
		{"sliding, 600 slices, 10,000 keys", 10_000, abi.Window{Kind: "sliding", SizeMs: 600 * slide, SlideMs: slide}, 600},
		{"session, 10,000 keys", 10_000, abi.Window{Kind: "session", GapMs: 20_000}, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := start(b, Config{Kind: abi.OperatorCount, Key: "i64", Window: &c.window})
			in := newTraffic(c.keys)
			time, records, counted := int64(0), int64(0), int64(0)
			turn := func(watermark int64) {
				for more := true; more; {
					var err error
					if more, err = f.op.Fire(watermark, f.out); err != nil {
						b.Fatal(err)
					}
					var results abi.Batch
					f.out.View(&results)
					for i := range results.N {
						counted += int64(binary.LittleEndian.Uint64(results.Value(i)[32:])) // the last of 4 slots
					}
					f.out.Reset()
				}
			}
			process := func() {
				batch, hashes := in.next(time)
				if err := f.op.Process(batch, hashes, 0, f.out); err != nil {
					b.Fatal(err)
				}
				time, records = time+int64(batch.N), records+int64(batch.N)
				turn(time - 1)
			}
			for time < max(2*c.window.SizeMs, 100_000) { // until windows are full, and slices have gone
				process()
			}
			begun := records
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				process()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records-begun), "ns/record")
			turn(abi.MaxTime)
			if want := records * c.windows; counted != want {
				b.Fatalf("%d counted (expected %d)", counted, want)
			}
		})
	}
}

// traffic is batches of keys at random, over and over.
type traffic struct {
	batches []abi.Batch
	hashes  [][]uint64
	at      int
}

func newTraffic(keys int) *traffic {
	r := rand.New(rand.NewPCG(1, 1))
	t := &traffic{}
	for range max(64, min(keys, 4_000_000)/256) {
		w := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys)
		hashes := make([]uint64, 1024)
		for i := range hashes {
			key := binary.LittleEndian.AppendUint64(nil, uint64(r.IntN(keys)))
			w.Append(abi.Record{Key: key})
			hashes[i] = xxhash.Sum64(key)
		}
		var b abi.Batch
		w.View(&b)
		t.batches, t.hashes = append(t.batches, b), append(t.hashes, hashes)
	}
	return t
}

// next is the next batch, whose records have the times from time on.
func (t *traffic) next(time int64) (*abi.Batch, []uint64) {
	b, hashes := &t.batches[t.at], t.hashes[t.at]
	for i := range b.Timestamps {
		b.Timestamps[i] = time + int64(i)
	}
	t.at = (t.at + 1) % len(t.batches)
	return b, hashes
}
