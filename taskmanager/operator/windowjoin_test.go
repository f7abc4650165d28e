package operator

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// windowJoinModel is a join in windows as its definition says: of a window that fires, each two of its records of one key, or
// both lists.
type windowJoinModel struct {
	window abi.Window
	outer  [2]bool
	whole  bool // a co-group
	passed [joinGroups]int64
	kept   []inWindows
	open   map[string][]sessionJoined
	late   int64
	made   map[string]int
	spoilt func(value int64) bool
}

// inWindows is a record with the ends of the windows that it came in time for.
type inWindows struct {
	rec
	input int
	ends  []int64
}

type sessionJoined struct {
	start, end int64
	lists      [2][]rec
	fired      bool
}

func (m *windowJoinModel) over(end int64, key string) bool {
	return end+m.window.LatenessMs-1 <= m.passed[groupOf(key)]
}

func (m *windowJoinModel) fired(end int64, key string) bool { return end-1 <= m.passed[groupOf(key)] }

func (m *windowJoinModel) process(batch []rec, input int) {
	if m.window.GapMs > 0 {
		m.sessions(batch, input)
		return
	}
	type id struct {
		end int64
		key string
	}
	again := map[id]bool{}
	for _, r := range batch {
		w := inWindows{rec: r, input: input}
		for _, end := range (&model{window: m.window}).ends(r.time) {
			if !m.over(end, r.key) {
				w.ends = append(w.ends, end)
			}
			if !m.over(end, r.key) && m.fired(end, r.key) {
				again[id{end, r.key}] = true
			}
		}
		if w.ends == nil {
			m.late++
			continue
		}
		m.kept = append(m.kept, w)
	}
	for a := range again {
		m.emitWindow(a.end, a.key)
	}
}

func (m *windowJoinModel) emitWindow(end int64, key string) {
	g := joined{key: key, windowed: true, end: end}
	for _, w := range m.kept {
		if w.key == key && slices.Contains(w.ends, end) {
			g.lists[w.input] = append(g.lists[w.input], w.rec)
		}
	}
	m.emit(&g)
}

func (m *windowJoinModel) emit(g *joined) {
	if !m.whole && (len(g.lists[0]) == 0 && !m.outer[1] || len(g.lists[1]) == 0 && !m.outer[0]) {
		return
	}
	for _, l := range g.lists {
		for _, r := range l {
			if m.spoilt(r.value) {
				return
			}
		}
	}
	if m.whole {
		m.made[g.both()]++
		return
	}
	for _, p := range g.pairs() {
		m.made[p]++
	}
}

func (m *windowJoinModel) sessions(batch []rec, input int) {
	byKey := map[string][]rec{}
	for _, r := range batch {
		byKey[r.key] = append(byKey[r.key], r)
	}
	for key, recs := range byKey {
		all := slices.Clone(m.open[key])
		for _, r := range recs {
			all = append(all, sessionJoined{start: r.time, end: r.time + m.window.GapMs})
		}
		all = united(all)
		changed := map[int]bool{}
		for _, r := range recs {
			i := slices.IndexFunc(all, func(s sessionJoined) bool { return s.start <= r.time && r.time < s.end })
			if m.over(all[i].end, key) {
				m.late++
				continue
			}
			all[i].lists[input] = append(slices.Clip(all[i].lists[input]), r)
			changed[i] = true
		}
		m.open[key] = nil
		for i, s := range all {
			if m.over(s.end, key) {
				continue
			}
			if changed[i] && m.fired(s.end, key) {
				m.emit(&joined{key: key, windowed: true, end: s.end, lists: s.lists})
			}
			m.open[key] = append(m.open[key], s)
		}
	}
}

