package statetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// random is a run of random operations on a store and its model.
type random struct {
	t      *testing.T
	r      *rand.Rand
	open   func(state.Config) (state.Store, error)
	s      state.Store
	m      *model
	files  []*snapshot.Reader
	frozen []state.Frozen // not written yet
	models []*model       // as they were when these were frozen
	last   *model         // as of the newest file
	number int
	keys   int
	base   state.Namespace
	whole  bool // files that are whole must be written
	wholes int  // that were written
	event  bool // what has a TTL lives by event time
}

// elsewhere is far from the time that entries live by, when that is event time: what the other clock shows must not matter.
const elsewhere = 1 << 40

// of is the spec of a state in this run.
func (x *random) of(s state.Spec) state.Spec {
	s.Event = x.event && s.TTL > 0
	s.Once = s.Name == news.Name // no element of a list has the number of another one
	return s
}

// setClocks tells a store the time.
func (x *random) setClocks(s state.Store) {
	if !x.event {
		s.SetTime(x.m.now)
		return
	}
	s.SetTime(elsewhere + x.m.now)
	for _, operator := range []string{"a", "b"} {
		*s.EventTime(operator) = state.Clock{Now: x.m.now, At: x.m.at}
	}
}

// Random does operations in an order that the seed chooses, on a store that open makes and on plain maps, and compares:
// values of all kinds, freezes that are written late or never, crashes after which a store is made of the files, files that
// are folded, and other key groups.
func Random(t *testing.T, seed uint64, turns int, open func(state.Config) (state.Store, error)) {
	doRandom(t, seed, turns, open, false)
}

// RandomInMemory is Random with stores that have room for everything, so that some of the files must be whole.
func RandomInMemory(t *testing.T, seed uint64, turns int, open func(state.Config) (state.Store, error)) {
	doRandom(t, seed, turns, open, true)
}

func doRandom(t *testing.T, seed uint64, turns int, open func(state.Config) (state.Store, error), whole bool) {
	x := &random{t: t, r: rand.New(rand.NewPCG(seed, 7)), open: open, m: newModel(), last: newModel(), keys: 2000, whole: whole, event: seed%2 == 1}
	x.s = x.make(0, groups)
	for turn := range turns {
		x.turn(turn)
		if t.Failed() {
			t.Fatalf("seed %d, turn %d", seed, turn)
		}
	}
	x.write()
	x.compareAll(x.s, x.m, 0, groups)
	x.crash()
	if err := x.s.Close(); err != nil {
		t.Fatal(err)
	}
	if whole && x.wholes == 0 {
		t.Errorf("seed %d: the state was never written whole", seed)
	}
}

func (x *random) check(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *random) make(from, to graph.KeyGroup) state.Store {
	c := state.Config{Groups: groups, From: from, To: to}
	for _, r := range x.files {
		c.Restored = append(c.Restored, r.Cut(from, to))
	}
	s, err := x.open(c)
	x.check(err)
	x.setClocks(s)
	if x.whole {
		x.openAll(s)
	}
	return s
}

// openAll has the store know every table, so that it takes all of them in ahead.
func (x *random) openAll(s state.Store) {
	for _, spec := range []state.Spec{logs, carts, offers, news} {
		x.sorted(s, spec)
	}
	_, err := s.Timers(alarms)
	x.check(err)
	table(x.t, s, sums, state.Global)
	table(x.t, s, x.of(brief), state.Global)
	spaces, err := s.Namespaces(windows)
	x.check(err)
	for _, ns := range spaces {
		table(x.t, s, windows, ns)
	}
	spaces, err = s.Namespaces(scraps)
	x.check(err)
	for _, ns := range spaces {
		_, err := s.Pieces(scraps, ns)
		x.check(err)
	}
}

