package state_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/statetest"
)

// A table that is larger than caches finds what it has and nothing else, whatever was deleted, by batches, by rows of them and by keys.
func TestLookupsInALargeTable(t *testing.T) {
	const keys = 100_000 // more than outsideCaches
	tab, err := state.NewMemory().Table(state.Spec{Operator: "o", Name: "n", Kind: state.Bytes}, state.Global)
	if err != nil {
		t.Fatal(err)
	}
	r, want := rand.New(rand.NewPCG(1, 2)), map[string]string{}
	set := func(keys []string, entries []state.Entry, turn int) {
		t.Helper()
		for i, key := range keys {
			if got := string(tab.Key(entries[i])); got != key {
				t.Fatalf("turn %d: the entry of %s is that of %s", turn, key, got)
			}
			if got := string(tab.Value(entries[i])); got != want[key] {
				t.Fatalf("turn %d: %s has %q (expected %q)", turn, key, got, want[key])
			}
			want[key] = fmt.Sprint(turn, " ", i)
			if err := tab.SetValue(entries[i], []byte(want[key])); err != nil {
				t.Fatal(err)
			}
		}
	}
	some := func(n int) (names []string, bytes [][]byte) { // all different
		for _, k := range r.Perm(keys)[:n] {
			names, bytes = append(names, fmt.Sprint("key ", k)), append(bytes, fmt.Append(nil, "key ", k))
		}
		return names, bytes
	}
	entries := make([]state.Entry, keys)
	all, _ := some(keys)
	b, hashes := statetest.Batch(all...)
	if err := tab.Resolve(b, nil, hashes, entries); err != nil {
		t.Fatal(err)
	}
	set(all, entries, 0)
	for turn := 1; turn < 300; turn++ {
		names, bytes := some(1 + r.IntN(200))
		b, hashes := statetest.Batch(names...)
		switch turn % 4 {
		case 0: // a batch, some of whose keys are new
			err = tab.Resolve(b, nil, hashes, entries)
			set(names, entries, turn)
		case 1: // every second row
			var rows []uint32
			var of []string
			for i := 0; i < len(names); i += 2 {
				rows, of = append(rows, uint32(i)), append(of, names[i])
			}
			err = tab.Resolve(b, rows, hashes, entries)
			set(of, entries, turn)
		case 2:
			err = tab.ResolveKeys(bytes, hashes, false, entries)
			set(names, entries, turn)
		default: // what is there is deleted
			err = tab.ResolveKeys(bytes, hashes, true, entries)
			for i, key := range names {
				if _, there := want[key]; there != (entries[i] != state.NoEntry) {
					t.Fatalf("turn %d: %s is there: %v (expected %v)", turn, key, !there, there)
				}
				if entries[i] == state.NoEntry {
					continue
				}
				if err := tab.Delete(entries[i]); err != nil {
					t.Fatal(err)
				}
				delete(want, key)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
