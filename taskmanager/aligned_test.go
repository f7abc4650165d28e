package taskmanager

import (
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
)

// A split that is further ahead of the slowest of its group than the drift waits; it is not idle meanwhile. Idle splits, those
// that have shown nothing and those that have ended hold nobody up, and what holds the group up itself never waits.
func TestSplitsWaitForTheirGroup(t *testing.T) {
	strategy := &abi.Watermarks{Group: "orders", DriftMs: 100, IdleMs: 1}
	in := &sourceInput{assigner: newAssigner(3, strategy), chain: &chain{metrics: newTaskMetrics(nil)}}
	in.aligned = in.align()
	a, now := in.assigner, time.Unix(1000, 0)
	for lane := range 3 {
		in.open = append(in.open, &openSplit{lane: lane, from: "split " + string(rune('a'+lane))})
	}
	expect := func(what string, lowest int64, ahead ...bool) {
		t.Helper()
		for lane, want := range ahead {
			if got := in.ahead(in.open[lane], now); got != want {
				t.Errorf("%s: split %d waits: %t (expected %t)", what, lane, got, want)
			}
		}
		in.measure()
		if got := in.aligned.lowest.Load(); got != lowest {
			t.Errorf("%s: the lowest is %d (expected %d)", what, got, lowest)
		}
	}
	expect("nothing was read", abi.MinTime, false, false, false)
	a.observe(0, 1001) // 1000 in all that follows
	expect("one has begun", 1000, false, false, false)
	a.observe(0, 1102)
	expect("it has come too far, and nothing was heard of the others", 1101, true, false, false)
	in.aligned.slowest.Store(1001)
	expect("the group is near", 1101, false, false, false)
	in.aligned.slowest.Store(200)
	a.observe(1, 251)
	in.open[0].quiet = now
	expect("another is slow", 250, true, false, false)
	if !in.open[0].quiet.IsZero() {
		t.Error("a split that waits is on its way to be idle")
	}
	var m wire.TaskMetrics
	in.aligned.fill(&m)
	if want := (wire.Paused{What: "split a", Group: "orders", AheadMs: 901, Since: now}); len(m.Paused) != 1 || m.Paused[0] != want || m.Aligned.Watermark != 250 {
		t.Errorf("%+v, %+v (expected %+v)", m.Paused, m.Aligned, want)
	}
	a.setIdle(1, true)
	expect("the slow one is idle", 1101, true, false, false)
	in.aligned.slowest.Store(1101)
	expect("that is heard of", 1101, false, false, false)
	a.setIdle(1, false)
	a.endLane(1)
	in.open = in.open[:1]
	expect("it has ended", 1101, false)
	in.open = nil
	expect("all have", abi.MaxTime)
	var none wire.TaskMetrics
	in.aligned.fill(&none)
	if none.Aligned != nil {
		t.Errorf("who has nothing to read holds the group up: %+v", none.Aligned)
	}
}
