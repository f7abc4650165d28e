package operator

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// windowModel is windows as their definition says, one record and one timer after the other, with all that each has in a list.
type windowModel struct {
	window  abi.Window
	elem    bool // the function has all elements, which may leave
	open    map[string][]*modelWindow
	passed  int64 // by the clock of the windows
	event   int64
	now     int64
	late    int64
	seq     int
	results map[string][]string // by key and window, in order
	lasts   map[string][]string // of these, those that no other takes the place of
	cuts    map[string][]int    // how many there were when what a window had was purged
}

type modelWindow struct {
	start, end int64
	has        []modelElement
	records    uint64
	next       int64
	last       *int64
	timers     [2]map[int64]bool
	user       userTrigger
	results    int64
	stands     []modelResult // that are still to be taken the place of; several, of sessions that have become one
}

// modelResult is what a window said, which may have become another since.
type modelResult struct{ id, line string }

type modelElement struct {
	rec
	seq int
}

func newWindowModel(w abi.Window, elem bool) *windowModel {
	return &windowModel{window: w, elem: elem, open: map[string][]*modelWindow{}, passed: abi.MinTime, event: abi.MinTime, results: map[string][]string{}, lasts: map[string][]string{}, cuts: map[string][]int{}}
}

func (m *windowModel) own() int {
	if m.window.Time == "processing" {
		return ProcessingTime
	}
	return EventTime
}

func (m *windowModel) cleanup(w *modelWindow) int64 {
	if m.untimed() {
		return abi.MaxTime
	}
	return w.end + m.window.LatenessMs - 1
}

func (m *windowModel) untimed() bool { return m.window.Kind == "global" || m.window.Kind == "count" }

func (m *windowModel) process(batch []rec) {
	for _, r := range batch {
		m.record(r)
	}
}

func (m *windowModel) record(r rec) {
	t := r.time
	if m.own() == ProcessingTime {
		t = m.now
	}
	m.seq++
	taken := false
	for _, w := range m.assign(r, t) {
		taken = true
		w.has = append(w.has, modelElement{r, m.seq})
		m.conclude(r.key, w, m.onRecord(w, r), m.timing(w, true, m.own(), 0))
	}
	if !taken {
		m.late++
	}
}

// assign is the windows that a record comes in time for, made if need be.
func (m *windowModel) assign(r rec, t int64) (all []*modelWindow) {
	find := func(start, end int64) *modelWindow {
		for _, w := range m.open[r.key] {
			if w.start == start && w.end == end {
				return w
			}
		}
		w := &modelWindow{start: start, end: end, next: never, timers: [2]map[int64]bool{{}, {}}}
		m.open[r.key] = append(m.open[r.key], w)
		return w
	}
	switch m.window.Kind {
	case "global", "count":
		return []*modelWindow{find(abi.MinTime, abi.MaxTime)}
	case "session":
		return m.session(r, t)
	}
	step := m.window.SizeMs
	if m.window.SlideMs > 0 {
		step = m.window.SlideMs
	}
	for start := m.window.OffsetMs%step - 150*step; start <= t; start += step {
		end := start + m.window.SizeMs
		if t < end && end+m.window.LatenessMs-1 > m.passed {
			all = append(all, find(start, end))
		}
	}
	return all
}

func (m *windowModel) session(r rec, t int64) []*modelWindow {
	gap := m.window.GapMs
	if m.window.Gap != "" {
		gap = userGap(r.value)
	}
	one := &modelWindow{start: t, end: t + gap, next: never, timers: [2]map[int64]bool{{}, {}}}
	var touched, others []*modelWindow
	for _, w := range m.open[r.key] {
		if w.start <= one.end && one.start <= w.end {
			touched = append(touched, w)
			one.start, one.end = min(one.start, w.start), max(one.end, w.end)
		} else {
			others = append(others, w)
		}
	}
	if m.own() == EventTime && one.end+m.window.LatenessMs-1 <= m.passed {
		return nil
	}
	if len(touched) == 1 && touched[0].start == one.start && touched[0].end == one.end {
		return touched
	}
	slices.SortFunc(touched, func(a, b *modelWindow) int { return int(a.start - b.start) })
	var users []userTrigger
	for _, w := range touched {
		one.has = append(one.has, w.has...)
		one.stands = append(one.stands, w.stands...)
		one.records += w.records
		one.next = min(one.next, w.next)
		users = append(users, w.user)
	}
	slices.SortFunc(one.has, func(a, b modelElement) int { return a.seq - b.seq })
	if len(touched) > 0 {
		one.user.merge(users, one)
		switch kind := m.kind(); {
		case kind == abi.TriggerProcessingTime && m.own() == EventTime:
			one.timers[ProcessingTime][one.end-1] = true
		case one.end-1 <= m.passed && kind == abi.TriggerContinuousEventTime: // no steps are left
			one.next = never
		case one.next != never && kind == abi.TriggerContinuousEventTime:
			one.timers[EventTime][one.next] = true
		case one.next != never && kind == abi.TriggerContinuousProcessingTime:
			one.timers[ProcessingTime][one.next] = true
		}
	}
	m.open[r.key] = append(others, one)
	return []*modelWindow{one}
}

