package taskmanager

import (
	"context"
	"errors"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// splits asks the JobMaster for the work of one source subtask.
type splits struct {
	task     *task
	operator int // index in JobGraph.Operators
	asked    int // splits that were given out to this task
}

// next returns the next split. It asks until it is answered, each time for the same one, or until ctx ends.
func (s *splits) next(ctx context.Context) (*wire.SplitAssignment, error) {
	a := s.task.attempt
	n := &wire.NextSplit{Header: a.header(), Task: s.task.id, Operator: s.operator}
	n.Request = a.request("split", s.task.id, s.asked)
	var answer *wire.SplitAssignment
	err := insist(ctx, func() (err error) {
		answer, err = a.jm.NextSplit(ctx, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.asked++
	return answer, nil
}

// Waits between tries of a request grow from firstWait to lastWait.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = time.Second
)

// insist repeats a request until it succeeds, ctx ends, or the answer is one that another try would not change.
func insist(ctx context.Context, request func() error) error {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		err := request()
		if err == nil {
			return nil
		}
		var f *wire.Failure
		if errors.As(err, &f) && !f.Kind.Retryable() {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
