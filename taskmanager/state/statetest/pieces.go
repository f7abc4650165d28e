package statetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/taskmanager/state"
)

// scrapsOf is how many pieces of a key there may be.
const scrapsOf = 5

func (s scrap) at() state.PieceKey {
	return state.PieceKey{Hash: xxhash.Sum64String(s.key), Key: []byte(s.key), Number: s.number}
}

func (x *random) changePieces() {
	ns := x.base + state.Namespace(x.r.IntN(3)*1000)
	p, err := x.s.Pieces(scraps, ns)
	x.check(err)
	if x.m.scraps[ns] == nil {
		x.m.scraps[ns] = map[scrap]string{}
	}
	for range 1 + x.r.IntN(100) {
		one := scrap{x.key(), uint32(x.r.IntN(scrapsOf))}
		if x.r.IntN(4) == 0 {
			x.check(p.Delete(one.at()))
			delete(x.m.scraps[ns], one)
			continue
		}
		value := strings.Repeat("s", x.r.IntN(300)) + fmt.Sprint(x.r.IntN(1000))
		x.check(p.Put(one.at(), []byte(value)))
		x.m.scraps[ns][one] = value
	}
	all := make([]scrap, 1+x.r.IntN(50))
	for i := range all {
		all[i] = scrap{x.key(), uint32(x.r.IntN(scrapsOf))}
	}
	x.readPieces(x.s, x.m, ns, all)
}

// readPieces holds what is read of pieces against the model.
func (x *random) readPieces(s state.Store, m *model, ns state.Namespace, all []scrap) {
	x.t.Helper()
	p, err := s.Pieces(scraps, ns)
	x.check(err)
	asked := make([]state.PieceKey, len(all))
	for i := range all {
		asked[i] = all[i].at()
	}
	var got, want []string
	x.check(p.Read(asked, func(i int, value []byte) bool {
		got = append(got, fmt.Sprintf("%d %s", i, value))
		return true
	}))
	for i, one := range all {
		if value, there := m.scraps[ns][one]; there {
			want = append(want, fmt.Sprintf("%d %s", i, value))
		}
	}
	if !slices.Equal(got, want) {
		x.t.Errorf("pieces in %d of %v: %q (expected %q)", ns, all, got, want)
	}
}

func (x *random) comparePieces(s state.Store, m *model, own func(string) bool) {
	x.t.Helper()
	spaces, err := s.Namespaces(scraps)
	x.check(err)
	for ns, all := range m.scraps {
		var asked []scrap
		for i := range x.keys {
			for n := range uint32(scrapsOf) {
				if one := (scrap{fmt.Sprintf("key %d", i), n}); own(one.key) {
					asked = append(asked, one)
				}
			}
		}
		there := slices.ContainsFunc(asked, func(one scrap) bool { _, there := all[one]; return there })
		if there && !slices.Contains(spaces, ns) {
			x.t.Errorf("namespaces %v (expected %d among them)", spaces, ns)
		}
		x.readPieces(s, m, ns, asked)
	}
	for _, ns := range spaces {
		if m.scraps[ns] == nil {
			x.readPieces(s, m, ns, []scrap{{"key 0", 0}, {"key 1", 1}})
		}
	}
}
