package state_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// elements is a list, a map and timers by number.
type elements struct {
	t      *testing.T
	s      state.Store
	logs   state.Sorted
	carts  state.Sorted
	alarms state.Timers
}

func newElements(t *testing.T, budget int64) *elements {
	c := state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: budget}
	dir := t.TempDir()
	c.Dir, c.Space = filepath.Join(dir, "spill"), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
	s, err := state.New(c)
	e := &elements{t: t, s: s}
	e.check(err)
	e.logs, err = s.Sorted(state.Spec{Operator: "o", Name: "logs", Kind: state.List})
	e.check(err)
	e.carts, err = s.Sorted(state.Spec{Operator: "o", Name: "carts", Kind: state.Map})
	e.check(err)
	e.alarms, err = s.Timers(state.Spec{Operator: "o", Name: "alarms", Kind: state.Timer})
	e.check(err)
	return e
}

func (e *elements) check(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// of is a key that has several elements, and its hash.
func (e *elements) of(i int) (key []byte, hash uint64) {
	key = binary.BigEndian.AppendUint64([]byte("key-"), uint64(i))
	return key, xxhash.Sum64(key)
}

// alarm is when the timer of a key goes off: in no order.
func alarm(i int) int64 { return int64(uint32(i) * 2654435761 >> 8) }

// add gives n keys from first on an element of each kind.
func (e *elements) add(first, n int) {
	for i := first; i < first+n; i++ {
		key, hash := e.of(i)
		e.check(e.logs.Append(hash, key, fmt.Appendf(nil, "line %d", i)))
		e.check(e.carts.Put(hash, key, []byte("item"), fmt.Appendf(nil, "value %d", i)))
		e.check(e.alarms.Set(alarm(i), hash, key))
		if i%1024 == 1023 {
			e.check(e.s.Trim())
		}
	}
}

// look reads the list and map of a key.
func (e *elements) look(i int) {
	key, hash := e.of(i)
	var lines []string
	e.check(e.logs.Scan(hash, key, nil, func(_, v []byte, _ uint16) bool { lines = append(lines, string(v)); return true }))
	if want := fmt.Sprintf("line %d", i); len(lines) != 1 || lines[0] != want {
		e.t.Fatalf("the list of %d is %q (expected %q)", i, lines, want)
	}
	v, _, err := e.carts.Get(hash, key, []byte("item"))
	e.check(err)
	if want := fmt.Sprintf("value %d", i); string(v) != want {
		e.t.Fatalf("the map of %d has %q (expected %q)", i, v, want)
	}
}

// fire has all timers go off, in batches, and answers how many did.
func (e *elements) fire() (n int) {
	last := int64(math.MinInt64)
	type timer struct {
		time int64
		hash uint64
		key  string
	}
	var due []timer
	for {
		due = due[:0]
		e.check(e.alarms.Due(nil, math.MaxInt64-1, func(time int64, hash uint64, key []byte) bool {
			due = append(due, timer{time, hash, string(key)})
			return len(due) < 1024
		}))
		if len(due) == 0 {
			return n
		}
		for _, d := range due {
			if d.time < last || d.time != alarm(int(binary.BigEndian.Uint64([]byte(d.key[4:])))) {
				e.t.Fatalf("timer %d of %x after %d", d.time, d.key, last)
			}
			last = d.time
			e.check(e.alarms.Delete(d.time, d.hash, []byte(d.key)))
		}
		n += len(due)
		e.check(e.s.Trim())
	}
}

// Lists, maps and timers far larger than their budget are right, and take no more memory than it allows; as many as fit
// do not stop the process when garbage is collected. The lines that it logs are those of `make bench`.
func TestLargeElements(t *testing.T) {
	n := *largeKeys / 3
	e := newElements(t, *largeBudget)
	begun, cpu := time.Now(), processors()
	e.add(0, n)
	t.Logf("%d elements, %d MiB of memory: %.0f changes a second, %.0f a second and core", 3*n, *largeBudget>>20,
		3*float64(n)/time.Since(begun).Seconds(), 3*float64(n)/(processors()-cpu).Seconds())
	for i := 0; i < n; i += max(n/1000, 1) {
		e.look(i)
	}
	if size := e.s.Size(); size > *largeBudget*5/4 {
		t.Errorf("%d bytes of memory (expected <= %d)", size, *largeBudget)
	}
	begun, cpu = time.Now(), processors()
	if fired := e.fire(); fired != n {
		t.Errorf("%d timers went off (expected %d)", fired, n)
	}
	t.Logf("%d timers fired: %.0f a second, %.0f a second and core", n, float64(n)/time.Since(begun).Seconds(), float64(n)/(processors()-cpu).Seconds())
	if size := e.s.Size(); size > *largeBudget*5/4 {
		t.Errorf("%d bytes of memory when timers have fired (expected <= %d)", size, *largeBudget)
	}
	e.check(e.s.Close())

	e = newElements(t, 1<<40)
	e.add(0, *largeEntries/3)
	begun = time.Now()
	f, err := e.s.Freeze()
	e.check(err)
	t.Logf("freeze with %d changed elements: %.3f ms", *largeEntries/3*3, time.Since(begun).Seconds()*1e3)
	f.Release()
	runtime.GC()
	var before, after debug.GCStats
	debug.ReadGCStats(&before)
	begun = time.Now()
	runtime.GC()
	wall := time.Since(begun)
	debug.ReadGCStats(&after)
	t.Logf("garbage collection with %d elements of %d MiB: %.1f ms, which stopped the process for %.2f ms", *largeEntries/3*3,
		e.s.Size()>>20, wall.Seconds()*1e3, (after.PauseTotal-before.PauseTotal).Seconds()*1e3)
	e.check(e.s.Close())
}
