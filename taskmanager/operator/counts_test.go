package operator

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
)

// Windows of records are held against the records themselves, over batches and snapshots.
func TestWindowsOfRecordsAreTheNewest(t *testing.T) {
	oracle.Check(t, 200, func(t testing.TB, r *rand.Rand) {
		w := abi.Window{Kind: CountWindows, Count: 1 + r.IntN(12)}
		slide := w.Count
		if r.IntN(2) == 0 {
			slide = 1 + r.IntN(w.Count)
			w.CountSlide = slide
		}
		for _, kind := range []abi.OperatorKind{abi.OperatorSum, abi.OperatorAggregate, abi.OperatorReduce} {
			guest := &summing{}
			c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: &w, Guest: guest, Groups: graph.DefaultMaxParallelism}
			if kind != abi.OperatorSum {
				c.Function = &abi.Function{Kind: abi.FunctionKind(kind)}
			}
			f := start(t, c)
			all := map[string][]int64{}
			var got, want []string
			for range 1 + r.IntN(20) {
				var batch []rec
				for range 1 + r.IntN(30) {
					one := rec{0, fmt.Sprint("k", r.IntN(4)), int64(r.IntN(100))}
					batch = append(batch, one)
					seen := append(all[one.key], one.value)
					if all[one.key] = seen; len(seen)%slide == 0 {
						sum := int64(0)
						for _, v := range seen[max(0, len(seen)-w.Count):] {
							sum += v
						}
						want = append(want, fmt.Sprintf("%s,%d", one.key, sum))
					}
				}
				f.process(batch...)
				switch kind {
				case abi.OperatorSum:
					got = append(got, f.rows(pair)...)
				case abi.OperatorAggregate:
					for _, line := range guest.out {
						var key string
						var sum int64
						fmt.Sscanf(line, "%2s=%d", &key, &sum)
						got = append(got, fmt.Sprintf("%s,%d", key, sum))
					}
					guest.out = nil
				default:
					got = append(got, f.accumulators()...)
				}
				if r.IntN(6) == 0 {
					f.again(c)
				}
			}
			f.fire(abi.MaxTime)
			if expect(t, got, want...); t.Failed() {
				t.Fatalf("%s of %s", kind, w.String())
			}
		}
	})
}

// accumulators takes what was put out as "key,accumulator".
func (r *running) accumulators() (lines []string) {
	var b abi.Batch
	r.out.View(&b)
	for i := range b.N {
		lines = append(lines, fmt.Sprintf("%s,%d", b.Key(i), int64(binary.LittleEndian.Uint64(b.Value(i)))))
	}
	r.out.Reset()
	return lines
}