func (m *windowModel) kind() string {
	switch {
	case m.window.Kind == "count":
		return abi.TriggerCount
	case m.window.Trigger != nil:
		return m.window.Trigger.Kind
	case m.own() == ProcessingTime:
		return abi.TriggerProcessingTime
	}
	return abi.TriggerEventTime
}

func (m *windowModel) trigger() abi.Trigger {
	switch {
	case m.window.Kind == "count" && m.window.CountSlide > 0:
		return abi.Trigger{Kind: abi.TriggerCount, Count: m.window.CountSlide}
	case m.window.Kind == "count":
		return abi.Trigger{Kind: abi.TriggerCount, Count: m.window.Count, Purging: true}
	case m.window.Trigger != nil:
		return *m.window.Trigger
	}
	return abi.Trigger{Kind: m.kind()}
}

func (m *windowModel) step(w *modelWindow, clock int, time int64) {
	w.next = time + m.trigger().EveryMs
	if clock == m.own() || m.untimed() && clock == EventTime {
		w.next = min(w.next, w.end-1)
	}
	w.timers[clock][w.next] = true
}

func (m *windowModel) onRecord(w *modelWindow, r rec) decision {
	t := m.trigger()
	fire := func(so bool) decision {
		switch {
		case so && t.Purging:
			return fires | purges
		case so:
			return fires
		}
		return 0
	}
	switch t.Kind {
	case abi.TriggerEventTime:
		if w.end-1 <= m.passed {
			return fire(true)
		}
		w.timers[EventTime][w.end-1] = true
	case abi.TriggerProcessingTime:
		w.timers[ProcessingTime][w.end-1] = true
	case abi.TriggerCount:
		if w.records++; w.records >= uint64(t.Count) {
			w.records = 0
			return fire(true)
		}
	case abi.TriggerContinuousEventTime:
		if w.end-1 <= m.passed {
			return fire(true)
		}
		w.timers[EventTime][w.end-1] = true
		if w.next == never {
			m.step(w, EventTime, multiple(r.time, t.EveryMs))
		}
	case abi.TriggerContinuousProcessingTime:
		if w.next == never {
			m.step(w, ProcessingTime, multiple(m.now, t.EveryMs))
		}
	case abi.TriggerDelta:
		switch last := w.last; {
		case last == nil:
			w.last = &r.value
		case max(r.value-*last, *last-r.value) > 20:
			w.last = &r.value
			return fire(true)
		}
	case abi.TriggerGuest:
		return fire(w.user.record(r.value, w)&fires != 0) | w.user.said&purges
	}
	return 0
}

func (m *windowModel) onTimer(w *modelWindow, clock int, time int64) decision {
	t := m.trigger()
	fire := fires
	if t.Purging {
		fire |= purges
	}
	switch t.Kind {
	case abi.TriggerEventTime, abi.TriggerProcessingTime:
		if time == w.end-1 {
			return fire
		}
	case abi.TriggerContinuousEventTime, abi.TriggerContinuousProcessingTime:
		if time == w.end-1 && (t.Kind == abi.TriggerContinuousEventTime || m.own() == ProcessingTime) {
			return fire
		}
		if time == w.next {
			m.step(w, clock, time)
			return fire
		}
	case abi.TriggerGuest:
		d := w.user.timer(time, w)
		if d&fires != 0 && t.Purging {
			d |= purges
		}
		return d
	}
	return 0
}

func (m *windowModel) timing(w *modelWindow, record bool, clock int, time int64) string {
	reached := m.passed
	if clock == m.own() && !record {
		reached = time
	}
	switch {
	case reached < w.end-1:
		return "early"
	case record || clock != m.own() || time > w.end-1:
		return "late"
	}
	return "on time"
}

func (m *windowModel) conclude(key string, w *modelWindow, d decision, timing string) {
	if d&fires != 0 && len(w.has) > 0 {
		m.emit(key, w, timing)
	}
	if d&purges != 0 {
		w.has = nil
		m.stand(w)
		m.cuts[m.id(key, w)] = append(m.cuts[m.id(key, w)], len(m.results[m.id(key, w)]))
	}
}

// id names a key in a window.
func (m *windowModel) id(key string, w *modelWindow) string {
	if m.untimed() {
		return key
	}
	return fmt.Sprintf("%d,%d,%s", w.start, w.end, key)
}

