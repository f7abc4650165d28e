package operator

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

const joinGroups = 16

// joinModel is an interval join as its definition says: records that were in time meet if their times lie within bounds.
type joinModel struct {
	lower, upper int64
	passed       [joinGroups]int64
	kept         [2][]rec
	late         int64
	pairs        map[string]int
	spoilt       func(value int64) bool // the function traps when such a record comes and meets others
}

func groupOf(key string) int { return int(hashOfText(key) % joinGroups) }

func hashOfText(key string) uint64 { return xxhash.Sum64String(key) }

func (m *joinModel) process(batch []rec, input int) {
	for _, r := range batch {
		if r.time < m.passed[groupOf(r.key)] {
			m.late++
			continue
		}
		var found []string
		for _, o := range m.kept[1-input] {
			l, right := r, o
			if input == 1 {
				l, right = o, r
			}
			if l.key == right.key && right.time >= l.time+m.lower && right.time <= l.time+m.upper {
				found = append(found, fmt.Sprintf("%s,%d,%d@%d", r.key, l.value, right.value, max(l.time, right.time)))
			}
		}
		if len(found) > 0 && m.spoilt(r.value) {
			continue
		}
		for _, f := range found {
			m.pairs[f]++
		}
		m.kept[input] = append(m.kept[input], r)
	}
}

// Random streams with disorder, skewed keys and late records are joined by intervals of every shape, by one or several
// subtasks of different progress that go on from each other's snapshots; what comes out is what the model says.
func TestIntervalJoinsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 600, func(t testing.TB, r *rand.Rand) { intervalAgrees(t, r, 0) })
}

func TestIntervalJoinsThatSpill(t *testing.T) {
	oracle.Check(t, 6, func(t testing.TB, r *rand.Rand) { intervalAgrees(t, r, 1+r.Int64N(3)*(64<<10)) })
}

func intervalAgrees(t testing.TB, r *rand.Rand, budget int64) {
	i := abi.Interval{LowerMs: r.Int64N(80) - 50, LowerExclusive: r.IntN(4) == 0, UpperExclusive: r.IntN(4) == 0}
	i.UpperMs = i.LowerMs + 2 + r.Int64N(60)
	name := i.String()
	m := &joinModel{pairs: map[string]int{}, spoilt: func(int64) bool { return false }}
	m.lower, m.upper = i.Bounds()
	for g := range m.passed {
		m.passed[g] = abi.MinTime
	}
	j := &joining{t: t, budget: budget, got: map[string]int{}, config: JoinConfig{
		Interval: &i, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64, right: i64)",
		Late: [2]*abi.Builder{abi.NewBuilder(abi.ColumnValues), abi.NewBuilder(abi.ColumnValues)},
	}}
	if r.IntN(2) == 0 {
		j.config.Function = &abi.Function{Kind: abi.FunctionJoin}
		if r.IntN(2) == 0 {
			m.spoilt = func(value int64) bool { return value%5 == 0 }
		}
	}
	j.spoilt = m.spoilt
	spread := func(n int) {
		j.spread(n)
		for _, s := range j.shards {
			s.op.(*interval).atOnce = 2
		}
	}
	spread(1 + r.IntN(3))
	now, number, keys := int64(-300), int64(0), 1+r.IntN(8)
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
		for _, s := range j.shards {
			if r.IntN(3) > 0 {
				continue
			}
			watermark := now - r.Int64N(50)
			if r.IntN(4) == 0 {
				divided = s.part(watermark) || divided // whoever goes on from there has records first
			} else {
				s.fire(watermark)
			}
			for g := s.from; g < s.to; g++ {
				m.passed[g] = max(m.passed[g], watermark)
			}
		}
		if divided || r.IntN(8) == 0 {
			spread(1 + r.IntN(4))
		}
	}
	j.agrees(name, m, now, keys)
}

func (j *joining) agrees(name string, m *joinModel, now int64, keys int) {
	for _, s := range j.shards {
		s.fire(now + 1000)
		if n := s.left(s.op.(*interval).kept, keys); n > 0 {
			j.t.Fatalf("%s: %d records are left when none can meet any more", name, n)
		}
		j.late += s.op.Late()
	}
	if n := int64(j.config.Late[0].Len() + j.config.Late[1].Len()); j.late != m.late || n != m.late {
		j.t.Fatalf("%s: %d late, %d of them put out (expected %d)", name, j.late, n, m.late)
	}
	j.same(name, m.pairs)
}