func (x *random) turn(turn int) {
	switch n := x.r.IntN(100); {
	case n < 30:
		x.count()
	case n < 50:
		x.setValues()
	case n < 58:
		x.changeLists()
	case n < 68:
		x.changeMaps()
	case n < 74:
		x.changeTimers()
	case n < 77:
		x.changePieces()
	case n < 80:
		x.read()
	case n < 83:
		x.dropWindow()
	case n < 85:
		x.m.now += int64(x.r.IntN(50))
		if x.m.at = x.m.now; x.event {
			x.m.at += int64(x.r.IntN(400)) - 300 // some of what is written has ended already
		}
		x.setClocks(x.s)
	case n < 90:
		x.freeze()
	case n < 94:
		x.write()
	case n < 95 && turn%3 == 0:
		x.crash()
	case n < 96:
		x.compareAll(x.s, x.m, 0, groups)
	}
	x.check(x.s.Trim())
	if x.r.IntN(2) == 0 {
		_, err := x.s.Warm(1+x.r.IntN(200), time.Millisecond)
		x.check(err)
	}
}

func (x *random) key() string { return fmt.Sprintf("key %d", x.r.IntN(1+x.r.IntN(x.keys))) }

func (x *random) batch() []string {
	keys := make([]string, 1+x.r.IntN(200))
	for i := range keys {
		keys[i] = x.key()
	}
	return keys
}

func (x *random) count() {
	ns := x.base + state.Namespace(x.r.IntN(3)*1000)
	tab := table(x.t, x.s, windows, ns)
	keys := x.batch()
	b, hashes := Batch(keys...)
	if x.m.windows[ns] == nil {
		x.m.windows[ns] = map[string]uint64{}
	}
	for i, e := range resolve(x.t, tab, nil, b, hashes) {
		*tab.Word(e)++
		x.m.windows[ns][keys[i]]++
	}
}

func (x *random) setValues() {
	tab, short := table(x.t, x.s, sums, state.Global), table(x.t, x.s, x.of(brief), state.Global)
	keys := x.batch()
	slices.Sort(keys)
	keys = slices.Compact(keys)
	var raw [][]byte
	var hashes []uint64
	for _, k := range keys {
		raw, hashes = append(raw, []byte(k)), append(hashes, xxhash.Sum64String(k))
	}
	entries := make([]state.Entry, len(keys))
	if x.r.IntN(4) == 0 {
		x.check(tab.ResolveKeys(raw, hashes, true, entries))
		for i, e := range entries {
			old, there := x.m.sums[keys[i]]
			if there != (e != state.NoEntry) {
				x.t.Errorf("%s is there: %v (expected %v)", keys[i], !there, there)
			} else if there && string(tab.Value(e)) != old {
				x.t.Errorf("%s has %q (expected %q)", keys[i], tab.Value(e), old)
			} else if there && x.r.IntN(2) == 0 {
				x.check(tab.Delete(e))
				delete(x.m.sums, keys[i])
			}
		}
		return
	}
	x.check(tab.ResolveKeys(raw, hashes, false, entries))
	for i, e := range entries {
		old, there := x.m.sums[keys[i]]
		if v := tab.Value(e); there != (v != nil) || string(v) != old {
			x.t.Errorf("%s has %q (expected %q)", keys[i], v, old)
		}
		v := strings.Repeat(string(rune('a'+x.r.IntN(26))), x.r.IntN(1+x.r.IntN(300)))
		x.check(tab.SetValue(e, []byte(v)))
		x.m.sums[keys[i]] = v
	}
	x.check(short.ResolveKeys(raw, hashes, false, entries))
	for i, e := range entries {
		if old := x.m.brief[keys[i]]; old.expiry > x.m.now != (short.Value(e) != nil) || old.expiry > x.m.now && string(short.Value(e)) != old.value {
			x.t.Errorf("%s briefly has %q (expected %q until %d, now %d)", keys[i], short.Value(e), old.value, old.expiry, x.m.now)
		}
		v := fmt.Sprint(x.r.IntN(1000))
		x.check(short.SetValue(e, []byte(v)))
		x.m.brief[keys[i]] = briefly{v, x.m.ends(brief)}
	}
}

func (x *random) sorted(s state.Store, spec state.Spec) state.Sorted {
	st, err := s.Sorted(x.of(spec))
	x.check(err)
	return st
}