func (m *windowModel) emit(key string, w *modelWindow, timing string) {
	e := m.window.Evictor
	if m.window.Kind == "count" && m.window.CountSlide > 0 {
		e = &abi.Evictor{Kind: abi.EvictCount, Count: m.window.Count}
	}
	if e != nil && !e.After {
		w.has = userEvict(e, w.has)
	}
	w.results++
	var values []string
	sum := int64(0)
	for _, x := range w.has {
		values, sum = append(values, fmt.Sprint(x.value)), sum+x.value
	}
	line := fmt.Sprint(sum)
	if m.elem {
		line = fmt.Sprintf("%s, %s, result %d", strings.Join(values, " "), timing, w.results)
	}
	id := m.id(key, w)
	m.results[id] = append(m.results[id], line)
	w.stands = []modelResult{{id, line}}
	if e != nil && e.After {
		w.has = userEvict(e, w.has)
	}
}

// stand says that no result takes the place any more of those that a window had last.
func (m *windowModel) stand(w *modelWindow) {
	for _, r := range w.stands {
		m.lasts[r.id] = append(m.lasts[r.id], r.line)
	}
	w.stands = nil
}

// reach brings a clock forward: all that is due, the earliest first.
func (m *windowModel) reach(clock int, until int64) {
	for {
		next, key, at := int64(never), "", -1
		for k, all := range m.open {
			for i, w := range all {
				for t := range w.timers[clock] {
					if t <= until && (at < 0 || t < next) {
						next, key, at = t, k, i
					}
				}
				if c := m.cleanup(w); clock == m.own() && c <= until && (at < 0 || c < next) {
					next, key, at = c, k, i
				}
			}
		}
		if at < 0 {
			break
		}
		w := m.open[key][at]
		ending := clock == m.own() && until == abi.MaxTime && next == m.cleanup(w)
		if w.timers[clock][next] {
			delete(w.timers[clock], next)
			if m.untimed() && until == abi.MaxTime && m.trigger().EveryMs > 0 && next < w.end-1 {
				continue // its steps would not end
			}
			m.conclude(key, w, m.onTimer(w, clock, next), m.timing(w, false, clock, next))
		}
		foreign := (m.kind() == abi.TriggerProcessingTime || m.kind() == abi.TriggerContinuousProcessingTime) && m.own() == EventTime
		if ending && foreign {
			d := fires
			if m.trigger().Purging {
				d |= purges
			}
			m.conclude(key, w, d, "on time")
		}
		if clock == m.own() && next == m.cleanup(w) {
			m.stand(w)
			m.open[key] = slices.Delete(m.open[key], at, at+1)
		}
	}
	if clock == m.own() {
		m.passed = max(m.passed, until)
	}
}

// userTrigger is what a trigger of a user's keeps of a window: it fires when the values since its last result are 60 or more,
// and half way through a window of less than 1000 ms; a value that 17 divides purges.
type userTrigger struct {
	sum  int64
	said decision
}

func (u *userTrigger) record(value int64, w *modelWindow) decision {
	if u.sum == 0 && w.start != abi.MinTime && w.end-w.start < 1000 {
		w.timers[EventTime][w.start+(w.end-w.start)/2] = true
	}
	u.sum += value
	u.said = 0
	if value%17 == 0 {
		u.said = purges
	}
	if u.sum >= 60 {
		u.sum = 0
		u.said |= fires
	}
	return u.said
}

func (u *userTrigger) timer(time int64, w *modelWindow) decision {
	if time%2 == 0 {
		w.timers[EventTime][time+3] = true
	}
	return fires
}

func (u *userTrigger) merge(from []userTrigger, _ *modelWindow) {
	for _, f := range from {
		u.sum += f.sum
	}
}

func userGap(value int64) int64 { return 1 + value%30 }

// userEvict is evictors as they are defined; that of the user keeps even values.
func userEvict(e *abi.Evictor, all []modelElement) (kept []modelElement) {
	newest := abi.MinTime
	for _, x := range all {
		newest = max(newest, x.time)
	}
	for i, x := range all {
		stays := false
		switch e.Kind {
		case abi.EvictCount:
			stays = i >= len(all)-e.Count
		case abi.EvictTime:
			stays = x.time > newest-e.KeepMs
		case abi.EvictDelta:
			last := all[len(all)-1].value
			stays = max(x.value-last, last-x.value) < 20
		default:
			stays = x.value%2 == 0
		}
		if stays {
			kept = append(kept, x)
		}
	}
	return kept
}

// windowGuest is the guest of windows under test: the function has each window's values, and counts results by window.
type windowGuest struct {
	summing
	elem    bool
	scoped  bool
	limit   uint32 // of elements that it asks for at a time
	made    []string
	results map[string][]string
	kinds   map[string][]abi.ChangeKind // of the results
	counted map[string]int64            // the newest of the state of each key
}