// The end of time comes while records are forgotten: what was late by then is late for whoever goes on.
func TestRecordsStayLateWhereTheEndOfTimeCameBetween(t *testing.T) {
	i := abi.Interval{LowerMs: -5, UpperMs: 5}
	j := &joining{t: t, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
		Interval: &i, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64, right: i64)"}}
	j.older([2][]rec{{{0, "k1", 1}, {0, "k2", 2}}, nil})
	j.spread(1)
	j.shards[0].op.(*interval).atOnce = 1
	if !j.shards[0].part(1000) {
		t.Fatal("all is forgotten at once")
	}
	j.shards[0].fire(abi.MaxTime)
	j.spread(1)
	j.process([]rec{{500, "k1", 3}}, 0)
	if n := j.shards[0].op.Late(); n != 1 {
		t.Errorf("%d records are late (expected 1)", n)
	}
}

// A join that goes on from many files with little memory meets records that lie there: it does not read a block of each of them
// for each record.
func TestIntervalJoinGoesOnInLittleMemory(t *testing.T) {
	i := abi.Interval{LowerMs: -200, UpperMs: 300}
	m := &joinModel{lower: -200, upper: 300, pairs: map[string]int{}, spoilt: func(int64) bool { return false }}
	for g := range m.passed {
		m.passed[g] = abi.MinTime
	}
	j := &joining{t: t, budget: 128 << 10, got: map[string]int{}, spoilt: m.spoilt, config: JoinConfig{
		Interval: &i, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64, right: i64)"}}
	j.spread(1)
	r := rand.New(rand.NewPCG(1, 31))
	const each, batches = 250, 24
	now := int64(0)
	run := func() {
		for n := range batches {
			var batch []rec
			for k := range int64(each) {
				batch = append(batch, rec{now + k/5, fmt.Sprint("k", r.IntN(800)), 1000*now + k})
			}
			j.process(batch, n%2)
			m.process(batch, n%2)
			if now += each / 5; n%2 == 1 {
				j.shards[0].save()
			}
		}
	}
	run()
	files := len(j.shards[0].files)
	j.spread(1)
	j.reads = 0
	run()
	j.same("in little memory", m.pairs)
	if most := each * batches / 4; files < 5 || j.reads > most {
		t.Errorf("%d files are read %d times for %d records (expected several files, and at most %d times)", files, j.reads, each*batches, most)
	}
}

// What one record meets may be more than a call carries.
func TestIntervalJoinOfALongList(t *testing.T) {
	for _, function := range []*abi.Function{nil, {Kind: abi.FunctionJoin}} {
		j := &joining{t: t, got: map[string]int{}, spoilt: func(int64) bool { return false }, config: JoinConfig{
			Interval: &abi.Interval{LowerMs: -10, UpperMs: 10}, Output: "row(left: i64, right: i64)", Function: function}}
		j.spread(1)
		const n = 40_000
		var batch []rec
		for i := range int64(n) {
			batch = append(batch, rec{100 + i%3, "k", i})
		}
		j.process(batch, 0)
		j.process([]rec{{105, "k", 7}, {106, "k", 8}}, 1)
		if len(j.got) != 2*n {
			t.Fatalf("function %v: %d pairs (expected %d)", function != nil, len(j.got), 2*n)
		}
	}
}

// older makes a subtask as an older version left it: its records have no end, and timers say when those of a key are over.
func (j *joining) older(records [2][]rec) {
	s := &joinShard{joining: j, to: joinGroups}
	var err error
	if s.store, err = state.New(state.Config{Groups: joinGroups, To: joinGroups}); err != nil {
		j.t.Fatal(err)
	}
	old := &olderJoin{store: s.store}
	expiry, err := s.store.Timers(state.Spec{Operator: "op", Name: "$expiry", Kind: state.Timer, Key: j.config.Key})
	if err != nil {
		j.t.Fatal(err)
	}
	lower, upper := j.config.Interval.Bounds()
	round := max((upper-lower)/4, 1)
	for input, ahead := range []int64{upper, -lower} {
		kept, err := newTimeline(s.store, state.Spec{Operator: "op", Name: []string{"left", "right"}[input], Key: j.config.Key, Value: j.config.Values[input]})
		if err != nil {
			j.t.Fatal(err)
		}
		for _, r := range records[input] {
			hash, last := hashOfText(r.key), r.time+ahead
			if err := kept.add(hash, []byte(r.key), r.time, old.next(), binary.LittleEndian.AppendUint64(nil, uint64(r.value))); err != nil {
				j.t.Fatal(err)
			}
			if err := expiry.Set(last-last%round+round, hash, []byte(r.key)); err != nil {
				j.t.Fatal(err)
			}
		}
	}
	s.op = old
	j.shards = []*joinShard{s}
}

type olderJoin struct {
	Join
	numbers
	store state.Store
}

func (o *olderJoin) Late() int64 { return 0 }
func (o *olderJoin) Save() error { return o.numbers.save(o.store, "op") }

// A join goes on from what a version has left that looked for what was over by timers: its records meet those that come, and leave.
func TestIntervalJoinsGoOnFromTimers(t *testing.T) {
	for _, budget := range []int64{0, 1} {
		i := abi.Interval{LowerMs: -40, UpperMs: 60}
		m := &joinModel{lower: -40, upper: 60, pairs: map[string]int{}, spoilt: func(int64) bool { return false }}
		j := &joining{t: t, budget: budget, got: map[string]int{}, spoilt: m.spoilt, config: JoinConfig{
			Interval: &i, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64, right: i64)",
			Late: [2]*abi.Builder{abi.NewBuilder(abi.ColumnValues), abi.NewBuilder(abi.ColumnValues)}}}
		r := rand.New(rand.NewPCG(2, 31))
		some := func(from int64) (all []rec) {
			for n := range int64(300) {
				all = append(all, rec{from + r.Int64N(100), fmt.Sprint("k", r.IntN(20)), from*1000 + n})
			}
			return all
		}
		was := [2][]rec{some(0), some(0)}
		m.kept = was
		j.older(was)
		for n := range int64(4) {
			j.spread(1 + int(n)%3) // what was taken over is stored, and taken over again
			for input := range 2 {
				next := some(50 + 50*n)
				m.process(next, input)
				j.process(next, input)
			}
			for _, s := range j.shards {
				s.fire(50 + 50*n)
			}
			for g := range m.passed {
				m.passed[g] = 50 + 50*n
			}
		}
		if len(m.pairs) < 1000 {
			t.Fatalf("%d pairs: nothing is tested", len(m.pairs))
		}
		j.agrees("from timers", m, 1000, 20)
	}
}

