package operator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
)

// sessionModel is sessions as their definition says, batch by batch: records of a key that are at most a gap apart are in one.
type sessionModel struct {
	window abi.Window
	open   map[string][]sessionOf
	passed int64
	late   int64
	result map[string]string
}

type sessionOf struct {
	start, end int64
	sum        int64
	fired      bool
}

func (m *sessionModel) over(s sessionOf) bool { return s.end+m.window.LatenessMs-1 <= m.passed }

func (m *sessionModel) process(batch []rec) {
	byKey := map[string][]rec{}
	for _, r := range batch {
		byKey[r.key] = append(byKey[r.key], r)
	}
	for key, recs := range byKey {
		all := slices.Clone(m.open[key])
		for _, r := range recs {
			all = append(all, sessionOf{start: r.time, end: r.time + m.window.GapMs})
		}
		for again := true; again; { // until nothing touches
			again = false
			for i := range all {
				for j := i + 1; j < len(all); j++ {
					if all[i].start <= all[j].end && all[j].start <= all[i].end {
						all[i] = sessionOf{min(all[i].start, all[j].start), max(all[i].end, all[j].end), all[i].sum + all[j].sum, all[i].fired || all[j].fired}
						all = slices.Delete(all, j, j+1)
						again = true
						break
					}
				}
			}
		}
		changed := map[int]bool{}
		for _, r := range recs {
			i := slices.IndexFunc(all, func(s sessionOf) bool { return s.start <= r.time && r.time < s.end })
			if m.over(all[i]) {
				m.late++
				continue
			}
			all[i].sum += r.value
			changed[i] = true
		}
		m.open[key] = nil
		for i, s := range all {
			if m.over(s) {
				continue
			}
			if changed[i] && s.end-1 <= m.passed {
				m.emit(key, &s)
			}
			m.open[key] = append(m.open[key], s)
		}
	}
}

func (m *sessionModel) emit(key string, s *sessionOf) {
	s.fired = true
	m.result[fmt.Sprintf("%d,%d,%s", s.start, s.end, key)] = fmt.Sprintf("%d@%d", s.sum, s.end-1)
}

func (m *sessionModel) fire(watermark int64) {
	was := m.passed
	m.passed = watermark
	for key := range m.open {
		var kept []sessionOf
		for _, s := range m.open[key] {
			if s.end-1 > was && s.end-1 <= watermark {
				m.emit(key, &s)
			}
			if !m.over(s) {
				kept = append(kept, s)
			}
		}
		m.open[key] = kept
	}
}

func (m *sessionModel) drain() {
	passed := m.passed
	m.fire(abi.MaxTime)
	m.passed, m.open = passed, map[string][]sessionOf{}
}

func (m *sessionModel) answers() (map[string]string, int64) { return m.result, m.late }

// inPieces has sessions fire by so many timers at once.
func inPieces(op Operator, timers int) {
	if f, is := op.(*fold); is {
		f.session.atOnce = timers
	} else {
		op.(*tally).session.atOnce = timers
	}
}

// A session that is allowed late records goes out once when the watermark passes it, in however many calls others that end by
// then do; and again with a late record, once.
func TestASessionGoesOutOnceHoweverManyEnd(t *testing.T) {
	for _, atOnce := range []int{1, 2, 3, 100} {
		w := abi.Window{Kind: "session", GapMs: 10, LatenessMs: 1000}
		f := start(t, Config{Kind: abi.OperatorSum, Key: "utf8", Value: "i64", Window: &w, Late: abi.NewBuilder(abi.ColumnKeys), Groups: graph.DefaultMaxParallelism})
		inPieces(f.op, atOnce)
		f.process(rec{100, "a", 1}, rec{100, "b", 1}, rec{100, "c", 1}, rec{200, "a", 2}, rec{300, "a", 3})
		f.process(rec{305, "a", 3}, rec{105, "b", 1}, rec{109, "b", 1}, rec{200, "b", 5}) // some are longer than their first timers say
		f.fire(500)
		want := []string{"100,110,c,1@109", "100,110,a,1@109", "100,119,b,3@118", "200,210,a,2@209", "200,210,b,5@209", "300,315,a,6@314"}
		got := f.rows(windowed)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d timers at once: %q (expected %q)", atOnce, got, want)
		}
		f.process(rec{202, "a", 10})
		f.fire(600)
		if got, want := f.rows(windowed), []string{"200,212,a,12@211"}; !slices.Equal(got, want) {
			t.Errorf("%d timers at once: a late record: %q (expected %q)", atOnce, got, want)
		}
	}
}

func TestSessionsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 300, func(t testing.TB, r *rand.Rand) {
		w := abi.Window{Kind: "session", GapMs: 1 + r.Int64N(40)}
		if r.IntN(3) == 0 {
			w.LatenessMs = r.Int64N(80)
		}
		for _, kind := range []abi.OperatorKind{abi.OperatorSum, abi.OperatorAggregate} {
			name := fmt.Sprintf("%s over %s", kind, w.String())
			m := &sessionModel{window: w, open: map[string][]sessionOf{}, passed: abi.MinTime, result: map[string]string{}}
			if !windowsAgree(t, name, m, w, kind, false, r) {
				return
			}
		}
	})
}
