package taskmanager

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

func TestMergedWatermarkIsTheSmallest(t *testing.T) {
	m := newMerger(3)
	for _, step := range []struct {
		lane      int
		watermark int64
		want      int64
	}{
		{0, 10, abi.MinTime}, // lanes 1 and 2 have said nothing
		{1, 20, abi.MinTime},
		{2, 5, 5},
		{2, 4, 5}, // a lane never goes back
		{2, 15, 10},
		{0, abi.MaxTime, 15}, // ended
		{2, 30, 20},
		{1, abi.MaxTime, 30},
		{2, abi.MaxTime, abi.MaxTime},
	} {
		if got := m.advance(step.lane, step.watermark); got != step.want {
			t.Errorf("lane %d at %d: merged %d (expected %d)", step.lane, step.watermark, got, step.want)
		}
	}
}

func TestAssignerStaysBehindTheNewest(t *testing.T) {
	a := newAssigner(2, &abi.Watermarks{OutOfOrderMs: 100})
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d before any record (expected none)", w)
	}
	a.observe(0, 1000)
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d while lane 1 has shown nothing (expected none)", w)
	}
	a.observe(1, 500)
	if w := a.watermark(); w != 399 {
		t.Errorf("%d (expected 399: 500 - 100 - 1)", w)
	}
	a.observe(1, abi.NoTimestamp)
	a.endLane(1)
	if w := a.watermark(); w != 899 {
		t.Errorf("%d (expected 899)", w)
	}
	a.endLane(0)
	if w := a.watermark(); w == abi.MaxTime {
		t.Error("an assigner said that the input has ended")
	}
}

func TestAssignerAtTheEdgeOfTime(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{OutOfOrderMs: 100})
	a.observe(0, abi.MinTime+50)
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d (expected none: it would lie before all time)", w)
	}
	a.observe(0, abi.MaxTime)
	if w := a.watermark(); w != abi.MaxTime-101 {
		t.Errorf("%d (expected %d)", w, abi.MaxTime-101)
	}
}

func TestAssignerWithoutStrategyPromisesNothing(t *testing.T) {
	a := newAssigner(1, nil)
	a.observe(0, 1000)
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d (expected none)", w)
	}
}

func TestSplitsInAnyOrderHoldTheWatermarkUntilTheLast(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{})
	a.beginSplit(false, false)
	a.observe(0, 5000)
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d while a split may be given out that begins before (expected none)", w)
	}
	a.beginSplit(false, true)
	if w := a.watermark(); w != abi.MinTime {
		t.Errorf("%d before the last split has shown a record (expected none)", w)
	}
	a.observe(0, 300)
	if w := a.watermark(); w != 299 {
		t.Errorf("%d (expected 299)", w)
	}
}

func TestSplitsInOrderCarryOn(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{})
	a.beginSplit(true, false)
	a.observe(0, 1000)
	a.beginSplit(true, false)
	if w := a.watermark(); w != 999 {
		t.Errorf("%d (expected 999)", w)
	}
	a.observe(0, 700)
	if w := a.watermark(); w != 999 {
		t.Errorf("%d (expected 999: a watermark never goes back)", w)
	}
}

func TestSplitsInTurnHoldEachOther(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{})
	a.out = 100 // restored
	a.beginSplits(2, true)
	for _, step := range []struct {
		lane         int
		newest, want int64
	}{
		{0, 5000, 100}, // the other one has shown nothing
		{1, 300, 299},
		{0, 6000, 299},
		{1, 5500, 5499},
	} {
		a.observe(step.lane, step.newest)
		if w := a.watermark(); w != step.want {
			t.Errorf("split %d at %d: %d (expected %d)", step.lane, step.newest, w, step.want)
		}
	}
	a.endLane(1)
	if w := a.watermark(); w != 5999 {
		t.Errorf("%d when the slower one has ended (expected 5999)", w)
	}
}

func TestSplitsInTurnGoOnFromWhatTheyHavePromised(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{})
	a.out = 100 // restored
	a.beginSplits(1, false)
	a.resumeLane(0, 5000)
	if w := a.watermark(); w != 100 {
		t.Errorf("%d while a split of the share is not open (expected 100)", w)
	}
	a.beginSplits(2, true)
	a.resumeLane(0, 5000)
	a.resumeLane(1, 300)
	if w := a.watermark(); w != 300 {
		t.Errorf("%d (expected 300)", w)
	}
	a.observe(1, 7000)
	if w := a.watermark(); w != 5000 {
		t.Errorf("%d, where a split that shows nothing had promised more (expected 5000)", w)
	}
}

func TestIdleLanesHoldNothingBack(t *testing.T) {
	m := newMerger(3)
	m.advance(0, 10)
	m.advance(1, 20)
	for _, step := range []struct {
		lane      int
		idle      bool
		watermark int64
		want      int64
		all       bool
	}{
		{2, true, abi.MinTime, 10, false},
		{0, true, 10, 20, false},
		{1, true, 20, 20, true},
		{1, true, 25, 25, true},            // all are idle: the largest
		{2, false, abi.MinTime, 25, false}, // it counts at once, and what was answered stays
		{1, false, 40, 25, false},
		{2, false, 30, 30, false},
		{2, false, abi.MaxTime, 40, false}, // ended; lane 0 is idle
		{1, true, 40, 40, true},
		{1, true, abi.MaxTime, 40, true}, // only lane 0 is left
		{0, true, abi.MaxTime, abi.MaxTime, false},
	} {
		m.setIdle(step.lane, step.idle)
		if got := m.advance(step.lane, step.watermark); got != step.want || m.idle() != step.all {
			t.Errorf("%+v: merged %d, idle %v", step, got, m.idle())
		}
	}
}

// Whatever lanes do, the merged watermark is the one that a naive model gives.
func TestMergerAgainstTheModel(t *testing.T) {
	oracle.Check(t, 2000, func(t testing.TB, r *rand.Rand) {
		n := 1 + r.IntN(5)
		m := newMerger(n)
		lanes, idle, out := make([]int64, n), make([]bool, n), abi.MinTime
		for i := range lanes {
			lanes[i] = abi.MinTime
		}
		for range 60 {
			i := r.IntN(n)
			switch r.IntN(8) {
			case 0:
				idle[i] = !idle[i]
				m.setIdle(i, idle[i])
			case 1:
				if r.IntN(6) == 0 {
					lanes[i] = abi.MaxTime
					m.end(i)
				}
			default:
				w := r.Int64N(1000)
				lanes[i] = max(lanes[i], w)
				m.advance(i, w)
			}
			var active, quiet []int64
			for k, w := range lanes {
				if w != abi.MaxTime && idle[k] {
					quiet = append(quiet, w)
				} else if w != abi.MaxTime {
					active = append(active, w)
				}
			}
			switch {
			case len(active) > 0:
				out = max(out, slices.Min(active))
			case len(quiet) > 0:
				out = max(out, slices.Max(quiet))
			default:
				out = abi.MaxTime
			}
			if m.out != out || m.idle() != (len(active) == 0 && len(quiet) > 0) {
				t.Fatalf("lanes %v, idle %v: merged %d, idle %v (expected %d)", lanes, idle, m.out, m.idle(), out)
			}
		}
	})
}

func TestAGuestsOwnWatermarkIsTakenAsItIs(t *testing.T) {
	a := newAssigner(1, &abi.Watermarks{Guest: true})
	a.observe(0, 1000)
	a.observe(0, 900)
	if w := a.watermark(); w != 1000 {
		t.Errorf("%d (expected 1000)", w)
	}
}
