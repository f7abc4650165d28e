package statetest

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// compareAll holds a store of some key groups against the model.
func (x *random) compareAll(s state.Store, m *model, from, to graph.KeyGroup) {
	x.t.Helper()
	own := func(key string) bool {
		g := graph.KeyGroupOf(xxhash.Sum64String(key), groups)
		return g >= from && g < to
	}
	spaces, err := s.Namespaces(windows)
	x.check(err)
	for ns := range m.windows {
		if !slices.Contains(spaces, ns) && slices.ContainsFunc(slices.Collect(maps.Keys(m.windows[ns])), own) {
			x.t.Errorf("namespaces %v (expected %d among them)", spaces, ns)
		}
	}
	for _, ns := range spaces {
		tab, got := table(x.t, s, windows, ns), map[string]uint64{}
		x.scan(s, tab, func(e state.Entry) { got[string(tab.Key(e))] += *tab.Word(e) })
		same(x.t, fmt.Sprint("window ", ns), got, filter(m.windows[ns], own))
	}
	tab, got := table(x.t, s, sums, state.Global), map[string]string{}
	x.scan(s, tab, func(e state.Entry) { got[string(tab.Key(e))] += string(tab.Value(e)) })
	same(x.t, "sums", got, filter(m.sums, own))
	tab, got = table(x.t, s, x.of(brief), state.Global), map[string]string{}
	x.scan(s, tab, func(e state.Entry) { got[string(tab.Key(e))] += string(tab.Value(e)) })
	want := map[string]string{}
	for k, v := range m.brief {
		if own(k) && v.expiry > m.now {
			want[k] = v.value
		}
	}
	same(x.t, "brief", got, want)
	for i := range x.keys {
		if k := fmt.Sprintf("key %d", i); own(k) && i%7 == 0 {
			x.compareSorted(s, m, k)
		}
	}
	x.compareKeys(s, m, own)
	x.comparePieces(s, m, own)
	tm, err := s.Timers(alarms)
	x.check(err)
	var all, expected []string
	x.check(tm.Due(nil, abi.MaxTime-1, func(at int64, _ uint64, key []byte) bool { all = append(all, timer(at, string(key))); return true }))
	for name := range m.alarms {
		if own(name[13:]) {
			expected = append(expected, name)
		}
	}
	sort.Strings(expected)
	if !slices.Equal(all, expected) {
		x.t.Errorf("timers %v (expected %v)", all, expected)
	}
	x.compareFrom(tm, expected)
}

// compareFrom looks timers up from places between and at those that are there, up to some behind.
func (x *random) compareFrom(tm state.Timers, expected []string) {
	for range 5 {
		from, n := timer(x.m.now+int64(x.r.IntN(3000)), x.key()), 1+x.r.IntN(20)
		if len(expected) > 0 && x.r.IntN(2) == 0 {
			from = expected[x.r.IntN(len(expected))]
		}
		var at int64
		_, err := fmt.Sscanf(from, "%d", &at)
		x.check(err)
		i, _ := slices.BinarySearch(expected, from)
		want := expected[i:min(i+n, len(expected))]
		var got []string
		x.check(tm.Due(state.AppendPlace(nil, at, []byte(from[13:])), abi.MaxTime-1, func(at int64, _ uint64, key []byte) bool {
			got = append(got, timer(at, string(key)))
			return len(got) < n
		}))
		if !slices.Equal(got, want) {
			x.t.Errorf("timers from %s on are %v (expected %v)", from, got, want)
		}
	}
}

// scan visits a table; the store may trim meanwhile.
func (x *random) scan(s state.Store, tab state.Table, visit func(state.Entry)) {
	dst := make([]state.Entry, 1+x.r.IntN(100))
	for cursor := uint64(0); ; {
		n, next, err := tab.Scan(cursor, dst)
		x.check(err)
		if n == 0 {
			return
		}
		if tab.Repeats() && x.r.IntN(2) == 0 {
			x.rescan(tab, cursor, next, dst[:n])
		}
		for _, e := range dst[:n] {
			visit(e)
		}
		cursor = next
		x.check(s.Trim())
	}
}