func (g *windowGuest) Call(verb abi.Verb, groups *abi.GroupsWriter, overlay *Overlay) (reply []byte, err error) {
	if verb != abi.VerbWindow {
		return nil, fmt.Errorf("verb %d", verb)
	}
	g.made = g.made[:0]
	seen := map[string]bool{}
	eachGroup(groups.Bytes(), func(i int, h abi.Group, l groupLists) {
		if seen[string(h.Key)] {
			panic("a key twice in a call that has its state")
		}
		seen[string(h.Key)] = true
		id := string(h.Key)
		if h.Flags&abi.GroupHasWindow != 0 {
			id = fmt.Sprintf("%d,%d,%s", h.WindowStart, h.WindowEnd, h.Key)
		}
		for more := l.total > len(l.records); more; {
			answers, fault := overlay.Read(abi.StateRecords, []abi.StateRequest{{Group: uint32(i), Cursor: uint64(len(l.records)), Limit: g.limit}}, nil)
			if fault != nil {
				err = fault
				return
			}
			for _, v := range answers[0].Values {
				l.records = append(l.records, slices.Clone(v))
			}
			if more = answers[0].More; !more && len(l.records) != l.total {
				panic(fmt.Sprintf("%d elements of %d", len(l.records), l.total))
			}
		}
		var values []string
		for _, v := range l.records {
			values = append(values, fmt.Sprint(int64(binary.LittleEndian.Uint64(v))))
		}
		line := fmt.Sprint(int64(binary.LittleEndian.Uint64(total(l.accumulators))))
		timing := map[uint32]string{0: "on time", abi.GroupEarly: "early", abi.GroupLate: "late"}[h.Flags&^abi.GroupHasWindow]
		var actions [][]byte
		calls := numberOfState(l.states[0]) + 1
		actions = append(actions, action(abi.ActionPut, 0, 0, number(calls)))
		g.counted[string(h.Key)] = calls
		if g.elem {
			line = strings.Join(values, " ") + ", " + timing
		}
		if g.elem && g.scoped {
			n := numberOfState(l.states[1]) + 1
			actions = append(actions, action(abi.ActionPut, 1, 0, number(n)))
			line += fmt.Sprintf(", result %d", n)
		}
		reply = appendEntry(reply, i, actions...)
		g.made = append(g.made, id+"="+line)
	})
	return reply, err
}

func (g *windowGuest) Emit(kind abi.ChangeKind) error {
	for _, line := range g.made {
		id, text, _ := strings.Cut(line, "=")
		g.results[id], g.kinds[id] = append(g.results[id], text), append(g.kinds[id], kind)
	}
	g.made = nil
	return nil
}

func (g *windowGuest) Retry(err error, _ int, _ func(lo, hi int) error, _ func(int) Unit) error {
	return err
}

// userTriggerAsked is userTrigger behind the calls of the host.
type userTriggerAsked struct{ windowGuest }

func (a *userTriggerAsked) Ask(groups *abi.GroupsWriter) (reply []byte, err error) {
	eachGroup(groups.Bytes(), func(i int, h abi.Group, l groupLists) {
		w := &modelWindow{start: h.WindowStart, end: h.WindowEnd, timers: [2]map[int64]bool{{}, {}}}
		if h.Flags&abi.GroupHasWindow == 0 {
			w.start, w.end = 0, abi.MaxTime
		}
		var users []userTrigger
		for _, s := range l.states[0] {
			users = append(users, userTrigger{sum: int64(binary.LittleEndian.Uint64(s))})
		}
		var u userTrigger
		u.merge(users, w)
		var decisions []byte
		switch {
		case h.Flags&abi.GroupMerged != 0:
		case h.Flags&abi.GroupHasTimer != 0:
			decisions = append(decisions, byte(u.timer(h.TimerTime, w)))
		default:
			for _, v := range l.records {
				decisions = append(decisions, byte(u.record(int64(binary.LittleEndian.Uint64(v)), w)))
			}
		}
		actions := [][]byte{action(abi.ActionPut, 0, 0, number(u.sum))}
		for clock := range w.timers {
			for t := range w.timers[clock] {
				actions = append(actions, action(abi.ActionSetTimer, uint16(clock), t, nil))
			}
		}
		if h.Flags&abi.GroupMerged == 0 {
			actions = append(actions, action(abi.ActionTrigger, 0, 0, decisions))
		}
		reply = appendEntry(reply, i, actions...)
	})
	return reply, nil
}

type userEvictAsked struct{ windowGuest }

