package operator

import (
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// firingKeys is how many keys fire in the tests below: in several calls, of whatever operator.
const firingKeys = 5000

// divide fires, and goes on from a snapshot between two calls again and again, each time some calls further on. It answers how
// often.
func (r *running) divide(watermark int64, c Config, again func()) (times int) {
	since := 0
	r.fireIn(watermark, func() {
		if since++; since > times {
			since = 0
			times++
			r.again(c)
			again()
		}
	})
	return times
}

// keysOfOneTime is a record of each key, and of each time before 10.
func keysOfOneTime() (batch []rec) {
	for i := range int64(firingKeys) {
		batch = append(batch, rec{i % 10, fmt.Sprint("k", i), 1})
	}
	return batch
}

// Many keys fire in several calls, and who goes on from a snapshot between two of them puts out those that are left: each result
// comes once, wherever the snapshots lie and whether the state lies in memory or on disk, and what is late by the watermark stays late.
func TestAFiringGoesOnWhereItWasDivided(t *testing.T) {
	for name, w := range map[string]abi.Window{
		"tumbling": {Kind: "tumbling", SizeMs: 10},
		"session":  {Kind: "session", GapMs: 10},
		"purging":  {Kind: "tumbling", SizeMs: 10, Trigger: &abi.Trigger{Kind: abi.TriggerEventTime, Purging: true}},
		"late":     {Kind: "tumbling", SizeMs: 10, LatenessMs: 10},
	} {
		for _, budget := range []int64{0, 64 << 10, 64 << 20} {
			guest := &windowGuest{elem: true, results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
			c := Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: &w, Guest: guest, Calls: guest, Groups: graph.DefaultMaxParallelism,
				Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow, States: []abi.State{{Name: "calls", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}}}
			f := startIn(t, c, budget)
			f.process(keysOfOneTime()...)
			divided := f.divide(100, c, func() {
				if w.LatenessMs == 0 && w.Kind != "session" {
					f.process(rec{5, "k1", 1}, rec{5, "k4999", 1}, rec{5, "another", 1})
				}
			})
			if divided < 2 {
				t.Errorf("%s, budget %d: divided %d times (expected 2 or more)", name, budget, divided)
			}
			if len(guest.counted) != firingKeys {
				t.Errorf("%s, budget %d: results of %d keys (expected %d)", name, budget, len(guest.counted), firingKeys)
			}
			for key, n := range guest.counted {
				if n != 1 {
					t.Errorf("%s, budget %d: %d results of %s", name, budget, n, key)
					break
				}
			}
			f.close()
		}
	}
}

// So it is with accumulators and with words, in windows that are put out once and in those that slide, or take late records.
func TestAFiringOfAccumulatorsIsDivided(t *testing.T) {
	for name, w := range map[string]abi.Window{
		"tumbling": {Kind: "tumbling", SizeMs: 10},
		"late":     {Kind: "tumbling", SizeMs: 10, LatenessMs: 1000},
		"sliding":  {Kind: "tumbling", SizeMs: 20, SlideMs: 10},
	} {
		for _, kind := range []abi.OperatorKind{abi.OperatorReduce, abi.OperatorSum} {
			for _, budget := range []int64{0, 64 << 10, 64 << 20} {
				c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: &w, Guest: &summing{}, Groups: graph.DefaultMaxParallelism}
				if kind == abi.OperatorReduce {
					c.Function = &abi.Function{Kind: abi.FunctionReduce}
				}
				f := startIn(t, c, budget)
				f.process(keysOfOneTime()...)
				if divided := f.divide(10, c, func() {}); divided < 2 {
					t.Errorf("%s of %s, budget %d: divided %d times (expected 2 or more)", kind, name, budget, divided)
				}
				var b abi.Batch
				f.out.View(&b)
				seen := map[string]bool{}
				for i := range b.N {
					seen[string(b.Key(i))] = true
				}
				if b.N != firingKeys || len(seen) != firingKeys {
					t.Errorf("%s of %s, budget %d: %d results of %d keys (expected %d)", kind, name, budget, b.N, len(seen), firingKeys)
				}
				f.close()
			}
		}
	}
}
