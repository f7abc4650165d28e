package taskmanager

import "github.com/wasmill/wasmill/abi"

// merger merges the watermarks of lanes that advance apart from each other, the channels of a task as a rule: the
// smallest counts, and what has been answered never goes back.
type merger struct {
	lanes []int64
	out   int64
}

func newMerger(lanes int) *merger {
	m := &merger{lanes: make([]int64, lanes), out: abi.MinTime}
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
	if old <= m.out { // it may have been the smallest
		m.out = max(m.out, m.smallest())
	}
	return m.out
}

// end takes a lane out of the account: no records will come on it.
func (m *merger) end(lane int) int64 { return m.advance(lane, abi.MaxTime) }

func (m *merger) smallest() int64 {
	least := abi.MaxTime
	for _, w := range m.lanes {
		least = min(least, w)
	}
	return least
}

// assigner derives the watermark where records get their timestamps: for each lane, a channel or a split that is being
// read, it lies the strategy's bound and one millisecond behind the newest timestamp.
type assigner struct {
	operator string          // uid of the timestamp function, or of the source
	strategy *abi.Watermarks // nil: the timestamps promise nothing
	lanes    *merger
	held     bool // splits that nobody reads yet may have older records
	out      int64
}

func newAssigner(lanes int, w *abi.Watermarks) *assigner {
	return &assigner{strategy: w, lanes: newMerger(lanes), out: abi.MinTime}
}

// observe takes note of the newest timestamp of some records.
func (a *assigner) observe(lane int, newest int64) {
	if newest == abi.NoTimestamp || a.strategy == nil || lane == noLane {
		return
	}
	w := newest - a.strategy.OutOfOrderMs - 1
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
		a.lanes = newMerger(1)
	}
}

// beginSplits says that n splits, a lane each, will be read in turn, and whether these are all. None of them has shown a record.
func (a *assigner) beginSplits(n int, all bool) { a.lanes, a.held = newMerger(n), !all }

// resumeLane goes on from what was promised of a lane before.
func (a *assigner) resumeLane(lane int, watermark int64) { a.lanes.advance(lane, watermark) }

// promised is what is known of a lane.
func (a *assigner) promised(lane int) int64 { return a.lanes.lanes[lane] }

// endLane says that no records will come on the lane.
func (a *assigner) endLane(lane int) { a.lanes.end(lane) }

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