func (a *userEvictAsked) Ask(groups *abi.GroupsWriter) (reply []byte, err error) {
	eachGroup(groups.Bytes(), func(i int, h abi.Group, l groupLists) {
		keep := make([]byte, (len(l.records)+7)/8)
		for k, v := range l.records {
			if v[0]%2 == 0 {
				keep[k/8] |= 1 << (k % 8)
			}
		}
		reply = appendEntry(reply, i, action(abi.ActionKeep, 0, 0, keep))
	})
	return reply, nil
}

type userGapAsked struct{ windowGuest }

func (a *userGapAsked) Ask(groups *abi.GroupsWriter) (reply []byte, err error) {
	eachGroup(groups.Bytes(), func(i int, h abi.Group, l groupLists) {
		var gaps []byte
		for _, v := range l.records {
			gaps = binary.LittleEndian.AppendUint64(gaps, uint64(userGap(int64(binary.LittleEndian.Uint64(v)))))
		}
		reply = appendEntry(reply, i, action(abi.ActionGap, 0, 0, gaps))
	})
	return reply, nil
}

func number(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func numberOfState(values [][]byte) int64 {
	if len(values) == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(values[0]))
}

// randomWindow is a window of any kind with any trigger and evictor that go with it.
func randomWindow(r *rand.Rand, elem bool) abi.Window {
	w := abi.Window{Kind: []string{"tumbling", "sliding", "session", "global", "count"}[r.IntN(5)]}
	switch w.Kind {
	case "tumbling", "sliding":
		w.SizeMs = 2 + r.Int64N(60)
		if w.Kind == "sliding" {
			w.SlideMs = 1 + r.Int64N(w.SizeMs)
			w.SlideMs = max(w.SlideMs, w.SizeMs/6+1)
		}
		w.OffsetMs = r.Int64N(2) * r.Int64N(w.SizeMs)
	case "session":
		if w.GapMs = 1 + r.Int64N(30); r.IntN(2) == 0 {
			w.GapMs, w.Gap = 0, "gap"
		}
	case "count":
		w.Count = 1 + r.IntN(6)
		if elem && r.IntN(2) == 0 {
			w.CountSlide = 1 + r.IntN(w.Count)
		}
		return w
	}
	if w.Kind != "global" {
		switch r.IntN(3) {
		case 0:
			w.Time = "processing"
		case 1:
			w.LatenessMs = r.Int64N(60)
		}
	}
	t := &abi.Trigger{Kind: []string{abi.TriggerEventTime, abi.TriggerProcessingTime, abi.TriggerCount, abi.TriggerContinuousEventTime,
		abi.TriggerContinuousProcessingTime, abi.TriggerDelta, abi.TriggerGuest}[r.IntN(7)], Purging: r.IntN(2) == 0}
	if w.Kind == "session" && t.Kind == abi.TriggerDelta || w.Time == "processing" && (t.Kind == abi.TriggerEventTime || t.Kind == abi.TriggerContinuousEventTime) {
		t.Kind = abi.TriggerCount
	}
	switch t.Kind {
	case abi.TriggerCount:
		t.Count = 1 + r.IntN(5)
	case abi.TriggerContinuousEventTime, abi.TriggerContinuousProcessingTime:
		t.EveryMs = 1 + r.Int64N(20)
	case abi.TriggerDelta:
		t.Threshold = "20"
	case abi.TriggerGuest:
		t.Function = "trigger"
	}
	if w.Trigger = t; w.Kind != "global" && r.IntN(6) == 0 {
		w.Trigger = nil
	}
	if elem && r.IntN(2) == 0 {
		w.Evictor = &abi.Evictor{Kind: []string{abi.EvictCount, abi.EvictTime, abi.EvictDelta, abi.EvictGuest}[r.IntN(4)], After: r.IntN(2) == 0}
		switch w.Evictor.Kind {
		case abi.EvictCount:
			w.Evictor.Count = 1 + r.IntN(5)
		case abi.EvictTime:
			w.Evictor.KeepMs = 1 + r.Int64N(30)
		case abi.EvictDelta:
			w.Evictor.Threshold = "20"
		case abi.EvictGuest:
			w.Evictor.Function = "evict"
		}
	}
	return w
}

// Random streams go through windows of every kind with every trigger and evictor, with snapshots and restores in between; what
// comes out is what the model says, window by window and in its order.
func TestTriggeredWindowsAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 0, eachResult) })
}

// What does not fit in memory is the same.
func TestTriggeredWindowsThatSpill(t *testing.T) {
	oracle.Check(t, 60, func(t testing.TB, r *rand.Rand) { triggeredCase(t, r, 3, eachResult) })
}

