package taskmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// Commit makes what the sinks of a job have prepared visible, or removes what earlier attempts left behind. It may be
// called again after it was done, in part or in whole.
func (tm *TaskManager) Commit(ctx context.Context, c *wire.Commit) error {
	if err := tm.adopt(c.Epoch); err != nil {
		return err
	}
	if c.Abort {
		return tm.abort(ctx, c)
	}
	failpoint.Hit(failpoint.CommitNotified)
	return tm.eachSink(c, func(op *graph.Operator, sink connector.Sink, own []int) error {
		prepared := make([]connector.Committable, len(own))
		for i, at := range own {
			prepared[i] = c.Prepared[at]
		}
		if err := sink.Commit(ctx, string(c.Job), c.Checkpoint, prepared); err != nil {
			return uncommitted(op.Name, c.Checkpoint, err)
		}
		failpoint.Hit(failpoint.SinkCommitting)
		return nil
	})
}

// Examine says what of a commit would be refused, of sinks that know that beforehand. It changes nothing.
func (tm *TaskManager) Examine(ctx context.Context, c *wire.Commit) (*wire.Examined, error) {
	if err := tm.adopt(c.Epoch); err != nil {
		return nil, err
	}
	found := &wire.Examined{}
	return found, tm.eachSink(c, func(op *graph.Operator, sink connector.Sink, own []int) error {
		e, ok := sink.(connector.Examiner)
		if !ok {
			return nil
		}
		prepared := make([]connector.Committable, len(own))
		for i, at := range own {
			prepared[i] = c.Prepared[at]
		}
		all, err := e.Examine(ctx, string(c.Job), c.Checkpoint, prepared)
		if err != nil {
			return inOperator(op.Name, wire.KindIO, err)
		}
		for _, o := range all {
			found.Obstacles = append(found.Obstacles, wire.Obstacle{
				Prepared: own[o.Prepared], Name: o.Name, Failure: *failureOf(uncommitted(op.Name, c.Checkpoint, o.Err)),
			})
		}
		return nil
	})
}

// eachSink makes the job's sinks, one after the other, each with the places in the message of what it has prepared.
func (tm *TaskManager) eachSink(c *wire.Commit, do func(op *graph.Operator, sink connector.Sink, own []int) error) error {
	for _, i := range c.Graph.Sinks() {
		op := &c.Graph.Operators[i]
		sink, err := tm.config.Connectors.Sink(op.Connector)
		if err != nil {
			return inOperator(op.Name, wire.KindInput, err)
		}
		var own []int
		for at := range c.Prepared {
			if c.Prepared[at].Operator == op.Name {
				own = append(own, at)
			}
		}
		if err := do(op, sink, own); err != nil {
			return err
		}
	}
	return nil
}

// uncommitted is the failure of a commit, by which what lasts can be told from what may pass.
func uncommitted(name string, checkpoint uint64, err error) error {
	kind := wire.KindIO
	if errors.Is(err, connector.ErrGone) {
		kind = wire.KindGone
	}
	return inOperator(name, kind, fmt.Errorf("commit checkpoint %d: %w", checkpoint, err))
}

// abort removes what earlier attempts left behind. One sink that cannot be cleaned does not keep the others from it. A place that is
// not there was never made, unless the job has run: then it may come back, with what was left in it.
func (tm *TaskManager) abort(ctx context.Context, c *wire.Commit) error {
	sinks := slices.Clone(c.Former)
	for _, i := range c.Graph.Sinks() {
		sinks = append(sinks, c.Graph.Operators[i])
	}
	var errs []error
	for i := range sinks {
		op := &sinks[i]
		sink, err := tm.config.Connectors.Sink(op.Connector)
		if err != nil {
			errs = append(errs, inOperator(op.Name, wire.KindInput, err))
			continue
		}
		if err := sink.Abort(ctx, string(c.Job), uint32(c.Attempt)); err != nil && (c.Ran || !errors.Is(err, connector.ErrGone)) {
			errs = append(errs, inOperator(op.Name, wire.KindIO, fmt.Errorf("remove what earlier attempts left: %w", err)))
		}
	}
	return cmp.Or(errs...)
}
