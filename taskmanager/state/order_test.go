package state

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/graph"
)

// TestRanksAreInOrder holds the order of ranks against that of their groups and keys: keys that differ early and late, ones
// that others begin with, zeros at the end, and keys that were deleted and set again.
func TestRanksAreInOrder(t *testing.T) {
	for _, groups := range []int{1, 3, 128} {
		for _, prefix := range []string{"", "user-", "a prefix of more than sixteen bytes "} {
			r := rand.New(rand.NewPCG(uint64(groups), uint64(len(prefix))))
			live, removed := &frozenTable{kind: Bytes}, &frozenTable{kind: Bytes}
			type named struct {
				group graph.KeyGroup
				key   string
				weak  bool
			}
			var want []named
			var ranks []rank
			seen := map[string]bool{}
			for range 20000 {
				key := []byte(prefix)
				for range r.IntN(30) {
					key = append(key, "\x00ab"[r.IntN(3)])
				}
				if seen[string(key)] {
					continue
				}
				seen[string(key)] = true
				group := graph.KeyGroupOf(xxhash.Sum64(key), groups)
				if r.IntN(4) > 0 {
					want = append(want, named{group, string(key), false})
					ranks = append(ranks, rank{key: live.keys.add(key, len(key))})
				}
				for range r.IntN(3) {
					want = append(want, named{group, string(key), true})
					ranks = append(ranks, rank{key: removed.removed.add(key, len(key)), table: 1, weak: true})
				}
			}
			r.Shuffle(len(ranks), func(i, k int) { ranks[i], ranks[k] = ranks[k], ranks[i] })
			slices.SortFunc(want, func(a, b named) int {
				weak := func(n named) int {
					if n.weak {
						return 1
					}
					return 0
				}
				return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.key, b.key), cmp.Compare(weak(a), weak(b)))
			})
			l := &lane{tables: []*frozenTable{live, removed}, ranks: make([]rank, len(ranks))}
			l.deal(ranks, groups)
			for i, w := range want {
				k := &l.ranks[i]
				if k.group != w.group || !bytes.Equal(l.keyOf(k), []byte(w.key)) || k.weak != w.weak {
					t.Fatalf("%d groups, prefix %q: rank %d is %d %q %v (expected %d %q %v)", groups, prefix, i, k.group, l.keyOf(k), k.weak, w.group, w.key, w.weak)
				}
			}
		}
	}
}