// united makes one of sessions that touch.
func united(all []sessionJoined) (out []sessionJoined) {
	slices.SortFunc(all, func(a, b sessionJoined) int { return cmp.Compare(a.start, b.start) })
	for _, s := range all {
		if n := len(out); n > 0 && s.start <= out[n-1].end {
			last := &out[n-1]
			last.end = max(last.end, s.end)
			for i := range last.lists {
				last.lists[i] = append(slices.Clip(last.lists[i]), s.lists[i]...)
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// fire is for the key groups from <= g < to.
func (m *windowJoinModel) fire(from, to int, watermark int64) {
	mine := func(key string) bool { g := groupOf(key); return g >= from && g < to }
	type id struct {
		end int64
		key string
	}
	due := map[id]bool{}
	for _, w := range m.kept {
		for _, end := range w.ends {
			if mine(w.key) && !m.fired(end, w.key) && end-1 <= watermark {
				due[id{end, w.key}] = true
			}
		}
	}
	for d := range due {
		m.emitWindow(d.end, d.key)
	}
	for key, all := range m.open {
		for _, s := range all {
			if mine(key) && !m.fired(s.end, key) && s.end-1 <= watermark {
				m.emit(&joined{key: key, windowed: true, end: s.end, lists: s.lists})
			}
		}
	}
	for g := from; g < to; g++ {
		m.passed[g] = max(m.passed[g], watermark)
	}
	for key, all := range m.open {
		m.open[key] = slices.DeleteFunc(all, func(s sessionJoined) bool { return m.over(s.end, key) })
	}
}

// drain ends event time, which starts anew: all windows have fired, and nothing is late that was not before.
func (m *windowJoinModel) drain() {
	passed := m.passed
	m.fire(0, joinGroups, abi.MaxTime)
	m.passed, m.kept, m.open = passed, nil, map[string][]sessionJoined{}
}

// windowOf is any window that a join may have.
func windowOf(r *rand.Rand) abi.Window {
	w := abi.Window{Kind: "session", GapMs: 1 + r.Int64N(40)}
	if r.IntN(3) > 0 {
		w = abi.Window{Kind: "tumbling", SizeMs: 1 + r.Int64N(60)}
		if r.IntN(2) == 0 {
			w.Kind, w.SlideMs = "sliding", 1+r.Int64N(w.SizeMs)
		}
		if r.IntN(2) == 0 {
			w.OffsetMs = r.Int64N(w.SizeMs)
		}
	}
	if r.IntN(2) == 0 {
		w.LatenessMs = r.Int64N(80)
	}
	return w
}

// Random streams with disorder, skewed keys and late records are joined in windows of every shape, inner and outer, as pairs,
// by a function and as co-groups, by one or several subtasks of different progress that go on from each other's snapshots, drained
// ones among them, with their state in memory or mostly on disk.
func TestWindowJoinsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 400, func(t testing.TB, r *rand.Rand) { windowJoinAgrees(t, r, 0) })
}

func TestWindowJoinsThatSpill(t *testing.T) {
	oracle.Check(t, 6, func(t testing.TB, r *rand.Rand) { windowJoinAgrees(t, r, 1+r.Int64N(3)*(64<<10)) })
}

func windowJoinAgrees(t testing.TB, r *rand.Rand, budget int64) {
	w := windowOf(r)
	m := &windowJoinModel{window: w, made: map[string]int{}, open: map[string][]sessionJoined{}, spoilt: func(int64) bool { return false }}
	for g := range m.passed {
		m.passed[g] = abi.MinTime
	}
	j := &joining{t: t, budget: budget, got: map[string]int{}, config: JoinConfig{
		Window: &w, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64?, right: i64?)",
		Late: [2]*abi.Builder{abi.NewBuilder(abi.ColumnValues), abi.NewBuilder(abi.ColumnValues)},
	}}
	shape := "pairs"
	switch r.IntN(3) {
	case 0:
		shape, m.whole, j.config.Function = "co-group", true, &abi.Function{Kind: abi.FunctionCoGroup}
	case 1:
		shape, j.config.Function = "function", &abi.Function{Kind: abi.FunctionJoin}
	}
	if !m.whole {
		j.config.Outer = []string{"", abi.OuterLeft, abi.OuterRight, abi.OuterFull}[r.IntN(4)]
		m.outer = [2]bool{j.config.Outer == abi.OuterLeft || j.config.Outer == abi.OuterFull, j.config.Outer == abi.OuterRight || j.config.Outer == abi.OuterFull}
	}
	if j.config.Function != nil && r.IntN(2) == 0 {
		m.spoilt = func(value int64) bool { return value%9 == 0 }
	}
	j.spoilt = m.spoilt
	name := fmt.Sprintf("%s, %q, in %s", shape, j.config.Outer, w.String())
	spread := func(n int) {
		j.spread(n)
		for _, s := range j.shards {
			if sessions := s.op.(*windowJoin).session; sessions != nil {
				sessions.atOnce = 2
			}
		}
	}
	spread(1 + r.IntN(3))
	exact := w.LatenessMs == 0 && w.SlideMs == 0
	now, number, keys := int64(-50), int64(0), 1+r.IntN(8)
	for range 1 + r.IntN(40) {
		var batch []rec
		for range r.IntN(16) {
			now += r.Int64N(8)
			number++
			batch = append(batch, rec{now - r.Int64N(60), fmt.Sprint("k", min(r.IntN(keys), r.IntN(keys))), number})
		}
		input := r.IntN(2)
		j.process(batch, input)
		m.process(batch, input)
		divided := false
		for i := range j.shards {
			if r.IntN(3) > 0 {
				continue
			}
			watermark, middle := now-r.Int64N(50), r.IntN(4) == 0
			if middle { // they go on in the middle of it
				divided = j.shards[i].part(watermark) || divided
			}
			if middle && !exact {
				spread(len(j.shards))
			}
			s := j.shards[i]
			if !middle || !exact { // else whoever goes on from there has records first
				s.fire(watermark)
			}
			m.fire(s.from, s.to, watermark)
		}
		if divided || r.IntN(8) == 0 {
			if r.IntN(3) == 0 {
				for _, s := range j.shards {
					s.fire(abi.MaxTime)
				}
				m.drain()
			}
			spread(1 + r.IntN(4))
		}
	}
	for _, s := range j.shards {
		s.fire(now + 1000)
		m.fire(s.from, s.to, now+1000)
		if n := s.left(s.op.(*windowJoin).match.kept, keys); n > 0 {
			t.Fatalf("%s: %d records are left when no window takes any more", name, n)
		}
		j.late += s.op.Late()
	}
	if n := int64(j.config.Late[0].Len() + j.config.Late[1].Len()); j.late != m.late || n != m.late {
		t.Fatalf("%s: %d late, %d of them put out (expected %d)", name, j.late, n, m.late)
	}
	j.same(name, m.made)
}

// What a window has may be more than a call carries: a co-group is called once all the same, and asks for the rest.
func TestWindowJoinOfLongLists(t *testing.T) {
	const n, few = 40_000, 3
	for _, kind := range []abi.FunctionKind{"", abi.FunctionJoin, abi.FunctionCoGroup} {
		j := &joining{t: t, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
			Window: &abi.Window{Kind: "tumbling", SizeMs: 1000}, Output: "row(left: i64, right: i64)", Outer: abi.OuterFull}}
		if kind != "" {
			j.config.Function, j.config.Outer = &abi.Function{Kind: kind}, ""
		}
		j.spread(1)
		var batch []rec
		for i := range int64(n) {
			batch = append(batch, rec{100 + i%3, "k", i})
		}
		j.process(batch, 0)
		j.process(batch[:few], 1)
		j.shards[0].fire(999)
		switch {
		case kind == abi.FunctionCoGroup:
			if len(j.got) != 1 || j.pulled == 0 {
				t.Errorf("%d calls, %d records asked for (expected one call, and some)", len(j.got), j.pulled)
			}
		case len(j.got) != n*few:
			t.Errorf("%q: %d pairs (expected %d)", kind, len(j.got), n*few)
		}
	}
}