// rescan goes again through what a call of Scan went through: but for entries without a value, it is the same.
func (x *random) rescan(tab state.Table, from, until uint64, went []state.Entry) {
	x.t.Helper()
	var again []state.Entry
	for dst := make([]state.Entry, 1+x.r.IntN(20)); from < until; {
		n, next := tab.Rescan(from, until, dst)
		again, from = append(again, dst[:n]...), next
	}
	if !slices.Equal(again, slices.DeleteFunc(slices.Clone(went), func(e state.Entry) bool { return !slices.Contains(again, e) && tab.Value(e) == nil })) {
		x.t.Errorf("gone through again: %d (expected %d)", again, went)
	}
}

func (x *random) compareSorted(s state.Store, m *model, k string) {
	x.t.Helper()
	h := xxhash.Sum64String(k)
	var lines []string
	x.check(x.sorted(s, logs).Scan(h, []byte(k), nil, func(_, v []byte, _ uint16) bool { lines = append(lines, string(v)); return true }))
	if !slices.Equal(lines, m.logs[k]) {
		x.t.Errorf("list of %s is %q (expected %q)", k, lines, m.logs[k])
	}
	got, last := map[string]string{}, ""
	cart := x.sorted(s, carts)
	x.check(cart.Scan(h, []byte(k), nil, func(sub, v []byte, _ uint16) bool {
		if string(sub) <= last {
			x.t.Errorf("map of %s: %q after %q", k, sub, last)
		}
		last = string(sub)
		got[last] = string(v)
		return true
	}))
	same(x.t, "map of "+k, got, m.carts[k])
	var keys, subs [][]byte
	for i := range 10 {
		keys, subs = append(keys, []byte(k)), append(subs, []byte(fmt.Sprint("item ", i)))
	}
	if x.r.IntN(2) == 0 {
		x.check(cart.Fetch(keys, subs))
	}
	for _, sub := range subs {
		v, _, err := cart.Get(h, []byte(k), sub)
		x.check(err)
		if want, there := m.carts[k][string(sub)]; string(v) != want || there != (v != nil) {
			x.t.Errorf("%s of %s is %q (expected %q)", sub, k, v, want)
		}
	}
	x.compareBrief(s, m, k, h)
}

// compareBrief compares what has a TTL.
func (x *random) compareBrief(s state.Store, m *model, k string, h uint64) {
	x.t.Helper()
	var lines, wantLines []string
	x.check(x.sorted(s, news).Scan(h, []byte(k), nil, func(_, v []byte, _ uint16) bool { lines = append(lines, string(v)); return true }))
	for _, v := range m.news[k] {
		if v.expiry > m.now {
			wantLines = append(wantLines, v.value)
		}
	}
	if !slices.Equal(lines, wantLines) {
		x.t.Errorf("news of %s are %q (expected %q)", k, lines, wantLines)
	}
	got, want := map[string]string{}, map[string]string{}
	x.check(x.sorted(s, offers).Scan(h, []byte(k), nil, func(sub, v []byte, version uint16) bool {
		got[string(sub)] = string(v)
		if version != offers.Version {
			x.t.Errorf("%s of the offers of %s has version %d (expected %d)", sub, k, version, offers.Version)
		}
		return true
	}))
	for sub, v := range m.offers[k] {
		if v.expiry > m.now {
			want[sub] = v.value
		}
	}
	same(x.t, "offers of "+k, got, want)
}

func filter[V any](m map[string]V, own func(string) bool) map[string]V {
	out := map[string]V{}
	for k, v := range m {
		if own(k) {
			out[k] = v
		}
	}
	return out
}

func same[V comparable](t *testing.T, what string, got, want map[string]V) {
	t.Helper()
	wrong := 0
	for k, v := range want {
		if g, there := got[k]; g != v || !there {
			if wrong++; wrong < 4 {
				t.Errorf("%s: %q has %v, %v (expected %v)", what, k, g, there, v)
			}
		}
	}
	for k, g := range got {
		if _, there := want[k]; !there {
			if wrong++; wrong < 4 {
				t.Errorf("%s: %q has %v (expected nothing)", what, k, g)
			}
		}
	}
}
