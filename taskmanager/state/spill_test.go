package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
	"github.com/wasmill/wasmill/taskmanager/state/statetest"
)

func TestMemoryRandom(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { statetest.Random(t, seed, 600, state.New) })
	}
}

// spilling makes stores that have next to no memory.
func spilling(t *testing.T, budget int64) func(state.Config) (state.Store, error) {
	dir, n := t.TempDir(), 0
	disk := &spill.Disk{Dir: dir}
	return func(c state.Config) (state.Store, error) {
		n++
		c.Budget, c.Dir, c.Space = budget, filepath.Join(dir, fmt.Sprint("attempt ", n)), &spill.Space{Disk: disk, Dir: dir}
		return state.New(c)
	}
}

func TestSpilling(t *testing.T) {
	open := spilling(t, 1)
	statetest.Run(t, func(t *testing.T) state.Store {
		s, err := open(state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestWholeRandom(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			statetest.RandomInMemory(t, seed, 400, state.New)
			statetest.RandomInMemory(t, seed, 400, spilling(t, 64<<20))
		})
	}
}

func TestSpillingRandom(t *testing.T) {
	for seed := range uint64(3) {
		for _, budget := range []int64{1, 200 << 10, 600 << 10, 64 << 20} {
			t.Run(fmt.Sprintf("seed %d budget %d", seed, budget), func(t *testing.T) {
				statetest.Random(t, seed, 400, spilling(t, budget))
			})
		}
	}
}

func bytesTable(t *testing.T, s state.Store) state.Table {
	t.Helper()
	tab, err := s.Table(state.Spec{Operator: "o", Name: "n", Kind: state.Bytes}, state.Global)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func entry(t *testing.T, tab state.Table, key string) state.Entry {
	t.Helper()
	b, hashes := statetest.Batch(key)
	var e [1]state.Entry
	if err := tab.Resolve(b, nil, hashes, e[:]); err != nil {
		t.Fatal(err)
	}
	return e[0]
}

// Entries with long keys stay in memory, and large values leave it: both come back as they were.
// Elements that last for a while come and go: with as many again that have ended they would take more than their part of the budget.
func TestWhatHasEndedDoesNotSpill(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprint("set once ", once), func(t *testing.T) { endsInMemory(t, once) })
	}
}

