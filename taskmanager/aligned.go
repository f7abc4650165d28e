package taskmanager

import (
	"sync/atomic"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
)

// aligned is a source's part in a group of sources that do not run away from each other: a split that is further ahead of the
// slowest of the group than its drift is not read. How far that is the JobMaster says, with the answer to a heartbeat.
type aligned struct {
	group    string
	drift    int64
	assigner *assigner // whose lanes are the splits; for the task's goroutine
	first    int64     // the lowest that was seen before anything was heard of the group: it counts until then; the same

	slowest atomic.Int64 // of the group; abi.MinTime: nothing was heard of it
	lowest  atomic.Int64 // of the splits that are read; abi.MinTime: not known, abi.MaxTime: there is none
	paused  atomic.Pointer[[]pausedSplit]
}

// pausedSplit is a split that waits.
type pausedSplit struct {
	what      string
	watermark int64
	since     time.Time
}

// align finds the assigner that has the source in a group, nil: none does.
func (in *sourceInput) align() *aligned {
	for a := range in.assigners() {
		if a.strategy != nil && a.strategy.Group != "" {
			made := &aligned{group: a.strategy.Group, drift: a.strategy.DriftMs, assigner: a, first: abi.MaxTime}
			made.slowest.Store(abi.MinTime)
			made.lowest.Store(abi.MinTime)
			return made
		}
	}
	return nil
}

// ahead says whether a split waits for others.
func (in *sourceInput) ahead(o *openSplit, now time.Time) bool {
	a := in.aligned
	if a == nil {
		return false
	}
	w, slowest := a.assigner.promised(o.lane), a.slowest.Load()
	if slowest == abi.MinTime && w != abi.MinTime {
		a.first = min(a.first, w)
		slowest = a.first
	}
	waits := w != abi.MinTime && w != abi.MaxTime && w-a.drift > slowest
	switch {
	case waits && o.paused.IsZero():
		o.paused = now
		in.rouse(o) // who waits is not idle
	case !waits && !o.paused.IsZero():
		o.paused = time.Time{}
	default:
		return waits
	}
	in.showPaused()
	return waits
}

// measure tells how far the splits are that are read.
func (in *sourceInput) measure() {
	a := in.aligned
	if a == nil {
		return
	}
	lowest := abi.MaxTime
	for _, o := range in.open {
		if w := a.assigner.promised(o.lane); !a.assigner.lanes.quiet[o.lane] {
			if w == abi.MinTime && lowest == abi.MaxTime {
				lowest = abi.MinTime // unless another says more
			} else if w != abi.MinTime && (lowest == abi.MinTime || w < lowest) {
				lowest = w
			}
		}
	}
	a.lowest.Store(lowest)
}

func (in *sourceInput) showPaused() {
	var all []pausedSplit
	for _, o := range in.open {
		if !o.paused.IsZero() {
			all = append(all, pausedSplit{o.from, in.aligned.assigner.promised(o.lane), o.paused})
		}
	}
	in.aligned.paused.Store(&all)
}

// fill sets the figures of w.
func (a *aligned) fill(w *wire.TaskMetrics) {
	if lowest := a.lowest.Load(); lowest != abi.MinTime && lowest != abi.MaxTime {
		w.Aligned = &wire.Aligned{Group: a.group, Watermark: lowest}
	}
	slowest := a.slowest.Load()
	if paused := a.paused.Load(); paused != nil && slowest != abi.MinTime {
		for _, p := range *paused {
			w.Paused = append(w.Paused, wire.Paused{What: p.what, Group: a.group, AheadMs: p.watermark - slowest, Since: p.since})
		}
	}
}

// slow tells the tasks of an attempt how far the slowest source of a group is.
func (tm *TaskManager) slow(all []wire.Slowest) {
	if len(all) == 0 {
		return
	}
	for _, t := range tm.tasks() {
		a := t.metrics.aligned.Load()
		if a == nil {
			continue
		}
		for _, s := range all {
			if s.Job == t.attempt.key.Job && s.Attempt == t.attempt.key.Attempt && s.Group == a.group && a.slowest.Swap(s.Watermark) != s.Watermark {
				t.nudge()
			}
		}
	}
}