func (x *random) changeLists() {
	st := x.sorted(x.s, logs)
	for range 30 {
		k := x.key()
		h := xxhash.Sum64String(k)
		if x.r.IntN(5) == 0 {
			x.check(st.Clear(h, []byte(k)))
			delete(x.m.logs, k)
			continue
		}
		v := fmt.Sprint("line ", x.r.IntN(100))
		x.check(st.Append(h, []byte(k), []byte(v)))
		x.m.logs[k] = append(x.m.logs[k], v)
		x.check(x.sorted(x.s, news).Append(h, []byte(k), []byte(v)))
		x.m.news[k] = append(x.m.news[k], briefly{v, x.m.ends(news)})
	}
}

func (x *random) changeMaps() {
	st, short := x.sorted(x.s, carts), x.sorted(x.s, offers)
	for range 30 {
		k, sub := x.key(), fmt.Sprint("item ", x.r.IntN(10))
		h := xxhash.Sum64String(k)
		switch x.r.IntN(8) {
		case 0:
			x.check(st.Clear(h, []byte(k)))
			delete(x.m.carts, k)
		case 1:
			x.check(st.Delete(h, []byte(k), []byte(sub)))
			delete(x.m.carts[k], sub)
		default:
			v := strings.Repeat("v", x.r.IntN(50))
			x.check(st.Put(h, []byte(k), []byte(sub), []byte(v)))
			if x.m.carts[k] == nil {
				x.m.carts[k] = map[string]string{}
			}
			x.m.carts[k][sub] = v
			x.check(short.Put(h, []byte(k), []byte(sub), []byte(v)))
			if x.m.offers[k] == nil {
				x.m.offers[k] = map[string]briefly{}
			}
			x.m.offers[k][sub] = briefly{v, x.m.ends(offers)}
		}
	}
}

func timer(time int64, key string) string { return fmt.Sprintf("%012d %s", time, key) }

func (x *random) changeTimers() {
	tm, err := x.s.Timers(alarms)
	x.check(err)
	for range 20 {
		k, at := x.key(), x.m.now+int64(x.r.IntN(1+x.r.IntN(3000)))
		h := xxhash.Sum64String(k)
		if x.r.IntN(3) == 0 {
			x.check(tm.Delete(at, h, []byte(k)))
			delete(x.m.alarms, timer(at, k))
			continue
		}
		x.hasTimer(tm, at, k)
		x.check(tm.Set(at, h, []byte(k)))
		x.m.alarms[timer(at, k)] = at
		x.hasTimer(tm, at, k)
	}
	if names := slices.Sorted(maps.Keys(x.m.alarms)); len(names) > 0 {
		name := names[x.r.IntN(len(names))]
		x.hasTimer(tm, x.m.alarms[name], name[13:])
	}
	due := map[string]int64{}
	x.check(tm.Due(nil, x.m.now, func(at int64, _ uint64, key []byte) bool { due[timer(at, string(key))] = at; return true }))
	for name, at := range due {
		k := name[13:]
		if _, there := x.m.alarms[name]; !there {
			x.t.Errorf("timer %s is due, and was not set", name)
		}
		x.check(tm.Delete(at, xxhash.Sum64String(k), []byte(k)))
		delete(x.m.alarms, name)
		x.hasTimer(tm, at, k)
	}
}

// hasTimer compares whether a timer is there.
func (x *random) hasTimer(tm state.Timers, at int64, key string) {
	has, err := tm.Has(at, xxhash.Sum64String(key), []byte(key))
	x.check(err)
	if _, expected := x.m.alarms[timer(at, key)]; has != expected {
		x.t.Errorf("timer for %d of %s is there: %v (expected %v)", at, key, has, expected)
	}
}

func (x *random) read() {
	k := x.key()
	x.compareSorted(x.s, x.m, k)
	x.check(x.s.SetOwn("a", "mark", []byte(k)))
	x.m.own = k
}

func (x *random) dropWindow() {
	x.check(x.s.Drop(windows, x.base))
	delete(x.m.windows, x.base)
	x.check(x.s.Drop(scraps, x.base))
	delete(x.m.scraps, x.base)
	x.base += 1000
}