func triggeredCase(t testing.TB, r *rand.Rand, budget int64, counts counting) {
	kind := []abi.OperatorKind{abi.OperatorWindow, abi.OperatorWindow, abi.OperatorSum}[r.IntN(3)]
	elem := kind == abi.OperatorWindow && r.IntN(3) > 0
	w := randomWindow(r, elem)
	if kind == abi.OperatorSum && !Triggered(kind, &w) {
		return // that is what the cheaper forms are for
	}
	if counts != eachResult && !(&graph.Operator{Kind: kind, Window: &w}).Revises() {
		return
	}
	name := fmt.Sprintf("%s (all elements: %v) over %s", kind, elem, w.String())
	triggeredAgree(t, name, w, kind, elem, budget, counts, r)
}

func triggeredAgree(t testing.TB, name string, w abi.Window, kind abi.OperatorKind, elem bool, budget int64, counts counting, r *rand.Rand) bool {
	guest := &windowGuest{elem: elem, scoped: w.Kind != "session", results: map[string][]string{}, kinds: map[string][]abi.ChangeKind{}, counted: map[string]int64{}}
	once, delay := Once(&w, counts == lastResult)
	c := Config{Kind: kind, Key: "utf8", Value: "i64", Window: once, Final: counts == lastResult, Tells: counts == toldResults, Guest: guest, Calls: guest, Late: abi.NewBuilder(abi.ColumnKeys), Groups: graph.DefaultMaxParallelism}
	c.Asks = Asks{Trigger: nil}
	if w.Trigger != nil && w.Trigger.Kind == abi.TriggerGuest {
		c.Asks.Trigger, c.Asks.TriggerStates = &userTriggerAsked{}, []abi.State{{Name: "sum", Scope: abi.ScopeWindow, Kind: "value", Codec: "i64"}}
	}
	if w.Evictor != nil && w.Evictor.Kind == abi.EvictGuest {
		c.Asks.Evict = &userEvictAsked{}
	}
	if w.Gap != "" {
		c.Asks.Gap = &userGapAsked{}
	}
	if kind == abi.OperatorWindow {
		c.Function = &abi.Function{Name: "f", Kind: abi.FunctionWindow, States: []abi.State{{Name: "calls", Scope: abi.ScopeKeyed, Kind: "value", Codec: "i64"}}}
		if guest.scoped {
			c.Function.States = append(c.Function.States, abi.State{Name: "results", Scope: abi.ScopeWindow, Kind: "value", Codec: "i64"})
		}
		if guest.limit = r.Uint32N(4); !elem {
			c.Function.Accumulator = "i64"
		}
		c.Function.Pulls = elem && r.IntN(4) > 0
	}
	f := startIn(t, c, budget)
	defer f.close()
	limits := randomLimits(r)
	f.limit(limits)
	m := newWindowModel(counts.modelled(*once), elem)
	native := abi.Codec(windowed)
	if !timed(&w) {
		native = "row(key: utf8, value: i64)"
	}
	f.out = abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps | abi.ColumnKinds)
	take := func() {
		var b abi.Batch
		f.out.View(&b)
		for i, line := range f.rows(native) {
			line, _, _ = strings.Cut(line, "@")
			at := strings.LastIndex(line, ",")
			guest.results[line[:at]] = append(guest.results[line[:at]], line[at+1:])
			guest.kinds[line[:at]] = append(guest.kinds[line[:at]], abi.ChangeKind(b.Kinds[i]))
		}
	}
	exact := m.own() == EventTime && (f.op.(*windower).shape.keyed() || w.LatenessMs == 0 && w.Trigger == nil) &&
		(w.Trigger == nil || w.Trigger.Kind != abi.TriggerGuest && w.Trigger.Kind != abi.TriggerContinuousEventTime) // these set timers for times that are over
	parted := false
	time, watermark, now, late := int64(0), abi.MinTime, int64(0), int64(0)
	again := func() { // it goes on from what it has saved
		late += f.op.Late()
		f.again(c)
		f.limit(limits)
	}
	for range 1 + r.IntN(25) {
		var batch []rec
		for range r.IntN(20) {
			time += r.Int64N(6)
			batch = append(batch, rec{time - r.Int64N(40), fmt.Sprint("k", r.IntN(4)), int64(r.IntN(60))})
		}
		now += r.Int64N(15)
		if len(batch) > 0 {
			b, hashes := batchOf(batch...)
			if err := f.op.Process(b, hashes, now, f.out); err != nil {
				t.Errorf("%s: %v", name, err)
				return false
			}
			f.trim()
			m.now = now
			if m.own() == ProcessingTime {
				m.now = max(now, m.passed+1)
			}
			m.process(batch)
			take()
		}
		if r.IntN(2) == 0 {
			watermark = max(watermark, time-r.Int64N(30))
			if exact && r.IntN(4) == 0 { // whoever goes on from there has records first
				f.part(watermark-delay, 1+r.IntN(4), again)
				m.reach(EventTime, watermark-delay)
				parted = true
				continue
			}
			f.fireIn(watermark-delay, func() {
				if r.IntN(16) == 0 {
					again()
				}
			})
			m.reach(EventTime, watermark-delay)
			take()
		}
		if r.IntN(2) == 0 {
			now += r.Int64N(15)
			m.now = now
			if parted {
				f.fire(watermark - delay)
			}
			f.tick(now)
			m.reach(ProcessingTime, now-1)
			take()
		}
		if r.IntN(8) == 0 {
			again()
		}
	}
	f.fireIn(abi.MaxTime, func() {
		if r.IntN(16) == 0 {
			again()
		}
	})
	m.reach(EventTime, abi.MaxTime)
	if m.own() == ProcessingTime {
		m.reach(ProcessingTime, abi.MaxTime)
	}
	take()
	if elem && !guest.scoped {
		for id, lines := range m.results {
			for i, line := range lines {
				lines[i], _, _ = strings.Cut(line, ", result")
			}
			m.results[id] = lines
		}
	}
	if counts == lastResult {
		m.results = lastResults(m, guest.results)
	}
	if late += f.op.Late(); late != m.late {
		t.Errorf("%s: %d late (expected %d)", name, late, m.late)
		return false
	}
	if !maps.EqualFunc(guest.results, m.results, slices.Equal) {
		for _, id := range slices.Sorted(maps.Keys(m.results)) {
			if !slices.Equal(guest.results[id], m.results[id]) {
				t.Errorf("%s: %s is %q (expected %q)", name, id, guest.results[id], m.results[id])
				return false
			}
		}
		t.Errorf("%s: %d windows have results (expected %d)", name, len(guest.results), len(m.results))
		return false
	}
	return nothingLeft(f, name) && (counts != toldResults || toldRight(t, name, guest, m)) && everyCall(t, name, guest, m, kind)
}

