package operator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
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
