package taskmanager

import (
	"time"

	"github.com/wasmill/wasmill/abi"
)

// merger merges the watermarks of lanes that advance apart from each other, the channels of a task as a rule: the
// smallest counts, and what has been answered never goes back. An idle lane does not count. When every lane that has not ended
// is idle, the largest counts: which of them became idle first makes no difference.
type merger struct {
	lanes []int64
	quiet []bool // idle lanes
	idles int    // how many
	out   int64
}

func newMerger(lanes int) *merger {
	m := &merger{lanes: make([]int64, lanes), quiet: make([]bool, lanes), out: abi.MinTime}
	for i := range m.lanes {
		m.lanes[i] = abi.MinTime
	}
	return m
}

// advance sets the watermark of a lane, which never goes back, and returns the merged one.
func (m *merger) advance(lane int, watermark int64) int64 {
	old := m.lanes[lane]
	if watermark <= old {
		return m.out
	}
	m.lanes[lane] = watermark
	if old <= m.out || m.idles > 0 { // it may have been the smallest
		m.out = max(m.out, m.smallest())
	}
	return m.out
}

// end takes a lane out of the account: no records will come on it.
func (m *merger) end(lane int) int64 { return m.advance(lane, abi.MaxTime) }

// setIdle says whether a lane is idle, and returns the merged watermark. One that is no longer idle counts at once: what has
// been answered meanwhile stays.
func (m *merger) setIdle(lane int, idle bool) int64 {
	if m.quiet[lane] == idle {
		return m.out
	}
	m.quiet[lane] = idle
	if idle {
		m.idles++
	} else {
		m.idles--
	}
	m.out = max(m.out, m.smallest())
	return m.out
}

// idle says that nothing is to be expected of any lane for now, though not all have ended.
func (m *merger) idle() bool {
	if m.idles == 0 {
		return false
	}
	some := false
	for i, w := range m.lanes {
		if w != abi.MaxTime && !m.quiet[i] {
			return false
		}
		some = some || w != abi.MaxTime
	}
	return some
}

func (m *merger) smallest() int64 {
	least, most, active := abi.MaxTime, abi.MaxTime, false
	for i, w := range m.lanes {
		switch {
		case w == abi.MaxTime:
		case !m.quiet[i]:
			least, active = min(least, w), true
		case most == abi.MaxTime || w > most:
			most = w
		}
	}
	if active {
		return least
	}
	return most
}

// assigner derives the watermark where records get their timestamps: for each lane, a channel or a split that is being
// read, it lies the strategy's bound and one millisecond behind the newest timestamp.
type assigner struct {
	operator string          // uid of the timestamp function, or of the source
	strategy *abi.Watermarks // nil: the timestamps promise nothing
	patience time.Duration   // after which a lane that gives nothing is idle; 0: never
	lanes    *merger
	held     bool // splits that nobody reads yet may have older records
	idle     bool // every lane is
	out      int64
}

func newAssigner(lanes int, w *abi.Watermarks) *assigner {
	a := &assigner{strategy: w, lanes: newMerger(lanes), out: abi.MinTime}
	if w != nil {
		a.patience = time.Duration(w.IdleMs) * time.Millisecond
	}
	return a
}

// observe takes note of the newest timestamp of some records; by a guest's own strategy, of the watermark behind them.
func (a *assigner) observe(lane int, newest int64) {
	if newest == abi.NoTimestamp || a.strategy == nil || lane == noLane {
		return
	}
	w := newest
	if !a.strategy.Guest {
		w = newest - a.strategy.OutOfOrderMs - 1
	}
	if w > newest {
		w = abi.MinTime
	}
	a.lanes.advance(lane, min(w, abi.MaxTime-1))
}

// beginSplit says that lane 0 is a new split from now on. Splits that come in order carry on where the last one ended;
// others begin anew, and hold the watermark until the last one has been given out.
func (a *assigner) beginSplit(ordered, last bool) {
	a.held = !ordered && !last
	if !ordered {
		a.lanes, a.idle = newMerger(1), false
	}
}

// beginSplits says that n splits, a lane each, will be read in turn, and whether these are all. None of them has shown a record.
func (a *assigner) beginSplits(n int, all bool) { a.lanes, a.held, a.idle = newMerger(n), !all, false }

// setIdle says whether nothing is to be expected of a lane for now.
func (a *assigner) setIdle(lane int, idle bool) {
	if a.patience > 0 && a.lanes.quiet[lane] != idle {
		a.lanes.setIdle(lane, idle)
		a.idle = a.lanes.idle()
	}
}

// resumeLane goes on from what was promised of a lane before.
func (a *assigner) resumeLane(lane int, watermark int64) { a.lanes.advance(lane, watermark) }

// promised is what is known of a lane.
func (a *assigner) promised(lane int) int64 { return a.lanes.lanes[lane] }

// endLane says that no records will come on the lane.
func (a *assigner) endLane(lane int) {
	a.lanes.end(lane)
	a.idle = a.lanes.idle()
}

// watermark is what may be promised now. MaxTime is never among it, unless a restore has said so: that the input has ended is
// for others to say.
func (a *assigner) watermark() int64 {
	if !a.held {
		a.out = max(a.out, min(a.lanes.out, abi.MaxTime-1))
	}
	return a.out
}

// newest is the largest timestamp of a batch, NoTimestamp if it has none.
func newest(b *abi.Batch) int64 {
	most := abi.NoTimestamp
	for _, t := range b.Timestamps {
		most = max(most, t)
	}
	return most
}