// randomLimits are small ones, most often, so that lists have many pieces.
func randomLimits(r *rand.Rand) listLimits {
	if r.IntN(4) == 0 {
		return usualLimits
	}
	return listLimits{tail: 1 + r.IntN(200), piece: 1 + r.IntN(400), atOnce: 1 + r.Uint32N(5), portion: 1 + r.IntN(2000), large: r.IntN(600)}
}

func (r *running) limit(l listLimits) {
	if w, ok := r.op.(*windower); ok && w.elements != nil {
		w.elements.limits = l
	}
}

// nothingLeft says whether all that windows keep is gone with them.
func nothingLeft(f *running, name string) bool {
	f.t.Helper()
	for _, ns := range f.namespaces("windows") {
		table, err := f.store.Table(state.Spec{Operator: "op", Name: "windows", Kind: state.Bytes}, ns)
		if err != nil {
			f.t.Fatal(err)
		}
		n, _, err := table.Scan(0, make([]state.Entry, 8))
		if err != nil || n > 0 {
			f.t.Errorf("%s: %d entries of windows are left in %d (%v)", name, n, ns, err)
			return false
		}
	}
	for _, ns := range f.namespaces("elements") {
		if n := f.pieces(ns); n > 0 {
			f.t.Errorf("%s: %d pieces are left in %d", name, n, ns)
			return false
		}
	}
	if left := f.namespaces("$emitted"); len(left) > 0 {
		f.t.Errorf("%s: what was put out of windows %d is still noted", name, left)
		return false
	}
	return true
}

