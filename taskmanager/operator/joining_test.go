package operator

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// joining is the subtasks of a join under test.
type joining struct {
	t       testing.TB
	config  JoinConfig
	budget  int64 // of each subtask's state; 0: none
	shards  []*joinShard
	late    int64
	got     map[string]int
	buckets bucketsOf // nil: nobody asks
	spoilt  func(value int64) bool
	input   int
	stores  int
	attempt int
	reads   int // of files
	pulled  int // records that a co-group has asked for
}

type joinShard struct {
	*joining
	op       Join
	store    state.Store
	from, to int
	out      *abi.Builder
	files    []joinFile // that its store began from, and those that were written since
}

// joinFile is a snapshot file, or its part of some key groups.
type joinFile struct {
	content  []byte
	from, to int
	attempt  int

	owner, ownerTo graph.KeyGroup // of the subtask that had it last
}

// Pass takes pairs: "key,left,right@time", where one that is missing is a dash.
func (s *joinShard) Pass() error {
	var b abi.Batch
	s.out.View(&b)
	schema, _ := abi.ParseSchema(s.config.Output)
	for i := range b.N {
		if err := abi.Validate(schema, b.Value(i)); err != nil {
			s.t.Fatal(err)
		}
		row := schema.Row(b.Value(i))
		field := func(i int) string {
			if row.Null(i) {
				return "-"
			}
			return fmt.Sprint(row.I64(i))
		}
		result := fmt.Sprintf("%s,%s,%s@%d", b.Key(i), field(0), field(1), b.Timestamp(i))
		s.got[result]++
		s.note(result, abi.ChangeKind(b.Kinds[i]))
	}
	s.out.Reset()
	return nil
}

// note takes note of a result, which begins with its key and ends with the end of its window.
func (s *joinShard) note(result string, kind abi.ChangeKind) {
	if s.buckets != nil {
		id := result[:2] + result[strings.LastIndex(result, "@"):]
		s.buckets[id] = append(s.buckets[id], madeOf{result, kind})
	}
}

// joined is a group of a join as a guest sees it.
type joined struct {
	key      string
	windowed bool
	end      int64 // of its window
	lists    [2][]rec
	total    [2]int
}

// pairs are what a join function is called for.
func (g *joined) pairs() (all []string) {
	lists := [2][]rec{}
	for i, l := range g.lists {
		if lists[i] = l; len(l) == 0 {
			lists[i] = []rec{{value: -1, time: abi.MinTime}}
		}
	}
	text := func(r rec) string {
		if r.value < 0 {
			return "-"
		}
		return fmt.Sprint(r.value)
	}
	for _, l := range lists[0] {
		for _, r := range lists[1] {
			at := max(l.time, r.time)
			if g.windowed {
				at = g.end - 1
			}
			all = append(all, fmt.Sprintf("%s,%s,%s@%d", g.key, text(l), text(r), at))
		}
	}
	return all
}

// both is what a co-group function is called for.
func (g *joined) both() string {
	var values [2][]int64
	for i, l := range g.lists {
		for _, r := range l {
			values[i] = append(values[i], r.value)
		}
		slices.Sort(values[i])
	}
	return fmt.Sprintf("%s%v%v@%d", g.key, values[0], values[1], g.end-1)
}

// Join makes pairs of a group's lists. A record that spoils the call is noticed before anything is made.
func (s *joinShard) Join(groups *abi.GroupsWriter, kind abi.ChangeKind) error {
	made := map[string]int{}
	dead := false
	eachJoined(groups.Bytes(), func(_ int, g *joined) {
		for i, l := range g.lists {
			for _, r := range l {
				dead = dead || (g.windowed || i == s.input) && s.spoilt(r.value)
			}
		}
		for _, p := range g.pairs() {
			made[p]++
		}
	})
	return s.took(made, dead, kind)
}

// CoGroup asks for what did not come with the call, in pieces.
func (s *joinShard) CoGroup(groups *abi.GroupsWriter, rest *Rest, kind abi.ChangeKind) error {
	made := map[string]int{}
	dead := false
	var err error
	eachJoined(groups.Bytes(), func(i int, g *joined) {
		for tag := range g.lists {
			for more := len(g.lists[tag]) < g.total[tag]; more && err == nil; {
				var answers []abi.StateAnswer
				answers, err = rest.Read(abi.StateRecords, []abi.StateRequest{{Group: uint32(i), State: uint16(tag), Cursor: uint64(len(g.lists[tag]))}}, nil)
				if err != nil {
					return
				}
				for k, v := range answers[0].Values {
					g.lists[tag] = append(g.lists[tag], rec{answers[0].Timestamps[k], g.key, int64(binary.LittleEndian.Uint64(v))})
				}
				s.pulled += len(answers[0].Values)
				more = answers[0].More
			}
			if len(g.lists[tag]) != g.total[tag] {
				err = fmt.Errorf("%d records of list %d (expected %d)", len(g.lists[tag]), tag, g.total[tag])
			}
			for _, r := range g.lists[tag] {
				dead = dead || s.spoilt(r.value)
			}
		}
		made[g.both()]++
	})
	if err != nil {
		return err
	}
	return s.took(made, dead, kind)
}

func (s *joinShard) took(made map[string]int, dead bool, kind abi.ChangeKind) error {
	if dead {
		return errDead
	}
	for k, n := range made {
		s.got[k] += n
		s.note(k, kind)
	}
	return nil
}

