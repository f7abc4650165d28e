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
	queue []queued // guarded by mu
}

// queued is a report, and what is closed when it was answered.
type queued struct {
	report   *wire.Report
	answered chan struct{}
}

func newReporter() *reporter { return &reporter{wake: make(chan struct{}, 1)} }

// add sends a report when those before it are sent. What it returns is closed when the report was answered; one that nobody wants
// to know any more is not.
func (r *reporter) add(report *wire.Report) (answered <-chan struct{}) {
	q := queued{report, make(chan struct{})}
	r.mu.Lock()
	r.queue = append(r.queue, q)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return q.answered
}

// take returns the oldest report of an epoch that still counts, and drops those before it.
func (r *reporter) take(epoch graph.Epoch) (q queued, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 {
		first := r.queue[0]
		r.queue[0] = queued{}
		r.queue = r.queue[1:]
		if first.report.Epoch >= epoch {
			return first, true
		}
	}
	return queued{}, false
}

// reportTimeout bounds one try.
const reportTimeout = 5 * time.Second

// runReports sends reports until ctx ends.
func (tm *TaskManager) runReports(ctx context.Context) {
	for {
		q, ok := tm.reporter.take(tm.currentEpoch())
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-tm.reporter.wake:
			}
			continue
		}
		if tm.send(ctx, q.report) {
			close(q.answered)
		}
	}
}

// send tries until the report is answered, refused for good, or outdated. It says whether it was answered.
func (tm *TaskManager) send(ctx context.Context, report *wire.Report) bool {
	answered := false
	err := insist(ctx, func() error {
		if report.Epoch < tm.currentEpoch() {
			return nil
		}
		try, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		err := tm.jm.Report(try, report)
		answered = err == nil
		return err
	})
	if err != nil && ctx.Err() == nil && !isStale(err) {
		tm.config.Log.Error("report refused", "job", string(report.Job), "task", report.Task.String(), "state", string(report.State), "error", err)
	}
	return answered
}

func (tm *TaskManager) currentEpoch() graph.Epoch {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.epoch
}