func endsInMemory(t *testing.T, once bool) {
	const lasting, budget = 15_000, 9 << 20
	dir := t.TempDir()
	c := state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: budget, Dir: filepath.Join(dir, "spill")}
	c.Space = &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
	s, err := state.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	spec := state.Spec{Operator: "o", Name: "n", Kind: state.Map}
	if once {
		spec.TTL, spec.Once = lasting, true
	}
	table, err := s.Sorted(spec)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 * lasting {
		key := fmt.Appendf(nil, "key %d", i%1000)
		s.SetTime(int64(i))
		if err := table.Put(0, key, fmt.Appendf(nil, "%016d", i), []byte("a value")); err != nil {
			t.Fatal(err)
		}
		if ended := i - lasting; ended >= 0 && !once {
			if err := table.Delete(0, key, fmt.Appendf(nil, "%016d", ended)); err != nil {
				t.Fatal(err)
			}
		}
		if i%256 == 0 {
			if err := s.Trim(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there (%v): something was written to disk", c.Dir, err)
	}
	if got := s.Size(); got > budget/2 {
		t.Errorf("the state takes %d bytes (expected <= %d)", got, budget/2)
	}
}

// A table of one entry, as a window has that few keys are in, takes little, in memory and on its way to disk.
func TestSmallTablesTakeLittle(t *testing.T) {
	const tables, most = 20_000, 12 << 10 // bytes; a page of entries has 4.3 KiB
	s, err := spilling(t, 1<<20)(state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var entries [1]state.Entry
	for i := range tables {
		table, err := s.Table(state.Spec{Operator: "o", Name: "n", Kind: state.Bytes}, state.Namespace(i))
		if err == nil {
			err = table.ResolveKeys([][]byte{[]byte("key")}, []uint64{7}, false, entries[:])
		}
		if err == nil {
			err = table.SetValue(entries[0], []byte("a value"))
		}
		if err == nil && i%4096 == 0 {
			err = s.Trim()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / tables; each > most {
		t.Errorf("%d bytes were allocated for each table (expected <= %d)", each, most)
	}
}

func TestLongKeysAndLargeValues(t *testing.T) {
	s, err := spilling(t, 256<<10)(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab := bytesTable(t, s)
	want := map[string]string{"small": "value", "large value": strings.Repeat("x", 3<<20), strings.Repeat("k", 40<<10): "of a large key"}
	for key, v := range want {
		if err := tab.SetValue(entry(t, tab, key), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		if err := tab.SetValue(entry(t, tab, fmt.Sprint("another ", i)), make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		if err := s.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	if size := s.Size(); size > 2<<20 {
		t.Errorf("%d bytes are in memory (expected that the large value is not)", size)
	}
	for key, v := range want {
		if got := tab.Value(entry(t, tab, key)); string(got) != v {
			t.Errorf("%.20q has %d bytes (expected %d)", key, len(got), len(v))
		}
	}
}

// Large values leave the memory like others, and are right whenever they are read and changed.
func TestLargeValuesLeaveTheMemory(t *testing.T) {
	const values, budget, large = 100, 8 << 20, 1 << 20
	s, err := spilling(t, budget)(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab := bytesTable(t, s)
	for round := range 2 {
		for i := range values {
			e := entry(t, tab, fmt.Sprint(i))
			if was := tab.Value(e); round == 0 && was != nil || round == 1 && (len(was) != large+i || was[0] != byte(i) || was[len(was)-1] != 0) {
				t.Fatalf("value %d of round %d has %d bytes before it is set", i, round, len(was))
			}
			v := make([]byte, large+i+round)
			v[0], v[len(v)-1] = byte(i), byte(round)
			if err := tab.SetValue(e, v); err != nil {
				t.Fatal(err)
			}
			if err := s.Trim(); err != nil {
				t.Fatal(err)
			}
			if size := s.Size(); size > 2*budget {
				t.Fatalf("%d bytes are in memory after value %d (expected <= %d)", size, i, 2*budget)
			}
		}
	}
	for i := range values {
		v := tab.Value(entry(t, tab, fmt.Sprint(i)))
		if len(v) != large+i+1 || v[0] != byte(i) || v[len(v)-1] != 1 {
			t.Fatalf("value %d has %d bytes in the end", i, len(v))
		}
		if err := s.Trim(); err != nil {
			t.Fatal(err)
		}
	}
}

// Keys that cannot leave the memory are an error that names their state before they take more than there is.
func TestLongKeysThatDoNotFit(t *testing.T) {
	const budget = 1 << 20
	s, err := spilling(t, budget)(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab := bytesTable(t, s)
	for i := range 1000 {
		if err = tab.SetValue(entry(t, tab, fmt.Sprint(strings.Repeat("k", 40<<10), i)), []byte("v")); err != nil {
			t.Fatal(err)
		}
		if size := s.Size(); size > 16*budget {
			t.Fatalf("%d bytes are in memory (expected <= %d)", size, 16*budget)
		}
		if err = s.Trim(); err != nil {
			break
		}
	}
	var keys *state.KeysError
	if !errors.As(err, &keys) || !strings.Contains(err.Error(), `keys above 32 KiB of state "n" of operator "o"`) {
		t.Errorf("40 MB of long keys in 1 MiB: %v (expected a KeysError that names the state)", err)
	}
}

// A full disk is an error of Trim that names the option.
func TestFullDiskIsAnError(t *testing.T) {
	dir := t.TempDir()
	disk := &spill.Disk{Dir: dir, Reserve: 1 << 30, Free: func(string) (int64, error) { return 1 << 29, nil }}
	s, err := state.New(state.Config{Groups: 4, To: 4, Budget: 1, Dir: filepath.Join(dir, "spill"), Space: &spill.Space{Disk: disk, Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab := bytesTable(t, s)
	for i := range 4 {
		if err = tab.SetValue(entry(t, tab, fmt.Sprint(i)), []byte("v")); err != nil {
			t.Fatal(err)
		}
		if err = s.Trim(); err != nil {
			break
		}
	}
	var full *spill.FullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "state.reserve") {
		t.Errorf("a full disk: %v (expected an error that names state.reserve)", err)
	}
}

// A restored file is read when an entry of it is touched: one that is damaged is found then, by its checksum, and named.
func TestRestoredFilesAreReadWhenTouched(t *testing.T) {
	s, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	tab := bytesTable(t, s)
	for i := range 5000 {
		if err := tab.SetValue(entry(t, tab, fmt.Sprint(i)), []byte(strings.Repeat("v", 100))); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w := snapshot.NewWriter(&file, f.States())
	w.SetName("file 1")
	if err := f.Write(w); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(content []byte) state.Table {
		r, err := snapshot.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := spilling(t, 1<<20)(state.Config{Groups: 4, To: 4, Restored: []*snapshot.Reader{r}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return bytesTable(t, s)
	}
	whole := open(file.Bytes())
	if n := whole.Len(); n != 0 {
		t.Errorf("%d entries were read before one was touched", n)
	}
	if v := whole.Value(entry(t, whole, "77")); len(v) != 100 || whole.Len() != 1 {
		t.Errorf("77 has %d bytes, of %d entries (expected 100, of 1)", len(v), whole.Len())
	}
	damaged := bytes.Clone(file.Bytes())
	for i := 1000; i < len(damaged)/2; i += 1000 {
		damaged[i] ^= 1
	}
	tab = open(damaged)
	var named *state.FileError
	for i := range 5000 {
		b, hashes := statetest.Batch(fmt.Sprint(i))
		var e [1]state.Entry
		if err = tab.Resolve(b, nil, hashes, e[:]); err != nil {
			break
		}
		if string(tab.Value(e[0])) != strings.Repeat("v", 100) {
			t.Fatalf("%d has %q from a damaged file", i, tab.Value(e[0]))
		}
	}
	if !errors.As(err, &named) || named.File != "file 1" || !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("a damaged file: %v (expected that file 1 is damaged)", err)
	}
}
