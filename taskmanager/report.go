package taskmanager

import (
	"context"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// reporter sends what tasks report, in its order, each report until it is answered. Reports wait in memory: at most two
// a task.
type reporter struct {
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	queue []*wire.Report // guarded by mu
}

func newReporter() *reporter { return &reporter{wake: make(chan struct{}, 1)} }

func (r *reporter) add(report *wire.Report) {
	r.mu.Lock()
	r.queue = append(r.queue, report)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns the oldest report of an epoch that still counts, and drops those before it.
func (r *reporter) take(epoch graph.Epoch) *wire.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 {
		first := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		if first.Epoch >= epoch {
			return first
		}
	}
	return nil
}

// reportTimeout bounds one try.
const reportTimeout = 5 * time.Second

// runReports sends reports until ctx ends.
func (tm *TaskManager) runReports(ctx context.Context) {
	for {
		report := tm.reporter.take(tm.currentEpoch())
		if report == nil {
			select {
			case <-ctx.Done():
				return
			case <-tm.reporter.wake:
			}
			continue
		}
		tm.send(ctx, report)
	}
}

// send tries until the report is answered, refused for good, or outdated.
func (tm *TaskManager) send(ctx context.Context, report *wire.Report) {
	err := insist(ctx, func() error {
		if report.Epoch < tm.currentEpoch() {
			return nil
		}
		try, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		return tm.jm.Report(try, report)
	})
	if err != nil && ctx.Err() == nil && !isStale(err) {
		tm.config.Log.Error("report refused", "job", string(report.Job), "task", report.Task.String(), "state", string(report.State), "error", err)
	}
}

func (tm *TaskManager) currentEpoch() graph.Epoch {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.epoch
}