// eachJoined walks the groups of a join as a guest does.
func eachJoined(p []byte, visit func(i int, g *joined)) {
	le := binary.LittleEndian
	n := le.Uint32(p[4:])
	p = p[le.Uint32(p):]
	for i := range n {
		g := joined{key: string(p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le.Uint32(p[32:])])}
		if le.Uint32(p[4:])&abi.GroupHasWindow != 0 {
			g.windowed, g.end = true, int64(le.Uint64(p[16:]))
		}
		at := abi.GroupHeaderBytes + (le.Uint32(p[32:])+7)&^7
		for range le.Uint32(p[36:]) {
			l := p[at:]
			tag, count := le.Uint16(l[4:]), int(le.Uint32(l[12:]))
			g.total[tag] = int(le.Uint32(l[8:]))
			times := l[abi.ListHeaderBytes:]
			offs := times[8*count:]
			data := offs[(4*(count+1)+7)&^7:]
			for k := range count {
				v := data[le.Uint32(offs[4*k:]):le.Uint32(offs[4*k+4:])]
				g.lists[tag] = append(g.lists[tag], rec{int64(le.Uint64(times[8*k:])), g.key, int64(le.Uint64(v))})
			}
			at += le.Uint32(l)
		}
		visit(int(i), &g)
		p = p[le.Uint32(p):]
	}
}

// Retry halves down to one unit, which is left out.
func (s *joinShard) Retry(err error, n int, call func(lo, hi int) error, describe func(int) Unit) error {
	if err != errDead {
		return err
	}
	if n == 1 {
		if skip := describe(0).Skip; skip != nil {
			return skip()
		}
		return nil
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
	var files []joinFile
	for _, s := range j.shards {
		j.late += s.op.Late()
		s.save()
		for _, f := range s.files {
			f.owner, f.ownerTo = graph.KeyGroup(s.from), graph.KeyGroup(s.to)
			files = append(files, f)
		}
		if err := s.store.Close(); err != nil {
			j.t.Fatal(err)
		}
	}
	slices.SortStableFunc(files, func(a, b joinFile) int { return cmp.Compare(a.attempt, b.attempt) })
	j.shards = nil
	j.attempt++
	for i := range n {
		s := &joinShard{joining: j, from: i * joinGroups / n, to: (i + 1) * joinGroups / n, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps | abi.ColumnKinds)}
		c := state.Config{Groups: joinGroups, From: graph.KeyGroup(s.from), To: graph.KeyGroup(s.to), Budget: j.budget}
		if j.budget > 0 {
			dir := j.t.TempDir()
			c.Dir, c.Space = filepath.Join(dir, fmt.Sprint("attempt ", j.stores)), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
			j.stores++
		}
		for _, f := range files {
			f.from, f.to = max(f.from, s.from), min(f.to, s.to)
			if f.from >= f.to {
				continue
			}
			r, err := snapshot.Open(&countedReader{bytes.NewReader(f.content), &j.reads}, int64(len(f.content)))
			if err != nil {
				j.t.Fatal(err)
			}
			s.files = append(s.files, f)
			c.Restored = append(c.Restored, r.Cut(graph.KeyGroup(f.from), graph.KeyGroup(f.to)).OfOwner(f.owner, f.ownerTo))
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

// countedReader counts how often it is read.
type countedReader struct {
	io.ReaderAt
	reads *int
}

func (r *countedReader) ReadAt(p []byte, at int64) (int, error) {
	*r.reads++
	return r.ReaderAt.ReadAt(p, at)
}

// save takes a snapshot: all that there is in one file, or what has changed in another.
func (s *joinShard) save() {
	s.t.Helper()
	if err := s.op.Save(); err != nil {
		s.t.Fatal(err)
	}
	frozen, err := s.store.Freeze()
	if err != nil {
		s.t.Fatal(err)
	}
	defer frozen.Release()
	what := frozen
	if whole := frozen.Whole(); whole != nil {
		what, s.files = whole, nil
	}
	if len(what.States()) == 0 {
		return
	}
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, what.States())
	if err := what.Write(w); err != nil {
		s.t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.files = append(s.files, joinFile{content: b.Bytes(), from: s.from, to: s.to, attempt: s.attempt})
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
		if err := s.op.Process(b, hashes, 0, input); err != nil {
			j.t.Fatal(err)
		}
		s.settle()
	}
}

func (s *joinShard) fire(watermark int64) {
	for s.part(watermark) {
	}
}

// part is a part of fire.
func (s *joinShard) part(watermark int64) (more bool) {
	more, err := s.op.Fire(watermark)
	if err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	return more
}

// settle follows a call, as a task does.
func (s *joinShard) settle() {
	if err := s.Pass(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.Trim(); err != nil {
		s.t.Fatal(err)
	}
}

// same holds what came out against what was expected.
func (j *joining) same(name string, want map[string]int) {
	j.t.Helper()
	for p, n := range j.got {
		if want[p] != n {
			j.t.Fatalf("%s: %s came %d times (expected %d)", name, p, n, want[p])
		}
	}
	for p, n := range want {
		if j.got[p] != n {
			j.t.Fatalf("%s: %s came %d times (expected %d)", name, p, j.got[p], n)
		}
	}
}

// left is how many records are kept.
func (s *joinShard) left(kept [2]timeline, keys int) (n int) {
	for i := range kept {
		for k := range keys {
			key := fmt.Sprint("k", k)
			err := kept[i].scan(hashOfText(key), []byte(key), nil, abi.MaxTime, func([]byte, []byte) bool {
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
