package operator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

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
		"held":     {Kind: "tumbling", SizeMs: 10, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 1}},
	} {
		for _, budget := range []int64{0, 64 << 10, 64 << 20} {
			guest := &windowGuest{elem: true, results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
			c := Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: &w, Guest: guest, Calls: guest, Groups: graph.DefaultMaxParallelism,
				Final:    name == "held",
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

// halves are two subtasks that have a half of the key groups each. The first has put out a part of what the watermark 15 has made due,
// the other has not heard of that. One with all key groups goes on from both.
func halves(t *testing.T, c Config) (out map[string]int, whole *running) {
	var files [][]byte
	out = map[string]int{}
	for half := range graph.KeyGroup(2) {
		config := storeConfig(t, 0)
		config.From, config.To = half*(graph.DefaultMaxParallelism/2), (half+1)*(graph.DefaultMaxParallelism/2)
		c.Store, c.UID = opened(t, config, nil), "op"
		op, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		f := &running{t: t, op: op, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps), store: c.Store}
		var batch []rec
		for _, r := range keysOfOneTime() {
			if halfOf(r.key) == half {
				batch = append(batch, r)
			}
		}
		f.process(batch...)
		made := c.Guest.(*windowGuest)
		for pieces := 0; half == 0 && (pieces < 2 || len(out) == 0 && len(made.counted) == 0); pieces++ {
			if more, err := op.Fire(15, f.out); !more || err != nil {
				t.Fatalf("all has fired at once, %v", err)
			}
			f.countResults(out)
		}
		if err := op.Save(); err != nil {
			t.Fatal(err)
		}
		files = append(files, saved(t, f.store, nil)...)
		f.close()
	}
	c.Store = opened(t, storeConfig(t, 0), files)
	op, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return out, &running{t: t, op: op, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps), store: c.Store, files: files}
}

// halfOf is the half whose key groups a key is in.
func halfOf(key string) graph.KeyGroup {
	return graph.KeyGroupOf(xxhash.Sum64String(key), graph.DefaultMaxParallelism) / (graph.DefaultMaxParallelism / 2)
}

// countResults counts what was put out by key.
func (r *running) countResults(by map[string]int) {
	var b abi.Batch
	r.out.View(&b)
	for i := range b.N {
		by[string(b.Key(i))]++
	}
	r.out.Reset()
}

// halvesOf is a record's key of each kind: one whose result is out, one of the same half whose is not, and one of the other half.
func halvesOf(t *testing.T, results map[string]int) (was, fresh, other string) {
	t.Helper()
	for _, r := range keysOfOneTime() {
		switch out := results[r.key] > 0; {
		case out:
			was = r.key
		case halfOf(r.key) == 0:
			fresh = r.key
		default:
			other = r.key
		}
	}
	if was == "" || fresh == "" || len(results) >= firingKeys/2 {
		t.Fatalf("%d results are out", len(results))
	}
	return was, fresh, other
}

// Where some subtasks stood in the middle of a firing and others had not begun, whoever has keys of both has records again before it
// fires. They are late for the keys of those that fired, unless the window takes late ones: then a result that was out comes again with
// them. Every other result comes once.
func TestHalvesOfAFiringMeet(t *testing.T) {
	for name, w := range map[string]struct {
		window           abi.Window
		late             int64
		results          int // of each key
		wasOnce, isFresh int // of one that was out before, and of another of its half
	}{
		"tumbling":      {abi.Window{Kind: "tumbling", SizeMs: 10}, 2, 1, 1, 1},
		"late":          {abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: 1000}, 0, 1, 2, 1},
		"sliding":       {abi.Window{Kind: "sliding", SizeMs: 20, SlideMs: 10}, 0, 2, 2, 2}, // the second window takes them
		"late sliding":  {abi.Window{Kind: "sliding", SizeMs: 20, SlideMs: 10, LatenessMs: 1000}, 0, 2, 3, 2},
		"sessions":      {abi.Window{Kind: "session", GapMs: 5}, 2, 1, 1, 1},
		"late sessions": {abi.Window{Kind: "session", GapMs: 5, LatenessMs: 1000}, 0, 1, 2, 1},
	} {
		for _, kind := range []abi.OperatorKind{abi.OperatorSum, abi.OperatorReduce, abi.OperatorWindow} {
			guest := &windowGuest{elem: true, results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
			c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: &w.window, Guest: guest, Calls: guest, Groups: graph.DefaultMaxParallelism}
			isFresh := w.isFresh
			switch kind {
			case abi.OperatorReduce:
				c.Function = &abi.Function{Kind: abi.FunctionReduce}
			case abi.OperatorWindow:
				c.Function = &abi.Function{Name: "f", Kind: abi.FunctionWindow, States: []abi.State{{Name: "calls", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}}
				if name == "late sessions" || name == "late sliding" {
					isFresh++ // its first is made before the record comes
				}
			}
			results, f := halves(t, c)
			count := func() {
				f.countResults(results)
				for key, n := range guest.counted {
					results[key] = int(n)
				}
			}
			count()
			was, fresh, other := halvesOf(t, results)
			f.process(rec{5, was, 1}, rec{5, fresh, 1}, rec{5, other, 1})
			if f.op.Late() != w.late {
				t.Errorf("%s of %s: %d late records (expected %d)", kind, name, f.op.Late(), w.late)
			}
			f.again(c) // it may fail before it fires
			f.fire(100)
			count()
			if len(results) != firingKeys || results[was] != w.wasOnce || results[fresh] != isFresh {
				t.Errorf("%s of %s: results of %d keys, %d of %s, %d of %s (expected %d, %d, %d)", kind, name, len(results), results[was], was, results[fresh], fresh, firingKeys, w.wasOnce, isFresh)
			}
			for key, n := range results {
				if n != w.results && key != was && key != fresh {
					t.Errorf("%s of %s: %d results of %s (expected %d)", kind, name, n, key, w.results)
					break
				}
			}
			f.fire(abi.MaxTime)
			if left := f.namespaces("$emitted"); len(left) > 0 {
				t.Errorf("%s of %s: what was put out of windows %d is still noted", kind, name, left)
			}
			f.close()
		}
	}
}

// halvesOfAJoin is halves, of a join, gone on from, and its keys as halvesOf has them.
func halvesOfAJoin(t *testing.T, name string, w *abi.Window) (j *joining, was, fresh, other string) {
	t.Helper()
	j = &joining{t: t, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
		Window: w, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64?, right: i64?)", Function: &abi.Function{Kind: abi.FunctionCoGroup}}}
	j.spread(2)
	for input := range 2 {
		j.process(keysOfOneTime(), input)
	}
	for range 2 {
		if !j.shards[0].part(15) {
			t.Fatalf("%s: all has fired at once", name)
		}
	}
	results := j.byKey()
	for _, r := range keysOfOneTime() {
		switch {
		case results[r.key] > 0:
			was = r.key
		case groupOf(r.key) < joinGroups/2:
			fresh = r.key
		default:
			other = r.key
		}
	}
	j.spread(1)
	return j, was, fresh, other
}

// byKey counts the results of a co-group by key.
func (j *joining) byKey() map[string]int {
	by := map[string]int{}
	for made, n := range j.got {
		by[made[:strings.Index(made, "[")]] += n
	}
	return by
}

// So it is with joins: each window is joined once for a key whose windows had not been, and once more with the late record for one whose
// window had.
func TestHalvesOfAFiringMeetInAJoin(t *testing.T) {
	for name, c := range map[string]struct {
		window     abi.Window
		late       int64
		out, waits int // results of a key that was out and gets a record, and of one whose turn had not come
		fresh      int // of one whose turn has: its first is made before the record comes
	}{
		"tumbling":      {abi.Window{Kind: "tumbling", SizeMs: 10}, 2, 1, 1, 1},
		"late":          {abi.Window{Kind: "tumbling", SizeMs: 10, LatenessMs: 1000}, 0, 2, 1, 2},
		"sliding":       {abi.Window{Kind: "sliding", SizeMs: 20, SlideMs: 10}, 0, 2, 2, 2},
		"late sliding":  {abi.Window{Kind: "sliding", SizeMs: 20, SlideMs: 10, LatenessMs: 1000}, 0, 3, 2, 3},
		"sessions":      {abi.Window{Kind: "session", GapMs: 5}, 2, 1, 1, 1},
		"late sessions": {abi.Window{Kind: "session", GapMs: 5, LatenessMs: 1000}, 0, 2, 1, 1},
	} {
		j, was, fresh, other := halvesOfAJoin(t, name, &c.window)
		j.process([]rec{{5, was, 1}, {5, fresh, 1}, {5, other, 1}}, 0)
		if late := j.shards[0].op.Late(); late != c.late {
			t.Errorf("%s: %d late (expected %d)", name, late, c.late)
		}
		j.spread(1) // it may fail before it fires
		j.shards[0].fire(100)
		by := j.byKey()
		for _, want := range []struct {
			key string
			n   int
		}{{was, c.out}, {fresh, c.fresh}, {other, c.waits}} {
			if by[want.key] != want.n {
				t.Errorf("%s: %d results of %s (expected %d)", name, by[want.key], want.key, want.n)
			}
			by[want.key] = c.waits
		}
		for key, n := range by {
			if n != c.waits {
				t.Errorf("%s: %d results of %s (expected %d)", name, n, key, c.waits)
				break
			}
		}
		if len(by) != firingKeys {
			t.Errorf("%s: results of %d keys (expected %d)", name, len(by), firingKeys)
		}
	}
}

// Behind the end of the input nobody expects records. Where they come all the same, to who goes on from the middle of what that end has
// made due, a window that has no result of a key yet takes them, and one that has puts it out again.
func TestRecordsBehindAnEndThatWasDivided(t *testing.T) {
	for name, w := range map[string]*abi.Window{"tumbling": {Kind: "tumbling", SizeMs: 10}, "of all": nil} {
		c := Config{Kind: abi.OperatorSum, Key: "utf8", Value: "i64", Window: w, Final: w == nil, Groups: graph.DefaultMaxParallelism}
		f := start(t, c)
		f.process(keysOfOneTime()...)
		for range 2 {
			if more, err := f.op.Fire(abi.MaxTime, f.out); !more || err != nil {
				t.Fatalf("%s: all has fired at once, %v", name, err)
			}
		}
		results := map[string]int{}
		f.countResults(results)
		was := ""
		for key := range results {
			was = max(was, key)
		}
		f.again(c)
		f.process(rec{5, was, 1})
		f.fire(abi.MaxTime)
		f.countResults(results)
		if len(results) != firingKeys || results[was] != 2 || f.op.Late() != 0 {
			t.Errorf("%s: results of %d keys, %d of the one that has come again, %d late (expected %d, 2, 0)", name, len(results), results[was], f.op.Late(), firingKeys)
		}
		f.close()
	}
}
