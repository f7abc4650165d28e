package taskmanager

import (
	"testing"

	"github.com/wasmill/wasmill/abi"
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
