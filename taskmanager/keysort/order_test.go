package keysort

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// Records are in order whatever their hashes are: all different, of a few keys, or the same for different keys; and each says whether
// the one before has its key.
func TestAnyHashesAreSorted(t *testing.T) {
	const n = 6000 // more than are sorted by comparing alone
	r := rand.New(rand.NewPCG(7, 7))
	for name, hash := range map[string]func(key uint64) uint64{
		"spread":           func(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 },
		"same":             func(uint64) uint64 { return 42 },
		"same in pairs":    func(key uint64) uint64 { return key / 2 * 0x9e3779b97f4a7c15 },
		"same at first":    func(key uint64) uint64 { return key },
		"same but for one": func(key uint64) uint64 { return key / 1000 << 63 },
	} {
		for _, keys := range []uint64{3, 1500, n} {
			for _, memory := range []int{1 << 30, 100_000} {
				s := New(Config{Columns: columns, Memory: memory, Dir: filepath.Join(t.TempDir(), "sort"), Check: roomy})
				w := abi.NewBuilder(columns &^ abi.ColumnHashes)
				for at := 0; at < n; at += 100 {
					w.Reset()
					var hashes []uint64
					for range 100 {
						key := r.Uint64N(keys)
						w.Append(abi.Record{Timestamp: r.Int64N(3), Key: binary.BigEndian.AppendUint64(nil, key), Value: fmt.Append(nil, at)})
						hashes = append(hashes, hash(key))
					}
					var b abi.Batch
					w.View(&b)
					if err := s.Add(&b, hashes, uint32(at%300)); err != nil {
						t.Fatal(err)
					}
				}
				got := place(t, s)
				if len(got) != n || !slices.IsSortedFunc(got, slices.Compare) {
					t.Errorf("%s, %d keys, %d bytes: %d records are not in order", name, keys, memory, len(got))
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// place is what the order of records is by: hash, key, time, lane.
func place(t *testing.T, s *Sorter) (all [][]uint64) {
	t.Helper()
	sorted, err := s.Sorted()
	if err != nil {
		t.Fatal(err)
	}
	defer sorted.Close()
	for {
		r, ok, err := sorted.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		one := []uint64{r.Batch.Hashes[r.Row], binary.BigEndian.Uint64(r.key()), uint64(r.Batch.Timestamps[r.Row]), uint64(r.Lane)}
		if again := len(all) > 0 && one[1] == all[len(all)-1][1]; again != r.Again {
			t.Fatalf("record %d: again: %v (expected %v)", len(all), r.Again, again)
		}
		all = append(all, one)
	}
}