// What has ended leaves the memory while records come, and is in no snapshot that is gone on from; what has not, meets.
func TestIntervalJoinsLetGoOfWhatHasEnded(t *testing.T) {
	const each, batches, keys = 1000, 44, 1000
	for _, budget := range []int64{300 << 10, 64 << 20} {
		i := abi.Interval{LowerMs: -60, UpperMs: 40}
		m := &joinModel{lower: -60, upper: 40, pairs: map[string]int{}, spoilt: func(int64) bool { return false }}
		for g := range m.passed {
			m.passed[g] = abi.MinTime
		}
		j := &joining{t: t, budget: budget, got: map[string]int{}, spoilt: m.spoilt, config: JoinConfig{
			Interval: &i, Key: "utf8", Values: [2]abi.Codec{"i64", "i64"}, Output: "row(left: i64, right: i64)",
			Late: [2]*abi.Builder{abi.NewBuilder(abi.ColumnValues), abi.NewBuilder(abi.ColumnValues)}}}
		r := rand.New(rand.NewPCG(3, uint64(budget)))
		j.spread(1)
		now, most := int64(0), int64(0)
		for n := range int64(batches) {
			var batch []rec
			for k := range int64(each) {
				batch = append(batch, rec{now + r.Int64N(30), fmt.Sprint("k", r.IntN(keys)), each*n + k})
			}
			j.process(batch, int(n%2))
			m.process(batch, int(n%2))
			now += 20
			size := int64(0)
			for _, s := range j.shards {
				s.fire(now)
				size += s.store.Size()
				if n%5 == 0 {
					s.save()
				}
			}
			for g := range m.passed {
				m.passed[g] = now
			}
			for input := range m.kept { // those that meet nothing any more only take time
				last := now - []int64{m.upper, -m.lower}[input]
				m.kept[input] = slices.DeleteFunc(m.kept[input], func(o rec) bool { return o.time < last })
			}
			if most = max(most, size); n == 36 {
				j.spread(1 + r.IntN(3))
			}
		}
		if len(m.pairs) < each*batches {
			t.Fatalf("%d pairs: nothing is tested", len(m.pairs))
		}
		if budget != 300<<10 && most > 3<<20 {
			t.Errorf("budget %d: %d bytes of state at most (expected <= 3 MiB; all %d records are more)", budget, most, each*batches)
		}
		j.agrees(fmt.Sprint("budget ", budget), m, now, keys)
	}
}
