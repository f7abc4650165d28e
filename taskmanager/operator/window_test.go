package operator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// model is windows as their definition says: a record lies in each of its windows, and a result is all of them.
type model struct {
	window abi.Window
	held   []held
	passed int64
	late   int64
	result map[string]string // the newest, by window and key
}

// held is a record with the ends of the windows that it came in time for.
type held struct {
	rec
	ends []int64
}

// ends of the windows that a time lies in.
func (m *model) ends(t int64) (ends []int64) {
	step := m.window.SizeMs
	if m.window.SlideMs > 0 {
		step = m.window.SlideMs
	}
	for end := m.window.OffsetMs%step - 150*step + m.window.SizeMs; end-m.window.SizeMs <= t; end += step {
		if t < end {
			ends = append(ends, end)
		}
	}
	return ends
}

func (m *model) process(batch []rec) {
	type id struct {
		end int64
		key string
	}
	again := map[id]bool{}
	for _, r := range batch {
		h := held{rec: r}
		for _, end := range m.ends(r.time) {
			if end+m.window.LatenessMs-1 <= m.passed {
				continue
			}
			h.ends = append(h.ends, end)
			if end-1 <= m.passed {
				again[id{end, r.key}] = true
			}
		}
		if h.ends == nil {
			m.late++
			continue
		}
		m.held = append(m.held, h)
	}
	for a := range again {
		m.emit(a.end, a.key)
	}
}

func (m *model) emit(end int64, key string) {
	sum := int64(0)
	for _, h := range m.held {
		if h.key == key && slices.Contains(h.ends, end) {
			sum += h.value
		}
	}
	m.result[fmt.Sprintf("%d,%d,%s", end-m.window.SizeMs, end, key)] = fmt.Sprintf("%d@%d", sum, end-1)
}

func (m *model) fire(watermark int64) {
	for _, h := range m.held {
		for _, end := range h.ends {
			if end-1 > m.passed && end-1 <= watermark {
				m.emit(end, h.key)
			}
		}
	}
	m.passed = watermark
}

func (m *model) drain() {
	passed := m.passed
	m.fire(abi.MaxTime)
	m.passed, m.held = passed, nil
}

// Random streams with disorder go through windows of every shape, folded ahead and not; what comes out is what the model says, and
// late is late.
func TestWindowsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 150, func(t testing.TB, r *rand.Rand) {
		w := abi.Window{Kind: "tumbling", SizeMs: 1 + r.Int64N(60)}
		if r.IntN(4) > 0 {
			w.Kind, w.SlideMs = "sliding", 1+r.Int64N(w.SizeMs)
		}
		if r.IntN(2) == 0 {
			w.OffsetMs = r.Int64N(w.SizeMs)
		}
		if r.IntN(3) == 0 {
			w.LatenessMs = r.Int64N(80)
		}
		for _, kind := range []abi.OperatorKind{abi.OperatorSum, abi.OperatorAggregate, abi.OperatorReduce} {
			for _, ahead := range []bool{false, true} {
				name := fmt.Sprintf("%s over %s, folded ahead %v", kind, w.String(), ahead)
				m := &model{window: w, passed: abi.MinTime, result: map[string]string{}}
				if !windowsAgree(t, name, m, w, kind, ahead, r) {
					return
				}
			}
		}
	})
}

// definition says what windows are.
type definition interface {
	process(batch []rec)
	fire(watermark int64)
	drain() // event time ends, and starts anew: all windows have fired and are gone, and nothing is late that was not before
	answers() (results map[string]string, late int64)
}

func (m *model) answers() (map[string]string, int64) { return m.result, m.late }

