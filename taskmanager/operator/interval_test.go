package operator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
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

func groupOf(key string) int { return int(xxhash.Sum64String(key) % joinGroups) }

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

// joining is the subtasks of a join under test.
type joining struct {
	t      testing.TB
	config JoinConfig
	shards []*joinShard
	late   int64
	got    map[string]int
	spoilt func(value int64) bool
	input  int
}

type joinShard struct {
	*joining
	op       Join
	store    state.Store
	from, to int
	out      *abi.Builder
}

func (s *joinShard) Pass() error {
	var b abi.Batch
	s.out.View(&b)
	schema, _ := abi.ParseSchema(s.config.Output)
	for i := range b.N {
		row := schema.Row(b.Value(i))
		s.got[fmt.Sprintf("%s,%d,%d@%d", b.Key(i), row.I64(0), row.I64(1), b.Timestamp(i))]++
	}
	s.out.Reset()
	return nil
}

// Join makes pairs of a group's lists. A record that spoils the call is noticed before anything is made.
func (s *joinShard) Join(groups *abi.GroupsWriter) error {
	made := map[string]int{}
	dead := false
	eachJoined(groups.Bytes(), func(key string, lists [2][]rec) {
		for _, r := range lists[s.input] {
			dead = dead || s.spoilt(r.value)
		}
		for _, l := range lists[0] {
			for _, r := range lists[1] {
				made[fmt.Sprintf("%s,%d,%d@%d", key, l.value, r.value, max(l.time, r.time))]++
			}
		}
	})
	if dead {
		return errDead
	}
	for k, n := range made {
		s.got[k] += n
	}
	return nil
}

// eachJoined walks the groups of a join as a guest does.
func eachJoined(p []byte, visit func(key string, lists [2][]rec)) {
	le := binary.LittleEndian
	n := le.Uint32(p[4:])
	p = p[le.Uint32(p):]
	for range n {
		key := p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le.Uint32(p[32:])]
		at := abi.GroupHeaderBytes + (le.Uint32(p[32:])+7)&^7
		var lists [2][]rec
		for range le.Uint32(p[36:]) {
			l := p[at:]
			count := int(le.Uint32(l[12:]))
			times := l[abi.ListHeaderBytes:]
			offs := times[8*count:]
			data := offs[(4*(count+1)+7)&^7:]
			for k := range count {
				v := data[le.Uint32(offs[4*k:]):le.Uint32(offs[4*k+4:])]
				r := rec{int64(le.Uint64(times[8*k:])), string(key), int64(le.Uint64(v))}
				lists[le.Uint16(l[4:])] = append(lists[le.Uint16(l[4:])], r)
			}
			at += le.Uint32(l)
		}
		visit(string(key), lists)
		p = p[le.Uint32(p):]
	}
}

