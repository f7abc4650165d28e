package state

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/graph"
)

// TestRanksAreInOrder holds the order of ranks against that of their groups and keys: keys that differ early and late, ones
// that others begin with, zeros at the end, and keys that were deleted and set again; dealt out group by group, some groups at a
// time, and at once.
func TestRanksAreInOrder(t *testing.T) {
	for _, groups := range []int{1, 3, 128} {
		for _, prefix := range []string{"", "user-", "a prefix of more than sixteen bytes "} {
			r := rand.New(rand.NewPCG(uint64(groups), uint64(len(prefix))))
			live, removed := &frozenTable{kind: Bytes}, &frozenTable{kind: Bytes}
			type named struct {
				group graph.KeyGroup
				key   string
				weak  uint8
			}
			var want []named
			var found []change
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
					want = append(want, named{group, string(key), 0})
					found = append(found, change{key: live.keys.add(key, len(key))})
				}
				for range r.IntN(3) {
					want = append(want, named{group, string(key), 1})
					found = append(found, change{key: removed.removed.add(key, len(key)), table: 1, weak: 1})
				}
			}
			r.Shuffle(len(found), func(i, k int) { found[i], found[k] = found[k], found[i] })
			slices.SortFunc(want, func(a, b named) int {
				return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.key, b.key), cmp.Compare(a.weak, b.weak))
			})
			for _, most := range []int{1, 100_000, dealtBytes} {
				l := &lane{tables: []*frozenTable{live, removed}, found: slices.Clone(found), room: most}
				l.place(groups)
				var is []named
				var room rankRoom
				for group, any := l.group(); any; group, any = l.group() {
					for _, k := range l.take(group, &room) {
						is = append(is, named{group, string(l.keyAt(k.at)), l.weakAt(k.at)})
					}
				}
				for i, w := range want {
					if len(is) != len(want) || is[i] != w {
						t.Fatalf("%d groups, prefix %q, %d bytes: change %d of %d is %v (expected %v of %d)", groups, prefix, most, i, len(is), is[min(i, len(is)-1)], w, len(want))
					}
				}
			}
		}
	}
}
