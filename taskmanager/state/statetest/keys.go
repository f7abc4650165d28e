package statetest

import (
	"bytes"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/taskmanager/state"
)

// compareKeys holds the keys that a list or map has against the model, and has another table used meanwhile.
func (x *random) compareKeys(s state.Store, m *model, own func(string) bool) {
	x.t.Helper()
	want := map[string]map[string]bool{logs.Name: {}, carts.Name: {}, news.Name: {}, offers.Name: {}}
	for k, lines := range m.logs {
		if own(k) && len(lines) > 0 {
			want[logs.Name][k] = true
		}
	}
	for k, cart := range m.carts {
		if own(k) && len(cart) > 0 {
			want[carts.Name][k] = true
		}
	}
	for k, lines := range m.news {
		for _, v := range lines {
			if own(k) && v.expiry > m.now {
				want[news.Name][k] = true
			}
		}
	}
	for k, all := range m.offers {
		for _, v := range all {
			if own(k) && v.expiry > m.now {
				want[offers.Name][k] = true
			}
		}
	}
	spec := []state.Spec{logs, carts, news, offers}[x.r.IntN(4)]
	got, n := map[string]bool{}, 0
	x.check(x.sorted(s, spec).Keys(func(key []byte) error {
		if n++; n%100 == 1 {
			var e [1]state.Entry
			if err := table(x.t, s, sums, state.Global).ResolveKeys([][]byte{bytes.Clone(key)}, []uint64{xxhash.Sum64(key)}, true, e[:]); err != nil {
				return err
			}
		}
		got[string(key)] = true
		return nil
	}))
	same(x.t, "keys of "+spec.Name, got, want[spec.Name])
	broken := fmt.Errorf("enough of %s", spec.Name)
	if len(got) == 0 || x.r.IntN(4) > 0 {
		return
	}
	if err := x.sorted(s, spec).Keys(func([]byte) error { return broken }); err != broken {
		x.t.Errorf("Keys answers %v (expected %v)", err, broken)
	}
}