// pieces is how many the windows of a namespace have of the keys k0 to k9.
func (r *running) pieces(ns state.Namespace) (n int) {
	r.t.Helper()
	pieces, err := r.store.Pieces(state.Spec{Operator: "op", Name: "elements", Kind: state.Piece}, ns)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []state.PieceKey
	for k := range 10 {
		key := fmt.Sprint("k", k)
		for number := range uint32(1000) {
			all = append(all, state.PieceKey{Hash: xxhash.Sum64String(key), Key: []byte(key), Number: number})
		}
	}
	err = pieces.Read(all, func(int, []byte) bool { n++; return true })
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// everyCall says whether each call has seen what the one before has left for its key.
func everyCall(t testing.TB, name string, guest *windowGuest, m *windowModel, kind abi.OperatorKind) bool {
	if kind != abi.OperatorWindow {
		return true
	}
	calls := map[string]int64{}
	for id, lines := range m.results {
		calls[id[strings.LastIndex(id, ",")+1:]] += int64(len(lines))
	}
	if !maps.Equal(calls, guest.counted) {
		t.Errorf("%s: calls by key %v (expected %v)", name, guest.counted, calls)
		return false
	}
	return true
}

func (r *running) tick(now int64) {
	r.t.Helper()
	for {
		more, err := r.op.(Ticked).Tick(now, r.out)
		if err != nil {
			r.t.Fatal(err)
		}
		r.trim()
		if !more {
			return
		}
	}
}

// groupLists are the lists of a group.
type groupLists struct {
	total                 int // of records; some may not have come
	records, accumulators [][]byte
	states                map[int][][]byte
}

// eachGroup walks the groups of a call as a guest does, with all their lists.
func eachGroup(p []byte, visit func(i int, g abi.Group, l groupLists)) {
	le := binary.LittleEndian
	n := le.Uint32(p[4:])
	p = p[le.Uint32(p):]
	for i := range n {
		g := abi.Group{Flags: le.Uint32(p[4:]), WindowStart: int64(le.Uint64(p[8:])), WindowEnd: int64(le.Uint64(p[16:])), TimerTime: int64(le.Uint64(p[24:]))}
		g.Key = p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le.Uint32(p[32:])]
		at := abi.GroupHeaderBytes + (le.Uint32(p[32:])+7)&^7
		l := groupLists{states: map[int][][]byte{}}
		for range le.Uint32(p[36:]) {
			q := p[at:]
			count := int(le.Uint32(q[12:]))
			if abi.ListTag(le.Uint16(q[4:])) == abi.ListInput0 {
				l.total = int(le.Uint32(q[8:]))
			}
			offs := q[abi.ListHeaderBytes:]
			if le.Uint32(q[16:])&abi.ListHasTimestamps != 0 {
				offs = offs[8*count:]
			}
			data := offs[(4*(count+1)+7)&^7:]
			for k := range count {
				v := data[le.Uint32(offs[4*k:]):le.Uint32(offs[4*k+4:])]
				switch abi.ListTag(le.Uint16(q[4:])) {
				case abi.ListAccumulators:
					l.accumulators = append(l.accumulators, v)
				case abi.ListState:
					number := int(le.Uint16(q[6:]))
					l.states[number] = append(l.states[number], v)
				default:
					l.records = append(l.records, v)
				}
			}
			at += le.Uint32(q)
		}
		visit(int(i), g, l)
		p = p[le.Uint32(p):]
	}
}

// action is an action of a reply.
func action(op abi.ActionOp, index uint16, time int64, value []byte) []byte {
	le := binary.LittleEndian
	padded := (len(value) + 7) &^ 7
	p := le.AppendUint32(nil, uint32(abi.ReplyActionBytes+padded))
	p = le.AppendUint16(p, uint16(op))
	p = le.AppendUint16(p, index)
	if op == abi.ActionSetTimer || op == abi.ActionDeleteTimer {
		return le.AppendUint64(p, uint64(time))
	}
	p = le.AppendUint64(p, uint64(len(value)))
	return append(append(p, value...), make([]byte, padded-len(value))...)
}

func appendEntry(dst []byte, group int, actions ...[]byte) []byte {
	le := binary.LittleEndian
	size := abi.ReplyEntryBytes
	for _, a := range actions {
		size += len(a)
	}
	dst = le.AppendUint32(dst, uint32(size))
	dst = le.AppendUint32(dst, uint32(group))
	dst = le.AppendUint32(dst, uint32(len(actions)))
	dst = le.AppendUint32(dst, 0)
	for _, a := range actions {
		dst = append(dst, a...)
	}
	return dst
}

// What is native over a global window writes what the graph says: with the times of a window that has none, or without.
func TestNativeResultsOfGlobalWindows(t *testing.T) {
	w := abi.Window{Kind: GlobalWindows, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 2, Purging: true}}
	plain, timed := abi.Codec("row(key: utf8, value: i64)"), abi.Codec(windowed)
	count := Config{Kind: abi.OperatorCount}
	most := Config{Kind: abi.OperatorAggregates, Aggregates: []abi.Aggregate{{Kind: "max", Name: "value"}}}
	for _, c := range []struct {
		kind          Config
		output, codec abi.Codec
		want          string
	}{
		{count, "", plain, "a,2"}, {count, plain, plain, "a,2"}, {count, timed, timed, "0,0,a,2"},
		{most, plain, plain, "a,7"}, {most, timed, timed, "0,0,a,7"},
	} {
		c.kind.Key, c.kind.Value, c.kind.Window, c.kind.Output = "utf8", "i64", &w, c.output
		c.kind.Late, c.kind.Groups = abi.NewBuilder(abi.ColumnKeys), graph.DefaultMaxParallelism
		f := start(t, c.kind)
		f.process(rec{100, "a", 7}, rec{200, "b", 1}, rec{50, "a", 1})
		if got, want := f.rows(c.codec), []string{c.want}; !slices.Equal(got, want) {
			t.Errorf("%s %q: %q (expected %q)", c.kind.Kind, c.output, got, want)
		}
	}
}