func windowsAgree(t testing.TB, name string, m definition, w abi.Window, kind abi.OperatorKind, ahead bool, r *rand.Rand) bool {
	guest := &summing{}
	c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: &w, Tells: w.LatenessMs > 0, Guest: guest, Late: abi.NewBuilder(abi.ColumnKeys), Groups: graph.DefaultMaxParallelism}
	if kind != abi.OperatorSum {
		c.Function = &abi.Function{Kind: abi.FunctionKind(kind)}
	}
	f := start(t, c)
	f.out = abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps | abi.ColumnKinds)
	if ahead {
		f.foldAhead(c, guest, r)
	}
	pieces := func() {
		if w.Kind == "session" {
			inPieces(f.op, 1+r.IntN(8))
		}
	}
	pieces()
	got, drained := map[string]string{}, false // behind that, windows that have fired for it take records again
	told := map[string]bool{}                  // results that newer ones have been told of to take the place of
	var changed map[string]bool                // by the batch that is processed, nil: by other things, too
	put := func(id, result string, kind abi.ChangeKind) {
		if changed[id] {
			t.Errorf("%s: a batch changes %s twice", name, id)
		}
		if changed != nil {
			changed[id] = true
		}
		if _, again := got[id]; again && w.LatenessMs == 0 && !drained {
			t.Errorf("%s: a second result of %s", name, id)
		}
		if want := map[bool]abi.ChangeKind{false: abi.Insert, true: abi.UpdateAfter}[told[id]]; kind != want {
			t.Errorf("%s: a result of %s is of kind %d (expected %d)", name, id, kind, want)
		}
		got[id], told[id] = result, w.LatenessMs > 0
	}
	var b abi.Batch
	take := func() {
		var lines []string
		f.mark(c)
		f.out.View(&b)
		switch kind {
		case abi.OperatorSum:
			lines = f.rows(windowed)
			for n, line := range lines {
				i := strings.LastIndex(line, ",")
				put(line[:i], line[i+1:], abi.ChangeKind(b.Kinds[n]))
			}
		case abi.OperatorAggregate:
			for i, line := range guest.out { // [0,10) k=5
				var from, to, sum int64
				var key string
				fmt.Sscanf(strings.NewReplacer("[", "", ",", " ", ")", "", "=", " ").Replace(line), "%d %d %s %d", &from, &to, &key, &sum)
				put(fmt.Sprintf("%d,%d,%s", from, to, key), fmt.Sprintf("%d@%d", sum, to-1), guest.kinds[i])
			}
			guest.out, guest.kinds = nil, nil
		default: // the accumulators, without their window: told by their time
			for i := range b.N {
				end := b.Timestamp(i) + 1
				put(fmt.Sprintf("%d,%d,%s", end-w.SizeMs, end, b.Key(i)), fmt.Sprintf("%d@%d", int64(binary.LittleEndian.Uint64(b.Value(i))), end-1), abi.ChangeKind(b.Kinds[i]))
			}
			f.out.Reset()
		}
	}
	now, watermark, late := int64(0), abi.MinTime, int64(0)
	again := func() { // it goes on from what it has saved
		take()
		late += f.op.Late()
		f.again(c)
		pieces()
		if ahead {
			f.foldAhead(c, guest, r)
		}
	}
	for range 1 + r.IntN(30) {
		var batch []rec
		for range r.IntN(20) {
			now += r.Int64N(8)
			batch = append(batch, rec{now - r.Int64N(50), fmt.Sprint("k", r.IntN(5)), int64(r.IntN(100))})
		}
		if len(batch) > 0 {
			take()
			if !ahead { // otherwise it is several
				changed = map[string]bool{}
			}
			f.process(batch...)
			m.process(batch)
			take()
			changed = nil
		}
		if r.IntN(2) == 0 {
			watermark = max(watermark, now-r.Int64N(40))
			if w.LatenessMs == 0 && w.SlideMs == 0 && r.IntN(4) == 0 { // whoever goes on from there has records first
				f.part(watermark, 1+r.IntN(4), again)
				m.fire(watermark)
				continue
			}
			f.fireIn(watermark, func() {
				if r.IntN(16) == 0 {
					again()
				}
			})
			m.fire(watermark)
			take()
			f.forgetTold(c, watermark)
		}
		if r.IntN(8) == 0 {
			if r.IntN(3) == 0 {
				f.fire(abi.MaxTime)
				m.drain()
				take()
				f.forgetTold(c, abi.MaxTime)
				clear(told)
				drained = true
			}
			again()
		}
	}
	f.fire(1 << 40)
	m.fire(1 << 40)
	take()
	f.forgetTold(c, 1<<40)
	result, wantLate := m.answers()
	if late += f.op.Late(); late != wantLate {
		t.Errorf("%s: %d late (expected %d)", name, late, wantLate)
		return false
	}
	if !maps.Equal(got, result) {
		for id, want := range result {
			if got[id] != want {
				t.Errorf("%s: %s is %q (expected %q)", name, id, got[id], want)
				return false
			}
		}
		t.Errorf("%s: %d results (expected %d)", name, len(got), len(result))
		return false
	}
	for _, state := range []string{"result", "accumulator", "$rest", "$told"} {
		if left := f.namespaces(state); len(left) > 0 {
			t.Errorf("%s: slices %v of %s are left", name, left, state)
			return false
		}
	}
	return true
}

