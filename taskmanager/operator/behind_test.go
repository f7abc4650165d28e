package operator

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// slidingHalves are windows of which several have a record: what is late for the first may be in time for the last.
var slidingHalves = []abi.Window{
	{Kind: "sliding", SizeMs: 20, SlideMs: 10},
	{Kind: "sliding", SizeMs: 30, SlideMs: 10},
	{Kind: "sliding", SizeMs: 20, SlideMs: 5},
	{Kind: "sliding", SizeMs: 20, SlideMs: 10, LatenessMs: 3},
	{Kind: "sliding", SizeMs: 30, SlideMs: 10, LatenessMs: 1000},
}

// lateForSome come to a key behind the watermark 15, in this order.
var lateForSome = []rec{{5, "", 10}, {12, "", 100}, {18, "", 1000}, {0, "", 10_000}, {25, "", 100_000}}

// taken is what a window has of a key: one record of keysOfOneTime, and those of lateForSome that it takes. reached is the watermark by
// which they are late.
func taken(w *abi.Window, end int64, key string, reached int64) (values []int64) {
	in := func(t int64) bool { return t < end && t >= end-w.SizeMs }
	for _, r := range keysOfOneTime() {
		if r.key == key && in(r.time) {
			values = append(values, r.value)
		}
	}
	for _, r := range lateForSome {
		if in(r.time) && end+w.LatenessMs-1 > reached {
			values = append(values, r.value)
		}
	}
	return values
}

// Where keys of some subtasks stood in the middle of a firing, and other subtasks had not heard of that, a record that comes to whoever
// goes on from both is in those windows that take it, and in no other, whether their results are out or still to come.
func TestRecordsAreInTheWindowsThatTakeThem(t *testing.T) {
	for _, w := range slidingHalves {
		for _, kind := range []abi.OperatorKind{abi.OperatorSum, abi.OperatorReduce, abi.OperatorWindow} {
			name := fmt.Sprintf("%s over %d by %d, lateness %d", kind, w.SizeMs, w.SlideMs, w.LatenessMs)
			guest := &windowGuest{elem: true, results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
			c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: &w, Guest: guest, Calls: guest, Groups: graph.DefaultMaxParallelism}
			switch kind {
			case abi.OperatorReduce:
				c.Function = &abi.Function{Kind: abi.FunctionReduce}
			case abi.OperatorWindow:
				c.Function = &abi.Function{Name: "f", Kind: abi.FunctionWindow, States: []abi.State{{Name: "calls", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}}
			}
			results, f := halves(t, c)
			for key, n := range guest.counted {
				results[key] = int(n)
			}
			was, fresh, other := halvesOf(t, results)
			for i, r := range lateForSome {
				if i == 2 {
					f.again(c) // it may fail before it fires
				}
				f.process(rec{r.time, was, r.value}, rec{r.time, fresh, r.value}, rec{r.time, other, r.value})
			}
			f.fire(100)
			last := f.sums()
			for window, made := range guest.results {
				var start, end int64
				var key string
				if _, err := fmt.Sscanf(window, "%d,%d,%s", &start, &end, &key); err != nil {
					t.Fatal(err)
				}
				values, _, _ := strings.Cut(made[len(made)-1], ",")
				sum := int64(0)
				for _, v := range strings.Fields(values) {
					var n int64
					fmt.Sscan(v, &n)
					sum += n
				}
				last[fmt.Sprintf("%s@%d", key, end-1)] = sum
			}
			for _, key := range []string{was, fresh, other} {
				reached := abi.MinTime
				if halfOf(key) == 0 {
					reached = 15
				}
				for end := int64(5); end <= 25+w.SizeMs; end++ {
					got, there := last[fmt.Sprintf("%s@%d", key, end-1)]
					if !there {
						continue // before the halves met, or no window
					}
					sum := int64(0)
					for _, v := range taken(&w, end, key, reached) {
						sum += v
					}
					if got != sum {
						t.Errorf("%s: %s has %d at %d (expected %d; was %s, fresh %s)", name, key, got, end-1, sum, was, fresh)
					}
				}
				if _, there := last[fmt.Sprintf("%s@%d", key, 19)]; !there {
					t.Errorf("%s: %s has no result at 19", name, key)
				}
			}
			if _, there := last[fmt.Sprintf("%s@%d", fresh, 9)]; !there {
				t.Errorf("%s: %s has no result at 9", name, fresh)
			}
			f.close()
		}
	}
}

// sums are the last results of each key and time, as values or as rows.
func (r *running) sums() map[string]int64 {
	last := map[string]int64{}
	schema, _ := abi.ParseSchema(windowed)
	var b abi.Batch
	r.out.View(&b)
	for i := range b.N {
		made := fmt.Sprintf("%s@%d", b.Key(i), b.Timestamp(i))
		if value := b.Value(i); len(value) == 8 {
			last[made] = int64(binary.LittleEndian.Uint64(value))
		} else {
			last[made] = schema.Row(value).I64(schema.Index("value"))
		}
	}
	return last
}

// So it is with joins, and a window whose turn has come is joined in the order of its key's windows, once without what is late for it.
func TestRecordsAreInTheJoinsThatTakeThem(t *testing.T) {
	for _, w := range slidingHalves {
		name := fmt.Sprintf("%d by %d, lateness %d", w.SizeMs, w.SlideMs, w.LatenessMs)
		j, was, fresh, other := halvesOfAJoin(t, name, &w)
		for i, r := range lateForSome {
			if i == 2 {
				j.spread(1) // it may fail before it fires
			}
			j.process([]rec{{r.time, was, r.value}, {r.time, fresh, r.value}, {r.time, other, r.value}}, 0)
		}
		j.shards[0].fire(100)
		for _, key := range []string{was, fresh, other} {
			reached := abi.MinTime
			if groupOf(key) < joinGroups/2 {
				reached = 15
			}
			for end := int64(5); end <= 25+w.SizeMs; end += 5 {
				all := taken(&w, end, key, reached)
				if (end-w.SizeMs)%w.SlideMs != 0 || len(all) == 0 {
					continue
				}
				slices.Sort(all)
				var right []int64
				if taken(&w, end, key, abi.MaxTime) != nil {
					right = []int64{1}
				}
				want := fmt.Sprintf("%s%v%v@%d", key, all, right, end-1)
				times := 0
				for made, n := range j.got {
					if strings.HasPrefix(made, key+"[") && strings.HasSuffix(made, fmt.Sprintf("@%d", end-1)) {
						times += n
					}
				}
				if j.got[want] != 1 || times != 1 && (w.LatenessMs == 0 || reached < end-1) {
					t.Errorf("%s: %s %d times of %d (was %s, fresh %s)", name, want, j.got[want], times, was, fresh)
				}
			}
		}
	}
}