// Retry halves down to one unit, which is left out.
func (s *joinShard) Retry(err error, n int, call func(lo, hi int) error, describe func(int) Unit) error {
	if n == 1 {
		return describe(0).Skip()
	}
	for _, half := range [][2]int{{0, n / 2}, {n / 2, n}} {
		if err := call(half[0], half[1]); err != nil {
			part := func(lo, hi int) error { return call(half[0]+lo, half[0]+hi) }
			if err := s.Retry(err, half[1]-half[0], part, func(i int) Unit { return describe(half[0] + i) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// spread has n subtasks go on from what those of before have saved.
func (j *joining) spread(n int) {
	var files [][]byte
	for _, s := range j.shards {
		j.late += s.op.Late()
		files = append(files, saved(j.t, s.op.Save, s.store))
	}
	j.shards = nil
	for i := range n {
		s := &joinShard{joining: j, from: i * joinGroups / n, to: (i + 1) * joinGroups / n, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps)}
		c := state.Config{Groups: joinGroups, From: graph.KeyGroup(s.from), To: graph.KeyGroup(s.to)}
		for _, f := range files {
			r, err := snapshot.Open(bytes.NewReader(f), int64(len(f)))
			if err != nil {
				j.t.Fatal(err)
			}
			c.Restored = append(c.Restored, r.Cut(c.From, c.To))
		}
		var err error
		if s.store, err = state.New(c); err != nil {
			j.t.Fatal(err)
		}
		config := j.config
		config.Store, config.Joiner, config.Results, config.UID, config.Groups = s.store, s, s.out, "op", joinGroups
		if s.op, err = NewJoin(config); err != nil {
			j.t.Fatal(err)
		}
		j.shards = append(j.shards, s)
	}
}

// saved is the file of a snapshot of a store.
func saved(t testing.TB, save func() error, store state.Store) []byte {
	t.Helper()
	if err := save(); err != nil {
		t.Fatal(err)
	}
	frozen, err := store.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	whole := frozen.Whole()
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, whole.States())
	if err := whole.Write(w); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (j *joining) process(batch []rec, input int) {
	j.input = input
	for _, s := range j.shards {
		var mine []rec
		for _, r := range batch {
			if g := groupOf(r.key); g >= s.from && g < s.to {
				mine = append(mine, r)
			}
		}
		if len(mine) == 0 {
			continue
		}
		b, hashes := batchOf(mine...)
		if err := s.op.Process(b, hashes, input); err != nil {
			j.t.Fatal(err)
		}
		if err := s.Pass(); err != nil {
			j.t.Fatal(err)
		}
	}
}

func (s *joinShard) fire(watermark int64) {
	for more := true; more; {
		var err error
		if more, err = s.op.Fire(watermark); err != nil {
			s.t.Fatal(err)
		}
	}
}

// left is how many records are kept.
func (s *joinShard) left(keys int) (n int) {
	for _, kept := range s.op.(*interval).kept {
		for k := range keys {
			key := fmt.Sprint("k", k)
			err := kept.scan(xxhash.Sum64String(key), []byte(key), nil, abi.MaxTime, func([]byte, []byte) bool {
				n++
				return true
			})
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return n
}

// Random streams with disorder, skewed keys and late records are joined by intervals of every shape, by one or several
// subtasks of different progress that go on from each other's snapshots; what comes out is what the model says.
func TestIntervalJoinsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 600, intervalAgrees)
}

func intervalAgrees(t testing.TB, r *rand.Rand) {
	i := abi.Interval{LowerMs: r.Int64N(80) - 50, LowerExclusive: r.IntN(4) == 0, UpperExclusive: r.IntN(4) == 0}
	i.UpperMs = i.LowerMs + 2 + r.Int64N(60)
	name := i.String()
	m := &joinModel{pairs: map[string]int{}, spoilt: func(int64) bool { return false }}
	m.lower, m.upper = i.Bounds()
	for g := range m.passed {
		m.passed[g] = abi.MinTime
	}
	j := &joining{t: t, got: map[string]int{}, config: JoinConfig{
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
	j.spread(1 + r.IntN(3))
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
		for _, s := range j.shards {
			if r.IntN(3) > 0 {
				continue
			}
			watermark := now - r.Int64N(50)
			s.fire(watermark)
			for g := s.from; g < s.to; g++ {
				m.passed[g] = max(m.passed[g], watermark)
			}
		}
		if r.IntN(8) == 0 {
			j.spread(1 + r.IntN(4))
		}
	}
	j.agrees(name, m, now, keys)
}

func (j *joining) agrees(name string, m *joinModel, now int64, keys int) {
	for _, s := range j.shards {
		s.fire(now + 1000)
		if n := s.left(keys); n > 0 {
			j.t.Fatalf("%s: %d records are left when none can meet any more", name, n)
		}
		j.late += s.op.Late()
	}
	if n := int64(j.config.Late[0].Len() + j.config.Late[1].Len()); j.late != m.late || n != m.late {
		j.t.Fatalf("%s: %d late, %d of them put out (expected %d)", name, j.late, n, m.late)
	}
	for p, n := range j.got {
		if m.pairs[p] != n {
			j.t.Fatalf("%s: %s came %d times (expected %d)", name, p, n, m.pairs[p])
		}
	}
	for p, n := range m.pairs {
		if j.got[p] != n {
			j.t.Fatalf("%s: %s came %d times (expected %d)", name, p, j.got[p], n)
		}
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