// mark tells the kinds of results that the operator leaves to others to tell, as a task does.
func (r *running) mark(c Config) {
	r.t.Helper()
	if !c.Tells || TellsItself(c.Kind, c.Window, c.Function) {
		return
	}
	var b abi.Batch
	r.out.View(&b)
	var hashes []uint64
	for i := range b.N {
		hashes = append(hashes, xxhash.Sum64(b.Key(i)))
	}
	if err := NewTold("op", c.Window, r.store).Mark(&b, hashes); err != nil {
		r.t.Fatal(err)
	}
}

// forgetTold drops what mark knows of windows that are over.
func (r *running) forgetTold(c Config, watermark int64) {
	r.t.Helper()
	if !c.Tells || TellsItself(c.Kind, c.Window, c.Function) {
		return
	}
	if err := NewTold("op", c.Window, r.store).Forget(watermark); err != nil {
		r.t.Fatal(err)
	}
}

// again has another operator go on from a snapshot of this one.
func (r *running) again(c Config) {
	r.t.Helper()
	if err := r.op.Save(); err != nil {
		r.t.Fatal(err)
	}
	r.files = saved(r.t, r.store, r.files)
	r.close()
	c.Store, c.UID = opened(r.t, storeConfig(r.t, r.spill), r.files), "op"
	op, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.op, r.store = op, c.Store
}

// close frees what the store has on disk.
func (r *running) close() {
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// restored is a store in memory that goes on from a snapshot of another one.
func restored(t testing.TB, store state.Store) state.Store {
	t.Helper()
	files := saved(t, store, nil)
	if len(files) == 0 {
		return store // nothing has changed since the last one
	}
	return opened(t, storeConfig(t, 0), files)
}

// saved is a snapshot of a store that had gone on from files: all that there is in one, or what has changed in another.
func saved(t testing.TB, store state.Store, files [][]byte) [][]byte {
	t.Helper()
	frozen, err := store.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Release()
	what := frozen
	if whole := frozen.Whole(); whole != nil {
		what, files = whole, nil
	}
	if len(what.States()) == 0 {
		return files
	}
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, what.States())
	if err := what.Write(w); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(files), b.Bytes())
}

func opened(t testing.TB, c state.Config, files [][]byte) state.Store {
	t.Helper()
	for _, f := range files {
		r, err := snapshot.Open(bytes.NewReader(f), int64(len(f)))
		if err != nil {
			t.Fatal(err)
		}
		c.Restored = append(c.Restored, r)
		for _, s := range r.States() {
			if strings.HasPrefix(s.Name, "$r") {
				t.Fatalf("state %s is in the snapshot", s.Name)
			}
		}
	}
	store, err := state.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (r *running) namespaces(name string) []state.Namespace {
	r.t.Helper()
	kind := state.Bytes
	switch name {
	case "result", "$emitted", "$told":
		kind = state.Words
	case "elements":
		kind = state.Piece
	}
	open, err := r.store.Namespaces(state.Spec{Operator: "op", Name: name, Kind: kind})
	if err != nil {
		r.t.Fatal(err)
	}
	return open
}
