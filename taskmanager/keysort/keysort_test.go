package keysort

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
)

const columns = abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues | abi.ColumnHashes

// kept is a record as the model has it.
type kept struct {
	key, value string
	time       int64
	lane       uint32
}

// fill gives a sorter random records, and the model the same.
func fill(t *testing.T, r *rand.Rand, s *Sorter, batches int) (model []kept) {
	t.Helper()
	for n := range batches {
		w := abi.NewBuilder(columns &^ abi.ColumnHashes)
		var hashes []uint64
		lane := uint32(r.IntN(3))
		for i := range r.IntN(50) {
			k := kept{key: fmt.Sprint("key ", r.IntN(40)), value: fmt.Sprintf("%d.%d", n, i), time: r.Int64N(5), lane: lane}
			w.Append(abi.Record{Timestamp: k.time, Key: []byte(k.key), Value: []byte(k.value)})
			hashes = append(hashes, xxhash.Sum64String(k.key))
			model = append(model, k)
		}
		var b abi.Batch
		w.View(&b)
		if err := s.Add(&b, hashes, lane); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortStableFunc(model, func(a, b kept) int {
		return cmp.Or(cmp.Compare(xxhash.Sum64String(a.key), xxhash.Sum64String(b.key)), cmp.Compare(a.time, b.time), cmp.Compare(a.lane, b.lane))
	})
	return model
}

func read(t *testing.T, s *Sorter) (all []kept) {
	t.Helper()
	sorted, err := s.Sorted()
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, ok, err := sorted.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		all = append(all, kept{string(r.Batch.Key(r.Row)), string(r.Batch.Value(r.Row)), r.Batch.Timestamps[r.Row], r.Lane})
	}
	if err := sorted.Close(); err != nil {
		t.Error(err)
	}
	return all
}

func roomy(int64) error { return nil }

// Records come back in their order, whether they fit in memory, make a few runs, or more than are merged at once; and what was
// written is removed.
func TestRecordsComeInTheOrderOfTheirKeys(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		dir := filepath.Join(t.TempDir(), "sort")
		memory := []int{1 << 20, 20 << 10, 4 << 10, 500}[seed%4]
		s := New(Config{Columns: columns, Memory: memory, Dir: dir, Check: roomy})
		want := fill(t, r, s, r.IntN(120))
		if got := read(t, s); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d records with %d bytes of memory are not in order (expected %d)", seed, len(got), memory, len(want))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("seed %d: %s is still there: %v", seed, dir, err)
		}
	}
}

// Runs are merged with others of their level: a record is written once, and once more at each level, however many runs there are.
func TestRecordsAreWrittenOnceALevel(t *testing.T) {
	for _, c := range []struct {
		runs  int
		times int64 // that a record is written at most
	}{
		{1, 1},
		{maxRuns - 1, 1},
		{maxRuns, 2},
		{20 * maxRuns, 3}, // the last ones are folded when all have come
		{maxRuns * (maxRuns + 1), 4},
	} {
		s := New(Config{Columns: columns, Memory: 1, Dir: filepath.Join(t.TempDir(), "sort"), Check: roomy})
		w := abi.NewBuilder(columns &^ abi.ColumnHashes)
		var b abi.Batch
		var once int64
		for n := range c.runs { // each batch is a run
			w.Reset()
			w.Append(abi.Record{Key: []byte{byte(n % 7)}, Value: binary.LittleEndian.AppendUint32(nil, uint32(n))})
			w.View(&b)
			if err := s.Add(&b, []uint64{uint64(n % 7)}, 0); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				once = s.written
			}
		}
		got := read(t, s)
		if most := c.times * int64(c.runs) * once; s.written > most {
			t.Errorf("%d runs of %d bytes: %d were written (expected <= %d)", c.runs, once, s.written, most)
		}
		if len(got) != c.runs {
			t.Errorf("%d runs: %d records", c.runs, len(got))
		}
		for i := 1; i < len(got); i++ {
			if got[i-1].key > got[i].key || got[i-1].key == got[i].key && number(got[i-1]) >= number(got[i]) {
				t.Fatalf("%d runs: record %d of key %q comes behind %d of %q", c.runs, number(got[i]), got[i].key, number(got[i-1]), got[i-1].key)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func number(k kept) uint32 { return binary.LittleEndian.Uint32([]byte(k.value)) }

// A disk without room, and a run that was damaged, are told of.
func TestRunsThatCannotBe(t *testing.T) {
	full := errors.New("the disk is full")
	s := New(Config{Columns: columns, Memory: 1, Dir: t.TempDir(), Check: func(int64) error { return full }})
	w := abi.NewBuilder(columns)
	w.Append(abi.Record{Key: []byte("k")})
	var b abi.Batch
	w.View(&b)
	if err := s.Add(&b, []uint64{1}, 0); !errors.Is(err, full) {
		t.Errorf("%v (expected %v)", err, full)
	}
	dir := filepath.Join(t.TempDir(), "sort")
	s = New(Config{Columns: columns, Memory: 2000, Dir: dir, Check: roomy})
	fill(t, rand.New(rand.NewPCG(1, 1)), s, 50)
	path := filepath.Join(dir, "run-0")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(content[blockHeader+60:], 0xbad)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Sorted(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("the file is damaged")) {
		t.Errorf("%v (expected one that says that the file is damaged)", err)
	}
}

func BenchmarkSort(b *testing.B) {
	r := rand.New(rand.NewPCG(0, 0))
	w := abi.NewBuilder(columns)
	for range 1024 {
		key := binary.LittleEndian.AppendUint64(nil, r.Uint64N(100_000))
		w.Append(abi.Record{Timestamp: r.Int64N(1000), Hash: xxhash.Sum64(key), Key: key, Value: make([]byte, 80)})
	}
	var batch abi.Batch
	w.View(&batch)
	for _, memory := range []int{1 << 30, 4 << 20} {
		b.Run(fmt.Sprint(memory>>20, " MiB"), func(b *testing.B) {
			s := New(Config{Columns: columns, Memory: memory, Dir: filepath.Join(b.TempDir(), "sort"), Check: roomy})
			for n := 0; n < b.N; n += 1024 {
				if err := s.Add(&batch, batch.Hashes, 0); err != nil {
					b.Fatal(err)
				}
			}
			sorted, err := s.Sorted()
			for ok := true; ok && err == nil; {
				_, ok, err = sorted.Next()
			}
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		})
	}
}
